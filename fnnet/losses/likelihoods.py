"""Negative log-likelihoods, constants and all: minimising their mean is maximum likelihood."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.errors import DataError
from fnnet.losses.base import (
    POSITIVE,
    counted,
    finite_exp,
    loss,
    magnitude,
    paired,
    per_example,
    require_equal_shapes,
    rows_of,
)
from fnnet.losses.classification import softmax_cross_entropy
from fnnet.types import Array, Float, Scalar

categorical = softmax_cross_entropy
"""The negative log-likelihood of a categorical distribution is the softmax cross entropy."""


@loss(variance=POSITIVE)
def gaussian_nll(
    predictions: Float[Array, "batch ..."] | tuple[Float[Array, "batch ..."], Float[Array, "batch ..."]],
    targets: Any,
    *,
    variance: Scalar = 1.0,
    weights: Any = None,
) -> Float[Array, " batch"]:
    """Negative log-likelihood of a Gaussian, of which a model predicts the mean, or mean and variance.

    ℓ(f, y) = ½ log(2π σ²) + (f − y)² / (2 σ²), averaged over the outputs of an example,

    where σ² is ``variance`` for predictions of the mean f alone, and ``variance`` · exp(s) for a pair (f, s). With a
    fixed variance it is the squared error up to constants. For s < −40 the exponential in 1/σ² is continued by its
    tangent, so that value and gradient stay finite.

    Args:
        predictions: means (batch, …), or the pair of means and log-variances (s above), of one shape.
        targets: numbers of exactly the same shape.
        variance: σ² > 0, in squared units of the targets.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values, negative where the density exceeds 1.

    Raises:
        ShapeError: the shapes differ.
        HyperparameterError: ``variance`` is not positive.

    Source: lecture 001, maximum likelihood (which prints ½·2(πσ²) for ½ log(2πσ²)).

    >>> import jax.numpy as jnp
    >>> print(gaussian_nll(jnp.array([2.0]), jnp.array([0.0])).round(4))
    [2.9189]
    >>> print(gaussian_nll((jnp.array([2.0]), jnp.array([0.0])), jnp.array([0.0])).round(4))
    [2.9189]
    """
    where = "gaussian_nll"
    mean, log_variance = predictions if isinstance(predictions, tuple) else (predictions, None)
    f, y = paired(where, mean, targets, weights)
    variance = jnp.asarray(variance, f.dtype)
    squares = jnp.square(f - y) / variance
    if log_variance is None:
        return per_example(where, (jnp.log(2 * math.pi * variance) + squares) / 2, weights)
    require_equal_shapes(f"{where}, log-variances", jnp.asarray(log_variance), y)
    (s,) = counted(weights, jnp.asarray(log_variance).astype(f.dtype))
    return per_example(where, (jnp.log(2 * math.pi * variance) + s + squares * finite_exp(-s)) / 2, weights)


@loss(scale=POSITIVE)
def laplace_nll(
    predictions: Float[Array, "batch ..."], targets: Any, *, scale: Scalar = 1.0, weights: Any = None
) -> Float[Array, " batch"]:
    """Negative log-likelihood of a Laplace distribution, whose median a model predicts.

    ℓ(f, y) = log(2b) + |f − y| / b, averaged over the outputs of an example: the absolute error up to constants.

    Args:
        predictions: medians (batch, …).
        targets: numbers of exactly the same shape.
        scale: b > 0, in the unit of the targets.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values, negative where the density exceeds 1.

    Raises:
        ShapeError: the shapes differ.
        HyperparameterError: ``scale`` is not positive.

    Source: lecture 001, maximum likelihood.

    >>> import jax.numpy as jnp
    >>> print(laplace_nll(jnp.array([0.0, 2.0]), jnp.array([0.0, 0.0])).round(4))
    [0.6931 2.6931]
    """
    f, y = paired("laplace_nll", predictions, targets, weights)
    scale = jnp.asarray(scale, f.dtype)
    return per_example("laplace_nll", jnp.log(2 * scale) + magnitude(f - y) / scale, weights)


def _check_counts(shape: tuple[int, ...], targets: Any) -> None:
    """Raises if concrete counts are negative."""
    targets = np.asarray(targets)
    wrong = targets < 0
    if wrong.any():
        raise DataError(
            "poisson_nll",
            f"targets contain {targets[wrong][0]}, but counts are at least 0: {rows_of(wrong)}. "
            f"For numbers of any sign use losses.squared_error.",
        )


@loss(check=_check_counts)
def poisson_nll(predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None) -> Float[Array, " batch"]:
    """Negative log-likelihood of Poisson distributions of counts, from the logarithm of the rate.

    ℓ(z, y) = exp(z) − y z + log y!, averaged over the outputs of an example; its derivative is exp(z) − y.

    For z > 40 the exponential is continued by its tangent, so that value and gradient stay finite.

    Args:
        predictions: log-rates (batch, …).
        targets: counts ≥ 0 of exactly the same shape.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0; the term log y! is part of them, so that they are likelihoods.

    Raises:
        ShapeError: the shapes differ.

    >>> import jax.numpy as jnp
    >>> print(poisson_nll(jnp.array([0.0, 0.0]), jnp.array([0, 2])).round(4))
    [1.     1.6931]
    """
    z, y = paired("poisson_nll", predictions, targets, weights)
    return per_example("poisson_nll", finite_exp(z) - y * z + lax.lgamma(y + 1), weights)
