"""Batch normalisation, whose statistics belong to the batch in training and to the past at inference."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from fnnet.errors import ShapeError, check_number
from fnnet.nn.base import Layer
from fnnet.nn.layers import parameter_dtype
from fnnet.nn.normalization import affine, affine_params, check_features
from fnnet.recipes import recipe
from fnnet.trees import safe_divide, wide
from fnnet.types import Array, PyTree, Scalar


@recipe
def batch_norm(
    *, decay: Scalar = 0.9, eps: Scalar = 1e-5, scale: bool = True, bias: bool = True, axis_name: Any = None
) -> Layer:
    """Batch normalisation: each feature has mean 0 and variance 1 over the batch and all axes but the last.

    training: y = γ·(x − μ)/√(σ² + eps) + β with μ = mean x and σ² = mean (x − μ)² over the batch,
    m_t = m_{t−1} + max(1 − decay, 1/t)·(μ − m_{t−1}) and v_t likewise from σ²; inference: μ = m_t and σ² = v_t.

    The running averages are plain means of what they have seen until the memory of ``decay`` is filled, so they are
    of use from the first step on; before it they are 0 and 1. Both use the variance over m and not over m − 1, as
    the lecture does; torch keeps the latter for inference.

    In training ``apply`` takes ``weights``, (batch,): rows count in the statistics by their weight. A row of weight
    0 does not count at all, whatever it holds: it comes out as 0, and no derivative passes through it. Where fewer
    than two values a feature count, the running averages stay as they are.

    If the batch of a jitted function is sharded over a mesh, the statistics are those of the whole batch anyway. In
    `jax.shard_map`, or `jax.vmap` with an ``axis_name``, they are those of each part unless told that name.

    Args:
        decay: memory of the running averages, in [0, 1]; the lecture's δ is 1 − decay. May be traced.
        eps: added to the variance, inside of the root; positive, may be traced.
        scale: whether γ is there, ``params["scale"]`` (features,), 1 at first.
        bias: whether β is there, ``params["bias"]`` (features,), 0 at first.
        axis_name: of the mapped axis, or a tuple of names, over which parts of the batch lie; None for none.

    Returns:
        Layer that keeps shape and dtype. Its state is ``{"mean": (features,), "var": (features,), "count": ()}``, in
        at least float32, the number of training steps an int32.

    Raises:
        HyperparameterError: ``decay`` outside [0, 1], or ``eps`` not positive.
        ShapeError: the input has other features than at initialisation, weights are not one a row, or training
            sees one value a feature.

    Source: lecture 004, "Normalizing in between layers"; lecture 000; Ioffe and Szegedy, 2015.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.array([[1.0], [3.0]])
    >>> layer = batch_norm()
    >>> params, state = layer.init(jax.random.key(0), x)
    >>> y, state = layer.apply(params, state, x, train=True)
    >>> y.round(2).tolist(), state["mean"].tolist(), state["var"].tolist()
    ([[-1.0], [1.0]], [2.0], [1.0])
    """
    check_number("batch_norm", "decay", decay, low=0.0, high=1.0)
    check_number("batch_norm", "eps", eps, low=0.0, low_open=True)

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        check_features("batch_norm", x)
        dtype, shape = wide(parameter_dtype(x)), x.shape[-1:]
        state = {"mean": jnp.zeros(shape, dtype), "var": jnp.ones(shape, dtype), "count": jnp.zeros((), jnp.int32)}
        return affine_params(x, scale=scale, bias=bias), state

    def apply(
        params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False, weights: Any = None
    ) -> tuple[Array, PyTree]:
        check_features("batch_norm", x, {**params, "mean": state["mean"]})
        dtype = parameter_dtype(x)
        y = x.astype(wide(dtype))
        if not train:
            return _normalized(params, y, state["mean"], state["var"], eps).astype(dtype), state
        _check_training(x, weights, axis_name)
        counts = None if weights is None else _by_row(jnp.asarray(weights) != 0, y)
        if counts is not None:
            # Before anything else, so that 0·NaN stands nowhere, in no derivative either.
            y = jnp.where(counts, y, 0)
        mean, var, values = _statistics(y, weights, axis_name)
        y = _normalized(params, y, mean, var, eps)
        if counts is not None:
            y = jnp.where(counts, y, 0)
        return y.astype(dtype), _averaged(state, mean, var, values, decay)

    return Layer(init, apply)


def _by_row(numbers: Array, x: Array) -> Array:
    """One number a row in as many axes as ``x`` has."""
    return numbers.reshape(-1, *(1,) * (x.ndim - 1))


def _normalized(params: PyTree, x: Array, mean: Array, var: Array, eps: Scalar) -> Array:
    last = (1,) * (x.ndim - 1) + (-1,)
    mean, var = mean.astype(x.dtype).reshape(last), var.astype(x.dtype).reshape(last)
    return affine(params, (x - mean) * lax.rsqrt(var + jnp.asarray(eps, x.dtype)))


def _statistics(x: Array, weights: Any, axis_name: Any) -> tuple[Array, Array, Any]:
    """Mean and variance a feature, and how many values each is made of.

    In two passes: the difference of mean square and squared mean has no digits left where the mean is large.
    """
    axes = tuple(range(x.ndim - 1))
    positions = math.prod(x.shape[1:-1])
    rows = jnp.ones(x.shape[0], x.dtype) if weights is None else jnp.asarray(weights).astype(x.dtype)

    def total(numbers: Array, over: Any = None) -> Array:
        numbers = numbers.sum(axis=over)
        return numbers if axis_name is None else lax.psum(numbers, axis_name)

    weight = total(rows) * positions
    values = total((rows != 0).astype(x.dtype)) * positions
    by_row = _by_row(rows, x)

    def mean(numbers: Array) -> Array:
        summed = total(numbers if weights is None else numbers * by_row, axes)
        return safe_divide(summed, jnp.broadcast_to(weight, summed.shape))

    center = mean(x)
    return center, mean(jnp.square(x - center.reshape((1,) * len(axes) + (-1,)))), values


def _averaged(state: PyTree, mean: Array, var: Array, values: Array, decay: Scalar) -> PyTree:
    """The running averages after one more batch, if it was one."""
    count = state["count"] + 1
    rate = jnp.maximum(1 - jnp.asarray(decay, mean.dtype), 1 / count.astype(mean.dtype))
    moved = {
        name: state[name] + (rate * (new - state[name].astype(new.dtype))).astype(state[name].dtype)
        for name, new in (("mean", mean), ("var", var))
    }
    enough = values >= 2
    return {name: jnp.where(enough, new, state[name]) for name, new in {**moved, "count": count}.items()}


def _check_training(x: Array, weights: Any, axis_name: Any) -> None:
    if weights is not None and jnp.shape(weights) != x.shape[:1]:
        raise ShapeError(
            "batch_norm", f"weights have shape {jnp.shape(weights)}, but one an example is needed, {x.shape[:1]}."
        )
    if math.prod(x.shape[:-1]) == 1 and axis_name is None:
        raise ShapeError(
            "batch_norm",
            f"the input has shape {x.shape}, so with train=True each feature has one value: it is its own mean, the "
            f"variance is zero, and whatever comes in goes out as a constant. Train with a batch_size of 2 or more, "
            f"or use nn.layer_norm, which looks at one example at a time.",
        )
