"""Figures that state what was found: learning curves, hyperparameter spaces, whole sweeps."""

from fnnet.report.curves import plot_curves
from fnnet.report.fits import plot_history
from fnnet.report.overview import plot_sweep
from fnnet.report.space import plot_space

__all__ = ["plot_curves", "plot_history", "plot_space", "plot_sweep"]
