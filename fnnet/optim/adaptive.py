"""Optimizers with a step size of its own for every parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import StructureError, check_number
from fnnet.optim.base import Optimizer, elementwise, rate
from fnnet.recipes import recipe
from fnnet.trees import safe_sqrt
from fnnet.types import PyTree, Scalar, Schedule


def _check(where: str, learning_rate: Any, b1: Any, b2: Any, eps: Any, eps_root: Any = 0.0) -> None:
    check_number(where, "learning_rate", learning_rate, low=0.0)
    check_number(where, "b1", b1, low=0.0, high=1.0, high_open=True)
    check_number(where, "b2", b2, low=0.0, high=1.0, high_open=True)
    check_number(where, "eps", eps, low=0.0)
    check_number(where, "eps_root", eps_root, low=0.0)


@elementwise("mu", "nu")
def adam(
    learning_rate: Scalar | Schedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
) -> Any:
    """Adam, adaptive moment estimation.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    θ ← θ − α · m̂ / (√(v̂ + ε_root) + ε)   with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)

    Args:
        learning_rate: α > 0, or a schedule.
        b1: β₁ in [0, 1), memory of the mean.
        b2: β₂ in [0, 1), memory of the square.
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root.

    Returns:
        Optimizer with state ``(count, mu, nu)``.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``torch.optim.Adam(lr, (b1, b2), eps)`` for eps_root = 0, and ``optax.adam``.

    Source: lecture 000, "Adam"; lectures 001 to 004; Kingma and Ba, 2015.

    >>> import jax.numpy as jnp
    >>> optimizer = adam(0.125, eps=0.0)
    >>> updates, state = optimizer.update(jnp.array([5.0, -0.01]), optimizer.init(jnp.zeros(2)))
    >>> print(updates.round(4))
    [-0.125  0.125]
    """
    _check("adam", learning_rate, b1, b2, eps, eps_root)

    def update(t: Any, g: Any, m: Any, v: Any) -> Any:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        step = -rate(learning_rate, t) * (m / (1 - b1**t)) / (safe_sqrt(v / (1 - b2**t) + eps_root) + eps)
        return step, m, v

    return update


@recipe
def adamw(
    learning_rate: Scalar | Schedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: Scalar = 1e-2,
    mask: Callable[[PyTree], PyTree] | None = None,
) -> Optimizer:
    """AdamW: Adam with weight decay that does not pass through the moments.

    m, v as in Adam, and θ ← θ − α · (m̂ / (√(v̂ + ε_root) + ε) + λ θ)

    Args:
        learning_rate: α > 0, or a schedule.
        b1: β₁ in [0, 1).
        b2: β₂ in [0, 1).
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root.
        weight_decay: λ ≥ 0.
        mask: from the parameters to a tree of booleans, true where a leaf decays; None for every leaf.

    Returns:
        Optimizer with state ``(count, mu, nu)``; its update needs ``params``.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: update without ``params``.

    Same as ``torch.optim.AdamW(lr, (b1, b2), eps, weight_decay)`` for eps_root = 0, and ``optax.adamw``
    (whose weight_decay is 1e-4 unless told).

    Source: lecture 000, "Newer Adam approaches"; Loshchilov and Hutter, 2019.

    >>> import jax.numpy as jnp
    >>> optimizer = adamw(0.125, weight_decay=0.5)
    >>> params = jnp.array([1.0])
    >>> updates, state = optimizer.update(jnp.zeros(1), optimizer.init(params), params)
    >>> updates.tolist()
    [-0.0625]
    """
    optimizer = _adamw(learning_rate, b1, b2, eps, eps_root, weight_decay)
    if mask is None:
        return optimizer
    decays = mask

    def update(grads: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        if params is None:
            raise StructureError("adamw", "needs the parameters. Call update(grads, state, params).")
        shown = jax.tree.map(lambda p, decay: jnp.where(decay, p, jnp.zeros_like(p)), params, decays(params))
        return optimizer.update(grads, state, shown, **extra)

    return Optimizer(optimizer.init, update)


@elementwise("mu", "nu")
def _adamw(
    learning_rate: Scalar | Schedule,
    b1: Scalar,
    b2: Scalar,
    eps: Scalar,
    eps_root: Scalar,
    weight_decay: Scalar,
) -> Any:
    _check("adamw", learning_rate, b1, b2, eps, eps_root)
    check_number("adamw", "weight_decay", weight_decay, low=0.0)

    def update(t: Any, g: Any, m: Any, v: Any, *, params: Any) -> Any:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        adam_step = (m / (1 - b1**t)) / (safe_sqrt(v / (1 - b2**t) + eps_root) + eps)
        step = -rate(learning_rate, t) * (adam_step + weight_decay * params)
        return step, m, v

    return update
