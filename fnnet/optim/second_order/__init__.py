"""Methods that know of curvature, and solvers for problems that linear algebra solves."""

from fnnet.optim.second_order.conjugate import conjugate_gradient, solve_conjugate_gradient
from fnnet.optim.second_order.curvature import lbfgs, newton
from fnnet.optim.second_order.linear import least_squares, minimize_quadratic
from fnnet.optim.second_order.residuals import half_sum_of_squares, levenberg_marquardt
from fnnet.optim.second_order.roots import newton_root

__all__ = [
    "conjugate_gradient",
    "half_sum_of_squares",
    "lbfgs",
    "least_squares",
    "levenberg_marquardt",
    "minimize_quadratic",
    "newton",
    "newton_root",
    "solve_conjugate_gradient",
]
