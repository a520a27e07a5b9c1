from fnnet.report.curves import plot_curves
from fnnet.report.fits import plot_history
from fnnet.report.overview import plot_sweep
from fnnet.report.pairs import plot_pairs
from fnnet.report.parallel import plot_parallel
from fnnet.report.rungs import plot_rungs
from fnnet.report.space import plot_space
from fnnet.report.style import house_style, new_figure, save_figure

__all__ = [
    "house_style",
    "new_figure",
    "plot_curves",
    "plot_history",
    "plot_pairs",
    "plot_parallel",
    "plot_rungs",
    "plot_space",
    "plot_sweep",
    "save_figure",
]
