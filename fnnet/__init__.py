"""Neural networks trained as pure functions in JAX: one net, or a thousand at once."""

from fnnet import data, errors, losses, metrics, nn, optim
from fnnet._version import __version__
from fnnet.sweeps import OptunaSearch, Plan, Sweep, plan, schedulers, sweep
from fnnet.sweeps import space as hp
from fnnet.train import EarlyStopping, History, Learner, Run, Training, TrainState, fit, load, loggers, training

__all__ = [
    "EarlyStopping",
    "History",
    "Learner",
    "OptunaSearch",
    "Plan",
    "Run",
    "Sweep",
    "TrainState",
    "Training",
    "__version__",
    "data",
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
    "schedulers",
    "sweep",
    "training",
]
