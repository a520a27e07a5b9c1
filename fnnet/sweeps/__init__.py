"""Sweeps: many networks as the lanes of one program."""

from fnnet.sweeps.asking import OptunaSearch
from fnnet.sweeps.engine import plan, sweep
from fnnet.sweeps.plans import Plan
from fnnet.sweeps.results import Sweep

__all__ = ["OptunaSearch", "Plan", "Sweep", "plan", "sweep"]
