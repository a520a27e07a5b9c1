"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from fnnet.errors import HyperparameterError, ShapeError, StructureError, check_number, check_size, inside
from fnnet.nn.activations import identity, relu
from fnnet.nn.base import Layer, LayerLike, apply_layer, as_layer, fold_key, output_spec
from fnnet.nn.layers import dense
from fnnet.nn.regularization import dropout
from fnnet.recipes import recipe
from fnnet.types import Array, Elementwise, PyTree, Scalar


class _Parts(NamedTuple):
    """The layers of a combinator by index, or by name; their parameters stand in a tuple, or in a dict."""

    where: str
    layers: dict[Any, Layer]

    def pack(self, values: list[Any]) -> Any:
        named = dict(zip(self.layers, values, strict=True))
        return tuple(values) if all(isinstance(name, int) for name in named) else named

    def check(self, **trees: Any) -> None:
        """Raises unless parameters and state have an entry for each part."""
        for what, tree in trees.items():
            there = tree if isinstance(tree, Mapping) else range(len(tree)) if isinstance(tree, tuple | list) else ()
            if set(there) != set(self.layers):
                has, parts = (", ".join(map(str, names)) for names in (there, self.layers))
                raise StructureError(
                    self.where,
                    f"{what} has {has or 'no entries'}, and the parts are {parts or 'none'}. Pass both as init gives "
                    f"them: params, state = model.init(key, x).",
                )

    def keyed(self, key: Any) -> Any:
        """Name, layer and key of each part; part ``i`` gets ``fold_in(key, i)``, named or not."""
        for index, (name, layer) in enumerate(self.layers.items()):
            yield name, layer, fold_key(self.where, key, index)


def _parts(where: str, parts: Sequence[LayerLike], named: Mapping[str, LayerLike]) -> _Parts:
    if parts and named:
        raise StructureError(
            where,
            f"{len(parts)} parts have no name and {', '.join(named)} have one. Name all of them or none, as "
            f"parameters stand in a dict by name or in a tuple by position.",
        )
    together: dict[Any, LayerLike] = {**named} if named else {**dict(enumerate(parts))}
    return _Parts(where, {name: as_layer(part, where) for name, part in together.items()})


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
        layers.check(params=params, state=state)
        states = []
        for name, layer, layer_key in layers.keyed(key):
            call = {"key": layer_key, "train": train, **offered}
            x, after = apply_layer(layer, params[name], state[name], x, part=name, **call)
            states.append(after)
        return x, layers.pack(states)

    return Layer(init, apply)


def concatenated(outputs: Any) -> Array:
    """The outputs of `parallel` side by side along the last axis, in the order of the parts.

    Raises:
        ShapeError: they differ before the last axis, or are of several dtypes.
    """
    arrays = list(outputs.values()) if isinstance(outputs, Mapping) else list(outputs)
    if len({(y.shape[:-1], y.ndim, y.dtype) for y in arrays}) > 1 or arrays[0].ndim < 2:
        raise ShapeError(
            "parallel",
            f"the outputs are {', '.join(spelled(y) for y in arrays)}; to stand side by side they have to be "
            f"(batch, …, features) and agree in all but features. Change the parts, or pass join=tuple.",
        )
    return jnp.concatenate(arrays, axis=-1)


def spelled(y: Any) -> str:
    """Shape and dtype as errors say them: ``(2, 3) of float32``."""
    return f"{y.shape} of {y.dtype}" if hasattr(y, "dtype") else f"a {type(y).__name__}"


