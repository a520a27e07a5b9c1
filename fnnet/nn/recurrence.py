"""Layers over a time axis that carry a state from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import ShapeError, check_key, check_number, check_size
from fnnet.nn import initializers
from fnnet.nn.base import Layer
from fnnet.nn.layers import parameter_dtype
from fnnet.nn.sequences import check_sequence
from fnnet.recipes import recipe
from fnnet.trees import wide
from fnnet.types import Array, Elementwise, PyTree, Scalar

_GLOROT_UNIFORM = initializers.glorot_uniform()
_ORTHOGONAL = initializers.orthogonal()


def _recurrent(
    where: str,
    width: int,
    gates: int,
    cell: Callable[[PyTree, Array, tuple[Array, ...]], tuple[Array, ...]],
    extra: Callable[[Any], dict[str, Array]],
    *,
    carried: int = 1,
    reverse: bool,
    kernel_init: Any,
    recurrent_init: Any,
) -> Layer:
    """A scan over time: ``cell(params, projected, carry)`` is one step, whose output is the carry's first array.

    ``projected`` are the inputs times all gates' kernels, one product for all steps, outside of the loop.
    """
    check_size(where, "width", width)

    def beside(init: Any, key: Any, rows: int, dtype: Any) -> Array:
        """The kernels of all gates beside each other, each drawn as one of its own, in at least float32."""
        drawn = jax.vmap(lambda key: init(key, (rows, width), wide(dtype)))(jax.random.split(key, gates))
        return jnp.moveaxis(drawn, 0, 1).reshape(rows, gates * width).astype(dtype)

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        check_sequence(where, x)
        check_key(where, key)
        dtype = parameter_dtype(x)
        kernel_key, recurrent_key = jax.random.split(key)
        kernels = {
            "kernel": beside(kernel_init, kernel_key, x.shape[-1], dtype),
            "recurrent_kernel": beside(recurrent_init, recurrent_key, width, dtype),
        }
        return kernels | extra(dtype), ()

    def apply(
        params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False, mask: Any = None
    ) -> tuple[Array, PyTree]:
        check_sequence(where, x, mask)
        kernel = params["kernel"]
        if x.shape[-1] != kernel.shape[0]:
            raise ShapeError(
                where,
                f"the input has shape {x.shape}, but the kernel has shape {kernel.shape}: the last axis has to "
                f"be {kernel.shape[0]}. Pass inputs with as many features as at initialisation.",
            )
        projected = x.astype(kernel.dtype) @ kernel + params["bias"].reshape(1, 1, -1)
        start = (jnp.zeros((x.shape[0], width), kernel.dtype),) * carried

        def step(carry: tuple[Array, ...], now: tuple[Array, Array | None]) -> tuple[tuple[Array, ...], Array]:
            projected, there = now
            after = cell(params, projected, carry)
            if there is not None:
                after = tuple(jnp.where(there[:, None], new, old) for new, old in zip(after, carry, strict=True))
            return after, after[0]

        steps = (jnp.moveaxis(projected, 1, 0), None if mask is None else jnp.moveaxis(mask, 1, 0))
        _, outputs = lax.scan(step, start, steps, reverse=reverse)
        return jnp.moveaxis(outputs, 0, 1), state

    return Layer(init, apply)


@recipe
def rnn(
    width: int,
    *,
    activation: Elementwise = jnp.tanh,
    reverse: bool = False,
    kernel_init: Any = _GLOROT_UNIFORM,
    recurrent_init: Any = _ORTHOGONAL,
) -> Layer:
    """Simple (Elman) recurrent layer: each step sees the input and the output of the step before.

    h_t = a(x_tᵀW + h_{t−1}ᵀU + b), from h_0 = 0

    Parameters ``{"kernel": (features, width), "recurrent_kernel": (width, width), "bias": (width,)}``. Where the
    offered ``mask`` is False the state passes unchanged, so the last step holds the state after the last position
    that is there.

    Args:
        width: number of units, a positive integer.
        activation: a, a plain function of one array.
        reverse: whether time runs backwards: the state after all steps stands at position 0.
        kernel_init: of W, ``(key, shape, dtype) -> array``; Glorot uniform unless told.
        recurrent_init: of U, likewise; orthogonal unless told.

    Returns:
        Layer from (batch, time, features) to (batch, time, width), the state after each step.

    Raises:
        HyperparameterError: ``width`` is not a positive integer, or traced.
        ShapeError: the input is not (batch, time, features) with the features of initialisation, or the mask not
            (batch, time).

    Source: Elman, "Finding structure in time", 1990. Same as ``torch.nn.RNN``, whose two biases are one here.

    >>> import jax, jax.numpy as jnp
    >>> layer, x = rnn(4), jnp.ones((2, 5, 3))
    >>> layer.apply(*layer.init(jax.random.key(0), x), x)[0].shape
    (2, 5, 4)
    """

    def cell(params: PyTree, projected: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        return (activation(projected + carry[0] @ params["recurrent_kernel"]),)

    def extra(dtype: Any) -> dict[str, Array]:
        return {"bias": jnp.zeros(width, dtype)}

    return _recurrent(
        "rnn", width, 1, cell, extra, reverse=reverse, kernel_init=kernel_init, recurrent_init=recurrent_init
    )


@recipe
def gru(
    width: int, *, reverse: bool = False, kernel_init: Any = _GLOROT_UNIFORM, recurrent_init: Any = _ORTHOGONAL
) -> Layer:
    """Gated recurrent unit: gates decide how much of the old state is kept, and how much of it the new one sees.

    r = σ(x_tᵀW_r + h_{t−1}ᵀU_r + b_r), z = σ(x_tᵀW_z + h_{t−1}ᵀU_z + b_z),
    n = tanh(x_tᵀW_n + b_n + r · (h_{t−1}ᵀU_n + c)), h_t = (1 − z) · n + z · h_{t−1}, from h_0 = 0

    Parameters, the gates r, z, n beside each other: ``{"kernel": (features, 3·width), "recurrent_kernel":
    (width, 3·width), "bias": (3·width,), "recurrent_bias": (width,)}``, the last of them c. Where the offered
    ``mask`` is False the state passes unchanged.

    Args:
        width: number of units, a positive integer.
        reverse: whether time runs backwards: the state after all steps stands at position 0.
        kernel_init: of each W, ``(key, shape, dtype) -> array``; Glorot uniform unless told.
        recurrent_init: of each U, likewise; orthogonal unless told.

    Returns:
        Layer from (batch, time, features) to (batch, time, width), the state after each step.

    Raises:
        HyperparameterError: ``width`` is not a positive integer, or traced.
        ShapeError: as in `rnn`.

    Source: Cho et al., "Learning phrase representations using RNN encoder–decoder", 2014, with the reset gate after
    the product. Same as ``torch.nn.GRU``, whose two biases of r and of z are one each here.

    >>> import jax, jax.numpy as jnp
    >>> layer, x = gru(4), jnp.ones((2, 5, 3))
    >>> layer.apply(*layer.init(jax.random.key(0), x), x)[0].shape
    (2, 5, 4)
    """

    def cell(params: PyTree, projected: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        (old,) = carry
        x_r, x_z, x_n = jnp.split(projected, 3, axis=1)
        h_r, h_z, h_n = jnp.split(old @ params["recurrent_kernel"], 3, axis=1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + r * (h_n + params["recurrent_bias"].reshape(1, -1)))
        return ((1 - z) * n + z * old,)

    def extra(dtype: Any) -> dict[str, Array]:
        return {"bias": jnp.zeros(3 * width, dtype), "recurrent_bias": jnp.zeros(width, dtype)}

    return _recurrent(
        "gru", width, 3, cell, extra, reverse=reverse, kernel_init=kernel_init, recurrent_init=recurrent_init
    )


@recipe
def lstm(
    width: int,
    *,
    forget_bias: Scalar = 1.0,
    reverse: bool = False,
    kernel_init: Any = _GLOROT_UNIFORM,
    recurrent_init: Any = _ORTHOGONAL,
) -> Layer:
    """Long short-term memory: a cell that adds up, behind gates.

    i, f, o = σ(x_tᵀW + h_{t−1}ᵀU + b) and g = tanh(x_tᵀW_g + h_{t−1}ᵀU_g + b_g), each with a W, U and b of its own,
    c_t = f · c_{t−1} + i · g, h_t = o · tanh(c_t), from h_0 = c_0 = 0

    Parameters, the gates i, f, g, o beside each other: ``{"kernel": (features, 4·width), "recurrent_kernel":
    (width, 4·width), "bias": (4·width,)}``. Where the offered ``mask`` is False both states pass unchanged.

    Args:
        width: number of units, a positive integer.
        forget_bias: where b_f starts, any number; at 1 the cell remembers at first. The other biases start at 0.
        reverse: whether time runs backwards: the state after all steps stands at position 0.
        kernel_init: of each W, ``(key, shape, dtype) -> array``; Glorot uniform unless told.
        recurrent_init: of each U, likewise; orthogonal unless told.

    Returns:
        Layer from (batch, time, features) to (batch, time, width), h after each step.

    Raises:
        HyperparameterError: ``width`` is not a positive integer, or traced; ``forget_bias`` is not finite.
        ShapeError: as in `rnn`.

    Source: Hochreiter and Schmidhuber, "Long short-term memory", 1997; the bias of the forget gate: Jozefowicz et
    al., "An empirical exploration of recurrent network architectures", 2015. Same as ``torch.nn.LSTM``, whose two
    biases are one here.

    >>> import jax, jax.numpy as jnp
    >>> layer, x = lstm(4), jnp.ones((2, 5, 3))
    >>> layer.apply(*layer.init(jax.random.key(0), x), x)[0].shape
    (2, 5, 4)
    """
    check_number("lstm", "forget_bias", forget_bias)

    def cell(params: PyTree, projected: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        hidden, memory = carry
        i, f, g, o = jnp.split(projected + hidden @ params["recurrent_kernel"], 4, axis=1)
        memory = jax.nn.sigmoid(f) * memory + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(memory), memory

    def extra(dtype: Any) -> dict[str, Array]:
        forget = jnp.full(width, forget_bias, dtype)
        return {"bias": jnp.zeros(4 * width, dtype).at[width : 2 * width].set(forget)}

    return _recurrent(
        "lstm",
        width,
        4,
        cell,
        extra,
        carried=2,
        reverse=reverse,
        kernel_init=kernel_init,
        recurrent_init=recurrent_init,
    )
