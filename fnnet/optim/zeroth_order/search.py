"""Search without gradients and without a model of the function: at random, and on a grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.errors import HyperparameterError, ShapeError, StructureError, check_number, check_size
from fnnet.optim.base import Optimizer, check_parameters, derivative_free, rate
from fnnet.optim.driver import Result
from fnnet.optim.status import EXHAUSTED, NOT_FINITE
from fnnet.optim.zeroth_order.candidates import (
    box_for,
    check_box,
    check_start,
    into_box,
    offered,
    step_to_best,
    try_out,
)
from fnnet.recipes import recipe
from fnnet.types import Array, PyTree, Scalar, Schedule


class RandomSearchState(NamedTuple):
    """The number of updates done."""

    count: Array  # type: ignore[assignment]


@recipe
def random_search(
    scale: Scalar | Schedule | None = None,
    population: int = 32,
    low: Scalar | PyTree | None = None,
    high: Scalar | PyTree | None = None,
) -> Optimizer:
    """Monte Carlo search: draws candidates and keeps the best of them, or stays.

    around the best point so far:  θ ← argmin f over {θ, θ + u_1, …, θ + u_k},  u_i ~ N(0, σ² I)
    in a box (no scale):           θ ← argmin f over {θ, x_1, …, x_k},          x_i ~ U[low, high]

    With a scale and a box the candidates of the first kind are moved to the nearest point of the box. An update
    leads to the best point so far, so the value never rises. The lecture writes θ − u and leaves out the θ itself.

    Args:
        scale: σ > 0 or a schedule of it; None to draw from the box, which then is needed.
        population: k, the candidates of a step, at least 1; evaluated at once by `jax.vmap`.
        low: lower bound of the box, a number for all parameters or a tree like them.
        high: upper bound of the box, likewise.

    Returns:
        Optimizer with state ``(count)``; its update needs ``value_fn`` and ``key`` and ignores gradients. A
        candidate whose value is not finite never wins.

    Raises:
        HyperparameterError: a number out of range, a start outside of the box.
        ShapeError: bounds that do not fit the parameters.
        StructureError: neither scale nor box; a bound without the other; update without ``value_fn`` or ``key``.

    Source: lecture 000, "0-Order Optimization".

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import optim
    >>> fun = lambda x: jnp.sum(jnp.abs(jnp.round(x) - 3))  # no gradient tells where to go
    >>> found = optim.minimize(fun, jnp.zeros(2), random_search(1.0), steps=20, key=jax.random.key(0))
    >>> found.solution.round().tolist(), float(found.value)
    ([3.0, 3.0], 0.0)
    """
    where = "random_search"
    if scale is None and low is None and high is None:
        raise StructureError(where, "needs a scale to draw around the best point, or low and high to draw in a box.")
    if scale is not None:
        check_number(where, "scale", scale, low=0.0, low_open=True, schedule=True)
    check_size(where, "population", population)
    check_box(where, low, high)

    def init(params: PyTree) -> RandomSearchState:
        check_parameters(where, params)
        check_start(where, params, box_for(where, params, low, high))
        return RandomSearchState(jnp.zeros((), jnp.int32))

    def update(
        grads: PyTree, state: Any, params: PyTree = None, *,
        value: Any = None, value_fn: Any = None, key: Any = None, **extra: Any,
    ) -> tuple[PyTree, Any]:  # fmt: skip
        theta, value, fun = offered(where, params, value, value_fn, key)
        box = box_for(where, params, low, high)
        count = state.count + 1
        shape = (population, theta.size)
        if scale is None:
            assert box is not None
            u = jax.random.uniform(key, shape, theta.dtype)
            points = box.low[None, :] + u * (box.high - box.low)[None, :]
        else:
            u = rate(scale, count.astype(theta.dtype)) * jax.random.normal(key, shape, theta.dtype)
            points = theta[None, :] + u
        tried = try_out(where, fun, params, into_box(points, box))
        return step_to_best(value, tried), RandomSearchState(count)

    return derivative_free(Optimizer(init, update))


def grid_search(fun: Callable[[PyTree], Any], axes: PyTree, *, batch_size: int = 1024) -> Result:
    """Evaluates a function at every node of a grid and returns the best.

    θ* = argmin f over the product of all axes; the first in the order of `itertools.product` if several are best.

    The number of nodes is the product over all parameters, so it grows exponentially with their number. For
    hyperparameters of a training, declare them ``hp.grid(…)`` and let `fnnet.sweep` train the product.

    Args:
        fun: from a pytree of floats to a scalar; pure.
        axes: the nodes: a tree like the parameters, whose leaves have one more axis, the last. A leaf (k,) is k
            nodes of a parameter of shape (); a leaf (n, k) is k nodes for each of the n elements of a vector. For a
            box use ``jnp.linspace(low, high, k, axis=-1)``.
        batch_size: nodes evaluated at once by `jax.vmap`, a positive integer; memory grows with it, and not with
            the number of nodes.

    Returns:
        `Result` whose ``steps`` is the number of nodes, all of which were used up. Values that are not finite never
        win; if there are no others, the status says so, the value is NaN and the solution is the first node.
        Pure, so it may be mapped over axes or what ``fun`` depends on.

    Raises:
        ShapeError: ``fun`` does not return a scalar, or an axis has no nodes.
        StructureError: no axes, or axes of integers.
        HyperparameterError: ``batch_size`` out of range; more than 2³¹ − 1 nodes.

    Source: lecture 001, "Grid Search".

    >>> import jax.numpy as jnp
    >>> axes = {"slope": jnp.linspace(0.0, 1.0, 5), "shift": jnp.linspace(-2.0, 2.0, 9)}
    >>> found = grid_search(lambda p: (p["slope"] - 0.3) ** 2 + (p["shift"] + 0.6) ** 2, axes)
    >>> print(found.solution["slope"], found.solution["shift"], found.steps)
    0.25 -0.5 45
    """
    where = "grid_search"
    if not callable(fun):
        raise StructureError(where, f"fun is {fun!r}, which is not a function.")
    axes = jax.tree.map(jnp.asarray, axes)
    check_parameters(where, axes)
    check_size(where, "batch_size", batch_size)
    leaves, structure = jax.tree.flatten(axes)
    for leaf in leaves:
        if leaf.ndim == 0 or leaf.size == 0:
            raise ShapeError(where, f"an axis has shape {leaf.shape}; its last axis holds the nodes, at least one.")
    rows = [row for leaf in leaves for row in leaf.reshape(-1, leaf.shape[-1])]
    sizes = [row.shape[0] for row in rows]
    total = math.prod(sizes)
    if total > np.iinfo(np.int32).max:
        raise HyperparameterError(
            where, f"the grid has {total:.3g} nodes, more than 2³¹ − 1. Use fewer nodes, random_search or cma_es."
        )

    def node(index: Array) -> PyTree:
        """The node of an index: its digits in the mixed radix of the sizes, the last row fastest."""
        picked = []
        for row in reversed(rows):
            picked.append(row[index % row.shape[0]])
            index = index // row.shape[0]
        picked.reverse()
        parts = []
        for leaf in leaves:
            elements, picked = picked[: leaf.size // leaf.shape[-1]], picked[leaf.size // leaf.shape[-1] :]
            parts.append(jnp.stack(elements).reshape(leaf.shape[:-1]))
        return jax.tree.unflatten(structure, parts)

    shape = jax.eval_shape(fun, jax.eval_shape(node, jnp.int32(0)))
    if getattr(shape, "shape", None) != ():
        raise ShapeError(
            where,
            f"fun returns {getattr(shape, 'shape', type(shape).__name__)}, but a scalar is needed. "
            f"Sum or average what it returns.",
        )
    dtype = shape.dtype if jnp.issubdtype(shape.dtype, jnp.floating) else jnp.result_type(float)
    width = min(batch_size, total)

    def chunk(number: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        """One batch of nodes against the best so far; what lies beyond the grid repeats its last node."""
        start = number * width
        indices = start + jnp.minimum(jnp.arange(width, dtype=jnp.int32), total - 1 - start)
        values = jax.vmap(lambda i: jnp.asarray(fun(node(i))).astype(dtype))(indices)
        values = jnp.where(jnp.isfinite(values), values, jnp.inf)
        i = jnp.argmin(values)
        better = values[i] < best[0]
        return jnp.where(better, values[i], best[0]), jnp.where(better, indices[i], best[1])

    nothing = (jnp.full((), jnp.inf, dtype), jnp.zeros((), jnp.int32))
    value, index = lax.fori_loop(0, -(-total // width), chunk, nothing)
    found = value < jnp.inf
    return Result(
        solution=node(index),
        value=jnp.where(found, value, jnp.full((), jnp.nan, dtype)),
        gradient_norm=jnp.full((), jnp.nan, dtype),
        steps=jnp.asarray(total, jnp.int32),
        status=jnp.where(found, EXHAUSTED, NOT_FINITE).astype(jnp.int32),
    )
