"""Adam and its kin: steps from the running means of the gradient and of its square."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from fnnet.errors import check_number
from fnnet.optim.base import elementwise, rate
from fnnet.trees import safe_divide, safe_sqrt
from fnnet.types import Scalar, Schedule


def check_moments(where: str, learning_rate: Any, b1: Any, b2: Any, eps: Any, eps_root: Any = 0.0) -> None:
    """Raises unless the numbers that these methods have in common are in range."""
    check_number(where, "learning_rate", learning_rate, low=0.0, schedule=True)
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
    θ ← θ − α m̂ / (√(v̂ + ε_root) + ε)   with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)

    Args:
        learning_rate: α ≥ 0, or a schedule.
        b1: β₁ in [0, 1), memory of the mean.
        b2: β₂ in [0, 1), memory of the square.
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root, where the lectures have it.

    Returns:
        Optimizer with state ``(count, mu, nu)``.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``torch.optim.Adam(params, learning_rate, (b1, b2), eps)`` for eps_root = 0, and ``optax.adam(learning_rate,
    b1, b2, eps, eps_root)``. Lecture 004 gives its β to the new gradient: b1 = 1 − β₁, b2 = 1 − β₂; and its
    moments begin with the gradient after the first step, which is 0/0; here the first one counts.

    Source: lecture 000, "Adam"; lecture 001, section 7; lecture 002, "Adaptive moment estimation"; lecture 003,
    "Adaptive learning rate algorithms"; lecture 004, "Adam"; Kingma and Ba, 2015.

    >>> import jax.numpy as jnp
    >>> optimizer = adam(0.125, eps=0.0)
    >>> updates, state = optimizer.update(jnp.array([5.0, -0.01]), optimizer.init(jnp.zeros(2)))
    >>> print(updates.round(4))
    [-0.125  0.125]
    """
    check_moments("adam", learning_rate, b1, b2, eps, eps_root)

    def update(t: Any, g: Any, m: Any, v: Any) -> Any:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m * (1 / (1 - b1**t)), v * (1 / (1 - b2**t))  # one quotient, and not one for each number
        step = -rate(learning_rate, t) * safe_divide(m_hat, safe_sqrt(v_hat + eps_root) + eps)
        return step, m, v

    return update


@elementwise("mu", "nu")
def nadam(
    learning_rate: Scalar | Schedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
) -> Any:
    """NAdam: Adam that looks ahead as Nesterov does.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    θ ← θ − α (β₁ m / (1 − β₁ᵗ⁺¹) + (1 − β₁) g / (1 − β₁ᵗ)) / (√(v̂ + ε_root) + ε)   with v̂ = v / (1 − β₂ᵗ)

    Args:
        learning_rate: α ≥ 0, or a schedule.
        b1: β₁ in [0, 1), memory of the mean.
        b2: β₂ in [0, 1), memory of the square.
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root.

    Returns:
        Optimizer with state ``(count, mu, nu)``.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.nadam(learning_rate, b1, b2, eps, eps_root)``. ``torch.optim.NAdam`` lets β₁ rise with t from half
    its value, as the paper suggests; with ``momentum_decay=1e9`` it does not, and is the same for eps_root = 0.

    Source: Dozat, "Incorporating Nesterov Momentum into Adam", 2016.

    >>> import jax.numpy as jnp
    >>> optimizer = nadam(1.0, b1=0.5, eps=0.0)
    >>> updates, state = optimizer.update(jnp.array([5.0]), optimizer.init(jnp.zeros(1)))
    >>> print(updates.round(4))  # 1/2 · 1/2 / (3/4) + 1/2 / (1/2)
    [-1.3333]
    """
    check_moments("nadam", learning_rate, b1, b2, eps, eps_root)

    def update(t: Any, g: Any, m: Any, v: Any) -> Any:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        v_hat = v / (1 - b2**t)
        step = -rate(learning_rate, t) * safe_divide(ahead, safe_sqrt(v_hat + eps_root) + eps)
        return step, m, v

    return update


@elementwise("mu", "nu", "nu_max")
def amsgrad(
    learning_rate: Scalar | Schedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
) -> Any:
    """AMSGrad: Adam that divides by the largest second moment so far, so that no step size ever grows.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    w ← max(w, v̂)
    θ ← θ − α m̂ / (√(w + ε_root) + ε)   with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)

    Args:
        learning_rate: α ≥ 0, or a schedule.
        b1: β₁ in [0, 1), memory of the mean.
        b2: β₂ in [0, 1), memory of the square.
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root.

    Returns:
        Optimizer with state ``(count, mu, nu, nu_max)``.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.amsgrad(learning_rate, b1, b2, eps, eps_root)``. ``torch.optim.Adam(..., amsgrad=True)`` takes the
    maximum of v and divides by 1 − β₂ᵗ after that, so that its step sizes can grow; it is the same for b2 = 0.

    Source: Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", 2018, Algorithm 2, with Adam's corrections.

    >>> import jax.numpy as jnp
    >>> optimizer = amsgrad(1.0, b1=0.0, b2=0.0, eps=0.0)
    >>> state = optimizer.init(jnp.zeros(1))
    >>> for gradient in (4.0, 1.0):
    ...     updates, state = optimizer.update(jnp.array([gradient]), state)
    >>> print(updates)
    [-0.25]
    """
    check_moments("amsgrad", learning_rate, b1, b2, eps, eps_root)

    def update(t: Any, g: Any, m: Any, v: Any, w: Any) -> Any:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        w = jnp.maximum(w, v_hat)
        step = -rate(learning_rate, t) * safe_divide(m_hat, safe_sqrt(w + eps_root) + eps)
        return step, m, v, w

    return update


@elementwise("mu", "nu")
def adamax(learning_rate: Scalar | Schedule, b1: Scalar = 0.9, b2: Scalar = 0.999, eps: Scalar = 1e-8) -> Any:
    """AdaMax: Adam with the decaying maximum of the gradient's size in place of the root of its square.

    m ← β₁ m + (1 − β₁) g
    u ← max(β₂ u, |g| + ε)
    θ ← θ − α m̂ / u   with m̂ = m / (1 − β₁ᵗ)

    Args:
        learning_rate: α ≥ 0, or a schedule.
        b1: β₁ in [0, 1), memory of the mean.
        b2: β₂ in [0, 1), memory of the maximum.
        eps: ε ≥ 0; there is no root to be inside of.

    Returns:
        Optimizer with state ``(count, mu, nu)``: m and u.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``torch.optim.Adamax(params, learning_rate, (b1, b2), eps)`` and ``optax.adamax(learning_rate, b1, b2,
    eps)``. The paper has no ε.

    Source: Kingma and Ba, "Adam", 2015, section 7.1.

    >>> import jax.numpy as jnp
    >>> optimizer = adamax(1.0, b1=0.0, b2=0.5, eps=0.0)
    >>> state = optimizer.init(jnp.zeros(1))
    >>> for gradient in (4.0, 1.0):
    ...     updates, state = optimizer.update(jnp.array([gradient]), state)
    >>> print(updates)
    [-0.5]
    """
    check_moments("adamax", learning_rate, b1, b2, eps)

    def update(t: Any, g: Any, m: Any, u: Any) -> Any:
        m = b1 * m + (1 - b1) * g
        u = jnp.maximum(b2 * u, jnp.abs(g) + eps)
        m_hat = m / (1 - b1**t)
        return -rate(learning_rate, t) * safe_divide(m_hat, u), m, u

    return update
