"""Activations: plain functions of one array, JAX's own where it has them.

Values and derivatives are finite for all inputs up to ±10⁴ in float16, bfloat16, float32 and float64, where only NaN
gives NaN; infinity may, as in JAX. The exception is `exp`, which no one can bound. Parameters are bound by
`functools.partial`, as in ``nn.chain(nn.dense(64), functools.partial(nn.leaky_relu, negative_slope=0.2))``, and may
then be tuned.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import ShapeError, check_number
from fnnet.trees import wide
from fnnet.types import Array, Scalar

cos = jnp.cos
hard_sigmoid = jax.nn.hard_sigmoid
hard_silu = jax.nn.hard_silu
hard_tanh = jax.nn.hard_tanh
log_sigmoid = jax.nn.log_sigmoid
log_softmax = jax.nn.log_softmax
mish = jax.nn.mish
relu = jax.nn.relu
relu6 = jax.nn.relu6
selu = jax.nn.selu
sigmoid = jax.nn.sigmoid
logistic = sigmoid
silu = jax.nn.silu
sin = jnp.sin
softmax = jax.nn.softmax
tanh = jax.nn.tanh


def _prepared(where: str, name: str, value: Scalar, x: Any, **interval: Any) -> tuple[Array, Array]:
    """The input as floats, and a checked parameter in their dtype, so that it changes the output's no more."""
    check_number(where, name, value, **interval)
    x = _floats(x)
    return x, jnp.asarray(value, x.dtype)


def _floats(x: Any) -> Array:
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.result_type(float))


def identity(x: Array) -> Array:
    """f(x) = x.

    >>> identity(3.0)
    3.0
    """
    return x


def step(x: Array) -> Array:
    """Threshold neuron: f(x) = 1 if x ≥ 0, else 0. Its derivative is 0 everywhere, so it cannot be trained.

    Source: lecture 003, "What can a single neuron do?".

    >>> import jax.numpy as jnp
    >>> step(jnp.array([-1.0, 0.0, 2.0])).tolist()
    [0.0, 1.0, 1.0]
    """
    x = jnp.asarray(x)
    return jnp.where(x != x, x, (x >= 0).astype(x.dtype))


def exp(x: Array) -> Array:
    """f(x) = eˣ, which is infinite from about 88 in float32 and bfloat16, from 11 in float16 and from 710 in float64.

    Source: lecture 002, the toy example of backpropagation.

    >>> float(exp(0.0))
    1.0
    """
    return jnp.exp(x)


def leaky_relu(x: Array, negative_slope: Scalar = 0.01) -> Array:
    """f(x) = x if x > 0, else c·x with c = ``negative_slope``; c is the derivative at 0, too.

    Args:
        x: any array.
        negative_slope: a number, less than 1 in the lecture; may be traced.

    Raises:
        HyperparameterError: ``negative_slope`` is not finite.

    Source: lecture 000, "Rectified Linear Units".

    >>> import jax.numpy as jnp
    >>> leaky_relu(jnp.array([-2.0, 3.0]), 0.5).tolist()
    [-1.0, 3.0]
    """
    x, c = _prepared("leaky_relu", "negative_slope", negative_slope, x)
    return jnp.where(x > 0, x, c * x)


def softplus(x: Array, beta: Scalar = 1.0) -> Array:
    """f(x) = log(1 + exp(β·x))/β, a smooth ReLU; the larger β, the closer.

    Args:
        x: any array.
        beta: positive; may be traced.

    Raises:
        HyperparameterError: ``beta`` is not positive.

    Source: lecture 000, "Rectified Linear Units".

    >>> import jax.numpy as jnp
    >>> softplus(jnp.array([-1e4, 1e4]), 2.0).tolist()
    [0.0, 10000.0]
    """
    x, beta = _prepared("softplus", "beta", beta, x, low=0.0, low_open=True)
    dtype = wide(x.dtype)  # in float16 β·x would soon be infinite
    return (jax.nn.softplus(beta.astype(dtype) * x.astype(dtype)) / beta.astype(dtype)).astype(x.dtype)


def elu(x: Array, alpha: Scalar = 1.0) -> Array:
    """f(x) = x if x > 0, else α·(eˣ − 1).

    Args:
        x: any array.
        alpha: a number; may be traced.

    Raises:
        HyperparameterError: ``alpha`` is not finite.

    Source: Clevert et al., "Fast and accurate deep network learning by exponential linear units", 2016.

    >>> import jax.numpy as jnp
    >>> elu(jnp.array([-1e4, 3.0]), 2.0).tolist()
    [-2.0, 3.0]
    """
    x, alpha = _prepared("elu", "alpha", alpha, x)
    return jax.nn.elu(x, alpha)


def celu(x: Array, alpha: Scalar = 1.0) -> Array:
    """f(x) = x if x > 0, else α·(exp(x/α) − 1), whose derivative is continuous for every α.

    Args:
        x: any array.
        alpha: positive; may be traced.

    Raises:
        HyperparameterError: ``alpha`` is not positive.

    Source: Barron, "Continuously differentiable exponential linear units", 2017.

    >>> import jax.numpy as jnp
    >>> celu(jnp.array([-1e4, 3.0]), 2.0).tolist()
    [-2.0, 3.0]
    """
    x, alpha = _prepared("celu", "alpha", alpha, x, low=0.0, low_open=True)
    return jax.nn.celu(x, alpha)


def gelu(x: Array, approximate: bool = True) -> Array:
    """f(x) = x·Φ(x) with the normal distribution function Φ, or the usual approximation of it by a tanh.

    Args:
        x: any array.
        approximate: whether f(x) = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).

    Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    >>> round(float(gelu(1.0)), 3), round(float(gelu(1.0, approximate=False)), 3)
    (0.841, 0.841)
    """
    x = _floats(x)
    # In float16 x³ is infinite from 41.
    return jax.nn.gelu(x.astype(wide(x.dtype)), approximate).astype(x.dtype)


def glu(x: Array) -> Array:
    """Gated linear unit: the first half of the features times the logistic function of the second half.

    f(a, b) = a·σ(b): (batch, …, 2·features) to (batch, …, features)

    Raises:
        ShapeError: the number of features is odd.

    Source: Dauphin et al., "Language modeling with gated convolutional networks", 2017.

    >>> import jax.numpy as jnp
    >>> glu(jnp.array([[3.0, 0.0]])).tolist()
    [[1.5]]
    """
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ShapeError("glu", f"the input has shape {x.shape}, but an even number of features is needed to halve.")
    return jax.nn.glu(x)


__all__ = [
    "celu",
    "cos",
    "elu",
    "exp",
    "gelu",
    "glu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logistic",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "step",
    "tanh",
]
