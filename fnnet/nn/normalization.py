"""Normalisation of single examples: layer, group and root-mean-square; `nn.batch_norm` looks at the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from fnnet.errors import ShapeError, check_number, check_size
from fnnet.nn.base import Layer
from fnnet.nn.layers import parameter_dtype
from fnnet.recipes import recipe
from fnnet.trees import wide
from fnnet.types import Array, PyTree, Scalar


def check_features(where: str, x: Any, params: PyTree = ()) -> None:
    """Raises unless ``x`` is (batch, …, features) with as many features as each of the parameters."""
    if len(x.shape) < 2:
        raise ShapeError(
            where,
            f"the input has shape {x.shape}, but (batch, …, features) is needed. For one feature an example pass "
            f"x[:, None], for a single example x[None, :].",
        )
    for name, parameter in dict(params).items():
        if parameter.shape != x.shape[-1:]:
            raise ShapeError(
                where,
                f"the input has shape {x.shape}, but {name} has shape {parameter.shape}: the last axis has to be "
                f"{parameter.shape[0]}. Pass inputs with as many features as at initialisation.",
            )


def affine_params(x: Any, *, scale: bool, bias: bool) -> dict[str, Array]:
    """γ = 1 and β = 0, a number a feature, as far as they are wanted."""
    dtype, shape = parameter_dtype(x), x.shape[-1:]
    return ({"scale": jnp.ones(shape, dtype)} if scale else {}) | ({"bias": jnp.zeros(shape, dtype)} if bias else {})


def affine(params: PyTree, y: Array) -> Array:
    """γ·y + β in the dtype of ``y``, along the last axis."""
    last = (1,) * (y.ndim - 1) + (-1,)
    if "scale" in params:
        y = y * params["scale"].astype(y.dtype).reshape(last)
    return y + params["bias"].astype(y.dtype).reshape(last) if "bias" in params else y


def _per_example(where: str, normalized: Callable[[Array], Array], scale: bool, bias: bool, check: Any = None) -> Layer:
    """γ·normalized(x) + β, computed in at least float32."""

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        check_features(where, x)
        if check is not None:
            check(x)
        return affine_params(x, scale=scale, bias=bias), ()

    def apply(params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False) -> tuple[Array, PyTree]:
        check_features(where, x, params)
        if check is not None:
            check(x)
        dtype = parameter_dtype(x)
        return affine(params, normalized(x.astype(wide(dtype)))).astype(dtype), state

    return Layer(init, apply)


def _standardized(x: Array, axes: Sequence[int], eps: Scalar) -> Array:
    centered = x - x.mean(axis=axes, keepdims=True)
    return _over_root_mean_square(centered, axes, eps)


def _over_root_mean_square(x: Array, axes: Sequence[int], eps: Scalar) -> Array:
    return x * lax.rsqrt(jnp.square(x).mean(axis=axes, keepdims=True) + jnp.asarray(eps, x.dtype))


@recipe
def layer_norm(*, eps: Scalar = 1e-5, scale: bool = True, bias: bool = True) -> Layer:
    """Layer normalisation: each example, and each of its positions, has mean 0 and variance 1 over its features.

    y = γ·(x − μ)/√(σ² + eps) + β with μ and σ² = mean (x − μ)² over the last axis

    Args:
        eps: added to the variance, inside of the root; positive, may be traced. Constant inputs give β.
        scale: whether γ is there, ``params["scale"]`` (features,), 1 at first.
        bias: whether β is there, ``params["bias"]`` (features,), 0 at first.

    Returns:
        Layer that keeps shape and dtype; statistics are taken in at least float32.

    Raises:
        HyperparameterError: ``eps`` is not positive.
        ShapeError: the input has other features than at initialisation.

    Source: lecture 002, what deep networks need; Ba et al., "Layer normalization", 2016.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.array([[1.0, 3.0], [10.0, 30.0]])
    >>> layer = layer_norm()
    >>> layer.apply(*layer.init(jax.random.key(0), x), x)[0].round(2).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    check_number("layer_norm", "eps", eps, low=0.0, low_open=True)
    return _per_example("layer_norm", lambda x: _standardized(x, (-1,), eps), scale, bias)


@recipe
def rms_norm(*, eps: Scalar = 1e-5, scale: bool = True) -> Layer:
    """Root-mean-square normalisation: layer normalisation that neither subtracts the mean nor adds a bias.

    y = γ·x/√(mean x² + eps) over the last axis

    Args:
        eps: added to the mean square, inside of the root; positive, may be traced. Zero inputs give 0.
        scale: whether γ is there, ``params["scale"]`` (features,), 1 at first.

    Returns:
        Layer that keeps shape and dtype; statistics are taken in at least float32.

    Raises:
        HyperparameterError: ``eps`` is not positive.
        ShapeError: the input has other features than at initialisation.

    Source: Zhang and Sennrich, "Root mean square layer normalization", 2019.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.array([[5.0, 5.0, 5.0, -5.0]])
    >>> layer = rms_norm()
    >>> layer.apply(*layer.init(jax.random.key(0), x), x)[0].round(2).tolist()
    [[1.0, 1.0, 1.0, -1.0]]
    """
    check_number("rms_norm", "eps", eps, low=0.0, low_open=True)
    return _per_example("rms_norm", lambda x: _over_root_mean_square(x, (-1,), eps), scale, False)


@recipe
def group_norm(groups: int, *, eps: Scalar = 1e-5, scale: bool = True, bias: bool = True) -> Layer:
    """Group normalisation: each group of channels of an example has mean 0 and variance 1.

    y = γ·(x − μ)/√(σ² + eps) + β with μ and σ² over all spatial axes and the channels of a group

    Args:
        groups: number of groups of neighbouring channels, a positive integer that divides the channels.
        eps: added to the variance, inside of the root; positive, may be traced. Constant inputs give β.
        scale: whether γ is there, ``params["scale"]`` (channels,), 1 at first.
        bias: whether β is there, ``params["bias"]`` (channels,), 0 at first.

    Returns:
        Layer that keeps the shape (batch, …, channels) and the dtype; statistics are taken in at least float32.

    Raises:
        HyperparameterError: ``groups`` is not a positive integer, or ``eps`` not positive.
        ShapeError: the channels cannot be divided into the groups, or are others than at initialisation.

    Source: Wu and He, "Group normalization", 2018.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.array([[1.0, 3.0, 10.0, 30.0]])
    >>> layer = group_norm(2)
    >>> layer.apply(*layer.init(jax.random.key(0), x), x)[0].round(2).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    check_size("group_norm", "groups", groups)
    check_number("group_norm", "eps", eps, low=0.0, low_open=True)

    def check(x: Any) -> None:
        if x.shape[-1] % groups:
            raise ShapeError(
                "group_norm",
                f"the input has shape {x.shape}, but its {x.shape[-1]} channels cannot be divided into groups={groups} "
                f"equal parts.",
            )

    def normalized(x: Array) -> Array:
        grouped = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
        axes = (*range(1, x.ndim - 1), x.ndim)
        return _standardized(grouped, axes, eps).reshape(x.shape)

    return _per_example("group_norm", normalized, scale, bias, check)
