"""The derivatives that backpropagation by hand puts together: of activations, and of losses by the output."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnnet import losses, nn
from fnnet.calling import bound, innermost
from fnnet.errors import StructureError
from fnnet.types import Array


def _ones(z: Array) -> Array:
    return jnp.ones_like(z)


def _relu(z: Array) -> Array:
    return (z > 0).astype(z.dtype)  # the lecture's indicator 𝕀[z > 0]


def _leaky_relu(z: Array, negative_slope: Any = 0.01) -> Array:
    return jnp.where(z > 0, 1, jnp.asarray(negative_slope, z.dtype))


def _logistic(z: Array) -> Array:
    return nn.logistic(z) * (1 - nn.logistic(z))


def _tanh(z: Array) -> Array:
    return 1 - jnp.square(jnp.tanh(z))


def _softplus(z: Array, beta: Any = 1.0) -> Array:
    return nn.logistic(jnp.asarray(beta, z.dtype) * z)


def _minus_sin(z: Array) -> Array:
    return -jnp.sin(z)


_ACTIVATIONS: dict[Any, Callable[..., Array]] = {
    nn.identity: _ones,
    nn.step: jnp.zeros_like,
    nn.relu: _relu,
    nn.leaky_relu: _leaky_relu,
    nn.logistic: _logistic,
    nn.tanh: _tanh,
    jnp.tanh: _tanh,
    nn.softplus: _softplus,
    nn.sin: jnp.cos,
    nn.exp: jnp.exp,
    nn.cos: _minus_sin,
}


def activation_slope(where: str, activation: Any) -> Callable[[Array], Array]:
    """The derivative a′ of an activation of the lectures, with the numbers that it is bound to.

    Raises:
        StructureError: another function, whose derivative is not written down here.
    """
    inside, numbers = innermost(activation), bound(activation)
    slope = _ACTIVATIONS.get(inside) if callable(inside) else None
    if slope is None:
        known = sorted({f.__name__ for f in _ACTIVATIONS})
        raise StructureError(
            where,
            f"the model has the part {activation!r}, whose derivative is not written out. Use an activation of the "
            f"lectures ({', '.join(known)}), or jax.grad, which differentiates anything.",
        )
    return functools.partial(slope, **numbers)


def _outputs(output: Array) -> int:
    return math.prod(output.shape[1:])


def _squared_error(output: Array, y: Array) -> Array:
    return 2 * (output - y) / _outputs(output)


def _half_squared_error(output: Array, y: Array) -> Array:
    return (output - y) / _outputs(output)


def _sum_of_squares(output: Array, y: Array) -> Array:
    return 2 * (output - y)


def _softmax_cross_entropy(output: Array, y: Array) -> Array:
    if jnp.issubdtype(y.dtype, jnp.integer):
        y = jax.nn.one_hot(y, output.shape[-1], dtype=output.dtype)
    return jax.nn.softmax(output) - y.astype(output.dtype)


def _sigmoid_binary_cross_entropy(output: Array, y: Array) -> Array:
    return (nn.logistic(output) - y) / _outputs(output)


_LOSSES: dict[Any, Callable[[Array, Array], Array]] = {
    losses.squared_error: _squared_error,
    losses.half_squared_error: _half_squared_error,
    losses.sum_of_squares: _sum_of_squares,
    losses.softmax_cross_entropy: _softmax_cross_entropy,
    losses.sigmoid_binary_cross_entropy: _sigmoid_binary_cross_entropy,
}


def loss_slope(where: str, loss: Any) -> Callable[[Array, Array], Array]:
    """∂ℓ/∂f of an example by the outputs: ∝ f − y for squares, probability − y for the cross entropies.

    Raises:
        StructureError: another loss.
    """
    slope = _LOSSES.get(loss) if callable(loss) else None
    if slope is None:
        raise StructureError(
            where,
            f"loss is {loss!r}, whose derivative is not written out. Use one of "
            f"{', '.join(f'losses.{known.__name__}' for known in _LOSSES)}, or jax.grad for any other.",
        )
    return slope
