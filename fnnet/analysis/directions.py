"""Directions in the space of parameters, along which a loss is looked at, and paths in the planes that they span.

Directions are one pytree like the parameters whose leaves have a first axis for the directions, as stacked models
have; a list of pytrees is taken too.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.errors import DataError, ShapeError, StructureError, check_key, check_size, is_concrete
from fnnet.optim.vectors import as_vector, like
from fnnet.trees import flatten_with_names, safe_divide, safe_sqrt, wide
from fnnet.types import Array, PyTree


class TrajectoryDirections(NamedTuple):
    """Orthonormal ``directions``, stacked, and the share of the path's variance ``explained`` by each, (count,)."""

    directions: PyTree
    explained: Array


def random_directions(key: Array, params: PyTree, count: int = 2) -> PyTree:
    """Directions that are uniformly random among those of length one which are orthogonal to each other.

    Args:
        key: one random key.
        params: parameters, whose structure, shapes and dtypes the directions take.
        count: how many, a positive integer, at most as many as there are parameters.

    Returns:
        Pytree like ``params`` with a first axis (count,).

    Raises:
        HyperparameterError: ``count`` is not a positive integer.
        ShapeError: there are fewer parameters than directions.

    >>> import jax, jax.numpy as jnp
    >>> found = random_directions(jax.random.key(0), {"kernel": jnp.ones((3, 4))})["kernel"]
    >>> (jnp.tensordot(found, found, ((1, 2), (1, 2))).round(3) + 0).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    check_key("random_directions", key)
    check_size("random_directions", "count", count)
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(params))
    if size < count:
        raise ShapeError("random_directions", f"{count} directions are asked for, but there are {size} numbers.")
    return _random(key, params, count)


@functools.partial(jax.jit, static_argnums=2)
def _random(key: Array, params: PyTree, count: int) -> PyTree:
    vector = as_vector(params)
    # The sign of a factor's diagonal is the algorithm's choice; with random signs no direction is favoured.
    frame, _ = jnp.linalg.qr(jax.random.normal(key, (vector.size, count), vector.dtype))
    signs = jax.random.rademacher(jax.random.fold_in(key, 1), (1, count), vector.dtype)
    return jax.vmap(like(params))((frame * signs).T)


def filter_normalized(directions: PyTree, params: PyTree) -> PyTree:
    """Directions whose filters are as long as those of the parameters, so that slices of nets can be compared.

    d_j ← d_j · ‖θ_j‖/‖d_j‖ for every filter j: what leads to one unit, that is one place on the last axis of a kernel.
    What has fewer than two axes, biases and scales, stays where it is: d = 0. Nets of ReLUs that are the same function,
    with one layer scaled up and the next one down, then have the same slices.

    Args:
        directions: stacked, or a list, such as `random_directions`. The copies of `nn.repeat`, which are stacked,
            share filters.
        params: the parameters at the origin.

    Returns:
        Pytree like ``params`` with a first axis for the directions.

    Raises:
        StructureError, ShapeError: the directions are not like the parameters.

    Source: Li et al., "Visualizing the loss landscape of neural nets", 2018.

    >>> import jax.numpy as jnp
    >>> filter_normalized({"kernel": jnp.array([[[3.0], [4.0]]])}, {"kernel": jnp.array([[0.0], [10.0]])})
    {'kernel': Array([[[6.], [8.]]], dtype=float32)}
    """
    return _normalized(stacked("filter_normalized", "directions", directions, params), params)


@jax.jit
def _normalized(directions: PyTree, params: PyTree) -> PyTree:
    def normalized(direction: Array, param: Array) -> Array:
        if param.ndim < 2:
            return jnp.zeros_like(direction)
        dtype, axes = wide(param.dtype), tuple(range(param.ndim - 1))
        here, there = param.astype(dtype), direction.astype(dtype)
        length = safe_sqrt(jnp.square(here).sum(axes, keepdims=True))
        own = jax.vmap(lambda d: safe_sqrt(jnp.square(d).sum(axes, keepdims=True)))(there)
        return (there * safe_divide(length[None], own)).astype(direction.dtype)

    return jax.tree.map(normalized, directions, params)


def trajectory_directions(trajectory: PyTree, count: int = 2) -> TrajectoryDirections:
    """The principal components of a path of parameters: the directions in which most of it lies.

    The right singular vectors of the matrix of all states minus their mean, with the largest singular values.

    Args:
        trajectory: a list of parameters, or one pytree of stacked ones, as a scan gives it; more than ``count``.
        count: how many, a positive integer.

    Returns:
        `TrajectoryDirections`; the signs of directions are arbitrary. Random walks in many dimensions have most of
        their variance in the first two too, so ``explained`` alone says little about the loss.

    Raises:
        HyperparameterError: ``count`` is not a positive integer.
        ShapeError: there are too few states, or they differ.

    Source: Li et al., "Visualizing the loss landscape of neural nets", 2018, section 7.

    >>> import jax.numpy as jnp
    >>> found = trajectory_directions([jnp.array([t, 0.0, -t]) for t in (0.0, 1.0, 5.0)], count=1)
    >>> jnp.abs(found.directions).round(3).tolist(), found.explained.round(3).tolist()
    ([[0.7070000171661377, 0.0, 0.7070000171661377]], [1.0])
    """
    check_size("trajectory_directions", "count", count)
    states = stacked("trajectory_directions", "trajectory", trajectory)
    length = jax.tree.leaves(states)[0].shape[0]
    size = sum(leaf.size for leaf in jax.tree.leaves(states)) // max(length, 1)
    if length <= count or size < count:
        raise ShapeError(
            "trajectory_directions",
            f"there are {length} states of {size} numbers, but {count} directions need more than {count} states and "
            f"as many numbers.",
        )
    return _principal(states, count)


@functools.partial(jax.jit, static_argnums=1)
def _principal(states: PyTree, count: int) -> TrajectoryDirections:
    first = jax.tree.map(lambda leaf: leaf[0], states)
    matrix = jax.vmap(as_vector)(states)
    _, lengths, components = jnp.linalg.svd(matrix - matrix.mean(axis=0, keepdims=True), full_matrices=False)
    squares = jnp.square(lengths)
    explained = safe_divide(squares[:count], jnp.broadcast_to(squares.sum(), (count,)))
    return TrajectoryDirections(jax.vmap(like(first))(components[:count]), explained)


def trajectory_coordinates(trajectory: PyTree, params: PyTree, directions: PyTree) -> Array:
    """Where the states of a path lie in the plane through ``params``: their orthogonal projections.

    c_t = argmin_c ‖θ_t − θ − Σ c_i d_i‖², for directions that need not be orthogonal.

    Args:
        trajectory: a list of parameters, or one pytree of stacked ones.
        params: the parameters at the origin, as in `loss_slice`.
        directions: stacked, or a list; linearly independent.

    Returns:
        Array (states, directions).

    Raises:
        StructureError, ShapeError: the trajectory or the directions are not like the parameters.

    Source: Li et al., "Visualizing the loss landscape of neural nets", 2018, section 7; lecture 000, level curves
    with the path of an optimizer.

    >>> import jax.numpy as jnp
    >>> directions = [jnp.array([1.0, 0.0, 0.0]), jnp.array([1.0, 1.0, 0.0])]
    >>> trajectory_coordinates([jnp.array([3.0, 2.0, 9.0])], jnp.zeros(3), directions).tolist()
    [[1.0, 2.0]]
    """
    where = "trajectory_coordinates"
    states = stacked(where, "trajectory", trajectory, params)
    return _coordinates(states, params, stacked(where, "directions", directions, params))


@jax.jit
def _coordinates(trajectory: PyTree, params: PyTree, directions: PyTree) -> Array:
    states, frame = (jax.vmap(as_vector)(trees) for trees in (trajectory, directions))
    orthogonal, triangle = jnp.linalg.qr(frame.T)
    along = (states - as_vector(params)[None]) @ orthogonal
    return lax.linalg.triangular_solve(triangle, along.T, left_side=True, lower=False).T


def stacked(where: str, name: str, trees: Any, params: Any = None) -> Any:
    """One pytree with a first axis, of a list of pytrees or of one that has it; raises unless it is like ``params``."""
    if isinstance(trees, list):
        if not trees:
            raise StructureError(where, f"{name} is an empty list.")
        try:
            trees = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
        except (ValueError, TypeError) as error:
            raise StructureError(where, f"{name} is a list of pytrees that differ in structure or shape.") from error
    trees = jax.tree.map(jnp.asarray, trees)
    if params is not None:
        structure: Any = jax.tree.structure(params)
        if jax.tree.structure(trees) != structure:
            raise StructureError(where, f"{name} has another structure than the parameters.")
        wanted = flatten_with_names(params)
        for path, leaf in flatten_with_names(trees).items():
            if leaf.shape[1:] != jnp.shape(wanted[path]) or leaf.ndim < 1:
                raise ShapeError(
                    where,
                    f"{name} has shape {leaf.shape} at {path!r}, but the parameters have {jnp.shape(wanted[path])} "
                    f"there, to which a first axis is added. For a single one pass a list of one.",
                )
    leaves = jax.tree.leaves(trees)
    if not leaves or any(leaf.ndim < 1 for leaf in leaves) or len({leaf.shape[0] for leaf in leaves}) > 1:
        raise ShapeError(where, f"{name} has no first axis that is equally long in all leaves. Pass a list, or stack.")
    if any(is_concrete(leaf) and not np.isfinite(np.asarray(leaf)).all() for leaf in leaves):
        raise DataError(where, f"{name} holds NaN or infinity.")
    return trees
