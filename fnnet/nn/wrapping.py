"""Layers around one layer, whose parameters they have as their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import ShapeError, StructureError, check_key, check_size
from fnnet.nn.base import Layer, LayerLike, apply_layer, as_layer, fold_key
from fnnet.nn.combinators import spelled
from fnnet.recipes import recipe
from fnnet.types import Array, PyTree


@recipe
def repeat(layer: LayerLike, times: int) -> Layer:
    """One layer several times in a row, each time with parameters of its own.

    f(x) = g_n(… g_2(g_1(x)))

    Same as a chain of as many layers, but the program is a loop over parameters that are stacked along axis 0, so
    that neither its size nor the time to compile it grows with the depth.

    Args:
        layer: g; its output has to have the shape and dtype of its input.
        times: n, a positive integer; it fixes a shape, so it cannot be traced.

    Returns:
        Layer whose params and state are those of ``layer`` with a first axis of length ``times``; copy ``i`` gets
        the key ``fold_in(key, i)``.

    Raises:
        HyperparameterError: ``times`` is not a positive integer, or traced.
        ShapeError: when called, if the layer changes shape or dtype.

    Source: lecture 002, depth K.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> deep = nn.repeat(nn.chain(nn.dense(8), nn.relu), 50)
    >>> params, state = deep.init(jax.random.key(0), jnp.ones((2, 8)))
    >>> params[0]["kernel"].shape
    (50, 8, 8)
    """
    check_size("repeat", "times", times)
    part = as_layer(layer, "repeat")

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        return jax.vmap(lambda index: part.init(fold_key("repeat", key, index), x))(jnp.arange(times))

    def apply(
        params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False, **offered: Any
    ) -> tuple[Any, PyTree]:
        def body(x: Any, own: Any) -> tuple[Any, PyTree]:
            index, params, state = own
            call = {"key": fold_key("repeat", key, index), "train": train, **offered}
            y, after = apply_layer(part, params, state, x, times=times, **call)
            if spelled(y) != spelled(x):
                raise ShapeError(
                    "repeat",
                    f"the layer makes {spelled(y)} out of {spelled(x)}, but its output is the input of its next copy. "
                    f"Let it keep shape and dtype.",
                )
            return y, after

        return lax.scan(body, x, (jnp.arange(times), params, state), length=times)

    return Layer(init, apply)


@recipe
def freeze(layer: LayerLike) -> Layer:
    """A layer that training leaves as it is: no gradient reaches its parameters, and it acts as at inference.

    Nothing is dropped, running averages stand still, and gradients with respect to the input pass.

    A gradient of zero is still an update to an optimizer that decays weights: frozen parameters then shrink. To
    hold them whatever the optimizer, mask it with `fnnet.optim.freeze`.

    Args:
        layer: any layer, its parameters put in place by the user.

    Returns:
        Layer with the params and the state of ``layer``.

    Source: Yosinski et al., "How transferable are features in deep neural networks?", 2014.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> layer, x = nn.freeze(nn.dense(2)), jnp.ones((1, 3))
    >>> params, state = layer.init(jax.random.key(0), x)
    >>> grads = jax.grad(lambda p: layer.apply(p, state, x, train=True)[0].sum())(params)
    >>> grads["bias"].tolist()
    [0.0, 0.0]
    """
    part = as_layer(layer, "freeze")

    def apply(
        params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False, **offered: Any
    ) -> tuple[Any, PyTree]:
        held = jax.tree.map(lax.stop_gradient, params)
        return apply_layer(part, held, state, x, key=key, train=False, **offered)[0], state

    return Layer(part.init, apply)


@recipe
def remat(layer: LayerLike) -> Layer:
    """A layer whose inner values are computed again for the gradient instead of being kept.

    The same values and gradients for less memory and about a third more arithmetic. ``nn.repeat(nn.remat(block), n)``
    keeps one array a block.

    Args:
        layer: any layer.

    Returns:
        Layer with the params and the state of ``layer``.

    Source: Chen et al., "Training deep nets with sublinear memory cost", 2016.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> thrifty = nn.remat(nn.mlp([64, 64, 2]))
    >>> params, state = thrifty.init(jax.random.key(0), jnp.ones((5, 3)))
    >>> thrifty.apply(params, state, jnp.ones((5, 3)))[0].shape
    (5, 2)
    """
    part = as_layer(layer, "remat")

    def apply(
        params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False, **offered: Any
    ) -> tuple[Any, PyTree]:
        if key is not None:
            check_key("remat", key)  # while it is what the caller passed, so that the sentence can show it

        @jax.checkpoint
        def again(params: PyTree, state: PyTree, x: Any, key: Any, offered: dict[str, Any]) -> tuple[Any, PyTree]:
            return apply_layer(part, params, state, x, key=key, train=train, **offered)

        return again(params, state, x, key, offered)

    return Layer(part.init, apply)


@recipe
def masked(layer: LayerLike, mask_of: Callable[[Any], Array]) -> Layer:
    """A layer that is told which positions of its input are there, so that padded sequences can be trained.

    Layers over a time axis (`rnn`, `gru`, `lstm`, `multi_head_attention`, `mean_over_time`) then leave the others
    out, however deep in ``layer`` they stand.

    Args:
        layer: any layer.
        mask_of: a function of the input, such as ``lambda tokens: tokens != 0``, that gives (batch, time) booleans,
            False for padding. Where a mask comes from outside too, a position has to be in both.

    Returns:
        Layer with the params and the state of ``layer``.

    Raises:
        StructureError: when called, the mask is no (batch, time) array of booleans.

    Source: Vaswani et al., "Attention is all you need", 2017, where padding is masked.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> model = nn.masked(nn.chain(nn.gru(4), nn.last_step), lambda x: (x != 0).any(axis=-1))
    >>> padded = jnp.zeros((1, 5, 2)).at[:, :3].set(1.0)
    >>> params, state = model.init(jax.random.key(0), padded)
    >>> longer, shorter = (model.apply(params, state, x)[0] for x in (padded, padded[:, :3]))
    >>> bool(jnp.allclose(longer, shorter))
    True
    """
    part = as_layer(layer, "masked")

    def apply(
        params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False, mask: Any = None, **offered: Any
    ) -> tuple[Any, PyTree]:
        found = mask_of(x)
        kind, shape = getattr(found, "dtype", type(found).__name__), getattr(found, "shape", ())
        if kind != jnp.dtype(bool) or len(shape) != 2:
            raise StructureError(
                "masked",
                f"mask_of gives shape {shape} of {kind}, but booleans of shape (batch, time) are needed. "
                f"Compare: lambda tokens: tokens != 0, or lambda x: (x != 0).any(axis=-1).",
            )
        both = found if mask is None else found & mask
        return apply_layer(part, params, state, x, key=key, train=train, mask=both, **offered)

    return Layer(part.init, apply)
