"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from fnnet.errors import HyperparameterError, inside
from fnnet.nn.activations import relu
from fnnet.nn.base import Layer, LayerLike, as_layer, output_spec
from fnnet.nn.layers import dense
from fnnet.nn.regularization import dropout
from fnnet.recipes import recipe
from fnnet.types import Elementwise, PyTree, Scalar


@recipe
def chain(*parts: LayerLike) -> Layer:
    """Function composition: the output of each part is the input of the next.

    f(x) = f_K(… f_2(f_1(x)))

    Args:
        parts: layers and plain functions of one array, in the order in which they act.

    Returns:
        Layer whose params and state are tuples with an entry a part; part ``i`` gets the key ``fold_in(key, i)``.

    Source: lecture 003, networks as composed functions.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> model = nn.chain(nn.dense(8), nn.relu, nn.dense(2))
    >>> params, state = model.init(jax.random.key(0), jnp.ones((5, 3)))
    >>> model.apply(params, state, jnp.ones((5, 3)))[0].shape
    (5, 2)
    """
    layers = [as_layer(part) for part in parts]

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        params, states = [], []
        for index, layer in enumerate(layers):
            with inside(index):
                layer_params, layer_state = layer.init(jax.random.fold_in(key, index), x)
                x = output_spec(layer, layer_params, layer_state, x)
            params.append(layer_params)
            states.append(layer_state)
        return tuple(params), tuple(states)

    def apply(params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, PyTree]:
        states = []
        for index, layer in enumerate(layers):
            layer_key = None if key is None else jax.random.fold_in(key, index)
            with inside(index):
                x, layer_state = layer.apply(params[index], state[index], x, key=layer_key, train=train)
            states.append(layer_state)
        return x, tuple(states)

    return Layer(init, apply)


@recipe
def mlp(widths: Sequence[int], *, activation: Elementwise = relu, drop_rate: Scalar | None = None) -> Layer:
    """Multilayer perceptron: dense layers with an activation after each but the last.

    h_k = a(h_{k−1}ᵀ W_k + b_k) for k < K, and f(x) = h_{K−1}ᵀ W_K + b_K

    Args:
        widths: units of each layer, the output's last; positive integers.
        activation: a plain function of one array.
        drop_rate: dropout after each activation; None for no dropout layers.

    Returns:
        Layer from (batch, features) to (batch, widths[-1]).

    Raises:
        HyperparameterError: no widths.

    Source: lecture 003, multilayer perceptrons; lecture 002, depth K and widths D_k.

    >>> import jax, jax.numpy as jnp
    >>> params, _ = mlp([40, 10]).init(jax.random.key(0), jnp.ones((1, 3)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(params))
    570
    """
    if not widths:
        raise HyperparameterError("mlp", "widths is empty, but there is at least an output. Pass mlp([64, 10]), say.")
    parts: list[LayerLike] = []
    for width in widths[:-1]:
        parts += [dense(width), activation]
        if drop_rate is not None:
            parts.append(dropout(drop_rate))
    return chain(*parts, dense(widths[-1]))
