"""What a layer is: a pair of pure functions."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax

from fnnet.calling import accepted
from fnnet.errors import StructureError, check_key, inside
from fnnet.recipes import describe, recipe_of
from fnnet.types import Elementwise, PyTree


class Layer(NamedTuple):
    """A layer is a pair of pure functions; every combinator of layers gives a layer again.

    ``init(key, x) -> (params, state)`` makes the parameters for inputs like ``x``, an array or a
    `jax.ShapeDtypeStruct` with its batch axis. ``params`` is what gradient descent changes, ``state`` holds
    arrays that the layer changes itself (running averages); ``()`` where there is none.

    ``apply(params, state, x, *, key=None, train=False) -> (y, state)`` is the function itself. The batch is
    axis 0 and belongs to the layer. One key serves a call; a combinator folds it for each of its parts. What only
    some layers need is offered by name, and a layer takes what it knows: ``weights``, (batch,) numbers, 0 for rows
    that do not count, and ``mask``, (batch, time) booleans, False for positions that are not there.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> params, state = nn.dense(3).init(jax.random.key(0), jnp.ones((2, 4)))
    >>> y, state = nn.dense(3).apply(params, state, jnp.ones((2, 4)))
    >>> y.shape
    (2, 3)
    """

    init: Callable[..., tuple[PyTree, PyTree]]
    apply: Callable[..., tuple[Any, PyTree]]

    def __repr__(self) -> str:
        return describe(self) if recipe_of(self) else f"Layer({describe(self.init)}, {describe(self.apply)})"


LayerLike: TypeAlias = Layer | Elementwise
"""A layer or any plain function of one array."""


def as_layer(part: LayerLike, where: str = "chain") -> Layer:
    """A plain function ``f(x)`` as a layer without parameters; a layer as it is.

    Raises:
        StructureError: neither a layer nor a function.
    """
    if isinstance(part, Layer):
        return part
    if isinstance(part, tuple) and len(part) == 2 and all(callable(function) for function in part):
        return Layer(*part)
    if not callable(part):
        raise StructureError(
            where,
            f"a part is {part!r}, which is neither a layer nor a function of one array. "
            f"Pass layers such as nn.dense(64) and functions such as nn.relu.",
        )
    if getattr(part, "__factory__", False):
        raise StructureError(where, f"{part.__name__} makes a layer but is none. Call it: nn.{part.__name__}(…).")
    function = part

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        return (), ()

    def apply(params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, PyTree]:
        return function(x), state

    apply.__name__ = describe(function)  # for people who look at a model
    return Layer(init, apply)


OBSERVER: contextvars.ContextVar[Callable[..., Any] | None] = contextvars.ContextVar("observer", default=None)
"""Told of every call of a part while a model is traced, as `nn.summary` does; None otherwise."""


def apply_layer(
    layer: Layer,
    params: PyTree,
    state: PyTree,
    x: Any,
    *,
    part: Any = None,
    times: Any = 1,
    key: Any = None,
    train: bool = False,
    **offered: Any,
) -> tuple[Any, PyTree]:
    """Calls a layer with those of the offered arguments that it takes; every combinator calls its parts by this.

    ``part`` is the name under which the parameters of the layer stand in the combinator's, and errors name the layer
    by it; None if the combinator has no parameters but the layer's. ``times`` is how often one trace of the call runs.
    """
    call = functools.partial(layer.apply, key=key, train=train, **accepted(layer.apply, offered))
    observe = OBSERVER.get()
    with contextlib.nullcontext() if part is None else inside(part):
        return call(params, state, x) if observe is None else observe(part, times, layer, call, params, state, x)


def fold_key(where: str, key: Any, index: Any) -> Any:
    """The key of part ``index`` of a layer, ``fold_in(key, index)``; None stays None.

    Raises:
        StructureError: ``key`` is no random key, but a seed, say; the sentence names the layer ``where``.
    """
    if key is None:
        return None
    check_key(where, key)
    return jax.random.fold_in(key, index)


def output_spec(layer: Layer, params: PyTree, state: PyTree, x: Any) -> Any:
    """Shape and dtype of a layer's output, without computing it."""
    return jax.eval_shape(lambda p, s, v: layer.apply(p, s, v, train=False)[0], params, state, x)
