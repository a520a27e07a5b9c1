"""What losses are made of: the mark, the shapes that have to agree, weights, and the mean over an example."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.calling import bound, innermost
from fnnet.errors import ShapeError, check_number
from fnnet.trees import wide
from fnnet.types import Array

Loss = TypeVar("Loss", bound=Callable[..., Any])

POSITIVE = {"low": 0.0, "low_open": True}
NOT_NEGATIVE = {"low": 0.0}
SHARE = {"low": 0.0, "high": 1.0}


def loss(
    check: Callable[[tuple[int, ...], Any], None] | None = None, **ranges: Mapping[str, Any]
) -> Callable[[Loss], Loss]:
    """Marks a loss, of which less is better.

    ``check`` looks at concrete targets before anything is compiled; ``ranges`` are those of its numbers by name, as
    `errors.check_number` takes them. They are declared, and not checked in the body alone, so that the numbers of a
    `functools.partial` can be checked before it is called: in a sweep it is called with tracers only.
    """

    def mark(function: Loss) -> Loss:
        def check_numbers(numbers: Mapping[str, Any]) -> None:
            for name, interval in ranges.items():
                if numbers.get(name) is not None:
                    check_number(function.__name__, name, numbers[name], **interval)

        @functools.wraps(function)
        def marked(predictions: Any, targets: Any, **options: Any) -> Any:
            check_numbers(options)
            return function(predictions, targets, **options)

        marked.higher_is_better = False  # type: ignore[attr-defined]
        marked.check_targets = check  # type: ignore[attr-defined]
        marked.check_numbers = check_numbers  # type: ignore[attr-defined]
        return marked  # type: ignore[return-value]

    return mark


def check_bound(function: Any) -> None:
    """Raises if a loss is bound by `functools.partial` to a concrete number that is out of its range."""
    check = getattr(innermost(function), "check_numbers", None)
    if check is not None:
        check(bound(function))


def require_equal_shapes(where: str, predictions: Array, targets: Array) -> None:
    """Raises a `ShapeError` that says what broadcasting would have done and how to mend it."""
    if predictions.shape == targets.shape:
        return
    p, t = predictions.shape, targets.shape
    try:
        problem = f"they would broadcast to {np.broadcast_shapes(p, t)}"
    except ValueError:
        problem = "they do not fit together"
    if p[:-1] == t and p[-1:] == (1,):
        fix = "Reshape the targets with y[:, None] or end the model with nn.squeeze."
    elif t[:-1] == p and t[-1:] == (1,):
        fix = "Reshape the targets with y[:, 0]."
    elif len(p) == len(t) and p[:-1] == t[:-1]:
        fix = f"End the model with {t[-1]} outputs, one a target."
    else:
        fix = "Give the model one output a target."
    raise ShapeError(where, f"predictions have shape {p} and targets {t}; {problem}. {fix}")


def counted(weights: Any, *arrays: Array) -> tuple[Array, ...]:
    """Zeros where the weight is 0: a NaN there would pass 0 · NaN into the gradient, though not the value."""
    if weights is None:
        return arrays
    counts = jnp.asarray(weights) != 0

    def choose(x: Array) -> Array:
        if counts.shape != x.shape[: counts.ndim]:  # a mistake; `per_example` says which
            return x
        return jnp.where(counts.reshape(counts.shape + (1,) * (x.ndim - counts.ndim)), x, jnp.zeros_like(x))

    return tuple(choose(x) for x in arrays)


def value_dtype(x: Array) -> Any:
    """The dtype to compute in with numbers like ``x``: at least float32, also for whole numbers."""
    return wide(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else jnp.result_type(float)


def paired(where: str, predictions: Any, targets: Any, weights: Any) -> tuple[Array, Array]:
    """Predictions and targets of one shape, in at least float32, with zeros where the weight is 0."""
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    require_equal_shapes(where, predictions, targets)
    predictions, targets = counted(weights, predictions, targets)
    dtype = value_dtype(predictions)
    return predictions.astype(dtype), targets.astype(dtype)


def per_example(where: str, values: Array, weights: Any) -> Array:
    """The mean over all axes but the first of values times weights."""
    if values.ndim == 0:
        raise ShapeError(where, "the predictions are of one example and have no batch axis. Use x[None].")
    if weights is not None:
        weights = jnp.asarray(weights)
        if weights.ndim == 0 or weights.shape != values.shape[: weights.ndim]:
            raise ShapeError(
                where,
                f"weights have shape {weights.shape}, but the values have shape {values.shape}: "
                f"weights have to have its leading axes, {values.shape[:1]} for one weight an example.",
            )
        weights = weights.astype(values.dtype).reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
        values = values * weights
    return values.mean(axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values


def magnitude(x: Array) -> Array:
    """|x| as x · sign x, whose derivative at 0 is 0; that of `jnp.abs` is 1."""
    return x * jnp.sign(x)


def finite_exp(x: Array) -> Array:
    """The exponential function, continued by its tangent beyond x = 40, where no count and no precision ever is.

    It stays convex, so that its derivative still points the right way, and is finite for x of 1e4 in float32.
    """
    top = 40.0
    return jnp.exp(jnp.minimum(x, top)) * (1 + jax.nn.relu(x - top))


def rows_of(wrong: np.ndarray) -> str:
    """How many examples are wrong, and which is the first."""
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    return f"{len(rows)} example{'s' if len(rows) != 1 else ''}, first at row {rows[0]}"
