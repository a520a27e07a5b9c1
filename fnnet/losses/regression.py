"""Losses of numbers: how far predictions are from targets of the same shape."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.losses.base import POSITIVE, loss, magnitude, paired, per_example
from fnnet.trees import safe_divide, safe_sqrt
from fnnet.types import Array, Float, Scalar


@loss()
def squared_error(
    predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Squared error, whose mean over examples is the MSE (L2 loss).

    ℓ(f, y) = (f − y)², averaged over the outputs of an example.

    Args:
        predictions: (batch, …) floats.
        targets: numbers of exactly the same shape.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0.

    Raises:
        ShapeError: the shapes differ.

    Source: lecture 000, "Loss functions"; lecture 003.

    >>> import jax.numpy as jnp
    >>> squared_error(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [2.5]
    """
    f, y = paired("squared_error", predictions, targets, weights)
    return per_example("squared_error", jnp.square(f - y), weights)


@loss()
def half_squared_error(
    predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Half the squared error, whose derivative is f − y without a factor of 2.

    ℓ(f, y) = ½ (f − y)², averaged over the outputs of an example.

    Args:
        predictions: (batch, …) floats.
        targets: numbers of exactly the same shape.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0.

    Raises:
        ShapeError: the shapes differ.

    Source: lecture 003 (½ MSE).

    >>> import jax.numpy as jnp
    >>> half_squared_error(jnp.array([3.0]), jnp.array([1.0])).tolist()
    [2.0]
    """
    f, y = paired("half_squared_error", predictions, targets, weights)
    return per_example("half_squared_error", jnp.square(f - y) / 2, weights)


@loss()
def sum_of_squares(
    predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Sum of the squared errors over the outputs of an example: the squared Euclidean distance.

    ℓ(f, y) = Σⱼ (fⱼ − yⱼ)²

    Args:
        predictions: (batch, …) floats.
        targets: numbers of exactly the same shape.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0. Over the examples training still takes the mean; a sum over N of them too is the same
        with a learning rate N times as large.

    Raises:
        ShapeError: the shapes differ.

    Source: lecture 002 (least squares).

    >>> import jax.numpy as jnp
    >>> sum_of_squares(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [5.0]
    """
    f, y = paired("sum_of_squares", predictions, targets, weights)
    return per_example("sum_of_squares", jnp.square(f - y) * math.prod(f.shape[1:]), weights)


@loss()
def absolute_error(
    predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Absolute error, whose mean over examples is the MAE (L1 loss).

    ℓ(f, y) = |f − y|, averaged over the outputs of an example.

    Args:
        predictions: (batch, …) floats.
        targets: numbers of exactly the same shape.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0; the derivative at f = y is 0.

    Raises:
        ShapeError: the shapes differ.

    Source: lecture 000, "Loss functions"; lecture 001.

    >>> import jax.numpy as jnp
    >>> absolute_error(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [1.5]
    """
    f, y = paired("absolute_error", predictions, targets, weights)
    return per_example("absolute_error", magnitude(f - y), weights)


@loss(delta=POSITIVE)
def huber(
    predictions: Float[Array, "batch ..."], targets: Any, *, delta: Scalar = 1.0, weights: Any = None
) -> Float[Array, " batch"]:
    """Huber loss: quadratic near the target, linear far from it, so that outliers do not dominate.

    ℓ(f, y) = ½ d²           for |d| = |f − y| ≤ δ
              δ (|d| − ½ δ)  beyond, averaged over the outputs of an example.

    Args:
        predictions: (batch, …) floats.
        targets: numbers of exactly the same shape.
        delta: δ > 0, in the unit of the targets; bind another with ``partial(losses.huber, delta=2.0)``.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0.

    Raises:
        ShapeError: the shapes differ.
        HyperparameterError: ``delta`` is not positive.

    Source: lecture 002; Huber, 1964.

    >>> import jax.numpy as jnp
    >>> huber(jnp.array([0.5, 3.0]), jnp.array([0.0, 0.0]), delta=1.0).tolist()
    [0.125, 2.5]
    """
    f, y = paired("huber", predictions, targets, weights)
    distance, delta = magnitude(f - y), jnp.asarray(delta, f.dtype)
    near = jnp.minimum(distance, delta)  # its square cannot overflow where the distance is huge
    return per_example("huber", jnp.square(near) / 2 + delta * (distance - near), weights)


@loss()
def log_cosh(predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None) -> Float[Array, " batch"]:
    """Logarithm of the hyperbolic cosine: ½ d² near the target, |d| − log 2 far from it, smooth everywhere.

    ℓ(f, y) = log cosh(f − y), averaged over the outputs of an example; its derivative is tanh(f − y).

    Args:
        predictions: (batch, …) floats.
        targets: numbers of exactly the same shape.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0.

    Raises:
        ShapeError: the shapes differ.

    >>> import jax.numpy as jnp
    >>> print(log_cosh(jnp.array([100.0]), jnp.array([0.0])).round(2))
    [99.31]
    """
    f, y = paired("log_cosh", predictions, targets, weights)
    distance = magnitude(f - y)
    near = jnp.minimum(distance, 1.0)  # keeps sinh finite where its branch is not taken
    values = jnp.where(
        distance < 1,
        jnp.log1p(2 * jnp.square(jnp.sinh(near / 2))),  # cosh d = 1 + 2 sinh²(d/2) keeps the digits of small d
        distance + jax.nn.softplus(-2 * distance) - math.log(2),
    )
    return per_example("log_cosh", values, weights)


@loss()
def cosine(
    predictions: Float[Array, "batch ... features"], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Cosine distance: how far two directions are apart, whatever the lengths.

    ℓ(f, y) = 1 − f·y / (‖f‖ ‖y‖) along the last axis; axes between it and the batch are averaged.

    Args:
        predictions: (batch, …, features) floats.
        targets: numbers of exactly the same shape.
        weights: (batch,) or more leading axes without the last; see `fnnet.losses`.

    Returns:
        (batch,) values from 0 (same direction) to 2 (opposite), or the mean of such. A vector of zeros has no
        direction: the value is 1 there, and the derivative 0.

    Raises:
        ShapeError: the shapes differ.

    >>> import jax.numpy as jnp
    >>> cosine(jnp.array([[2.0, 0.0], [0.0, 3.0]]), jnp.array([[1.0, 0.0], [1.0, 0.0]])).tolist()
    [0.0, 1.0]
    """
    f, y = paired("cosine", predictions, targets, weights)
    u, v = _direction(f), _direction(y)
    zeros = sum(((x == 0).all(axis=-1).astype(f.dtype) for x in (u, v)), start=jnp.zeros((), f.dtype))
    # 1 − u·v is ½ ‖u − v‖² for vectors of length 1, without the rounding of a difference from 1.
    return per_example("cosine", (jnp.square(u - v).sum(axis=-1) + zeros) / 2, weights)


def _direction(x: Array) -> Array:
    """Vectors of length 1 along the last axis; zeros stay zeros.

    Divided by the largest component first, so that squares neither overflow nor vanish. That factor cancels, and
    with it its derivative.
    """
    x = safe_divide(x, lax.stop_gradient(jnp.abs(x).max(axis=-1, keepdims=True)))
    return safe_divide(x, safe_sqrt(jnp.square(x).sum(axis=-1, keepdims=True)))