@recipe
def parallel(*parts: LayerLike, join: Callable[[Any], Any] = concatenated, **named: LayerLike) -> Layer:
    """Layers side by side: all see the same input, and one function joins what they give.

    f(x) = join((f_1(x), …, f_K(x)))

    Args:
        parts: layers and plain functions of one array.
        join: a function of the tuple of outputs, or of their dict if the parts have names. Unless told, outputs
            are concatenated along the last axis; ``join=tuple`` or ``join=dict`` keeps them apart, and
            ``join=sum`` adds a tuple.
        named: the same with names in place of positions.

    Returns:
        Layer whose params and state are tuples with an entry a part, or dicts by name; part ``i`` gets the key
        ``fold_in(key, i)``.

    Raises:
        StructureError: there are no parts, some are named and some are not, or one is no layer.
        ShapeError: when called, outputs that cannot be concatenated.

    Source: Szegedy et al., "Going deeper with convolutions", 2015.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> both_ways = nn.parallel(nn.gru(3), nn.gru(3, reverse=True))
    >>> x = jnp.ones((5, 7, 2))
    >>> both_ways.apply(*both_ways.init(jax.random.key(0), x), x)[0].shape
    (5, 7, 6)
    >>> heads = nn.parallel(kind=nn.dense(3), size=nn.dense(1), join=dict)
    >>> y, _ = heads.apply(*heads.init(jax.random.key(0), jnp.ones((5, 2))), jnp.ones((5, 2)))
    >>> jax.tree.map(jnp.shape, y)
    {'kind': (5, 3), 'size': (5, 1)}
    """
    layers = _parts("parallel", parts, named)
    if not layers.layers:
        raise StructureError("parallel", "there are no parts, so there is no output. Pass at least one layer.")

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        params, states = [], []
        for name, layer, layer_key in layers.keyed(key):
            with inside(name):
                layer_params, layer_state = layer.init(layer_key, x)
            params.append(layer_params)
            states.append(layer_state)
        return layers.pack(params), layers.pack(states)

    def apply(
        params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False, **offered: Any
    ) -> tuple[Any, PyTree]:
        layers.check(params=params, state=state)
        outputs, states = [], []
        for name, layer, layer_key in layers.keyed(key):
            call = {"key": layer_key, "train": train, **offered}
            y, after = apply_layer(layer, params[name], state[name], x, part=name, **call)
            outputs.append(y)
            states.append(after)
        return join(layers.pack(outputs)), layers.pack(states)

    return Layer(init, apply)


def _added(outputs: Mapping[str, Any]) -> Any:
    body, shortcut = outputs["body"], outputs["shortcut"]
    if spelled(body) != spelled(shortcut):
        raise ShapeError(
            "residual",
            f"the layer gives {spelled(body)} and the shortcut {spelled(shortcut)}; they are added, so they have to "
            f"agree. Let the layer keep the shape of its input, or pass shortcut=nn.dense(…), say.",
        )
    return shortcut + body


@recipe
def residual(layer: LayerLike, *, shortcut: LayerLike = identity) -> Layer:
    """A layer around which its input passes: only the difference is learned.

    f(x) = s(x) + g(x)

    Args:
        layer: g; it has to give what s gives in shape and dtype, as nothing is broadcast.
        shortcut: s; the identity unless told. Where g changes the shape, a projection such as ``nn.dense(width)``.

    Returns:
        Layer with params and state ``{"body": …, "shortcut": …}``.

    Raises:
        ShapeError: when called, if the two do not agree.

    Source: lecture 002, what networks of more than 10 to 15 layers need; He et al., "Deep residual learning for
    image recognition", 2016.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> block = nn.residual(nn.chain(nn.relu, nn.dense(3, kernel_init=nn.initializers.zeros)))
    >>> x = jnp.array([[1.0, -2.0, 3.0]])
    >>> block.apply(*block.init(jax.random.key(0), x), x)[0].tolist()
    [[1.0, -2.0, 3.0]]
    """
    return parallel(
        body=as_layer(layer, "residual"),
        shortcut=shortcut if shortcut is identity else as_layer(shortcut, "residual"),
        join=_added,
    )


@recipe
def mlp(
    widths: Sequence[int],
    *,
    activation: Elementwise = relu,
    normalization: LayerLike | None = None,
    drop_rate: Scalar | None = None,
) -> Layer:
    """Multilayer perceptron: dense layers with an activation after each but the last.

    h_k = a(n(h_{k−1}ᵀ W_k + b_k)) for k < K, and f(x) = h_{K−1}ᵀ W_K + b_K

    Args:
        widths: units of each layer, the output's last; positive integers.
        activation: a, a plain function of one array.
        normalization: n, a layer such as ``nn.batch_norm()``, before each activation; None for no such layers.
        drop_rate: dropout after each activation; None for no dropout layers.

    Returns:
        Layer from (batch, features) to (batch, widths[-1]).

    Raises:
        HyperparameterError: no widths, one that is not a positive integer, or ``drop_rate`` outside [0, 1].

    Source: lecture 003, multilayer perceptrons; lecture 002, depth K and widths D_k.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> params, _ = mlp([40, 10]).init(jax.random.key(0), jnp.ones((1, 3)))
    >>> nn.count_parameters(params)
    570
    """
    if not widths:
        raise HyperparameterError("mlp", "widths is empty, but there is at least an output. Pass mlp([64, 10]), say.")
    for width in widths:
        check_size("mlp", "widths", width)
    if drop_rate is not None:
        check_number("mlp", "drop_rate", drop_rate, low=0.0, high=1.0)
    between: list[LayerLike] = [] if normalization is None else [normalization]
    between.append(activation)
    if drop_rate is not None:
        between.append(dropout(drop_rate))
    parts: list[LayerLike] = []
    for width in widths[:-1]:
        parts += [dense(width), *between]
    return chain(*parts, dense(widths[-1]))
