"""Optimizers: pure (init, update) pairs, and the schedules and transformations that go with them."""

from fnnet.optim import line_search, schedules
from fnnet.optim.adaptive import adadelta, adagrad, rmsprop
from fnnet.optim.averaging import ema_parameters, evaluation_parameters
from fnnet.optim.base import Optimizer, apply_updates, chain, elementwise
from fnnet.optim.conjugate import conjugate_gradient, solve_conjugate_gradient
from fnnet.optim.constrained import augmented_lagrangian
from fnnet.optim.driver import Result, minimize
from fnnet.optim.evolution import cma_es, genetic
from fnnet.optim.first_order import ema_momentum, lion, normalized_gradient, sgd
from fnnet.optim.inspection import learning_rate
from fnnet.optim.line_search import line_search_descent
from fnnet.optim.linear import least_squares, minimize_quadratic
from fnnet.optim.masks import by_path, matrices
from fnnet.optim.matrix import muon
from fnnet.optim.moments import adam, adamax, amsgrad, nadam
from fnnet.optim.newer_moments import adamw, adan, radam
from fnnet.optim.partitioning import partition
from fnnet.optim.residuals import half_sum_of_squares, levenberg_marquardt
from fnnet.optim.roots import newton_root
from fnnet.optim.second_order import lbfgs, newton
from fnnet.optim.transforms import add_weight_decay, clip, clip_by_global_norm, clip_by_norm, freeze
from fnnet.optim.wrappers import accumulate, decoupled_weight_decay, skip_nonfinite
from fnnet.optim.zeroth_order import grid_search, random_search

__all__ = [
    "Optimizer",
    "Result",
    "accumulate",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "adan",
    "add_weight_decay",
    "amsgrad",
    "apply_updates",
    "augmented_lagrangian",
    "by_path",
    "chain",
    "clip",
    "clip_by_global_norm",
    "clip_by_norm",
    "cma_es",
    "conjugate_gradient",
    "decoupled_weight_decay",
    "elementwise",
    "ema_momentum",
    "ema_parameters",
    "evaluation_parameters",
    "freeze",
    "genetic",
    "grid_search",
    "half_sum_of_squares",
    "lbfgs",
    "learning_rate",
    "least_squares",
    "levenberg_marquardt",
    "line_search",
    "line_search_descent",
    "lion",
    "matrices",
    "minimize",
    "minimize_quadratic",
    "muon",
    "nadam",
    "newton",
    "newton_root",
    "normalized_gradient",
    "partition",
    "radam",
    "random_search",
    "rmsprop",
    "schedules",
    "sgd",
    "skip_nonfinite",
    "solve_conjugate_gradient",
]
