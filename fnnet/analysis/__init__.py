"""Looking inside of networks: signals and gradients by layer, saturation, loss surfaces, representations."""

from fnnet.analysis.backward import gradient_norms, layer_gradients
from fnnet.analysis.directions import (
    TrajectoryDirections,
    filter_normalized,
    random_directions,
    trajectory_coordinates,
    trajectory_directions,
)
from fnnet.analysis.flatness import Saturation, saturation
from fnnet.analysis.objectives import evaluation_loss
from fnnet.analysis.plotting_signals import plot_saturation, plot_signal_propagation
from fnnet.analysis.plotting_similarity import plot_representations
from fnnet.analysis.plotting_slices import plot_loss_slice
from fnnet.analysis.signals import Moments, SignalPropagation, signal_propagation
from fnnet.analysis.similarity import RepresentationSimilarity, compare_representations, linear_cka
from fnnet.analysis.slices import LossSlice, loss_slice
from fnnet.analysis.watching import layer_inputs, layer_outputs

__all__ = [
    "LossSlice",
    "Moments",
    "RepresentationSimilarity",
    "Saturation",
    "SignalPropagation",
    "TrajectoryDirections",
    "compare_representations",
    "evaluation_loss",
    "filter_normalized",
    "gradient_norms",
    "layer_gradients",
    "layer_inputs",
    "layer_outputs",
    "linear_cka",
    "loss_slice",
    "plot_loss_slice",
    "plot_representations",
    "plot_saturation",
    "plot_signal_propagation",
    "random_directions",
    "saturation",
    "signal_propagation",
    "trajectory_coordinates",
    "trajectory_directions",
]
