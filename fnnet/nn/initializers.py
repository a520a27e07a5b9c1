"""Initialisers ``(key, shape, dtype) -> array`` for the kernels of layers.

They are `jax.nn.initializers`, which agree with the lectures' formulas: n is the number of inputs of a unit,
m the number of its outputs, and those of the normal ones with a variance by n and m are drawn from a normal truncated
at two standard deviations and rescaled to that variance. For the kernel of a convolution, (*size, inputs/groups,
outputs), n is Π size · inputs/groups and m is Π size · outputs.

| name | variance | source |
|---|---|---|
| `zeros`, `ones`, `constant(value)` | 0 | lectures 003, 004: they fail, as units stay equal |
| `normal(stddev)` | stddev² | lecture 003, with μ = 0 |
| `truncated_normal(stddev)` | 0.774·stddev², cut at two deviations and not rescaled | |
| `symmetric_uniform(limit)` | limit²/3, on [−limit, limit) | lecture 003, U[−a, a] |
| `uniform(scale)` | scale²/12, on [0, scale) as in JAX | |
| `lecun_normal()`, `lecun_uniform()` | 1/n | lecture 004 |
| `glorot_normal()`, `glorot_uniform()` (Xavier) | 2/(n+m) | lectures 000, 004 |
| `he_normal()`, `he_uniform()` (Kaiming) | 2/n | lectures 000, 003 |
| `variance_scaling(scale, mode, distribution)` | scale/n, scale/m or 2·scale/(n+m) | He et al., 2015 |
| `orthogonal(scale)` | scale²/max(n, m): orthogonal rows or columns | Saxe et al., 2014 |
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers as _jax

from fnnet.errors import check_number
from fnnet.recipes import recipe
from fnnet.trees import wide
from fnnet.types import Array, Scalar

zeros = _jax.zeros
ones = _jax.ones
constant = recipe(_jax.constant)
normal = recipe(_jax.normal)
truncated_normal = recipe(_jax.truncated_normal)
uniform = recipe(_jax.uniform)
lecun_normal = recipe(_jax.lecun_normal)
lecun_uniform = recipe(_jax.lecun_uniform)
glorot_normal = recipe(_jax.glorot_normal)
glorot_uniform = recipe(_jax.glorot_uniform)
he_normal = recipe(_jax.he_normal)
he_uniform = recipe(_jax.he_uniform)
variance_scaling = recipe(_jax.variance_scaling)


@recipe
def orthogonal(scale: Scalar = 1.0, column_axis: int = -1) -> Any:
    """Kernels with orthogonal columns, or rows if they are wider than long, of length ``scale``.

    JAX's, also for float16 and bfloat16, in which it cannot factorise a matrix: they are rounded afterwards.

    Args:
        scale: any number; may be traced.
        column_axis: the axis of the units; all others together are that of their inputs.

    Raises:
        HyperparameterError: ``scale`` is not finite.

    Source: Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear networks", 2014.

    >>> import jax
    >>> kernel = orthogonal()(jax.random.key(0), (3, 2))
    >>> (kernel.T @ kernel).round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    check_number("orthogonal", "scale", scale)
    draw = _jax.orthogonal(scale, column_axis)

    def init(key: Array, shape: Any, dtype: Any = None) -> Array:
        dtype = jnp.result_type(float) if dtype is None else dtype
        return draw(key, shape, wide(dtype)).astype(dtype)

    return init


@recipe
def symmetric_uniform(limit: Scalar) -> Any:
    """Uniform on [−limit, limit), the lecture's U[−a, a]; `uniform` begins at 0, as in JAX.

    Args:
        limit: positive; may be traced.

    Raises:
        HyperparameterError: ``limit`` is not positive.

    Source: lecture 003, "Initialization".

    >>> import jax
    >>> drawn = symmetric_uniform(0.5)(jax.random.key(0), (1000,))
    >>> float(drawn.min().round(2)), float(drawn.max().round(2))
    (-0.5, 0.5)
    """
    check_number("symmetric_uniform", "limit", limit, low=0.0, low_open=True)

    def init(key: Array, shape: Any, dtype: Any = None) -> Array:
        dtype = jnp.result_type(float) if dtype is None else dtype
        return jnp.asarray(limit, dtype) * jax.random.uniform(key, shape, dtype, -1.0, 1.0)

    return init


__all__ = [
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "symmetric_uniform",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "zeros",
]
