"""Metrics of numbers, in the unit of the targets or relative to their spread."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from fnnet import losses
from fnnet.losses.base import require_equal_shapes, value_dtype
from fnnet.metrics.base import Metric, averaged, metric, ratio
from fnnet.trees import safe_divide
from fnnet.types import Array, PyTree


@metric(lambda f: averaged(f, higher_is_better=False))
def mean_absolute_error(predictions: Array, targets: Array) -> Array:
    """MAE: the mean of |f − y|.

    Args:
        predictions: (batch, …) floats.
        targets: numbers of the same shape.
        weights: (batch,) or None.

    Returns:
        Scalar ≥ 0, in the unit of the targets.

    Raises:
        ShapeError: the shapes differ.

    >>> import jax.numpy as jnp
    >>> float(mean_absolute_error(jnp.array([1.0, 3.0]), jnp.array([0.0, 0.0])))
    2.0
    """
    return losses.absolute_error(predictions, targets)


def _root_of_mean(function: Callable[..., Any]) -> Metric:
    mean = averaged(function, higher_is_better=False)
    return mean._replace(compute=lambda sums: jnp.sqrt(mean.compute(sums)))


@metric(_root_of_mean)
def root_mean_squared_error(predictions: Array, targets: Array) -> Array:
    """RMSE: the square root of the mean of (f − y)².

    Args:
        predictions: (batch, …) floats.
        targets: numbers of the same shape.
        weights: (batch,) or None.

    Returns:
        Scalar ≥ 0, in the unit of the targets.

    Raises:
        ShapeError: the shapes differ.

    >>> import jax.numpy as jnp
    >>> float(root_mean_squared_error(jnp.array([3.0, 3.0]), jnp.array([0.0, 0.0])))
    3.0
    """
    return losses.squared_error(predictions, targets)


def _explained(function: Callable[..., Any]) -> Metric:
    """Mean of y, and sums of (y − ȳ)² and (f − y)², for each output.

    Not Σy and Σy²: their difference has no digits left where the mean is much larger than the spread.
    """

    def sums(predictions: Array, targets: Array, weights: Array) -> PyTree:
        require_equal_shapes("r2", predictions, targets)
        dtype = value_dtype(predictions)
        y = targets.astype(dtype).reshape(targets.shape[0], math.prod(targets.shape[1:]))
        f = predictions.astype(dtype).reshape(y.shape)
        w = weights.astype(dtype)[:, None]
        weight = w.sum()

        def total(values: Array) -> Array:
            return jnp.sum(jnp.where(w == 0, 0, w * values), axis=0)

        # Around a row that counts, so that targets which do not vary have no spread, not even by rounding.
        origin = y[jnp.argmax(w[:, 0] != 0)] if len(y) else jnp.zeros(y.shape[1:], dtype)
        mean = origin + safe_divide(total(y - origin[None]), weight)
        return {
            "weight": weight,
            "mean": mean,
            "spread": total(jnp.square(y - mean[None])),
            "error": total(function(f, y)),
        }

    def merge(one: PyTree, other: PyTree) -> PyTree:
        weight = one["weight"] + other["weight"]
        share, apart = safe_divide(other["weight"], weight), other["mean"] - one["mean"]
        return {
            "weight": weight,
            "mean": one["mean"] + share * apart,
            # What both spread around their own means, and these around the common one.
            "spread": one["spread"] + other["spread"] + one["weight"] * share * jnp.square(apart),
            "error": one["error"] + other["error"],
        }

    def compute(sums: PyTree) -> Array:
        return 1 - ratio(sums["error"], sums["spread"]).mean()

    return Metric(sums, compute, higher_is_better=True, merge=merge)


@metric(_explained)
def r2(predictions: Array, targets: Array) -> Array:
    """Coefficient of determination R² = 1 − Σ(f − y)² / Σ(y − ȳ)², averaged over the outputs.

    Over batches, mean and spread of the targets are merged as those of two samples are (Chan, Golub and LeVeque,
    1983), which keeps the digits that Σy² − (Σy)²/n loses.

    Args:
        predictions: (batch, …) floats.
        targets: numbers of the same shape.
        weights: (batch,) or None.

    Returns:
        Scalar ≤ 1; 0 for the constant prediction ȳ; NaN where the targets do not vary.

    Raises:
        ShapeError: the shapes differ.

    >>> import jax.numpy as jnp
    >>> float(r2(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 2.0, 3.0])))
    1.0
    """
    return jnp.square(predictions - targets)
