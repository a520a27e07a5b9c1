"""What contenders in plain JAX are made of, as one would write it by hand: the loss of a perceptron, and Adam."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def loss(params: Any, x: Any, y: Any) -> Any:
    """Mean cross entropy of a perceptron with relus, whose parameters are pairs of kernel and bias."""
    *hidden, (kernel, bias) = params
    for each, shift in hidden:
        x = jax.nn.relu(x @ each + shift)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x @ kernel + bias), y[:, None], axis=1))


def adam(carry: Any, grads: Any, rate: Any) -> Any:
    """Parameters, both moments and the number of steps after one more; corrections of bias as factors of numbers."""
    params, m, v, t = carry
    t = t + 1.0
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    a, c = rate / (1 - 0.9**t), 1 / (1 - 0.999**t)
    return jax.tree.map(lambda p, m, v: p - a * m / (jnp.sqrt(c * v) + 1e-8), params, m, v), m, v, t
