"""What a metric is: something about each part of the data that can be put together, and a number from the whole."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnnet.calling import innermost
from fnnet.errors import ShapeError, StructureError
from fnnet.losses.base import value_dtype
from fnnet.types import Array, PyTree


def added(one: PyTree, other: PyTree) -> PyTree:
    """The sums of two parts as those of both."""
    return jax.tree.map(jnp.add, one, other)


class Metric(NamedTuple):
    """Sums that add up over batches, and a number from the sums.

    ``sums(predictions, targets, weights) -> pytree`` with weights (batch,), which are 0 for examples that do
    not count; ``compute(pytree) -> scalar``; ``higher_is_better`` is None where nobody has said. Where ``rows`` is
    true, ``sums`` gives a row for each example instead, and the rows of the parts are joined one after the other: for
    what is no function of sums, such as a ranking. The memory for them is that of the rows of all examples.
    ``merge`` makes of what two parts have what both have together: it adds, unless told; zeros are those of no part.
    """

    sums: Callable[[Any, Array, Array], PyTree]
    compute: Callable[[PyTree], Array]
    higher_is_better: bool | None = None
    rows: bool = False
    merge: Callable[[PyTree, PyTree], PyTree] = added

    def __call__(self, predictions: Any, targets: Any, *, weights: Any = None) -> Array:
        """The metric over one batch."""
        # A tuple or dict is the outputs of a model with several, such as a mean and a variance.
        several = isinstance(predictions, tuple | Mapping)
        predictions = jax.tree.map(jnp.asarray, predictions) if several else jnp.asarray(predictions)
        targets = jnp.asarray(targets)
        if weights is None:
            first = jax.tree.leaves(predictions)[0]
            weights = jnp.ones(first.shape[:1], value_dtype(first))
        return self.compute(self.sums(predictions, targets, jnp.asarray(weights)))

    def merged(self, parts: Sequence[PyTree]) -> PyTree:
        """What ``sums`` of all the examples would be, from what it is of each part of them."""
        if self.rows:
            return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
        return functools.reduce(self.merge, parts)


_CALL = inspect.Signature(list(inspect.signature(Metric.__call__).parameters.values())[1:])


def ratio(numerator: Array, denominator: Array) -> Array:
    """A quotient that is NaN, and not an error, where nothing was counted."""
    return jnp.where(denominator == 0, jnp.nan, numerator / jnp.where(denominator == 0, 1, denominator))


def mean_where(counts: Array, values: Array, axis: int | None = None) -> Array:
    """The mean of the values that count, and NaN where none does."""
    return ratio(jnp.where(counts, values, 0).sum(axis), counts.sum(axis).astype(values.dtype))


def averaged(function: Callable[..., Array], higher_is_better: bool | None = None) -> Metric:
    """The weighted mean Σ w·v / Σ w of a function with one value v an example."""
    name = getattr(innermost(function), "__name__", "metric")

    def sums(predictions: Any, targets: Array, weights: Array) -> PyTree:
        values = jnp.asarray(function(predictions, targets))
        if values.shape != weights.shape:
            raise ShapeError(
                name,
                f"a metric gives one value an example, shape {weights.shape}, but this one gave {values.shape}. "
                f"Leave the mean over examples to fnnet, or return a metrics.Metric.",
            )
        # Booleans and whole numbers too: in their own dtype a weight of 0.5 would be none or all.
        dtype = value_dtype(values)
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
    if isinstance(behind, Metric):
        return behind
    return averaged(function, getattr(innermost(function), "higher_is_better", None))


def metric(make: Callable[[Callable[..., Any]], Metric]) -> Callable[[Callable[..., Any]], Callable[..., Array]]:
    """Turns a function that describes examples into a metric with the same name and docstring."""

    def mark(function: Callable[..., Any]) -> Callable[..., Array]:
        behind = make(function)

        @functools.wraps(function)
        def marked(predictions: Any, targets: Any, *, weights: Any = None) -> Array:
            return behind(predictions, targets, weights=weights)

        # The call has weights, which the function that describes examples has not.
        marked.__signature__ = _CALL  # type: ignore[attr-defined]
        marked.metric = behind  # type: ignore[attr-defined]
        return marked

    return mark


def maximize(function: Callable[..., Any]) -> Callable[..., Array]:
    """Says that more is better, for a function of one value an example that is to choose the best model.

    >>> import jax.numpy as jnp
    >>> close = maximize(lambda predictions, targets: (abs(predictions - targets) < 0.5).astype(float))
    >>> float(close(jnp.array([0.9, 0.1]), jnp.array([1.0, 1.0])))
    0.5
    """
    return metric(lambda f: as_metric(f)._replace(higher_is_better=True))(function)


def minimize(function: Callable[..., Any]) -> Callable[..., Array]:
    """Says that less is better, for a function of one value an example that is to choose the best model.

    >>> import jax.numpy as jnp
    >>> miss = minimize(lambda predictions, targets: abs(predictions - targets))
    >>> float(miss(jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0])))
    0.5
    """
    return metric(lambda f: as_metric(f)._replace(higher_is_better=False))(function)
