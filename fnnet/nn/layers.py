"""Layers that compute: dense and the ones that only change shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import HyperparameterError, ShapeError, check_key, check_size
from fnnet.nn import initializers
from fnnet.nn.base import Layer
from fnnet.recipes import recipe
from fnnet.types import Array, PyTree


def parameter_dtype(x: Any) -> Any:
    """The dtype of the parameters for inputs like ``x``: theirs if it is a float, else the default float."""
    return x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.result_type(float)


_HE_NORMAL = initializers.he_normal()


@recipe
def dense(
    width: int, *, bias: bool = True, kernel_init: Any = _HE_NORMAL, bias_init: Any = initializers.zeros
) -> Layer:
    """Dense (fully connected, affine) layer.

    f(x) = xᵀW + b along the last axis; all axes before it are batch axes.

    Parameters ``{"kernel": (features, width), "bias": (width,)}`` have the dtype of the inputs if that is a
    float, else the default float dtype.

    Args:
        width: number of output units, a positive integer; it fixes a shape, so it cannot be traced.
        bias: whether b is there.
        kernel_init: ``(key, shape, dtype) -> array``; He normal unless told, variance 2/features.
        bias_init: likewise; zeros unless told.

    Returns:
        Layer from (batch, …, features) to (batch, …, width).

    Raises:
        HyperparameterError: ``width`` is not a positive integer, or traced.
        ShapeError: the input has another number of features than at initialisation, or no feature axis.

    Source: lecture 000, "Uses of Matrix Algebra"; lecture 003.

    >>> import jax, jax.numpy as jnp
    >>> params, state = dense(10).init(jax.random.key(0), jnp.ones((5, 64)))
    >>> jax.tree.map(jnp.shape, params)
    {'bias': (10,), 'kernel': (64, 10)}
    """
    check_size("dense", "width", width)

    def init(key: Array, x: Any) -> tuple[PyTree, PyTree]:
        if len(x.shape) < 2:
            raise ShapeError(
                "dense",
                f"the input has shape {x.shape}, but (batch, features) is needed. For one feature an example pass "
                f"x[:, None], for a single example x[None, :].",
            )
        check_key("dense", key)
        dtype = parameter_dtype(x)
        kernel_key, bias_key = jax.random.split(key)
        params = {"kernel": kernel_init(kernel_key, (x.shape[-1], width), dtype)}
        if bias:
            params["bias"] = bias_init(bias_key, (width,), dtype)
        return params, ()

    def apply(params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False) -> tuple[Array, PyTree]:
        kernel = params["kernel"]
        if x.ndim < 2 or x.shape[-1] != kernel.shape[0]:
            raise ShapeError(
                "dense",
                f"the input has shape {x.shape}, but the kernel has shape {kernel.shape}: the last axis has to "
                f"be {kernel.shape[0]}. Pass inputs with as many features as at initialisation.",
            )
        y = x.astype(kernel.dtype) @ kernel
        if bias:
            y = y + params["bias"].reshape((1,) * (y.ndim - 1) + (-1,))
        return y, state

    return Layer(init, apply)


def flatten(x: Array) -> Array:
    """All axes after the batch axis as one: (batch, …) to (batch, features).

    >>> import jax.numpy as jnp
    >>> flatten(jnp.ones((2, 8, 8))).shape
    (2, 64)
    """
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


@recipe
def reshape(shape: Sequence[int]) -> Layer:
    """Gives every example another shape: (batch, …) to (batch, *shape), in the order of the elements.

    Args:
        shape: of one example, positive integers; one of them may be −1, which stands for what is left.

    Returns:
        Layer without parameters.

    Raises:
        HyperparameterError: an entry is neither a positive integer nor the only −1.
        ShapeError: the input has another number of elements an example.

    >>> import jax.numpy as jnp
    >>> reshape((8, 8, 1)).apply((), (), jnp.ones((5, 64)))[0].shape
    (5, 8, 8, 1)
    """
    entries = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    open_ = [entry for entry in entries if not isinstance(entry, bool) and isinstance(entry, int) and entry == -1]
    for entry in entries:
        if entry not in open_:
            check_size("reshape", "an entry of shape", entry)
    if len(open_) > 1:
        raise HyperparameterError(
            "reshape", f"shape is {entries}, but only one entry may be −1 and follow from the rest."
        )
    known = math.prod(entry for entry in entries if entry not in open_)

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        return (), ()

    def apply(params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False) -> tuple[Array, PyTree]:
        size = math.prod(x.shape[1:])
        if size % known or (size != known and not open_):
            raise ShapeError(
                "reshape",
                f"the input has shape {x.shape}, {size} elements an example, which cannot take the shape {entries}. "
                f"The batch axis is kept and no entry of shape.",
            )
        return x.reshape(x.shape[0], *(size // known if entry in open_ else entry for entry in entries)), state

    return Layer(init, apply)


def squeeze(x: Array) -> Array:
    """Drops the last axis, which has to have length 1: (batch, 1) to (batch,).

    Raises:
        ShapeError: the last axis is longer, or is the batch.

    >>> import jax.numpy as jnp
    >>> squeeze(jnp.ones((5, 1))).shape
    (5,)
    """
    if x.ndim < 2 or x.shape[-1] != 1:
        raise ShapeError(
            "squeeze",
            f"the input has shape {x.shape}, but the last of two or more axes has to have length 1.",
        )
    return x[..., 0]
