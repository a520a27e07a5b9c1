"""Pytrees as vectors, for the methods whose equations are about one vector θ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import StructureError
from fnnet.optim.base import check_parameters, check_same_structure, rounded
from fnnet.trees import wide
from fnnet.types import Array, PyTree


def wide_dtype(tree: PyTree) -> Any:
    """The widest dtype of the leaves, at least float32: what a vector of all of them is computed in."""
    return max((wide(leaf.dtype) for leaf in jax.tree.leaves(tree)), key=lambda dtype: dtype.itemsize)


def as_vector(tree: PyTree) -> Array:
    """All elements of all leaves, one after the other, in the widest dtype."""
    dtype = wide_dtype(tree)
    return jnp.concatenate([leaf.astype(dtype).reshape(-1) for leaf in jax.tree.leaves(tree)])


def like(tree: PyTree) -> Callable[[Array], PyTree]:
    """The way back: from a vector to a pytree with the structure, shapes and dtypes of ``tree``."""
    leaves, structure = jax.tree.flatten(tree)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1].tolist()

    def back(vector: Array) -> PyTree:
        parts = jnp.split(vector, ends)
        return jax.tree.unflatten(
            structure,
            [rounded(part.reshape(leaf.shape), leaf.dtype) for part, leaf in zip(parts, leaves, strict=True)],
        )

    return back


def point_of(
    where: str, grads: PyTree, params: PyTree, value_fn: Any = None, *, needs_value: bool = True
) -> tuple[Array, Array, Callable[[Array], PyTree], Callable[[Array], Array]]:
    """What an update gets, as vectors: θ, g, the way back, and the objective as a function of θ.

    Raises a sentence if the parameters or the objective are missing or if the trees differ.
    """
    if params is None:
        raise StructureError(where, "needs the parameters. Call update(grads, state, params, value_fn=fun).")
    if needs_value and value_fn is None:
        raise StructureError(
            where,
            "needs the function that is minimised, since it evaluates it away from the parameters. Call "
            "update(grads, state, params, value_fn=fun), as optim.minimize and fnnet.training do.",
        )
    check_parameters(where, params)
    check_same_structure(where, grads, params)
    theta, back = as_vector(params), like(params)

    def objective(vector: Array) -> Array:
        return jnp.asarray(value_fn(back(vector))).astype(theta.dtype)

    return theta, as_vector(grads).astype(theta.dtype), back, objective
