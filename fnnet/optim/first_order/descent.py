"""Methods of one gradient: descent and its momentum forms, and steps that keep the gradient's sign alone."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from fnnet.errors import StructureError, check_number, is_concrete
from fnnet.optim.base import Optimizer, elementwise, lift, rate
from fnnet.optim.masks import Mask, masked_decay
from fnnet.recipes import recipe
from fnnet.trees import safe_divide, safe_sqrt
from fnnet.types import Scalar, Schedule


@recipe
def sgd(
    learning_rate: Scalar | Schedule,
    momentum: Scalar | None = None,
    nesterov: bool = False,
    dampening: Scalar = 0.0,
) -> Optimizer:
    """(Stochastic) gradient descent, with momentum, dampening and Nesterov's look-ahead.

    plain:     θ ← θ − α g
    momentum:  v ← γ v + (1 − τ) g,  θ ← θ − α v   where the first v is g, without τ
    Nesterov:  v ← γ v + g,  θ ← θ − α (g + γ v)

    With a constant α this v is the lectures' v divided by α. Nesterov is written in the variable θ′ = θ − αγv at
    which the gradient is taken, as everywhere in the field; the lecture writes it in θ.

    Args:
        learning_rate: α ≥ 0, or a schedule.
        momentum: γ in [0, 1), or None for none and no accumulator.
        nesterov: whether to look ahead; needs momentum and no dampening.
        dampening: τ in [0, 1], what momentum leaves out of every gradient but the first; needs momentum.

    Returns:
        Optimizer with state ``(count)`` or ``(count, trace)``.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: ``nesterov`` or ``dampening`` without momentum, or both.

    Same as ``torch.optim.SGD(params, learning_rate, momentum, dampening, nesterov=nesterov)`` and, without dampening,
    ``optax.sgd(learning_rate, momentum, nesterov)``.

    Source: lecture 000, "GD with Momentum" and "Gradient Descent with Nesterov Momentum"; lecture 001, Algorithm 2;
    lecture 004, "Momentum" and "NAG"; lecture 002, "Momentum" (`ema_momentum`).

    >>> import jax.numpy as jnp
    >>> optimizer = sgd(0.5)
    >>> updates, state = optimizer.update(jnp.array([2.0]), optimizer.init(jnp.zeros(1)))
    >>> updates.tolist()
    [-1.0]
    """
    check_number("sgd", "learning_rate", learning_rate, low=0.0, schedule=True)
    check_number("sgd", "dampening", dampening, low=0.0, high=1.0)
    damped = not is_concrete(dampening) or bool(dampening != 0)
    if momentum is not None:
        check_number("sgd", "momentum", momentum, low=0.0, high=1.0, high_open=True)
    elif nesterov:
        raise StructureError("sgd", "nesterov=True looks ahead along the momentum. Pass momentum=0.9, say.")
    elif damped:
        raise StructureError("sgd", "dampening belongs to momentum. Pass momentum=0.9, say.")
    if nesterov and damped:
        raise StructureError("sgd", "nesterov=True is not defined with dampening. Leave one of them out.")

    def update(t: Any, g: Any, v: Any = None) -> Any:
        if momentum is None:
            return (-rate(learning_rate, t) * g,)
        v = momentum * v + (jnp.where(t == 1, 1, 1 - dampening) * g if damped else g)
        return -rate(learning_rate, t) * (g + momentum * v if nesterov else v), v

    return lift("sgd", () if momentum is None else ("trace",), update)


@elementwise("mu")
def ema_momentum(learning_rate: Scalar | Schedule, decay: Scalar = 0.9) -> Any:
    """Gradient descent along the running mean of the gradients: momentum as lecture 002 writes it.

    m ← β m + (1 − β) g
    θ ← θ − α m

    Args:
        learning_rate: α ≥ 0, or a schedule.
        decay: β in [0, 1), the weight of the past.

    Returns:
        Optimizer with state ``(count, mu)``.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``sgd(α (1 − β), momentum=β)``, so as ``torch.optim.SGD(params, α (1 − β), momentum=β)`` and
    ``optax.sgd(α (1 − β), momentum=β)``; and as ``optax.chain(optax.ema(β, debias=False), optax.scale(−α))``.

    Source: lecture 002, "Momentum".

    >>> import jax.numpy as jnp
    >>> optimizer = ema_momentum(1.0, decay=0.75)
    >>> updates, state = optimizer.update(jnp.array([2.0]), optimizer.init(jnp.zeros(1)))
    >>> updates.tolist()
    [-0.5]
    """
    check_number("ema_momentum", "learning_rate", learning_rate, low=0.0, schedule=True)
    check_number("ema_momentum", "decay", decay, low=0.0, high=1.0, high_open=True)

    def update(t: Any, g: Any, m: Any) -> Any:
        m = decay * m + (1 - decay) * g
        return -rate(learning_rate, t) * m, m

    return update


@elementwise()
def normalized_gradient(learning_rate: Scalar | Schedule, eps: Scalar = 0.0, eps_root: Scalar = 1e-8) -> Any:
    """Descent by the gradient divided by its own size, element by element: a step of ±α where it is not tiny.

    θ ← θ − α g / (√(g² + ε_root) + ε)

    The lecture's m = g and v = g²; `adam` is what becomes of it with memory in both.

    Args:
        learning_rate: α ≥ 0, or a schedule.
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root, where the lecture has it; the step is smaller than α below about
            |g| = √ε_root.

    Returns:
        Optimizer with state ``(count)``.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.sign_sgd(learning_rate)`` for eps = eps_root = 0, and ``torch.optim.Adam(params, learning_rate,
    betas=(0, 0), eps=eps)`` for eps_root = 0.

    Source: lecture 002, "Normalized gradients".

    >>> import jax.numpy as jnp
    >>> optimizer = normalized_gradient(1.0, eps_root=0.0)
    >>> updates, state = optimizer.update(jnp.array([3.0, -2.0, 5.0, 0.0]), optimizer.init(jnp.zeros(4)))
    >>> updates.tolist()
    [-1.0, 1.0, -1.0, -0.0]
    """
    check_number("normalized_gradient", "learning_rate", learning_rate, low=0.0, schedule=True)
    check_number("normalized_gradient", "eps", eps, low=0.0)
    check_number("normalized_gradient", "eps_root", eps_root, low=0.0)

    def update(t: Any, g: Any) -> Any:
        return (-rate(learning_rate, t) * safe_divide(g, safe_sqrt(g**2 + eps_root) + eps),)

    return update


@recipe
def lion(
    learning_rate: Scalar | Schedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.99,
    weight_decay: Scalar = 1e-3,
    mask: Mask = None,
) -> Optimizer:
    """Lion: the sign of a mean of the gradients, with decoupled weight decay.

    θ ← θ − α (sign(β₁ m + (1 − β₁) g) + λ θ)
    m ← β₂ m + (1 − β₂) g

    Args:
        learning_rate: α ≥ 0, or a schedule; about a tenth of Adam's.
        b1: β₁ in [0, 1), memory in the step.
        b2: β₂ in [0, 1), memory of the mean.
        weight_decay: λ ≥ 0.
        mask: which parameters decay: a tree of booleans or a function from the parameters to one, such as
            `matrices`; None for all.

    Returns:
        Optimizer with state ``(count, mu)``; its update needs ``params``.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: update without ``params``, or a mask of another structure.

    Same as ``optax.lion(learning_rate, b1, b2, weight_decay=weight_decay, mask=mask)``. torch has none.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, Algorithm 2.

    >>> import jax.numpy as jnp
    >>> optimizer = lion(0.5, weight_decay=0.0)
    >>> params = jnp.zeros(3)
    >>> updates, state = optimizer.update(jnp.array([7.0, -0.1, 0.0]), optimizer.init(params), params)
    >>> updates.tolist()
    [-0.5, 0.5, -0.0]
    """
    check_number("lion", "learning_rate", learning_rate, low=0.0, schedule=True)
    check_number("lion", "b1", b1, low=0.0, high=1.0, high_open=True)
    check_number("lion", "b2", b2, low=0.0, high=1.0, high_open=True)
    check_number("lion", "weight_decay", weight_decay, low=0.0)

    def update(t: Any, g: Any, m: Any, *, params: Any) -> Any:
        step = -rate(learning_rate, t) * (jnp.sign(b1 * m + (1 - b1) * g) + weight_decay * params)
        m = b2 * m + (1 - b2) * g
        return step, m

    return masked_decay("lion", lift("lion", ("mu",), update), mask)
