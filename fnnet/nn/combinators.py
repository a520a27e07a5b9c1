"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from fnnet.errors import HyperparameterError, StructureError, inside
from fnnet.nn.activations import relu
from fnnet.nn.base import Layer, LayerLike, apply_layer, as_layer, output_spec
from fnnet.nn.layers import dense
from fnnet.nn.regularization import dropout
from fnnet.recipes import recipe
from fnnet.types import Elementwise, PyTree, Scalar


class _Parts(NamedTuple):
    """The layers of a combinator by index, or by name; their parameters stand in a tuple, or in a dict."""

    layers: dict[Any, Layer]

    def pack(self, values: list[Any]) -> Any:
        named = dict(zip(self.layers, values, strict=True))
        return tuple(values) if all(isinstance(name, int) for name in named) else named

    def keyed(self, key: Any) -> Any:
        """Name, layer and key of each part; part ``i`` gets ``fold_in(key, i)``, named or not."""
        for index, (name, layer) in enumerate(self.layers.items()):
            yield name, layer, None if key is None else jax.random.fold_in(key, index)


def _parts(where: str, parts: Sequence[LayerLike], named: Mapping[str, LayerLike]) -> _Parts:
    if parts and named:
        raise StructureError(
            where,
            f"{len(parts)} parts have no name and {', '.join(named)} have one. Name all of them or none, as "
            f"parameters stand in a dict by name or in a tuple by position.",
        )
    together: dict[Any, LayerLike] = {**named} if named else {**dict(enumerate(parts))}
    return _Parts({name: as_layer(part, where) for name, part in together.items()})


@recipe
def chain(*parts: LayerLike, **named: LayerLike) -> Layer:
    """Function composition: the output of each part is the input of the next.

    f(x) = f_K(… f_2(f_1(x)))

    Args:
        parts: layers and plain functions of one array, in the order in which they act.
        named: the same with names in place of positions.

    Returns:
        Layer whose params and state are tuples with an entry a part, or dicts by name; part ``i`` gets the key
        ``fold_in(key, i)``.

    Raises:
        StructureError: some parts are named and some are not, or one is neither a layer nor a function.

    Source: lecture 003, networks as composed functions.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> model = nn.chain(nn.dense(8), nn.relu, nn.dense(2))
    >>> params, state = model.init(jax.random.key(0), jnp.ones((5, 3)))
    >>> model.apply(params, state, jnp.ones((5, 3)))[0].shape
    (5, 2)
    >>> named = nn.chain(hidden=nn.dense(8), bend=nn.relu, out=nn.dense(2))
    >>> params, state = named.init(jax.random.key(0), jnp.ones((5, 3)))
    >>> params["hidden"]["kernel"].shape
    (3, 8)
    """
    layers = _parts("chain", parts, named)

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        params, states = [], []
        for name, layer, layer_key in layers.keyed(key):
            with inside(name):
                layer_params, layer_state = layer.init(layer_key, x)
                x = output_spec(layer, layer_params, layer_state, x)
            params.append(layer_params)
            states.append(layer_state)
        return layers.pack(params), layers.pack(states)

    def apply(
        params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False, **offered: Any
    ) -> tuple[Any, PyTree]:
        states = []
        for name, layer, layer_key in layers.keyed(key):
            call = {"key": layer_key, "train": train, **offered}
            x, after = apply_layer(layer, params[name], state[name], x, part=name, **call)
            states.append(after)
        return x, layers.pack(states)

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
