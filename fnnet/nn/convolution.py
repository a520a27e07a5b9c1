"""Convolution over one, two or three spatial axes."""

from __future__ import annotations

from typing import Any

import jax

from fnnet.errors import HyperparameterError, ShapeError, check_key, check_size
from fnnet.nn import initializers
from fnnet.nn.base import Layer
from fnnet.nn.correlation import correlate
from fnnet.nn.layers import parameter_dtype
from fnnet.nn.windows import Padding, Sizes, along, check_padding, check_sizes, margins, spatial_axes
from fnnet.recipes import recipe
from fnnet.types import Array, PyTree

_HE_NORMAL = initializers.he_normal()


@recipe
def conv(
    channels: int,
    kernel_size: Sizes,
    *,
    stride: Sizes = 1,
    padding: Padding = "SAME",
    dilation: Sizes = 1,
    groups: int = 1,
    bias: bool = True,
    kernel_init: Any = _HE_NORMAL,
    bias_init: Any = initializers.zeros,
) -> Layer:
    """Convolution over one, two or three spatial axes, channels last.

    y[n, p, c] = b[c] + Σ_k Σ_i x[n, stride·p + dilation·k − margin, i] · K[k, i, c]

    As everywhere in the field the kernel is not turned round, so this is a cross-correlation. Parameters
    ``{"kernel": (*kernel_size, inputs/groups, channels), "bias": (channels,)}`` have the dtype of the inputs if that
    is a float. The fan-in of a kernel is Π kernel_size · inputs/groups, its fan-out Π kernel_size · channels.

    Args:
        channels: number of output channels, a positive integer, divisible by ``groups``.
        kernel_size: an integer for each spatial axis, or one for all axes that the input has.
        stride: by how much the kernel moves; an integer, or one an axis.
        padding: ``"SAME"`` (⌈size/stride⌉ outputs, zeros on both sides, the odd one after), ``"VALID"`` (none), an
            integer for all sides, or a tuple with an integer or a pair (before, after) for each axis.
        dilation: the distance of neighbours in the kernel; an integer, or one an axis.
        groups: output channels see only the input channels of their group; with one group for each input channel
            the convolution is depthwise.
        bias: whether b is there.
        kernel_init: ``(key, shape, dtype) -> array``; He normal unless told, variance 2/fan-in.
        bias_init: likewise; zeros unless told.

    Returns:
        Layer from (batch, *space, inputs) to (batch, *space, channels).

    Raises:
        HyperparameterError: a size is not a positive integer, the padding is none of the above, or ``groups`` does
            not divide ``channels``.
        ShapeError: the input has another rank or other channels, or is smaller than the kernel.

    Source: lecture 002, images as inputs; LeCun et al., "Gradient-based learning applied to document
    recognition", 1998.

    >>> import jax, jax.numpy as jnp
    >>> layer = conv(16, 3, stride=2)
    >>> params, state = layer.init(jax.random.key(0), jnp.ones((5, 28, 28, 1)))
    >>> params["kernel"].shape
    (3, 3, 1, 16)
    >>> layer.apply(params, state, jnp.ones((5, 28, 28, 1)))[0].shape
    (5, 14, 14, 16)
    """
    for name, size in {"channels": channels, "groups": groups}.items():
        check_size("conv", name, size)
    check_sizes("conv", kernel_size=kernel_size, stride=stride, dilation=dilation)
    check_padding("conv", padding)
    if channels % groups:
        raise HyperparameterError(
            "conv", f"groups is {groups}, which does not divide the {channels} channels of the output into equal parts."
        )

    def kernel_shape(x: Any) -> tuple[int, ...]:
        axes = spatial_axes("conv", x.shape, kernel_size=kernel_size, stride=stride, dilation=dilation, padding=padding)
        if x.shape[-1] % groups:
            raise ShapeError(
                "conv",
                f"the input has shape {x.shape}, but its {x.shape[-1]} channels cannot be divided into groups={groups} "
                f"equal parts.",
            )
        return (*along(kernel_size, axes), x.shape[-1] // groups, channels)

    def init(key: Array, x: Any) -> tuple[PyTree, PyTree]:
        check_key("conv", key)
        kernel_key, bias_key = jax.random.split(key)
        dtype = parameter_dtype(x)
        params = {"kernel": kernel_init(kernel_key, kernel_shape(x), dtype)}
        if bias:
            params["bias"] = bias_init(bias_key, (channels,), dtype)
        return params, ()

    def apply(params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False) -> tuple[Array, PyTree]:
        kernel = params["kernel"]
        if kernel_shape(x) != kernel.shape:
            raise ShapeError(
                "conv",
                f"the input has shape {x.shape}, but the kernel has shape {kernel.shape}: the input needs "
                f"{kernel.ndim - 2} spatial axes and {kernel.shape[-2] * groups} channels, which stand last.",
            )
        axes = kernel.ndim - 2
        steps, spread = along(stride, axes), along(dilation, axes)
        window = [(size - 1) * apart + 1 for size, apart in zip(kernel.shape, spread, strict=False)]
        pads = margins("conv", padding, x.shape, window, steps)
        y = correlate(x.astype(kernel.dtype), kernel, steps, pads, spread, groups)
        return y + params["bias"].reshape((1,) * (y.ndim - 1) + (-1,)) if bias else y, state

    return Layer(init, apply)
