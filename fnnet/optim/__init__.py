"""Optimizers: pure (init, update) pairs, and the schedules and transformations that go with them."""

from fnnet.optim import schedules
from fnnet.optim.adaptive import adam, adamw
from fnnet.optim.base import Optimizer, apply_updates, chain, elementwise
from fnnet.optim.first_order import sgd
from fnnet.optim.transforms import clip_by_global_norm

__all__ = [
    "Optimizer",
    "adam",
    "adamw",
    "apply_updates",
    "chain",
    "clip_by_global_norm",
    "elementwise",
    "schedules",
    "sgd",
]
