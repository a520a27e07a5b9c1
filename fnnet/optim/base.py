"""What an optimizer is, how optimizers are composed, and how one written for an array serves a pytree."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.calling import accepted, keywords
from fnnet.errors import ShapeError, StructureError
from fnnet.recipes import describe, recipe, recipe_of
from fnnet.trees import path_name, wide
from fnnet.types import Array, PyTree, Scalar, Schedule


class Optimizer(NamedTuple):
    """An optimizer is a pair of pure functions, called as the JAX ecosystem calls them.

    ``init(params) -> state`` and ``update(grads, state, params=None, **extra) -> (updates, state)``; the step is
    `apply_updates(params, updates)`. What a method needs beyond gradients it takes by name from ``extra``.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = optim.sgd(0.125)
    >>> params = jnp.array([1.0, 2.0])
    >>> updates, state = optimizer.update(jnp.array([1.0, 1.0]), optimizer.init(params), params)
    >>> optim.apply_updates(params, updates).tolist()
    [0.875, 1.875]
    """

    init: Callable[[PyTree], PyTree]
    update: Callable[..., tuple[PyTree, PyTree]]

    def __repr__(self) -> str:
        return describe(self) if recipe_of(self) else f"Optimizer({describe(self.init)}, {describe(self.update)})"


def apply_updates(params: PyTree, updates: PyTree) -> PyTree:
    """θ ← θ + Δ, leaf by leaf, in the dtype of the parameters."""

    def add(p: Array, u: Array) -> Array:
        dtype = wide(p.dtype)
        return rounded(jnp.asarray(p, dtype) + jnp.asarray(u, dtype), p.dtype)

    return jax.tree.map(add, params, updates)


def rounded(x: Array, dtype: Any) -> Array:
    """A cast that loses its digits, where a plain cast to a narrow dtype and back may be compiled away."""
    if x.dtype != dtype and wide(dtype) != dtype and jnp.issubdtype(dtype, jnp.floating):
        x = lax.reduce_precision(x, jnp.finfo(dtype).nexp, jnp.finfo(dtype).nmant)
    return x.astype(dtype)


def rate(learning_rate: Scalar | Schedule, t: Array) -> Array:
    """The learning rate of update ``t`` = 1, 2, … in t's dtype; a schedule is asked with t − 1 updates done.

    Args:
        learning_rate: a number, or a schedule, a function of the number of updates that are done.
        t: float scalar, as `elementwise` passes it.

    Returns:
        A scalar.

    >>> import jax.numpy as jnp
    >>> float(rate(0.5, jnp.array(3.0))), float(rate(lambda done: 0.5**done, jnp.array(3.0)))
    (0.5, 0.25)
    """
    return jnp.asarray(learning_rate(t - 1) if callable(learning_rate) else learning_rate, t.dtype)


def elementwise(*fields: str, name: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Optimizer]]:
    """Lifts an optimizer that is written for one array to pytrees.

    The decorated factory returns ``update(t, g, *accumulators) -> (step, *accumulators)``: ``t`` = 1, 2, … as a
    float scalar, ``g`` the gradient of one leaf, one accumulator for each name in ``fields`` (zeros at first).
    If ``update`` has an argument named ``params`` it gets the leaf of the parameters as well.

    Errors speak of ``name``, the public function; unless told, the factory's.

    The state is a NamedTuple ``(count, *fields)``. Arithmetic and accumulators are at least float32, since
    1 − b2 = 0.001 of a bfloat16 accumulator rounds away; the step comes back in the dtype of the gradient.
    """

    def decorate(factory: Callable[..., Any]) -> Callable[..., Optimizer]:
        @recipe
        @functools.wraps(factory)
        def make(*args: Any, **kwargs: Any) -> Optimizer:
            return lift(name or factory.__name__, fields, factory(*args, **kwargs))

        return make

    return decorate


def lift(where: str, fields: tuple[str, ...], one_array: Callable[..., Any]) -> Optimizer:
    """The optimizer for pytrees of an update for one array, as `elementwise` describes it.

    For a factory whose accumulators depend on its arguments; `elementwise` serves the others.
    """
    State = _state_type(where, fields)
    wants_params = "params" in (keywords(one_array) or ())

    def init(params: PyTree) -> Any:
        check_parameters(where, params)
        zeros = [jax.tree.map(lambda p: jnp.zeros(p.shape, wide(p.dtype)), params) for _ in fields]
        return State(jnp.zeros((), jnp.int32), *zeros)

    def update(grads: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        if wants_params and params is None:
            raise StructureError(where, "needs the parameters. Call update(grads, state, params).")
        count = state.count + 1
        structure = jax.tree.structure(grads)
        leaves = jax.tree.leaves(grads)
        columns = [jax.tree.leaves(accumulator) for accumulator in state[1:]]
        check_same_structure(where, grads, *state[1:], *([] if params is None else [params]))
        theta = jax.tree.leaves(params) if wants_params else [None] * len(leaves)
        results = []
        for g, p, *accumulators in zip(leaves, theta, *columns, strict=True):
            dtype = wide(g.dtype)
            given = {"params": p.astype(dtype)} if wants_params else {}
            # A hyperparameter that is an array has a dtype of its own, which must not keep it out of the equation.
            with jax.numpy_dtype_promotion("standard"):
                step, *accumulators = one_array(count.astype(dtype), g.astype(dtype), *accumulators, **given)
            results.append((step.astype(g.dtype), *(a.astype(dtype) for a in accumulators)))
        updates, *accumulators = (jax.tree.unflatten(structure, c) for c in zip(*results, strict=True))
        return updates, State(count, *accumulators)

    return Optimizer(init, update)


@functools.cache
def _state_type(where: str, fields: tuple[str, ...]) -> Any:
    """A NamedTuple (count, *fields): one class for all optimizers of a name, so that their states fit together."""
    name = f"{where.title().replace('_', '')}State"
    make: Any = NamedTuple
    state = make(name, [("count", Array), *((field, PyTree) for field in fields)])
    state.__reduce__ = lambda self: (_restore, (where, fields, tuple(self)))  # a class made here has no place to import
    return state


def _restore(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return _state_type(name, fields)(*values)


def check_parameters(where: str, params: PyTree) -> None:
    """Raises unless there are parameters and all of them are floating-point arrays."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    if not leaves:
        raise StructureError(where, "the parameters are an empty tree, so there is nothing to train.")
    for path, leaf in leaves:
        if not hasattr(leaf, "dtype"):
            raise StructureError(
                where,
                f"parameter {path_name(path) or '(the only one)'} is {leaf!r}, which is not an array. Make it one "
                f"with jnp.array({leaf!r}).",
            )
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise StructureError(
                where,
                f"parameter {path_name(path) or '(the only one)'} has dtype {jnp.result_type(leaf)}, which has no "
                f"gradient. Parameters are floating-point arrays; cast it with .astype(float).",
            )


