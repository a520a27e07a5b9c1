from fnnet.sweeps.asking import OptunaSearch
from fnnet.sweeps.engine import plan, sweep
from fnnet.sweeps.ensembles import Ensemble, ensemble
from fnnet.sweeps.pages import write_report
from fnnet.sweeps.plans import Plan
from fnnet.sweeps.results import Sweep

__all__ = ["Ensemble", "OptunaSearch", "Plan", "Sweep", "ensemble", "plan", "sweep", "write_report"]
