"""Optimizers with a step size of its own for every parameter, from the squares of its gradients."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from fnnet.errors import StructureError, check_number
from fnnet.optim.base import Optimizer, elementwise, lift, rate
from fnnet.recipes import recipe
from fnnet.trees import safe_divide, safe_sqrt
from fnnet.types import Scalar, Schedule


@elementwise("sum_of_squares")
def adagrad(
    learning_rate: Scalar | Schedule,
    initial_accumulator_value: Scalar = 0.0,
    eps: Scalar = 1e-10,
    eps_root: Scalar = 0.0,
) -> Any:
    """AdaGrad: the learning rate of a parameter falls with all the gradients that it has had.

    s ← s + g²   from s₀
    θ ← θ − α g / (√(s + ε_root) + ε)

    Args:
        learning_rate: α ≥ 0, or a schedule.
        initial_accumulator_value: s₀ ≥ 0.
        eps: ε ≥ 0, outside of the root, where lecture 001 has it (its δ, perhaps 1e-7).
        eps_root: ε_root ≥ 0, inside of the root, where lectures 000 and 003 have it.

    Returns:
        Optimizer with state ``(count, sum_of_squares)``; the sum is 0 before the first update, which adds s₀.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``torch.optim.Adagrad(params, learning_rate, initial_accumulator_value=s₀, eps=eps)`` for eps_root = 0, and
    ``optax.adagrad(learning_rate, s₀, eps=eps_root)`` for eps = 0; optax's s₀ is 0.1 unless told.
    The sum of lecture 004 begins with the gradient after the first step, which divides by 0; here the first one counts.

    Source: lecture 000, "AdaGrad"; lecture 001, Algorithm 3; lecture 003, "Adaptive learning rate algorithms";
    lecture 004, "AdaGrad approximation"; Duchi, Hazan and Singer, 2011.

    >>> import jax.numpy as jnp
    >>> optimizer = adagrad(1.0, eps=0.0)
    >>> state = optimizer.init(jnp.zeros(1))
    >>> for gradient in (3.0, 4.0):
    ...     updates, state = optimizer.update(jnp.array([gradient]), state)
    >>> print(updates)  # 4 / √(9 + 16)
    [-0.8]
    """
    check_number("adagrad", "learning_rate", learning_rate, low=0.0, schedule=True)
    check_number("adagrad", "initial_accumulator_value", initial_accumulator_value, low=0.0)
    check_number("adagrad", "eps", eps, low=0.0)
    check_number("adagrad", "eps_root", eps_root, low=0.0)

    def update(t: Any, g: Any, s: Any) -> Any:
        s = jnp.where(t == 1, initial_accumulator_value, s) + g**2
        step = -rate(learning_rate, t) * safe_divide(g, safe_sqrt(s + eps_root) + eps)
        return step, s

    return update


@recipe
def rmsprop(
    learning_rate: Scalar | Schedule,
    decay: Scalar = 0.9,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    centered: bool = False,
    momentum: Scalar | None = None,
    nesterov: bool = False,
) -> Optimizer:
    """RMSProp: the gradient divided by the root of a running mean of its square.

    plain:     v ← ρ v + (1 − ρ) g²,  r = g / (√(v + ε_root) + ε),  θ ← θ − α r
    centred:   m ← ρ m + (1 − ρ) g as well, and v − m² in place of v under the root
    momentum:  u ← γ u + r,  θ ← θ − α u
    Nesterov:  u ← γ u + r,  θ ← θ − α (r + γ u)

    Args:
        learning_rate: α ≥ 0, or a schedule.
        decay: ρ in [0, 1), the weight of the past.
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root, where the lectures have it.
        centered: whether to divide by an estimate of the standard deviation rather than of the root mean square.
        momentum: γ in [0, 1), or None for none and no accumulator.
        nesterov: whether to look ahead; needs momentum.

    Returns:
        Optimizer with state ``(count, nu)``, then ``mu`` if centred and ``trace`` with momentum.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: ``nesterov`` without momentum.

    Same as ``torch.optim.RMSprop(params, learning_rate, alpha=decay, eps=eps, momentum=momentum, centered=centered)``
    for eps_root = 0, whose alpha is 0.99 unless told; and ``optax.rmsprop(learning_rate, decay, eps=eps_root, ...)``
    for eps = 0, or with ``eps_in_sqrt=False`` for eps_root = 0. optax multiplies by α before the momentum, which is
    the same for a constant α. Lecture 004 gives its γ to the new square: decay = 1 − γ; and its mean begins with the
    gradient after the first step, which divides by 0; here the first one counts.

    Source: lecture 000, "RMSProp"; lecture 001, section 7; lecture 002, "RMSprop (precursor to Adam)"; lecture 003,
    "Adaptive learning rate algorithms"; lecture 004, "RMSprop approximation"; centred: Graves, 2013.

    >>> import jax.numpy as jnp
    >>> optimizer = rmsprop(1.0, decay=0.75, eps=0.0)
    >>> updates, state = optimizer.update(jnp.array([5.0, -0.01]), optimizer.init(jnp.zeros(2)))
    >>> updates.tolist()
    [-2.0, 2.0]
    """
    check_number("rmsprop", "learning_rate", learning_rate, low=0.0, schedule=True)
    check_number("rmsprop", "decay", decay, low=0.0, high=1.0, high_open=True)
    check_number("rmsprop", "eps", eps, low=0.0)
    check_number("rmsprop", "eps_root", eps_root, low=0.0)
    if momentum is not None:
        check_number("rmsprop", "momentum", momentum, low=0.0, high=1.0, high_open=True)
    elif nesterov:
        raise StructureError("rmsprop", "nesterov=True looks ahead along the momentum. Pass momentum=0.9, say.")
    optional = (*["mu"] * centered, *["trace"] * (momentum is not None))

    def update(t: Any, g: Any, v: Any, *others: Any) -> Any:
        kept = dict(zip(optional, others, strict=True))
        v = decay * v + (1 - decay) * g**2
        square = v
        if centered:
            m = kept["mu"] = decay * kept["mu"] + (1 - decay) * g
            square = jnp.maximum(v - m**2, 0)  # a variance, which rounding can make negative
        r = safe_divide(g, safe_sqrt(square + eps_root) + eps)
        step = r
        if momentum is not None:
            u = kept["trace"] = momentum * kept["trace"] + r
            step = r + momentum * u if nesterov else u
        return -rate(learning_rate, t) * step, v, *kept.values()

    return lift("rmsprop", ("nu", *optional), update)


@elementwise("e_g", "e_x")
def adadelta(learning_rate: Scalar | Schedule = 1.0, rho: Scalar = 0.9, eps: Scalar = 1e-6) -> Any:
    """AdaDelta: RMSProp whose learning rate is the root mean square of its own past steps.

    v ← ρ v + (1 − ρ) g²
    Δ = g √(d + ε) / √(v + ε)
    d ← ρ d + (1 − ρ) Δ²
    θ ← θ − α Δ

    Args:
        learning_rate: α ≥ 0, or a schedule; 1 in the paper and in the lecture's idea of a method without one.
        rho: ρ in [0, 1), the weight of the past.
        eps: ε > 0, inside of both roots: it is all that the first step's size comes from, so outside it makes no
            sense.

    Returns:
        Optimizer with state ``(count, e_g, e_x)``: v and d.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``torch.optim.Adadelta(params, learning_rate, rho, eps)`` and ``optax.adadelta(learning_rate, rho, eps)``.
    The mean of v of lecture 004 begins with the gradient after the first step; here the first one counts.

    Source: lecture 004, "AdaDelta approximation"; Zeiler, 2012, Algorithm 1.

    >>> import jax.numpy as jnp
    >>> optimizer = adadelta(rho=0.75, eps=1e-6)
    >>> updates, state = optimizer.update(jnp.array([5.0, -5.0]), optimizer.init(jnp.zeros(2)))
    >>> print(updates.round(6))
    [-0.002  0.002]
    """
    check_number("adadelta", "learning_rate", learning_rate, low=0.0, schedule=True)
    check_number("adadelta", "rho", rho, low=0.0, high=1.0, high_open=True)
    check_number("adadelta", "eps", eps, low=0.0, low_open=True)

    def update(t: Any, g: Any, v: Any, d: Any) -> Any:
        v = rho * v + (1 - rho) * g**2
        delta = g * safe_sqrt(d + eps) / safe_sqrt(v + eps)
        d = rho * d + (1 - rho) * delta**2
        return -rate(learning_rate, t) * delta, v, d

    return update
