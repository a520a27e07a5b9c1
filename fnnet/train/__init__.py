"""Training: the pure core, and `fit`, which drives it from the host."""

from fnnet.train import loggers
from fnnet.train.core import Training
from fnnet.train.files import load
from fnnet.train.fitting import fit
from fnnet.train.history import History
from fnnet.train.learner import Learner
from fnnet.train.programs import training
from fnnet.train.run import Run
from fnnet.train.state import TrainState
from fnnet.train.stopping import EarlyStopping

__all__ = ["EarlyStopping", "History", "Learner", "Run", "TrainState", "Training", "fit", "load", "loggers", "training"]
