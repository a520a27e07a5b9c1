"""Sweeps: many networks as the lanes of one program."""

from fnnet.sweeps.engine import sweep
from fnnet.sweeps.results import Sweep

__all__ = ["Sweep", "sweep"]
