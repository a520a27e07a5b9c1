"""Slices of the loss surface: values on a line or a plane through a point of parameter space."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.analysis.directions import stacked
from fnnet.analysis.objectives import as_objective
from fnnet.errors import HyperparameterError, ShapeError, check_size
from fnnet.trees import wide
from fnnet.types import Array, PyTree


class LossSlice(NamedTuple):
    """``coordinates`` (directions, points) and ``losses``, (points,) or (points, points), the first direction first."""

    coordinates: Array
    losses: Array


def loss_slice(
    loss: Callable[[PyTree], Any],
    params: PyTree,
    directions: PyTree,
    *,
    low: Any = -1.0,
    high: Any = 1.0,
    points: int = 41,
    at_once: int = 1,
) -> LossSlice:
    """The loss along one direction or in the plane of two, on a grid.

    F(a, b) = L(θ + a·d₁ + b·d₂)

    Between two trained nets of parameters u and v: ``loss_slice(loss, u, [jax.tree.map(jnp.subtract, v, u)],
    low=0.0)``.

    Args:
        loss: a function of the parameters that gives one number, such as `evaluation_loss` makes.
        params: θ, the origin; map over stacked ones with `jax.vmap`.
        directions: one or two, stacked or a list, such as `random_directions`, `filter_normalized` or
            `trajectory_directions`.
        low: the least coordinate, a number or one for each direction; may be traced.
        high: the largest.
        points: in each direction, an integer of at least 2; an odd number has the origin on a symmetric grid.
        at_once: points that are computed side by side: faster on an accelerator, for as many times the memory.

    Returns:
        `LossSlice`.

    Raises:
        ShapeError: the loss is not one number, there are neither one nor two directions, or they do not fit.
        StructureError: the directions have another structure than the parameters.
        HyperparameterError: ``points`` or ``at_once`` is not such an integer.

    Source: lectures 000, 001, 002 and 004, loss surfaces and level curves; Li et al., "Visualizing the loss landscape
    of neural nets", 2018.

    >>> import jax.numpy as jnp
    >>> found = loss_slice(lambda x: (x**2).sum(), jnp.array([1.0, 0.0]), [jnp.array([1.0, 0.0])], points=3)
    >>> found.coordinates.tolist(), found.losses.tolist()
    ([[-1.0, 0.0, 1.0]], [0.0, 1.0, 4.0])
    """
    check_size("loss_slice", "points", points)
    check_size("loss_slice", "at_once", at_once)
    if points < 2:
        raise HyperparameterError("loss_slice", "points is 1, but a slice has at least two ends.")
    objective = as_objective("loss_slice", loss, params)
    directions = stacked("loss_slice", "directions", directions, params)
    count = jax.tree.leaves(directions)[0].shape[0]
    if count > 2:
        raise ShapeError("loss_slice", f"there are {count} directions, but a slice has one or two. Take the first two.")
    ends = []
    for name, end in (("low", low), ("high", high)):
        if jnp.shape(end) not in ((), (count,)):
            raise ShapeError("loss_slice", f"{name} has shape {jnp.shape(end)}, but it is a number or ({count},).")
        ends.append(jnp.broadcast_to(jnp.asarray(end, jnp.result_type(float)), (count,)))
    return _slice(objective, params, directions, *ends, points, at_once)


@functools.partial(jax.jit, static_argnums=(5, 6))
def _slice(
    loss: Any, params: PyTree, directions: PyTree, low: Array, high: Array, points: int, at_once: int
) -> LossSlice:
    share = jnp.asarray(np.linspace(0, 1, points), low.dtype)[None]
    coordinates = low[:, None] * (1 - share) + high[:, None] * share  # in which the middle of −1 and 1 is 0
    grid = jnp.stack(jnp.meshgrid(*coordinates, indexing="ij"), axis=-1)

    def moved(place: Array, param: Array, direction: Array) -> Array:
        dtype = wide(param.dtype)
        step = jnp.tensordot(place.astype(dtype), direction.astype(dtype), 1)
        return (param.astype(dtype) + step).astype(param.dtype)

    def at(place: Array) -> Array:
        return jnp.asarray(loss(jax.tree.map(functools.partial(moved, place), params, directions)))

    # One point after another, so that memory does not grow with their number.
    losses = lax.map(at, grid.reshape(-1, len(coordinates)), batch_size=None if at_once == 1 else at_once)
    return LossSlice(coordinates, losses.reshape(grid.shape[:-1]))
