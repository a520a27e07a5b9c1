"""Moments of data: the covariance matrix. Means are `jnp.mean`, and `jnp.average` where examples have weights."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, ShapeError, is_concrete
from fnnet.losses.base import value_dtype
from fnnet.stats.samples import known
from fnnet.types import Array


def covariance_matrix(data: Any, *, weights: Any = None, centered: bool = True, unbiased: bool = True) -> Array:
    """Covariance matrix of a data matrix.

    C = Σᵢ wᵢ (xᵢ − m)(xᵢ − m)ᵀ / d,   m = Σᵢ wᵢ xᵢ / Σᵢ wᵢ   (0 if not centred)

    with d = Σ w, the lecture's |X| for equal weights; or d = Σ w − Σ w² / Σ w, which is n − 1 for equal weights, if
    the mean is estimated from the same data and the matrix is to be unbiased nevertheless.

    Args:
        data: X (…, n, features), a row an example.
        weights: (…, n) or (n,), not negative: how much each example counts; None for all the same.
        centered: whether to subtract the mean. If not, these are second moments around 0.
        unbiased: whether the expectation is the covariance of what the data are drawn from. Second moments around 0
            are unbiased with d = Σ w already, so it changes nothing for them.

    Returns:
        (…, features, features), symmetric.

    Raises:
        ShapeError: the data are no matrix of at least one example, or the weights have another number of examples.
        DataError: known values are not finite, weights are negative or sum to 0, or there is one example only and
            nothing to be unbiased with.

    Source: lecture 000, "Estimating mean and covariance" (d = |X|); for centred data the same as
    ``numpy.cov(X, rowvar=False, aweights=weights, ddof=unbiased)``.

    >>> import jax.numpy as jnp
    >>> print(covariance_matrix(jnp.array([[1.0, 2.0], [3.0, 6.0]]), unbiased=False))
    [[1. 2.]
     [2. 4.]]
    """
    _check(data, weights, centered and unbiased)
    X = jnp.asarray(data)
    X = X.astype(value_dtype(X))
    w = jnp.ones(X.shape[-2:-1], X.dtype) if weights is None else jnp.asarray(weights).astype(X.dtype)
    w = jnp.broadcast_to(w, X.shape[:-1])
    total = w.sum(axis=-1)
    if centered:
        X = X - jnp.sum(w[..., None] * X, axis=-2, keepdims=True) / total[..., None, None]
    C = jnp.einsum("...ni,...nj->...ij", w[..., None] * X, X, precision="highest")
    C = (C + jnp.swapaxes(C, -1, -2)) / 2
    estimated = jnp.sum(jnp.square(w), axis=-1) / total if centered and unbiased else 0
    return C / (total - estimated)[..., None, None]


def _check(data: Any, weights: Any, estimated: bool) -> None:
    where = "covariance_matrix"
    values = known(where, "the data", data) if is_concrete(data) else None
    shape = np.shape(data)
    if len(shape) < 2 or 0 in shape:
        fix = " A single feature is a column, x[:, None]." if len(shape) == 1 else ""
        raise ShapeError(where, f"the data have shape {shape}, but (examples, features) is needed.{fix}")
    if values is not None and not np.isfinite(values).all():
        row = tuple(int(i) for i in np.argwhere(~np.isfinite(values).all(axis=-1))[0])
        raise DataError(where, f"the data hold NaN or ∞, first at row {row[0] if len(row) == 1 else row}.")
    if weights is not None and np.shape(weights) not in (shape[:-1], shape[-2:-1]):
        raise ShapeError(
            where, f"weights have shape {np.shape(weights)}, but the data have {shape[-2]} examples: {shape}."
        )
    if weights is not None and is_concrete(weights):
        w = known(where, "weights", weights)
        if not (np.isfinite(w) & (w >= 0)).all() or not (w.sum(axis=-1) > 0).all():
            raise DataError(where, "weights have to be finite and not negative, and some of them positive.")
        if estimated and ((w > 0).sum(axis=-1) < 2).any():
            raise DataError(where, "only one example has a weight, so no spread can be estimated. Pass unbiased=False.")
    if estimated and shape[-2] < 2:
        raise DataError(where, "there is one example, so no spread can be estimated. Pass unbiased=False.")
