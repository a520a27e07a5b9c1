"""What a network looks like inside: signals, saturation, linear regions, loss surfaces, representations.

- Linear regions: a model is traced and its jaxpr interpreted for where it bends (``tracing``, ``interpreter``), once
  for the sides of its units (``patterns``) and once for its matrices in float64 (``stages``); with these, segments
  (``pieces``) and boxes (``regions``, ``polygons``) are cut, regions counted (``counting``) or bounded (``bounds``).
- Signals: what layers give (``intermediates``), how it changes what comes out (``gradients``), how both grow or fade
  (``signals``), and which units pass nothing on (``dead_units``).
- Loss surfaces: a loss of the parameters (``objectives``), directions (``directions``), and slices (``slices``).
- Representations: ``similarity``. A layer as a map of the plane: ``svd``. Figures: ``plotting_*``.
"""

from fnnet.analysis.bounds import linear_regions_upper_bound, max_linear_regions
from fnnet.analysis.counting import RegionCount, count_linear_regions
from fnnet.analysis.dead_units import Saturation, saturation
from fnnet.analysis.directions import (
    TrajectoryDirections,
    filter_normalized,
    random_directions,
    trajectory_coordinates,
    trajectory_directions,
)
from fnnet.analysis.gradients import gradient_norms, layer_gradients
from fnnet.analysis.intermediates import layer_inputs, layer_outputs
from fnnet.analysis.objectives import evaluation_loss
from fnnet.analysis.patterns import activation_pattern
from fnnet.analysis.pieces import Joints, LinearPieces, joints, linear_pieces
from fnnet.analysis.plotting_regions import plot_joints, plot_regions
from fnnet.analysis.plotting_signals import plot_gradient_norms, plot_saturation, plot_signal_propagation
from fnnet.analysis.plotting_similarity import plot_representations
from fnnet.analysis.plotting_slices import plot_loss_slice
from fnnet.analysis.regions import LinearRegions, linear_regions
from fnnet.analysis.signals import Moments, SignalPropagation, signal_propagation
from fnnet.analysis.similarity import RepresentationSimilarity, compare_representations, linear_cka
from fnnet.analysis.slices import LossSlice, loss_slice
from fnnet.analysis.svd import PlaneSVD, plane_svd, plot_svd

__all__ = [
    "Joints",
    "LinearPieces",
    "LinearRegions",
    "LossSlice",
    "Moments",
    "PlaneSVD",
    "RegionCount",
    "RepresentationSimilarity",
    "Saturation",
    "SignalPropagation",
    "TrajectoryDirections",
    "activation_pattern",
    "compare_representations",
    "count_linear_regions",
    "evaluation_loss",
    "filter_normalized",
    "gradient_norms",
    "joints",
    "layer_gradients",
    "layer_inputs",
    "layer_outputs",
    "linear_cka",
    "linear_pieces",
    "linear_regions",
    "linear_regions_upper_bound",
    "loss_slice",
    "max_linear_regions",
    "plane_svd",
    "plot_gradient_norms",
    "plot_joints",
    "plot_loss_slice",
    "plot_regions",
    "plot_representations",
    "plot_saturation",
    "plot_signal_propagation",
    "plot_svd",
    "random_directions",
    "saturation",
    "signal_propagation",
    "trajectory_coordinates",
    "trajectory_directions",
]
