"""What the functions of this package are given: a function of a pytree, a point, a direction at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, ShapeError, StructureError, is_concrete
from fnnet.optim.base import check_parameters
from fnnet.optim.driver import check_scalar, starting_point
from fnnet.trees import path_name, wide
from fnnet.types import Array, PyTree


def point(where: str, fun: Callable[[PyTree], Any], params: PyTree) -> PyTree:
    """The point as arrays; raises unless it is one and the function gives a scalar there."""
    params = starting_point(where, params)
    check_point(where, params)
    check_scalar(where, fun, params)
    return params


def check_point(where: str, params: PyTree) -> None:
    """Raises unless the arrays are floats, at least one of them, and finite as far as they are known."""
    check_parameters(where, params)
    if not any(leaf.size for leaf in jax.tree.leaves(params)):
        raise StructureError(where, "the parameters hold no number, so there is nothing to differentiate by.")
    check_finite(where, params)


def check_finite(where: str, params: PyTree) -> None:
    """Raises if a concrete leaf holds NaN or infinity; tracers pass."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        # By NumPy, since inside of a trace JAX's functions of a concrete array are traced too.
        if is_concrete(leaf) and not np.isfinite(np.asarray(leaf)).all():
            wrong = np.argwhere(~np.isfinite(np.asarray(leaf)))
            raise DataError(
                where,
                f"parameter {path_name(path) or '(the only one)'} is not finite: {len(wrong)} of {leaf.size} entries, "
                f"first at {tuple(wrong[0].tolist())}. Look at a point before the one where training diverged.",
            )


def check_value(where: str, value: Any) -> None:
    """Raises if what a function gave is concrete and not finite."""
    if is_concrete(value) and not np.isfinite(np.asarray(value)).all():
        raise DataError(
            where,
            f"the function gives {float(value):g} at this point, which is not finite, so it has no derivatives there. "
            f"Check its data and its domain.",
        )


def direction_at(where: str, params: PyTree, vector: PyTree, name: str = "direction") -> PyTree:
    """A vector like the parameters, in their dtypes; raises if it is another tree or has other shapes."""
    vector = starting_point(where, vector)
    structure: Any = jax.tree.structure(vector)
    if structure != jax.tree.structure(params):
        paths = [{path_name(p) for p, _ in jax.tree_util.tree_leaves_with_path(t)} for t in (vector, params)]
        differing = sorted(paths[0] ^ paths[1]) or ["the kinds of containers"]
        raise StructureError(
            where,
            f"{name} is not a tree like the parameters: the first difference is at {differing[0]}. Make it with "
            f"jax.tree.map over the parameters.",
        )
    for (path, leaf), u in zip(jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(vector), strict=True):
        if leaf.shape != u.shape:
            raise ShapeError(
                where,
                f"{name} has shape {u.shape} at {path_name(path) or '(the only leaf)'}, but the parameter has shape "
                f"{leaf.shape}. A direction has a number for each parameter.",
            )
    return jax.tree.map(lambda leaf, u: u.astype(leaf.dtype), params, vector)


def inner(a: PyTree, b: PyTree) -> Array:
    """⟨a, b⟩ over all elements of all leaves, in at least float32."""
    dtype = max((wide(leaf.dtype) for leaf in jax.tree.leaves(a)), key=lambda d: d.itemsize)
    products = jax.tree.map(lambda x, y: jnp.sum(x.astype(dtype) * y.astype(dtype)), a, b)
    return sum(jax.tree.leaves(products), start=jnp.zeros((), dtype))
