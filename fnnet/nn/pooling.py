"""Pooling: the mean or the largest of what stands in a window of the spatial axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.errors import HyperparameterError, ShapeError
from fnnet.nn.base import Layer
from fnnet.nn.windows import Padding, Sizes, along, check_padding, check_sizes, margins, spatial_axes
from fnnet.recipes import recipe
from fnnet.trees import wide
from fnnet.types import Array, PyTree


@recipe
def max_pool(window: Sizes, *, stride: Sizes | None = None, padding: Padding = "VALID") -> Layer:
    """Max pooling: the largest number in each window, for each channel.

    y[n, p, c] = max_k x[n, stride·p + k − margin, c] over the k that are inside of the input

    Args:
        window: positions along each spatial axis, or one number for all axes that the input has.
        stride: by how much the window moves; the window's size if None.
        padding: ``"VALID"``, ``"SAME"``, or less than the window on each side; see `nn.conv`. It never counts.

    Returns:
        Layer from (batch, *space, channels) to (batch, *space, channels), without parameters.

    Raises:
        HyperparameterError: a size is not a positive integer, or the padding is none of the above.
        ShapeError: the input has another rank, or is smaller than the window.

    Source: lecture 002, images as inputs; LeCun et al., 1998.

    >>> import jax.numpy as jnp
    >>> max_pool(2).apply((), (), jnp.arange(6.0).reshape(1, 6, 1))[0].ravel().tolist()
    [1.0, 3.0, 5.0]
    """

    def largest(x: Array, reduce: Callable[..., Array], counts: Any) -> Array:
        lowest = -np.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
        return reduce(x, np.asarray(lowest, x.dtype), lax.max)

    return _pool("max_pool", largest, window, stride, padding)


@recipe
def avg_pool(window: Sizes, *, stride: Sizes | None = None, padding: Padding = "VALID") -> Layer:
    """Average pooling: the mean of each window, for each channel.

    y[n, p, c] = mean_k x[n, stride·p + k − margin, c] over the k that are inside of the input

    A window at the border that padding fills up is averaged over what it has of the input, so that a constant input
    keeps its value.

    Args:
        window: positions along each spatial axis, or one number for all axes that the input has.
        stride: by how much the window moves; the window's size if None.
        padding: ``"VALID"``, ``"SAME"``, or less than the window on each side; see `nn.conv`. It never counts.

    Returns:
        Layer from (batch, *space, channels) to (batch, *space, channels), without parameters.

    Raises:
        HyperparameterError: a size is not a positive integer, or the padding is none of the above.
        ShapeError: the input has another rank, or is smaller than the window.

    Source: lecture 002, images as inputs; LeCun et al., 1998.

    >>> import jax.numpy as jnp
    >>> avg_pool(2).apply((), (), jnp.arange(6.0).reshape(1, 6, 1))[0].ravel().tolist()
    [0.5, 2.5, 4.5]
    """

    def mean(x: Array, reduce: Callable[..., Array], counts: Any) -> Array:
        y = _float(x)
        total = reduce(y, np.zeros((), y.dtype), lax.add)
        return (total / jnp.asarray(counts, y.dtype)).astype(_dtype(x))

    return _pool("avg_pool", mean, window, stride, padding)


def _pool(where: str, summary: Callable[..., Array], window: Any, stride: Any, padding: Any) -> Layer:
    """The layer that applies ``summary(x, reduce, counts)``.

    ``reduce(x, start, operation)`` goes over the windows, and ``counts`` is how much each has of the input.
    """
    stride = window if stride is None else stride
    check_sizes(where, window=window, stride=stride)
    check_padding(where, padding)
    if not isinstance(padding, str):
        sides = [max(side) if isinstance(side, tuple | list) else side for side in along(padding, 1)]
        sizes = along(window, len(sides))
        # A window on nothing but padding has neither mean nor maximum.
        if any(side >= size for side, size in zip(sides * len(sizes), sizes * len(sides), strict=True)):
            raise HyperparameterError(where, f"padding is {padding!r}, but it has to be less than the window {window}.")

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        return (), ()

    def apply(params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False) -> tuple[Array, PyTree]:
        axes = spatial_axes(where, x.shape, window=window, stride=stride, padding=padding)
        sizes, steps = along(window, axes), along(stride, axes)
        pads = margins(where, padding, x.shape, sizes, steps)

        def reduce(x: Array, start: Any, operation: Any) -> Array:
            return lax.reduce_window(x, start, operation, (1, *sizes, 1), (1, *steps, 1), [(0, 0), *pads, (0, 0)])

        return summary(x, reduce, _counts(x.shape[1:-1], sizes, steps, pads)), state

    return Layer(init, apply)


def _counts(space: Sequence[int], sizes: Any, steps: Any, pads: Sequence[tuple[int, int]]) -> np.ndarray:
    """How many positions of the input each window has, (1, *outputs, 1): the product over its axes."""
    counts = np.ones((1, *(1,) * len(space), 1), int)
    for axis, (n, size, step, (before, after)) in enumerate(zip(space, sizes, steps, pads, strict=True), start=1):
        starts = np.arange(0, n + before + after - size + 1, step) - before
        inside = np.minimum(starts + size, n) - np.maximum(starts, 0)
        counts = counts * np.expand_dims(inside, tuple(other for other in range(counts.ndim) if other != axis))
    return counts


def global_avg_pool(x: Array) -> Array:
    """Mean over all spatial axes: (batch, *space, channels) to (batch, channels).

    Raises:
        ShapeError: there is no spatial axis.

    Source: Lin et al., "Network in network", 2014.

    >>> import jax.numpy as jnp
    >>> global_avg_pool(jnp.arange(6.0).reshape(1, 3, 2)).tolist()
    [[2.0, 3.0]]
    """
    if x.ndim < 3:
        raise ShapeError(
            "global_avg_pool",
            f"the input has shape {x.shape}, but (batch, *space, channels) is needed to average over.",
        )
    return _float(x).mean(axis=tuple(range(1, x.ndim - 1))).astype(_dtype(x))


def _dtype(x: Array) -> Any:
    """The dtype of means of ``x``: its own if that is a float, else the default."""
    return x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.zeros(()).dtype


def _float(x: Array) -> Array:
    """In at least float32, in which a sum over a large window keeps its digits."""
    return x.astype(wide(_dtype(x)))
