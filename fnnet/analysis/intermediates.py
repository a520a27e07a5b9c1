"""What flows through the parts of a model, by the paths that their parameters have."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jax

from fnnet.analysis.checks import checked_inputs, state_of
from fnnet.errors import StructureError
from fnnet.nn import as_layer, remat, repeat
from fnnet.nn.base import OBSERVER, Layer, LayerLike, apply_layer, fold_key, of_function
from fnnet.recipes import describe, recipe_of, split
from fnnet.types import Array, PyTree

_KERNEL = ({"kernel"}, {"kernel", "bias"})
"""What dense and convolutional layers have, and no others."""


class Watcher:
    """Told of every call of a part while a model is traced; notes what goes in and what comes out.

    The entries of ``inputs``, ``outputs`` and ``layers`` stand in the order in which the parts are done. What is in
    ``added`` is added to the output of that name, so that a gradient with respect to it is one to the output.
    ``kernels(index, kernel)`` takes the place of the kernels of dense and convolutional layers.
    """

    def __init__(self, added: Mapping[str, Array] | None = None, kernels: Callable[..., Array] | None = None) -> None:
        self.inputs: OrderedDict[str, Any] = OrderedDict()
        self.outputs: OrderedDict[str, Array] = OrderedDict()
        self.layers: OrderedDict[str, Layer] = OrderedDict()
        self._added, self._kernels, self._drawn = added or {}, kernels, 0
        self._path: tuple[str, ...] = ()
        self._copies: tuple[int, ...] = ()
        self._open: str | None = None

    def run(self, layer: Layer, params: PyTree, state: PyTree, x: Any, **call: Any) -> Any:
        """The output of the whole model, whose parts are watched."""
        token = OBSERVER.set(self)
        try:
            return apply_layer(layer, params, state, x, **call)[0]
        finally:
            OBSERVER.reset(token)

    def __call__(self, part: Any, times: int, layer: Layer, call: Any, params: Any, state: Any, x: Any) -> Any:
        """One call of a part, as `apply_layer` tells of it."""
        outside = self._path, self._open
        self._path = self._path if part is None else (*self._path, str(part))
        name = self._name()
        # A wrapper and the layer in it share a name; the entry is the wrapper's.
        new, self._open = name != self._open, name
        before = len(self.outputs)
        try:
            y, after = self._called(layer, call, params, state, x)
        finally:
            self._path, self._open = outside
        # What only hands on the output of its last part, as a chain does, has no entry of its own.
        handed_on = any(y is inner for inner in list(self.outputs.values())[before:])
        if new and not handed_on and isinstance(y, jax.Array):
            if name in self._added:
                y = y + self._added[name]
            self.inputs[name], self.outputs[name], self.layers[name] = x, y, layer
        return y, after

    def _name(self) -> str:
        copies = f"[{', '.join(map(str, self._copies))}]" if self._copies else ""
        return "/".join(self._path) + copies

    def _called(self, layer: Layer, call: Any, params: Any, state: Any, x: Any) -> Any:
        """The call itself; what would trace the parts apart, so that their values stay inside, is written out."""
        found = recipe_of(layer)
        if found is not None and found.factory in (repeat, remat):
            arguments = inspect.signature(found.factory).bind(*found.args, **found.kwargs).arguments
            inner = as_layer(arguments["layer"])
            if found.factory is remat:
                return apply_layer(inner, params, state, x, **call.keywords)
            return self._looped(inner, arguments["times"], call.keywords, params, state, x)
        if self._kernels is not None and isinstance(params, dict) and set(params) in _KERNEL:
            params = {**params, "kernel": self._kernels(self._drawn, params["kernel"])}
            self._drawn += 1
        return call(params, state, x)

    def _looped(self, inner: Layer, times: int, keywords: dict[str, Any], params: Any, state: Any, x: Any) -> Any:
        outside = self._copies
        for copy in range(times):
            own_params, own_state = jax.tree.map(lambda leaf, copy=copy: leaf[copy], (params, state))
            self._copies = (*outside, copy)
            call = {**keywords, "key": fold_key("repeat", keywords["key"], copy)}
            try:
                x, _ = apply_layer(inner, own_params, own_state, x, **call)
            finally:
                self._copies = outside
        return x, state


def kind(layer: Layer) -> str:
    """What a layer is, in one word: the name of its factory, or of the function that it is."""
    found = recipe_of(layer)
    said = describe(layer.apply) if found is None or found.factory is of_function else found.factory.__name__
    return said.split("(")[0]


def function_of(layer: Layer) -> Any:
    """The plain function, such as an activation, that a layer is; None if it is something else."""
    found = recipe_of(layer)
    return found.args[0] if found is not None and found.factory is of_function else None


def compiled(where: str, function: Callable[..., Any], made: Any, *arrays: Any, **static: Any) -> Any:
    """Calls ``function(made, *arrays, **static)`` as one program, the same for all that differ only in their numbers.

    ``made`` is a model, or a tuple of what has to do with it, whose hyperparameters become arguments.
    """
    numbers, skeleton = split(made)
    try:
        return _program(function, skeleton, tuple(static.items()))(numbers, *arrays)
    except jax.errors.UnexpectedTracerError as error:
        raise StructureError(
            where,
            "a layer calls its parts inside of a loop or a transformation of its own, so that their values stay in it. "
            "Build it of nn.chain, nn.parallel and nn.repeat, or look at the layer as a whole: wrap its apply in a "
            "function.",
        ) from error


@functools.lru_cache(maxsize=64)
def _program(function: Callable[..., Any], skeleton: Any, static: tuple[tuple[str, Any], ...]) -> Any:
    return jax.jit(lambda numbers, *arrays: function(skeleton(numbers), *arrays, **dict(static)))


def _inputs(model: Any, params: Any, state: Any, x: Any, key: Any, *, train: bool) -> Any:
    watcher = Watcher()
    watcher.run(as_layer(model), params, state, x, key=key, train=train)
    return watcher.inputs


def _outputs(model: Any, params: Any, state: Any, x: Any, key: Any, *, train: bool) -> Any:
    watcher = Watcher()
    watcher.run(as_layer(model), params, state, x, key=key, train=train)
    return watcher.outputs


def layer_outputs(
    model: LayerLike, params: PyTree, inputs: Any, *, model_state: PyTree = None, key: Any = None, train: bool = False
) -> OrderedDict[str, Array]:
    """The output of every part of a model, also of nested ones, in the order in which they act.

    h_0 = x, h_k = f_k(h_{k−1}): the answer has each h_k. A part stands under the path that its parameters have; copy i
    of a part of `nn.repeat` under the path of the stacked parameters and ``[i]``. A part that hands on what its last
    part gives, as a chain does, has no entry of its own; a residual layer, which adds, has one after its parts.

    Args:
        model: a layer.
        params: its parameters; map over stacked ones with `jax.vmap`.
        inputs: array (batch, …).
        model_state: of the layers, where they have one.
        key: for layers that draw in training.
        train: whether layers act as in training.

    Returns:
        Ordered dict, by path, of arrays (batch, …).

    Raises:
        StructureError: the model keeps a state and none was passed, or calls its parts inside of a loop of its own.
        ShapeError: the inputs do not fit; the sentence names the layer by its path.
        DataError: the inputs are not finite.

    Source: lecture 003, the forward pass; lecture 000, intermediate results of the forward path.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> model = nn.chain(nn.dense(4), nn.relu, nn.residual(nn.dense(4)))
    >>> params, _ = model.init(jax.random.key(0), jnp.ones((2, 3)))
    >>> list(layer_outputs(model, params, jnp.ones((2, 3))))
    ['0', '1', '2/body', '2/shortcut', '2']
    """
    x = checked_inputs("layer_outputs", inputs)
    state = state_of("layer_outputs", model, model_state, x)
    return compiled("layer_outputs", _outputs, model, params, state, x, key, train=train)


def layer_inputs(
    model: LayerLike, params: PyTree, inputs: Any, *, model_state: PyTree = None, key: Any = None, train: bool = False
) -> OrderedDict[str, Any]:
    """The input of every part of a model; that of an activation is its pre-activation.

    Args:
        model: a layer.
        params: its parameters.
        inputs: array (batch, …).
        model_state: of the layers, where they have one.
        key: for layers that draw in training.
        train: whether layers act as in training.

    Returns:
        Ordered dict with the same names as `layer_outputs`.

    Raises:
        StructureError, ShapeError, DataError: as `layer_outputs`.

    Source: lecture 003, pre-activations of the forward pass.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> model = nn.chain(nn.dense(4, kernel_init=nn.initializers.constant(-1.0)), nn.relu)
    >>> params, _ = model.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> layer_inputs(model, params, jnp.ones((1, 3)))["1"].tolist()
    [[-3.0, -3.0, -3.0, -3.0]]
    """
    x = checked_inputs("layer_inputs", inputs)
    state = state_of("layer_inputs", model, model_state, x)
    return compiled("layer_inputs", _inputs, model, params, state, x, key, train=train)
