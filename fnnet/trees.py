"""Arithmetic on pytrees, safe where gradients need it to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import StructureError
from fnnet.types import Array, PyTree, Scalar


def wide(dtype: Any) -> Any:
    """The dtype to compute in: at least float32, so that sums over bfloat16 or float16 keep their digits."""
    dtype = jnp.dtype(dtype)
    return jnp.dtype(jnp.float32) if dtype.itemsize < 4 else dtype


@jax.custom_jvp
def safe_sqrt(x: Array) -> Array:
    """√x, with derivative 0 instead of ∞ where x is 0; 0 where x is negative.

    Adam's √v is 0 for a unit that never had a gradient; there the update is 0 whatever the
    hyperparameters are, so its derivative with respect to them is 0 too.
    """
    return jnp.sqrt(jnp.maximum(x, 0))


@safe_sqrt.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    root = safe_sqrt(x)
    return root, jnp.where(x > 0, dx / (2 * jnp.where(x > 0, root, 1)), 0 * dx)


def safe_divide(a: Array, b: Array) -> Array:
    """Quotient a / b, and 0 where b is 0, there with finite derivatives; NaN stays NaN."""
    nonzero = b != 0
    return jnp.where(nonzero, a / jnp.where(nonzero, b, 1), 0 * a)


def squared_norm(tree: PyTree) -> Array:
    """Σ x² over every element of every leaf, in at least float32; 0 for an empty tree."""
    leaves = jax.tree.leaves(tree)
    dtype = max((wide(leaf.dtype) for leaf in leaves), key=lambda d: d.itemsize, default=jnp.result_type(float))
    return sum((jnp.sum(jnp.square(leaf.astype(dtype))) for leaf in leaves), start=jnp.zeros((), dtype))


def global_norm(tree: PyTree) -> Array:
    """√Σ x² over all leaves, as if the tree were one vector; value and gradient are 0 at 0."""
    return safe_sqrt(squared_norm(tree))


def is_finite(tree: PyTree) -> Array:
    """Whether no element of any leaf is NaN or infinite."""
    # x − x is 0 or NaN, and its sum two loops to compile, where a conjunction of x < ∞ is four. For 0 · x XLA makes an
    # array of zeros as large as x.
    return jnp.all(jnp.asarray([jnp.isfinite(jnp.sum(leaf - leaf)) for leaf in jax.tree.leaves(tree)], bool))


def tree_branch(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """Chooses as `tree_where` does, by a branch, which only copies.

    A choice without a branch is quick where it is fused with what is chosen from, and a loop more to compile for each
    leaf where it is not.
    """
    return lax.cond(condition, lambda yes, no: yes, lambda yes, no: no, yes, no)


def tree_where(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """Chooses between two equal structures by one boolean, without a branch."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def tree_scale(factor: Scalar, tree: PyTree) -> PyTree:
    """Multiplies every leaf by one number and keeps the dtypes."""

    def scaled(leaf: Array) -> Array:
        dtype = wide(leaf.dtype)  # in which a factor of 1e-9 is not yet 0
        return (leaf.astype(dtype) * jnp.asarray(factor, dtype)).astype(leaf.dtype)

    return jax.tree.map(scaled, tree)


def nbytes(tree: PyTree) -> int:
    """The bytes of all leaves."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def path_name(path: tuple[Any, ...]) -> str:
    """A pytree path as people write it: ``2/kernel``."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def flatten_with_names(tree: PyTree) -> dict[str, Any]:
    """The leaves by the name of their path, in the order of `jax.tree.leaves`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    named = {path_name(path): leaf for path, leaf in leaves}
    if len(named) != len(leaves):
        raise StructureError(
            "flatten_with_names", "two leaves have one name, since a key holds a slash. Use keys without slashes."
        )
    return named


def unflatten_from_names(like: PyTree, named: Mapping[str, Any]) -> PyTree:
    """A tree of the structure of ``like`` with the leaves that ``named`` has under the same names."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    return jax.tree.unflatten(structure, [named[path_name(path)] for path, _ in leaves])
