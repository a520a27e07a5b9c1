"""Schedulers: pure functions that decide, from the scores so far, which trials of a sweep go on and from where.

A scheduler is called before training, and again each time every trial has got to where it was sent, until it sends
none any further. It keeps nothing between calls: which trials rest, and which rung or generation it is, can be read
from the scores, so that a sweep which is resumed decides as it did.
"""

from fnnet.sweeps.schedulers.decisions import ALL, Decisions, Scheduler
from fnnet.sweeps.schedulers.evolving import genetic, population_based
from fnnet.sweeps.schedulers.stopping import hyperband, median_stopping, successive_halving

__all__ = [
    "ALL",
    "Decisions",
    "Scheduler",
    "genetic",
    "hyperband",
    "median_stopping",
    "population_based",
    "successive_halving",
]
