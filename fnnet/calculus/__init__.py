"""Derivatives and curvature: gradients checked, Hessians seen by their products, backpropagation in the open."""

from fnnet.calculus.backpropagation import Backpropagation, backprop_mlp
from fnnet.calculus.checking import GradientReport, LeafCheck, check_gradient
from fnnet.calculus.convexity import ConvexityTest, is_convex_on_samples, is_positive_semidefinite
from fnnet.calculus.critical_points import CriticalPoint, classify_critical_point, determinant_test
from fnnet.calculus.differences import finite_difference
from fnnet.calculus.directions import directional_curvature, directional_derivative, hvp
from fnnet.calculus.expansion import taylor
from fnnet.calculus.extremes import ExtremeCurvatures, extreme_curvatures
from fnnet.calculus.figures import plot_spectrum
from fnnet.calculus.products import cosine_similarity, gram_matrix, pairwise_distances
from fnnet.calculus.spectra import Spectrum, TraceEstimate, curvature_spectrum, hessian_trace
from fnnet.calculus.toy import ToyBackpropagation, ToyIntermediates, backprop_toy

__all__ = [
    "Backpropagation",
    "ConvexityTest",
    "CriticalPoint",
    "ExtremeCurvatures",
    "GradientReport",
    "LeafCheck",
    "Spectrum",
    "ToyBackpropagation",
    "ToyIntermediates",
    "TraceEstimate",
    "backprop_mlp",
    "backprop_toy",
    "check_gradient",
    "classify_critical_point",
    "cosine_similarity",
    "curvature_spectrum",
    "determinant_test",
    "directional_curvature",
    "directional_derivative",
    "extreme_curvatures",
    "finite_difference",
    "gram_matrix",
    "hessian_trace",
    "hvp",
    "is_convex_on_samples",
    "is_positive_semidefinite",
    "pairwise_distances",
    "plot_spectrum",
    "taylor",
]
