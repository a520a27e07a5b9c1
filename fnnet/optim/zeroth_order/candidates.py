"""Points to try: what the methods without gradients share.

These methods see the parameters as one vector, propose many vectors, and look at the values of the function there.
What they return is the best point so far: params + updates is the incumbent, and its value never rises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import HyperparameterError, ShapeError, StructureError, check_key, is_concrete
from fnnet.optim.base import apply_updates, check_parameters, rounded
from fnnet.optim.vectors import as_vector, like
from fnnet.trees import flatten_with_names
from fnnet.types import Array, PyTree, Scalar


class Tried(NamedTuple):
    """Candidates along a first axis: the updates that lead to them, the points as vectors, their values.

    A value that is not finite, be it NaN or −∞, has become +∞: it ranks last and never wins.
    """

    updates: PyTree
    points: Array
    values: Array


class Box(NamedTuple):
    """Lower and upper bounds, a vector each."""

    low: Array
    high: Array


def updates_to(vector: Array, params: PyTree) -> PyTree:
    """The updates, in the dtypes of the parameters, that lead to a vector (as near as rounding lets them)."""
    start = as_vector(params)
    apart = like(jax.tree.map(lambda leaf: leaf.astype(start.dtype), params))(vector - start)
    return jax.tree.map(lambda u, p: rounded(u, p.dtype), apart, params)


def try_out(where: str, value_fn: Callable[[PyTree], Any], params: PyTree, points: Array) -> Tried:
    """The values at several points, (k, n), all at once by `jax.vmap`."""
    updates = jax.vmap(updates_to, (0, None))(points, params)
    reached = jax.vmap(lambda update: apply_updates(params, update))(updates)  # where the caller will stand
    values = jax.vmap(lambda point: _scalar(where, value_fn(point), points.dtype))(reached)
    return Tried(updates, jax.vmap(as_vector)(reached), jnp.where(jnp.isfinite(values), values, jnp.inf))


def step_to_best(value: Array, tried: Tried) -> PyTree:
    """The updates that lead to the best candidate, or zeros if none is better than ``value``."""
    best = jnp.argmin(tried.values)
    better = tried.values[best] < value
    return jax.tree.map(lambda u: jnp.where(better, u[best], jnp.zeros_like(u[best])), tried.updates)


def offered(
    where: str, params: PyTree, value: Any, value_fn: Callable[[PyTree], Any] | None, key: Any
) -> tuple[Array, Array, Callable[[PyTree], Any]]:
    """The parameters as a vector, their value (+∞ if it is not finite) and the function, if all was offered."""
    if params is None:
        raise StructureError(where, "needs the parameters. Call update(grads, state, params, value_fn=…, key=…).")
    if value_fn is None:
        raise StructureError(
            where,
            "evaluates the function at points of its own, but value_fn is missing. Use optim.minimize(fun, …), or call "
            "update(None, state, params, value_fn=fun, key=key).",
        )
    if key is None:
        raise StructureError(
            where,
            "draws at random, but key is missing. Call optim.minimize(…, key=jax.random.key(0)), or pass update a "
            "new key at each step.",
        )
    if is_concrete(key):
        check_key(where, key)
    check_parameters(where, params)
    vector = as_vector(params)
    now = _scalar(where, value_fn(params) if value is None else value, vector.dtype)
    return vector, jnp.where(jnp.isfinite(now), now, jnp.inf), value_fn


def _scalar(where: str, value: Any, dtype: Any) -> Array:
    value = jnp.asarray(value)
    if value.shape != ():
        raise ShapeError(
            where, f"the function returns shape {value.shape}, but a scalar is needed. Sum or average what it returns."
        )
    return value.astype(dtype)


def check_box(where: str, low: Any, high: Any) -> None:
    """Raises unless there are both bounds or none, with low < high wherever that is known now."""
    if (low is None) != (high is None):
        given, missing = ("low", "high") if high is None else ("high", "low")
        raise StructureError(where, f"has {given} but not {missing}. A box needs both.")
    lows, highs = flatten_with_names(low), flatten_with_names(high)
    if lows.keys() != highs.keys():
        raise StructureError(
            where, f"low and high differ at {min(lows.keys() ^ highs.keys())}; both are numbers or trees alike."
        )
    for name in lows:
        a, b = lows[name], highs[name]
        if is_concrete(a) and is_concrete(b):
            if np.shape(a) != np.shape(b):
                raise ShapeError(where, f"low has shape {np.shape(a)} and high {np.shape(b)}; they have to be alike.")
            if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b)) and np.all(np.asarray(a) < np.asarray(b))):
                raise HyperparameterError(
                    where, f"low is {a} and high is {b}; both have to be finite, and low less than high."
                )


def box_for(where: str, params: PyTree, low: Scalar | PyTree | None, high: Scalar | PyTree | None) -> Box | None:
    """The bounds of every parameter, from numbers that hold for all or trees like the parameters."""
    return None if low is None else Box(_bound(where, "low", params, low), _bound(where, "high", params, high))


def _bound(where: str, name: str, params: PyTree, bound: Any) -> Array:
    vector = as_vector(params)
    structures: list[Any] = [jax.tree.structure(tree) for tree in (bound, params)]
    if jax.tree_util.all_leaves([bound]) and np.ndim(bound) == 0:
        return jnp.full_like(vector, jnp.asarray(bound, vector.dtype))
    shapes = [{path: np.shape(leaf) for path, leaf in flatten_with_names(tree).items()} for tree in (bound, params)]
    if structures[0] != structures[1] or shapes[0] != shapes[1]:
        raise ShapeError(
            where, f"{name} has shapes {shapes[0]}, the parameters {shapes[1]}. Pass one number, or a tree like them."
        )
    return as_vector(jax.tree.map(lambda b: jnp.asarray(b, vector.dtype), bound))


def check_start(where: str, params: PyTree, box: Box | None) -> None:
    """Raises if the search starts outside of its box, where that is known now."""
    vector = as_vector(params)
    if box is None or not (is_concrete(vector) and is_concrete(box.low) and is_concrete(box.high)):
        return
    outside = np.flatnonzero((np.asarray(vector) < np.asarray(box.low)) | (np.asarray(vector) > np.asarray(box.high)))
    if outside.size:
        i = int(outside[0])
        raise HyperparameterError(
            where,
            f"the start lies outside of the box: coordinate {i} is {vector[i]:g}, not in [{box.low[i]:g}, "
            f"{box.high[i]:g}]. Start inside, since the start counts as the best point so far.",
        )


def into_box(points: Array, box: Box | None) -> Array:
    """Points, (k, n), moved to the nearest point of the box."""
    return points if box is None else jax.vmap(lambda point: jnp.clip(point, box.low, box.high))(points)
