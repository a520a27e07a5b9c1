"""Metrics: numbers about predictions, exact however the examples are cut into batches.

A metric is a function ``metric(predictions, targets, *, weights=None) -> scalar``. Behind it stands a `Metric`:
sums over examples that add up over batches, and what is computed from the sums at the end. Any loss, or any
function that gives one value an example, serves as a metric too: it is averaged.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from fnnet import losses
from fnnet.errors import ShapeError, StructureError
from fnnet.trees import wide
from fnnet.types import Array, PyTree


class Metric(NamedTuple):
    """Sums that add up over batches, and a number from the sums.

    ``sums(predictions, targets, weights) -> pytree`` with weights (batch,), which are 0 for examples that do
    not count; ``compute(pytree) -> scalar``; ``higher_is_better`` is None where nobody has said.
    """

    sums: Callable[[Array, Array, Array], PyTree]
    compute: Callable[[PyTree], Array]
    higher_is_better: bool | None = None

    def __call__(self, predictions: Any, targets: Any, *, weights: Any = None) -> Array:
        """The metric over one batch."""
        predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
        if weights is None:
            weights = jnp.ones(predictions.shape[:1], wide(predictions.dtype))
        weights = jnp.asarray(weights)
        return self.compute(self.sums(predictions, targets, weights))


_CALL = inspect.Signature(list(inspect.signature(Metric.__call__).parameters.values())[1:])


def ratio(numerator: Array, denominator: Array) -> Array:
    """A quotient that is NaN, and not an error, where nothing was counted."""
    return jnp.where(denominator == 0, jnp.nan, numerator / jnp.where(denominator == 0, 1, denominator))


def averaged(function: Callable[..., Array], higher_is_better: bool | None = None) -> Metric:
    """The weighted mean Σ w·v / Σ w of a function with one value v an example."""
    name = getattr(function, "__name__", "metric")

    def sums(predictions: Array, targets: Array, weights: Array) -> PyTree:
        values = jnp.asarray(function(predictions, targets))
        if values.shape != weights.shape:
            raise ShapeError(
                name,
                f"a metric gives one value an example, shape {weights.shape}, but this one gave {values.shape}. "
                f"Leave the mean over examples to fnnet, or return a metrics.Metric.",
            )
        # Booleans and whole numbers too: in their own dtype a weight of 0.5 would be none or all.
        dtype = wide(values.dtype) if jnp.issubdtype(values.dtype, jnp.floating) else jnp.zeros(()).dtype
        values, weights = values.astype(dtype), weights.astype(dtype)
        return {
            "sum": jnp.sum(jnp.where(weights == 0, 0, values * weights)),
            "weight": weights.sum(),
        }

    return Metric(sums, lambda s: ratio(s["sum"], s["weight"]), higher_is_better)


def as_metric(function: Any) -> Metric:
    """The `Metric` behind a metric, a loss or a user's function of one value an example.

    Raises:
        StructureError: it cannot be called.
    """
    if isinstance(function, Metric):
        return function
    if not callable(function):
        raise StructureError("metrics", f"{function!r} is not a function. Pass metrics such as metrics.accuracy.")
    behind = getattr(function, "metric", None)
    return behind if isinstance(behind, Metric) else averaged(function, getattr(function, "higher_is_better", None))


def _metric(
    make: Callable[[Callable[..., Any]], Metric],
) -> Callable[[Callable[..., Any]], Callable[..., Array]]:
    """Turns a function that describes examples into a metric with the same name and docstring."""

    def mark(function: Callable[..., Any]) -> Callable[..., Array]:
        behind = make(function)

        @functools.wraps(function)
        def metric(predictions: Any, targets: Any, *, weights: Any = None) -> Array:
            return behind(predictions, targets, weights=weights)

        # The call has weights, which the function that describes examples has not.
        metric.__signature__ = _CALL  # type: ignore[attr-defined]
        metric.metric = behind  # type: ignore[attr-defined]
        return metric

    return mark


def maximize(function: Callable[..., Any]) -> Callable[..., Array]:
    """Says that more is better, for a function of one value an example that is to choose the best model.

    >>> import jax.numpy as jnp
    >>> close = maximize(lambda predictions, targets: (abs(predictions - targets) < 0.5).astype(float))
    >>> float(close(jnp.array([0.9, 0.1]), jnp.array([1.0, 1.0])))
    0.5
    """
    return _metric(lambda f: as_metric(f)._replace(higher_is_better=True))(function)


def minimize(function: Callable[..., Any]) -> Callable[..., Array]:
    """Says that less is better, for a function of one value an example that is to choose the best model.

    >>> import jax.numpy as jnp
    >>> miss = minimize(lambda predictions, targets: abs(predictions - targets))
    >>> float(miss(jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0])))
    0.5
    """
    return _metric(lambda f: as_metric(f)._replace(higher_is_better=False))(function)


@_metric(lambda f: averaged(f, higher_is_better=True))
def accuracy(predictions: Array, targets: Array) -> Array:
    """Share of examples whose largest output is the right class.

    Args:
        predictions: logits or probabilities (batch, …, classes).
        targets: class ids (batch, …), or distributions of the predictions' shape.
        weights: (batch,) or None.

    Returns:
        Scalar in [0, 1]; axes between batch and classes are averaged.

    Raises:
        ShapeError: the shapes do not fit.

    >>> import jax.numpy as jnp
    >>> float(accuracy(jnp.array([[0.1, 0.9], [0.8, 0.2]]), jnp.array([1, 1])))
    0.5
    """
    if targets.shape == predictions.shape and targets.shape[-1] > 1 and not jnp.issubdtype(targets.dtype, jnp.integer):
        targets = jnp.argmax(targets, axis=-1)
    if targets.shape != predictions.shape[:-1] or predictions.shape[-1] == 1:
        raise ShapeError(
            "accuracy",
            f"predictions have shape {predictions.shape} and targets {targets.shape}; targets are class ids of "
            f"shape {predictions.shape[:-1]}. For logits of yes-or-no labels use metrics.binary_accuracy.",
        )
    chosen = jnp.argmax(predictions, axis=-1)
    right = (chosen == targets.astype(chosen.dtype)).astype(wide(predictions.dtype))
    return right.mean(axis=tuple(range(1, right.ndim)))


@_metric(lambda f: averaged(f, higher_is_better=True))
def binary_accuracy(predictions: Array, targets: Array) -> Array:
    """Share of labels whose logit has the right sign.

    Args:
        predictions: logits (batch, …).
        targets: labels 0 or 1 of the same shape.
        weights: (batch,) or None.

    Returns:
        Scalar in [0, 1].

    Raises:
        ShapeError: the shapes differ.

    >>> import jax.numpy as jnp
    >>> float(binary_accuracy(jnp.array([-2.0, 3.0]), jnp.array([0, 0])))
    0.5
    """
    losses.require_equal_shapes("binary_accuracy", predictions, targets)
    right = ((predictions > 0) == (targets.astype(wide(predictions.dtype)) > 0.5)).astype(wide(predictions.dtype))
    return right.mean(axis=tuple(range(1, right.ndim)))


@_metric(lambda f: averaged(f, higher_is_better=False))
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


@_metric(_root_of_mean)
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
        losses.require_equal_shapes("r2", predictions, targets)
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


@_metric(_explained)
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


__all__ = [
    "Metric",
    "accuracy",
    "as_metric",
    "averaged",
    "binary_accuracy",
    "maximize",
    "mean_absolute_error",
    "minimize",
    "r2",
    "root_mean_squared_error",
]
