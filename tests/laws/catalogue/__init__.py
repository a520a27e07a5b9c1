"""One row for every public part: how to build it from its float hyperparameters, and what to call it with.

The tests in this folder walk over ``__all__`` of each family and fail for a name that has no row here, so that
whoever adds a layer, an optimizer, a schedule, a loss or a metric states how its laws are to be tested.
"""

from catalogue.cases import NUMBERS, SIZES, Case, Scored, Wrong, both, first, lane, rows, second, traced_once
from catalogue.layers import NOT_LAYERS, SIMPLE_LAYERS
from catalogue.networks import NETWORKS
from catalogue.optimizers import NOT_OPTIMIZERS, OPTIMIZERS
from catalogue.schedules import SCHEDULES
from catalogue.scores import LOSSES, METRICS, NOT_LOSSES, NOT_METRICS

LAYERS = SIMPLE_LAYERS | NETWORKS

__all__ = [
    "LAYERS",
    "LOSSES",
    "METRICS",
    "NOT_LAYERS",
    "NOT_LOSSES",
    "NOT_METRICS",
    "NOT_OPTIMIZERS",
    "NUMBERS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SIZES",
    "Case",
    "Scored",
    "Wrong",
    "both",
    "first",
    "lane",
    "rows",
    "second",
    "traced_once",
]
