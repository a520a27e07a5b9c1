"""Which parameters a transformation is for: by rank, by path, or as a tree says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import StructureError
from fnnet.optim.base import Optimizer
from fnnet.recipes import recipe
from fnnet.trees import path_name
from fnnet.types import PyTree

Mask: TypeAlias = Any
"""A tree of booleans like the parameters, or like their upper part; a function that makes one; None for all true."""


def matrices(params: PyTree) -> PyTree:
    """True for parameters of rank 2 or more: kernels and embeddings, not biases and not the scales of norms.

    Args:
        params: a tree of arrays.

    Returns:
        A tree of booleans like it.

    >>> import jax.numpy as jnp
    >>> matrices({"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)})
    {'bias': False, 'kernel': True}
    """
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) >= 2, params)


@recipe
def by_path(predicate: Callable[[str], bool]) -> Callable[[PyTree], PyTree]:
    """A mask that looks at the names of parameters.

    Args:
        predicate: from a path such as ``2/kernel`` to a boolean; for `partition`, to a label.

    Returns:
        Function from the parameters to a tree of what the predicate says.

    Raises:
        StructureError: ``predicate`` is not a function.

    >>> import jax.numpy as jnp
    >>> by_path(lambda path: path.endswith("kernel"))([{"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}])
    [{'bias': False, 'kernel': True}]
    """
    if not callable(predicate):
        raise StructureError("by_path", f"predicate is {predicate!r}, which is not a function of a path.")
    return lambda params: jax.tree_util.tree_map_with_path(lambda path, leaf: predicate(path_name(path)), params)


def spread(where: str, what: str, prefix: PyTree, params: PyTree) -> PyTree:
    """One entry for each parameter; an entry of ``prefix`` counts for everything below it."""
    prefix = prefix(params) if callable(prefix) else prefix
    try:
        return jax.tree.broadcast(prefix, params)
    except ValueError:
        place = _first_difference(prefix, params)
        raise StructureError(
            where,
            f"{what} is not a tree like the parameters: the first difference is at {place}. Give one entry for each "
            f"parameter, one for a whole part of the tree, or a function from the parameters to such a tree.",
        ) from None


def _first_difference(prefix: PyTree, params: PyTree) -> str:
    above = [path for path, _ in jax.tree_util.tree_leaves_with_path(prefix)]
    below = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for path in below:
        if not any(path[: len(entry)] == entry for entry in above):
            return path_name(path)
    for entry in above:
        if not any(path[: len(entry)] == entry for path in below):
            return path_name(entry)
    return "the kinds of containers"


def as_mask(where: str, mask: Mask, params: PyTree) -> PyTree:
    """A boolean for each parameter: a Python one, or one that is traced."""
    if mask is None:
        return jax.tree.map(lambda _: True, params)
    chosen = spread(where, "mask", mask, params)
    for path, entry in jax.tree_util.tree_leaves_with_path(chosen):
        if not (isinstance(entry, bool | np.bool_) or (jnp.shape(entry) == () and _is_boolean_array(entry))):
            raise StructureError(
                where, f"mask is {entry!r} at {path_name(path) or '(the only leaf)'}, but it has to be True or False."
            )
    return chosen


def _is_boolean_array(entry: Any) -> bool:
    return hasattr(entry, "dtype") and entry.dtype == jnp.bool_


def masked(where: str, params: PyTree, mask: Mask) -> PyTree:
    """The parameters, with zeros where the mask is false."""
    if params is None:
        raise StructureError(where, "needs the parameters. Call update(grads, state, params).")
    if mask is None:
        return params
    return jax.tree.map(lambda p, keep: jnp.where(keep, p, jnp.zeros_like(p)), params, as_mask(where, mask, params))


def masked_decay(where: str, optimizer: Optimizer, mask: Mask) -> Optimizer:
    """The optimizer, whose weight decay then sees zeros for the parameters that must not decay."""
    if mask is None:
        return optimizer

    def update(grads: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        return optimizer.update(grads, state, masked(where, params, mask), **extra)

    return Optimizer(optimizer.init, update)
