"""Activations: plain functions of one array, most of them JAX's own under the field's names."""

from __future__ import annotations

import jax

from fnnet.types import Array

elu = jax.nn.elu
gelu = jax.nn.gelu
leaky_relu = jax.nn.leaky_relu
relu = jax.nn.relu
silu = jax.nn.silu
softmax = jax.nn.softmax
softplus = jax.nn.softplus
logistic = jax.nn.sigmoid
tanh = jax.nn.tanh


def identity(x: Array) -> Array:
    """f(x) = x.

    >>> identity(3.0)
    3.0
    """
    return x
