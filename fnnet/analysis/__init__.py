"""What a network looks like inside: signals, saturation, linear regions, loss surfaces, representations."""

from fnnet.analysis.backward import gradient_norms, layer_gradients
from fnnet.analysis.bounds import linear_regions_upper_bound, max_linear_regions
from fnnet.analysis.counting import RegionCount, count_linear_regions
from fnnet.analysis.directions import (
    TrajectoryDirections,
    filter_normalized,
    random_directions,
    trajectory_coordinates,
    trajectory_directions,
)
from fnnet.analysis.flatness import Saturation, saturation
from fnnet.analysis.objectives import evaluation_loss
from fnnet.analysis.patterns import activation_pattern
from fnnet.analysis.pieces import Joints, LinearPieces, joints, linear_pieces
from fnnet.analysis.plane_maps import PlaneSVD, plane_svd, plot_svd
from fnnet.analysis.plotting_signals import plot_saturation, plot_signal_propagation
from fnnet.analysis.plotting_similarity import plot_representations
from fnnet.analysis.plotting_slices import plot_loss_slice
from fnnet.analysis.region_plots import plot_regions
from fnnet.analysis.regions import LinearRegions, linear_regions
from fnnet.analysis.signals import Moments, SignalPropagation, signal_propagation
from fnnet.analysis.similarity import RepresentationSimilarity, compare_representations, linear_cka
from fnnet.analysis.slices import LossSlice, loss_slice
from fnnet.analysis.watching import layer_inputs, layer_outputs

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
