"""Losses ``loss(predictions, targets, *, weights=None) -> (batch,)``: one value an example; and log-priors.

Training takes their weighted mean. Shapes have to agree exactly, since ``(N, 1)`` against ``(N,)`` would
broadcast to N² differences and train something else in silence. Values are computed in at least float32.

``weights`` has the shape of the leading axes of the element-wise values: ``(batch,)`` weighs examples, and
``(batch, height, width)`` the pixels of a segmentation. An element of weight 0 counts nothing, whatever its
value. The value of an example is the mean of its elements, each times its weight.

Numbers of a loss are bound with `functools.partial`: ``partial(losses.huber, delta=2.0)``. They may be traced, so a
sweep over them compiles once.
"""

from fnnet.losses.classification import kl_divergence, softmax_cross_entropy
from fnnet.losses.labels import focal, hinge, sigmoid_binary_cross_entropy
from fnnet.losses.likelihoods import categorical, gaussian_nll, laplace_nll, poisson_nll
from fnnet.losses.priors import gaussian_prior, laplace_prior
from fnnet.losses.regression import (
    absolute_error,
    cosine,
    half_squared_error,
    huber,
    log_cosh,
    squared_error,
    sum_of_squares,
)

__all__ = [
    "absolute_error",
    "categorical",
    "cosine",
    "focal",
    "gaussian_nll",
    "gaussian_prior",
    "half_squared_error",
    "hinge",
    "huber",
    "kl_divergence",
    "laplace_nll",
    "laplace_prior",
    "log_cosh",
    "poisson_nll",
    "sigmoid_binary_cross_entropy",
    "softmax_cross_entropy",
    "squared_error",
    "sum_of_squares",
]
