"""What is given has to be: numbers that are finite, samples of at least one, sizes that are positive integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from fnnet.errors import (
    DataError,
    HyperparameterError,
    ShapeError,
    StructureError,
    check_size,
    is_concrete,
)
from fnnet.losses.base import value_dtype
from fnnet.types import Array


def known(where: str, name: str, values: Any) -> np.ndarray:
    """Concrete values in float64, if they are real numbers."""
    try:
        if not np.iscomplexobj(values):
            return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):  # words, or rows of different lengths
        pass
    raise StructureError(where, f"{name} is {values!r}, which is not an array of numbers.")


def check_sizes(where: str, name: str, sizes: Sequence[int]) -> None:
    """Raises unless there are sizes, all of them positive integers."""
    if np.ndim(sizes) != 1 or not len(sizes):
        raise HyperparameterError(where, f"sizes is {sizes!r}, but one or more are needed, such as (10, 100).")
    for size in sizes:
        check_size(where, name, size)


def vector(where: str, values: Array) -> Array:
    """The values, if they are (n,)."""
    if values.ndim != 1 or values.size == 0:
        raise ShapeError(
            where, f"the data have shape {values.shape}, but (n,) is needed, n ≥ 1. Map over several with jax.vmap."
        )
    return values


def finite(where: str, data: Any) -> Array:
    """The data in at least float32, if what is known of them is finite."""
    if all(map(is_concrete, data if isinstance(data, list | tuple) else [data])):
        wrong = np.argwhere(~np.isfinite(known(where, "the sample", data)))
        if wrong.size:
            raise DataError(where, f"the data hold NaN or ∞, first at row {wrong[0][0]}.")
    values = jnp.asarray(data)
    return values.astype(value_dtype(values))


def numbers(where: str, data: Any) -> Array:
    """A sample (n,) of finite numbers."""
    return vector(where, finite(where, data))
