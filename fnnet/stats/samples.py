"""What a sample has to be before anything is fitted to it: numbers that are finite, at least one."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, ShapeError, is_concrete
from fnnet.losses.base import value_dtype
from fnnet.types import Array


def vector(where: str, values: Array) -> Array:
    """The values, if they are (n,)."""
    if values.ndim != 1 or values.size == 0:
        raise ShapeError(
            where, f"the data have shape {values.shape}, but (n,) is needed, n ≥ 1. Map over several with jax.vmap."
        )
    return values


def finite(where: str, data: Any) -> Array:
    """The data in at least float32, if what is known of them is finite."""
    values = jnp.asarray(data)
    values = values.astype(value_dtype(values))
    if is_concrete(values) and not np.isfinite(np.asarray(values)).all():
        row = np.argwhere(~np.isfinite(np.asarray(values)))[0][0]
        raise DataError(where, f"the data hold NaN or ∞, first at row {row}.")
    return values


def numbers(where: str, data: Any) -> Array:
    """A sample (n,) of finite numbers."""
    return vector(where, finite(where, data))
