from fnnet import analysis, calculus, data, errors, losses, metrics, nn, optim, report, stats
from fnnet._version import __version__
from fnnet.recipes import recipe
from fnnet.sweeps import Ensemble, OptunaSearch, Plan, Sweep, ensemble, plan, schedulers, sweep, write_report
from fnnet.sweeps import space as hp
from fnnet.train import EarlyStopping, History, Learner, Run, Training, TrainState, fit, load, loggers, training

__all__ = [
    "EarlyStopping",
    "Ensemble",
    "History",
    "Learner",
    "OptunaSearch",
    "Plan",
    "Run",
    "Sweep",
    "TrainState",
    "Training",
    "__version__",
    "analysis",
    "calculus",
    "data",
    "ensemble",
    "errors",
    "fit",
    "hp",
    "load",
    "loggers",
    "losses",
    "metrics",
    "nn",
    "optim",
    "plan",
    "recipe",
    "report",
    "schedulers",
    "stats",
    "sweep",
    "training",
    "write_report",
]
