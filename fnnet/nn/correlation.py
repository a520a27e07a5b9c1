"""The arithmetic of a convolution, and derivatives of it that CPUs are quick at."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from fnnet.types import Array


def correlate(
    x: Array,
    kernel: Array,
    stride: Sequence[int],
    margins: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
) -> Array:
    """Σ_k Σ_i x[n, stride·p + dilation·k − margin, i] · K[k, i, c], the equation of `nn.conv` without its bias.

    Args:
        x: array (batch, *space, inputs).
        kernel: array (*window, inputs/groups, channels) of the same dtype.
        stride, margins, dilation: an entry a spatial axis; margins are pairs (before, after).
        groups: into how many equal parts inputs and channels are divided.

    Returns:
        Array (batch, *space, channels).

    >>> correlate(jnp.arange(4.0).reshape(1, 4, 1), jnp.ones((3, 1, 1)), (1,), [(1, 1)], (1,), 1).ravel().tolist()
    [1.0, 3.0, 6.0, 5.0]
    """
    return _correlation(tuple(stride), tuple(margins), tuple(dilation), groups)(x, kernel)


@functools.cache
def _correlation(
    stride: tuple[int, ...], margins: tuple[tuple[int, int], ...], dilation: tuple[int, ...], groups: int
) -> Callable[[Array, Array], Array]:
    """The bilinear function of input and kernel.

    JAX differentiates a convolution to others with batch and channels exchanged. XLA has a quick program for these
    on a CPU, but not inside of a loop, and training is one: there they took 20 to 60 times as long (jax issue 12868).
    So on a CPU the derivative is written as a product of matrices, which is quick everywhere.
    """
    axes = len(stride)

    def primitive(x: Array, kernel: Array) -> Array:
        space = "DHW"[-axes:]
        return lax.conv_general_dilated(
            x,
            kernel,
            stride,
            margins,
            rhs_dilation=dilation,
            dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
            feature_group_count=groups,
        )

    def product(x: Array, kernel: Array) -> Array:
        seen = patches(x, kernel.shape[:axes], stride, margins, dilation)
        if groups == 1:
            return seen.reshape(*seen.shape[:-2], -1) @ kernel.reshape(-1, kernel.shape[-1])
        parts = seen.reshape(*seen.shape[:-1], groups, -1)
        weights = kernel.reshape(seen.shape[-2], kernel.shape[-2], groups, -1)
        y = jnp.einsum("...tgi,tigc->...gc", parts, weights)
        return y.reshape(*y.shape[:-2], -1)

    @jax.custom_jvp
    def correlation(x: Array, kernel: Array) -> Array:
        return primitive(x, kernel)

    def derivative(primals: tuple[Array, Array], tangents: tuple[Any, Any]) -> tuple[Array, Any]:
        (x, kernel), (dx, dkernel) = primals, tangents
        y = correlation(x, kernel)
        # The images of a first layer have no tangent, and a product with zeros would be computed all the same.
        pairs = [pair for pair in ((dx, kernel), (x, dkernel)) if not any(isinstance(p, SymbolicZero) for p in pair)]
        terms = [lax.platform_dependent(*pair, cpu=product, default=primitive) for pair in pairs]
        return y, functools.reduce(jnp.add, terms, jnp.zeros_like(y)) if len(terms) != 1 else terms[0]

    correlation.defjvp(derivative, symbolic_zeros=True)
    return correlation


def patches(
    x: Array, size: Sequence[int], stride: Sequence[int], margins: Sequence[tuple[int, int]], dilation: Sequence[int]
) -> Array:
    """What each position of the kernel sees: array (batch, *outputs, Π size, inputs)."""
    padded = jnp.pad(x, [(0, 0), *margins, (0, 0)])
    spans = [
        (n - apart * (k - 1) - 1) // step * step + 1
        for n, k, step, apart in zip(padded.shape[1:-1], size, stride, dilation, strict=True)
    ]
    parts = []
    for at in itertools.product(*(range(0, k * apart, apart) for k, apart in zip(size, dilation, strict=True))):
        place = (slice(start, start + span, step) for start, span, step in zip(at, spans, stride, strict=True))
        parts.append(padded[(slice(None), *place)])
    return jnp.stack(parts, axis=-2)
