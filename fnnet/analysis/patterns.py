"""Which units are on: the activation pattern of every example."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.analysis.checks import check_parameters, checked_inputs, state_of
from fnnet.analysis.tracing import bent
from fnnet.errors import ShapeError
from fnnet.nn.base import LayerLike, as_layer
from fnnet.recipes import Skeleton, split
from fnnet.types import Array, PyTree


def activation_pattern(
    model: LayerLike, params: PyTree, inputs: Array, *, model_state: PyTree = None
) -> dict[str, Array]:
    """Which units of a piecewise linear model are on, for every example.

    A unit h = max(z, 0) is on where its pre-activation z > 0. Examples with equal patterns are in one linear piece.

    The model at inference, at the precision of its parameters. Of nn.leaky_relu and jnp.abs a unit is on where x > 0;
    of max(a, b), where a > b; nn.max_pool and nn.relu6 have several such bends an output.

    Args:
        model: a layer whose activations are piecewise linear.
        params: its parameters; for stacked ones map with `jax.vmap`.
        inputs: array (batch, …).
        model_state: of the layers, where they have one.

    Returns:
        Booleans (batch, units) by the path of the layer, as in the parameters; "." is a model that is one layer.

    Raises:
        StructureError: the model is not piecewise linear, or has a state and was given none.
        ShapeError: the inputs have no batch axis, or not the model's shape.
        DataError: the inputs or the parameters are not finite.

    Source: lecture 002, "Activation pattern: which hidden units are activated".

    >>> import jax.numpy as jnp
    >>> from fnnet import nn
    >>> hidden = {"kernel": jnp.array([[1.0, 1.0]]), "bias": jnp.array([0.0, -1.0])}
    >>> x = jnp.array([[-1.0], [0.5], [2.0]])
    >>> activation_pattern(nn.chain(nn.dense(2), nn.relu), (hidden, ()), x)["1"].tolist()
    [[False, False], [True, False], [True, True]]
    """
    where = "activation_pattern"
    layer = as_layer(model, where)
    x = checked_inputs(where, inputs)
    if x.ndim < 2:
        raise ShapeError(
            where,
            f"the inputs have shape {x.shape}, but (batch, features) is needed. For one feature an example pass "
            f"x[:, None], for a single example x[None, :].",
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(jnp.result_type(float))
    state = state_of(where, layer, model_state, x)
    check_parameters(where, params, state)
    numbers, skeleton = split(layer)
    return _patterns(where, skeleton, numbers, params, state, x)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _patterns(where: str, skeleton: Skeleton, numbers: Any, params: PyTree, state: PyTree, x: Array) -> Any:
    layer = skeleton(numbers)

    def of_one(example: Array) -> dict[str, Array]:
        found: dict[str, list[Array]] = {}

        def bend(place: str, z: Array, on: Array, off: Array) -> Array:
            found.setdefault(place, []).append((z > 0).ravel())
            return jnp.where(z > 0, on, off)

        bent(where, layer, params, state, example[None], bend)
        return {place: jnp.concatenate(parts) for place, parts in found.items()}

    return jax.vmap(of_one)(x)


__all__ = ["activation_pattern"]
