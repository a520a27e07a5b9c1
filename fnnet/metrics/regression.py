"""Metrics of numbers, in the unit of the targets or relative to their spread."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from fnnet import losses
from fnnet.losses.base import require_equal_shapes
from fnnet.metrics.base import Metric, averaged, metric, ratio
from fnnet.trees import wide
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
    """Sums of y, y² and (f − y)² for each output, so that errors can be set against the spread of the targets."""

    def sums(predictions: Array, targets: Array, weights: Array) -> PyTree:
        require_equal_shapes("r2", predictions, targets)
        dtype = wide(predictions.dtype)
        y = targets.astype(dtype).reshape(targets.shape[0], math.prod(targets.shape[1:]))
        f = predictions.astype(dtype).reshape(y.shape)
        w = weights.astype(dtype)[:, None]
        moments = {"first": y, "second": jnp.square(y), "error": function(f, y)}
        sums = {name: jnp.sum(jnp.where(w == 0, 0, w * value), axis=0) for name, value in moments.items()}
        return {"weight": w.sum(), **sums}

    def compute(sums: PyTree) -> Array:
        spread = sums["second"] - jnp.square(sums["first"]) / sums["weight"]
        return 1 - ratio(sums["error"], spread).mean()

    return Metric(sums, compute, higher_is_better=True)


@metric(_explained)
def r2(predictions: Array, targets: Array) -> Array:
    """Coefficient of determination R² = 1 − Σ(f − y)² / Σ(y − ȳ)², averaged over the outputs.

    Σ(y − ȳ)² is had from Σy and Σy², which add up over batches; in float32 it loses digits where the targets'
    mean is thousands of times their spread, so standardise such targets.

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
