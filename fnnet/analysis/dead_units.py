"""Units whose activation is flat where the data lie, so that no gradient passes."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.analysis.checks import check_parameters, checked_inputs, state_of
from fnnet.analysis.intermediates import Watcher, compiled, function_of, kind
from fnnet.errors import StructureError, check_number
from fnnet.nn import as_layer, identity
from fnnet.nn.base import Layer, LayerLike
from fnnet.types import Array, PyTree, Scalar


@functools.partial(jax.tree_util.register_dataclass, data_fields=["flat", "dead"], meta_fields=["layers", "kinds"])
@dataclasses.dataclass(frozen=True, eq=False)
class Saturation:
    """Shares of units by layer; a pytree, so that it may be mapped over models.

    Attributes:
        layers: paths of the activations, in the order in which they act, as in `layer_outputs`.
        kinds: what each of them is, such as "tanh".
        flat: (layers,), the share of pairs of an example and a unit that are in the flat part.
        dead: (layers,), the share of units that are in it for every example: of a ReLU those that are never active.
    """

    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    flat: Array
    dead: Array


def saturation(
    model: LayerLike,
    params: PyTree,
    inputs: Any,
    *,
    model_state: PyTree = None,
    threshold: Scalar = 0.01,
    key: Any = None,
    train: bool = False,
) -> Saturation:
    """Share of units in the flat part of their activation by layer, and of those that never leave it.

    A unit with pre-activation a is flat if ❘φ′(a)❘ < threshold, with the derivative of the activation φ itself.

    Every part that is a plain function of single numbers counts as an activation, but for the identity: not softmax,
    which mixes units, nor those inside of other layers, such as the gates of `nn.lstm`. Units stand along the last
    axis; the positions of an image or a sequence are examples.

    Args:
        model: a layer.
        params: its parameters; map over stacked ones with `jax.vmap`.
        inputs: array (batch, …).
        model_state: of the layers, where they have one.
        threshold: positive; may be traced. At 0.01 the logistic function is flat from ±4.6 and tanh from ±3.
        key: for layers that draw in training.
        train: whether layers act as in training.

    Returns:
        `Saturation`.

    Raises:
        HyperparameterError: ``threshold`` is not positive.
        StructureError: the model has no activation; or as `layer_outputs`.
        ShapeError: as `layer_outputs`.
        DataError: the inputs or the parameters are not finite.

    Source: lecture 000, "Weight Initialization in Neural Networks"; lecture 004, "Why ReLU is better (sometimes)".

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> model = nn.chain(nn.dense(4), nn.relu)
    >>> params = ({"kernel": jnp.array([[1.0, -1.0, 2.0, 0.0]]), "bias": jnp.array([0.0, 0.0, 0.0, -1.0])}, ())
    >>> found = saturation(model, params, jnp.array([[1.0], [-1.0]]))
    >>> found.layers, found.flat.tolist(), found.dead.tolist()
    (('1',), [0.625], [0.25])
    """
    check_number("saturation", "threshold", threshold, low=0.0, low_open=True)
    x = checked_inputs("saturation", inputs)
    state = state_of("saturation", model, model_state, x)
    check_parameters("saturation", params, state)
    return compiled("saturation", _saturation, model, params, state, x, key, threshold, train=train)


def _saturation(model: Any, params: Any, state: Any, x: Any, key: Any, threshold: Any, *, train: bool) -> Saturation:
    watcher = Watcher()
    watcher.run(as_layer(model), params, state, x, key=key, train=train)
    found: dict[str, tuple[Array, Array]] = {}
    for name, layer in watcher.layers.items():
        before = watcher.inputs[name]
        if _is_activation(layer, before):
            slopes = jnp.abs(_slopes(layer, before))
            flat = slopes < jnp.asarray(threshold, slopes.dtype)
            dead = flat.reshape(-1, flat.shape[-1]).all(axis=0) if flat.ndim > 1 else flat.all()
            found[name] = flat.mean(), dead.mean()
    if not found:
        raise StructureError(
            "saturation",
            "the model has no part that is a plain function of numbers, such as nn.relu in a chain, so there is no "
            "activation to look at.",
        )
    kinds = tuple(kind(watcher.layers[name]) for name in found)
    flat, dead = (jnp.stack(shares) for shares in zip(*found.values(), strict=True))
    return Saturation(tuple(found), kinds, flat, dead)


def _is_activation(layer: Layer, a: Any) -> bool:
    """Whether a layer is a plain function, not the identity, that can be applied to one number."""
    function = function_of(layer)
    if function in (None, identity) or not isinstance(a, jax.Array) or not jnp.issubdtype(a.dtype, jnp.floating):
        return False
    try:
        return jax.eval_shape(function, jax.ShapeDtypeStruct((), a.dtype)).shape == ()
    except Exception:  # whatever a function says that needs units, or a batch
        return False


def _slopes(layer: Layer, a: Array) -> Array:
    """φ′(a): as φ mixes no units, the derivative in the direction of ones."""
    return jax.jvp(lambda a: layer.apply((), (), a)[0], (a,), (jnp.ones_like(a),))[1]
