"""Double precision inside of a function, whatever its caller works in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from fnnet.types import PyTree


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Inside, arrays may be float64, and what a function brings along in float32 goes together with them."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


def as_double(tree: PyTree) -> PyTree:
    """The floats of a pytree as float64; to be called inside of `double_precision`."""

    def widened(leaf: PyTree) -> PyTree:
        return leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(widened, tree)


__all__ = ["as_double", "double_precision"]
