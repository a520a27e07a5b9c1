"""Methods that see one gradient at a time: descent, momentum, adaptive step sizes."""

from fnnet.optim.first_order.adaptive import adadelta, adagrad, rmsprop
from fnnet.optim.first_order.descent import ema_momentum, lion, normalized_gradient, sgd
from fnnet.optim.first_order.matrix import muon
from fnnet.optim.first_order.moments import adam, adamax, amsgrad, nadam
from fnnet.optim.first_order.newer_moments import adamw, adan, radam

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "adan",
    "amsgrad",
    "ema_momentum",
    "lion",
    "muon",
    "nadam",
    "normalized_gradient",
    "radam",
    "rmsprop",
    "sgd",
]
