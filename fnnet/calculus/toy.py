"""Backpropagation through the scalar toy example of lecture 002, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from fnnet.errors import ShapeError, StructureError
from fnnet.types import Array

NAMES = tuple(f"{letter}_{k}" for k in range(4) for letter in ("beta", "omega"))


class ToyIntermediates(NamedTuple):
    """The seven quantities between the input and the loss, or the derivatives of the loss by them."""

    f_0: Array
    h_1: Array
    f_1: Array
    h_2: Array
    f_2: Array
    h_3: Array
    f_3: Array


class ToyBackpropagation(NamedTuple):
    """``forward`` holds f_0 … f_3 and h_1 … h_3, ``backward`` ∂ℓ/∂ each of them, ``gradients`` ∂ℓ/∂ each parameter."""

    loss: Array
    forward: ToyIntermediates
    backward: ToyIntermediates
    gradients: dict[str, Array]


def backprop_toy(params: Mapping[str, Any], x: Any, y: Any) -> ToyBackpropagation:
    """Backpropagation by hand through a composition of sin, exp and cos.

    f[x, φ] = β_3 + ω_3 · cos[β_2 + ω_2 · exp[β_1 + ω_1 · sin[β_0 + ω_0 · x]]],   ℓ = (f[x, φ] − y)²

    forward:    f_0 = β_0 + ω_0 · x,  h_1 = sin f_0,  f_1 = β_1 + ω_1 · h_1,  h_2 = exp f_1,  …,  f_3 = β_3 + ω_3 · h_3
    backward:   ∂ℓ/∂f_3 = 2 (f_3 − y),  ∂ℓ/∂h_k = ω_k · ∂ℓ/∂f_k,  ∂ℓ/∂f_{k−1} = a′(f_{k−1}) · ∂ℓ/∂h_k
    parameters: ∂ℓ/∂β_k = ∂ℓ/∂f_k,  ∂ℓ/∂ω_k = h_k · ∂ℓ/∂f_k,  with h_0 = x

    Args:
        params: φ, eight numbers named beta_0, omega_0, …, beta_3, omega_3.
        x: a number, or an array of them, each an example of its own.
        y: targets of exactly the same shape.

    Returns:
        `ToyBackpropagation`; its arrays have the shape of x, and an entry of a gradient is that of one example.

    Raises:
        StructureError: the parameters have other names.
        ShapeError: a parameter is not a number, or x and y differ in shape.

    Source: lecture 002, "Toy example", forward and backward pass.

    >>> params = {name: 0.5 for name in ("beta_0", "beta_1", "beta_2", "beta_3")}
    >>> params |= {name: 1.0 for name in ("omega_0", "omega_1", "omega_2", "omega_3")}
    >>> found = backprop_toy(params, 0.0, 1.0)
    >>> print(f"{found.forward.h_1:.2f}", f"{found.gradients['beta_3']:.2f}")
    0.48 -3.00
    """
    where = "backprop_toy"
    if not isinstance(params, Mapping) or set(params) != set(NAMES):
        names = ", ".join(map(str, params)) if isinstance(params, Mapping) else type(params).__name__
        raise StructureError(where, f"params has {names or 'nothing'}, but a dict of {', '.join(NAMES)} is needed.")
    given = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in params.items()}
    wrong = [name for name, value in given.items() if value.ndim]
    if wrong:
        raise ShapeError(where, f"{wrong[0]} has shape {given[wrong[0]].shape}, but one number is needed.")
    x, y = (jnp.asarray(values, jnp.result_type(float)) for values in (x, y))
    if x.shape != y.shape:
        raise ShapeError(where, f"x has shape {x.shape} and y {y.shape}; they have to agree, a target an example.")
    b_0, w_0, b_1, w_1, b_2, w_2, b_3, w_3 = (given[name] for name in NAMES)

    f_0 = b_0 + w_0 * x
    h_1 = jnp.sin(f_0)
    f_1 = b_1 + w_1 * h_1
    h_2 = jnp.exp(f_1)
    f_2 = b_2 + w_2 * h_2
    h_3 = jnp.cos(f_2)
    f_3 = b_3 + w_3 * h_3
    loss = jnp.square(f_3 - y)

    df_3 = 2 * (f_3 - y)
    dh_3 = w_3 * df_3
    df_2 = -jnp.sin(f_2) * dh_3
    dh_2 = w_2 * df_2
    df_1 = jnp.exp(f_1) * dh_2
    dh_1 = w_1 * df_1
    df_0 = jnp.cos(f_0) * dh_1

    by_parameter = (df_0, x * df_0, df_1, h_1 * df_1, df_2, h_2 * df_2, df_3, h_3 * df_3)
    return ToyBackpropagation(
        loss=loss,
        forward=ToyIntermediates(f_0, h_1, f_1, h_2, f_2, h_3, f_3),
        backward=ToyIntermediates(df_0, dh_1, df_1, dh_2, df_2, dh_3, df_3),
        gradients=dict(zip(NAMES, by_parameter, strict=True)),
    )
