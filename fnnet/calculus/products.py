"""What the scalar product tells of vectors: angles, kernel matrices, distances."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from fnnet.errors import ShapeError, StructureError
from fnnet.trees import safe_divide, safe_sqrt, wide
from fnnet.types import Array


def cosine_similarity(x: Array, y: Array) -> Array:
    """Cosine of the angle between two vectors.

    cos α = xᵀy / (‖x‖ ‖y‖) along the last axis

    Args:
        x: (…, features) numbers.
        y: numbers of exactly the same shape.

    Returns:
        (…) values from −1 to 1 in at least float32. A vector of zeros has no direction: value and derivative are 0.

    Raises:
        ShapeError: the shapes differ, or there is no axis.

    Source: lecture 000, "Uses of Matrix Algebra".

    >>> import jax.numpy as jnp
    >>> print(cosine_similarity(jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0])).round(4))
    0.7071
    """
    where = "cosine_similarity"
    x, y = _numbers(where, "x", x), _numbers(where, "y", y)
    if x.shape != y.shape or x.ndim == 0:
        raise ShapeError(
            where,
            f"x has shape {x.shape} and y {y.shape}; they have to agree and have an axis of features. For the angles "
            f"of all pairs of rows scale the rows to length 1 and take gram_matrix.",
        )
    u, v = map(_unit, _alike(x, y))
    return jnp.clip((u * v).sum(axis=-1), -1, 1)


def gram_matrix(x: Array, y: Array | None = None) -> Array:
    """Kernel (Gram) matrix of a data set: the scalar products of all pairs of rows.

    K = X Xᵀ, or X Yᵀ:  K_ij = ⟨x_i, y_j⟩

    Args:
        x: X, (n, features) numbers, a row an example.
        y: Y, (m, features); None for X itself.

    Returns:
        (n, m) array in at least float32.

    Raises:
        ShapeError: not matrices, or of different numbers of features.

    Source: lecture 000, "Uses of Matrix Algebra".

    >>> import jax.numpy as jnp
    >>> gram_matrix(jnp.array([[1.0, 2.0], [0.0, 3.0]])).tolist()
    [[5.0, 6.0], [6.0, 9.0]]
    """
    x, y = _rows("gram_matrix", x, y)
    return jnp.matmul(x, y.T, precision=lax.Precision.HIGHEST)


def pairwise_distances(x: Array, y: Array | None = None) -> Array:
    """Euclidean distances of all pairs of rows.

    d_ij = ‖x_i − y_j‖ = √(⟨x_i, x_i⟩ + ⟨y_j, y_j⟩ − 2 ⟨x_i, y_j⟩)

    computed as the equation stands, by one product of matrices, after the mean of Y was taken from all rows, which
    changes no distance and keeps digits, and in units of the largest number, so that no square overflows. What is left
    of d² after the difference has an absolute error of about ε times the squared lengths; where it is no more than
    that, the rows count as equal: the distance is 0 and so is its derivative. For rows that are much closer to each
    other than to the mean, ``jnp.linalg.norm(x - y, axis=-1)`` of the few pairs in question is exact.

    Args:
        x: (n, features) numbers, a row an example.
        y: (m, features); None for X itself, whose diagonal is then exactly 0.

    Returns:
        (n, m) array ≥ 0 in at least float32; NaN if a number is not finite.

    Raises:
        ShapeError: not matrices, or of different numbers of features.

    Source: lecture 000, "Metrics and Scalar Products".

    >>> import jax.numpy as jnp
    >>> pairwise_distances(jnp.array([[0.0, 0.0], [3.0, 4.0]])).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    alone = y is None
    x, y = _rows("pairwise_distances", x, y)
    middle = lax.stop_gradient(y.mean(axis=0, keepdims=True))  # cancels, and with it its derivative
    x, y = x - middle, y - middle
    size = lax.stop_gradient(jnp.maximum(jnp.abs(x).max(initial=0), jnp.abs(y).max(initial=0)))
    x, y = safe_divide(x, size), safe_divide(y, size)
    lengths = jnp.square(x).sum(axis=1)[:, None] + jnp.square(y).sum(axis=1)[None, :]
    squares = lengths - 2 * gram_matrix(x, y)
    resolution = 2 * math.sqrt(max(x.shape[1], 4)) * jnp.finfo(x.dtype).eps
    equal = squares <= resolution * lengths
    if alone:
        equal = equal | jnp.eye(len(x), dtype=bool)
    return size * safe_sqrt(jnp.where(equal, 0, squares))


def _numbers(where: str, name: str, x: Any) -> Array:
    """As an array of at least float32."""
    try:
        x = jnp.asarray(x)
    except (TypeError, ValueError) as error:
        raise StructureError(where, f"{name} is {x!r}, which is not an array of numbers.") from error
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(jnp.result_type(float))
    return x.astype(wide(x.dtype))


def _rows(where: str, x: Any, y: Any) -> tuple[Array, Array]:
    """Two matrices of one dtype with as many columns; the first for both if there is no second."""
    x = _numbers(where, "x", x)
    y = x if y is None else _numbers(where, "y", y)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ShapeError(
            where,
            f"x has shape {x.shape} and y {y.shape}, but (n, features) and (m, features) are needed. Make one vector "
            f"a row with x[None, :], and images rows with nn.flatten.",
        )
    return _alike(x, y)


def _alike(x: Array, y: Array) -> tuple[Array, Array]:
    """In the wider dtype of the two."""
    dtype = max(x.dtype, y.dtype, key=lambda dtype: dtype.itemsize)
    return x.astype(dtype), y.astype(dtype)


def _unit(x: Array) -> Array:
    """Vectors of length 1 along the last axis; zeros stay zeros.

    Divided by the largest component first, so that squares neither overflow nor vanish.
    """
    x = safe_divide(x, lax.stop_gradient(jnp.abs(x).max(axis=-1, keepdims=True, initial=0)))
    return safe_divide(x, safe_sqrt(jnp.square(x).sum(axis=-1, keepdims=True)))