def check_same_structure(where: str, grads: PyTree, *others: PyTree) -> None:
    """Raises, naming the first difference, unless the gradients fit the parameters that init has seen."""
    structure: Any = jax.tree.structure(grads)
    for other in others:
        if structure != jax.tree.structure(other):
            names = [{path_name(p) for p, _ in jax.tree_util.tree_leaves_with_path(t)} for t in (grads, other)]
            differing = sorted(names[0] ^ names[1]) or ["the kinds of containers"]
            raise StructureError(
                where,
                f"the gradients are not a tree like the parameters: the first difference is at {differing[0]}. "
                f"Pass gradients with respect to the parameters that init was called with.",
            )
        pairs = zip(jax.tree_util.tree_leaves_with_path(grads), jax.tree.leaves(other), strict=True)
        for (path, g), o in pairs:
            if g.shape != o.shape:
                raise ShapeError(
                    where,
                    f"the gradient at {path_name(path) or '(the only leaf)'} has shape {g.shape}, but the parameter "
                    f"has shape {o.shape}. Pass gradients of the parameters that init was called with.",
                )


def derivative_free(optimizer: Optimizer, *inside: Any) -> Optimizer:
    """Marks an optimizer that needs no gradients; one around others is such if all that are ``inside`` are.

    The driver then differentiates nothing, and passes None.
    """
    cast("Any", optimizer.update).derivative_free = all(is_derivative_free(other) for other in inside)
    return optimizer


def is_derivative_free(optimizer: Any) -> bool:
    """Whether an optimizer is marked as one that needs no gradients."""
    return getattr(optimizer.update, "derivative_free", False)


def gradients_for(optimizer: Any, grads: PyTree, params: PyTree) -> PyTree:
    """The gradients; zeros like the parameters if there are none and the optimizer needs none."""
    none = grads is None and params is not None and is_derivative_free(optimizer)
    return jax.tree.map(jnp.zeros_like, params) if none else grads


def call_update(
    optimizer: Any, grads: PyTree, state: PyTree, params: PyTree, extra: dict[str, Any]
) -> tuple[PyTree, PyTree]:
    """Calls any ecosystem optimizer: one that takes no extra arguments is not given any."""
    return optimizer.update(grads, state, params, **accepted(optimizer.update, extra))


@recipe
def chain(*optimizers: Any) -> Optimizer:
    """Applies transformations one after the other: the updates of each are the gradients of the next.

    Args:
        optimizers: fnnet's, or any pair with the ecosystem's calling convention.

    Returns:
        Optimizer whose state is the tuple of their states.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = optim.chain(optim.clip_by_global_norm(2.5), optim.sgd(1.0))
    >>> params = jnp.zeros(2)
    >>> updates, _ = optimizer.update(jnp.array([3.0, 4.0]), optimizer.init(params), params)
    >>> updates.tolist()
    [-1.5, -2.0]
    """

    def init(params: PyTree) -> PyTree:
        return tuple(optimizer.init(params) for optimizer in optimizers)

    def update(grads: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        states = []
        for optimizer, before in zip(optimizers, state, strict=True):
            grads, after = call_update(optimizer, grads, before, params, extra)
            states.append(after)
        return grads, tuple(states)

    chained = Optimizer(init, update)
    # What the first makes of the gradients is all that the others see.
    return derivative_free(chained, optimizers[0]) if optimizers else chained
