"""Figures that state what was found: learning curves, hyperparameter spaces, whole sweeps, halvings."""

from fnnet.lazy import front_door

__getattr__, __dir__, __all__ = front_door(__name__, __file__)
