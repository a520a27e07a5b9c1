"""What came after Adam: decoupled decay, a rectified start, and the change of the gradient as a third moment."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from fnnet.errors import check_number
from fnnet.optim.base import Optimizer, elementwise, lift, rate
from fnnet.optim.first_order.moments import check_moments
from fnnet.optim.masks import Mask, masked_decay
from fnnet.recipes import recipe
from fnnet.trees import safe_divide, safe_sqrt
from fnnet.types import Scalar, Schedule


@recipe
def adamw(
    learning_rate: Scalar | Schedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: Scalar = 1e-2,
    mask: Mask = None,
) -> Optimizer:
    """AdamW: Adam with weight decay that does not pass through the moments.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    θ ← θ − α (m̂ / (√(v̂ + ε_root) + ε) + λ θ)   with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)

    Args:
        learning_rate: α ≥ 0, or a schedule.
        b1: β₁ in [0, 1).
        b2: β₂ in [0, 1).
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root.
        weight_decay: λ ≥ 0.
        mask: which parameters decay: a tree of booleans or a function from the parameters to one, such as
            `matrices`; None for all.

    Returns:
        Optimizer with state ``(count, mu, nu)``; its update needs ``params``.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: update without ``params``, or a mask of another structure.

    Same as ``torch.optim.AdamW(params, learning_rate, (b1, b2), eps, weight_decay)`` for eps_root = 0, and
    ``optax.adamw(learning_rate, b1, b2, eps, eps_root, weight_decay=weight_decay, mask=mask)``, whose weight_decay is
    1e-4 unless told.

    Source: lecture 000, "Newer Adam approaches"; Loshchilov and Hutter, 2019.

    >>> import jax.numpy as jnp
    >>> optimizer = adamw(0.125, weight_decay=0.5)
    >>> params = jnp.array([1.0])
    >>> updates, state = optimizer.update(jnp.zeros(1), optimizer.init(params), params)
    >>> updates.tolist()
    [-0.0625]
    """
    check_moments("adamw", learning_rate, b1, b2, eps, eps_root)
    check_number("adamw", "weight_decay", weight_decay, low=0.0)

    def update(t: Any, g: Any, m: Any, v: Any, *, params: Any) -> Any:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        adam_step = safe_divide(m_hat, safe_sqrt(v_hat + eps_root) + eps)
        step = -rate(learning_rate, t) * (adam_step + weight_decay * params)
        return step, m, v

    return masked_decay("adamw", lift("adamw", ("mu", "nu"), update), mask)


@elementwise("mu", "nu")
def radam(
    learning_rate: Scalar | Schedule,
    b1: Scalar = 0.9,
    b2: Scalar = 0.999,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    threshold: Scalar = 5.0,
) -> Any:
    """RAdam: Adam that adapts only once its second moment has seen enough gradients to be trusted.

    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) g²
    ρ∞ = 2 / (1 − β₂) − 1,  ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)
    if ρ > threshold:  r = √((ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ)),  θ ← θ − α r m̂ / (√(v̂ + ε_root) + ε)
    otherwise:         θ ← θ − α m̂   with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)

    Args:
        learning_rate: α ≥ 0, or a schedule.
        b1: β₁ in [0, 1), memory of the mean.
        b2: β₂ in [0, 1), memory of the square; where ρ∞ is not above the threshold (b2 ≤ 2/3) nothing is ever
            adapted.
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root.
        threshold: of ρ, at least 4, where the variance begins to exist; 4 in the paper, 5 in its authors' code.

    Returns:
        Optimizer with state ``(count, mu, nu)``.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.radam(learning_rate, b1, b2, eps, eps_root, threshold)``, and ``torch.optim.RAdam(params,
    learning_rate, (b1, b2), eps)`` for threshold = 5 and eps = 0; torch adds ε before it corrects v, so that its ε is
    the smaller by √(1 − β₂ᵗ).

    Source: lecture 000, "Newer Adam approaches"; Liu et al., "On the Variance of the Adaptive Learning Rate and
    Beyond", 2020, Algorithm 2.

    >>> import jax.numpy as jnp
    >>> optimizer = radam(1.0)
    >>> updates, state = optimizer.update(jnp.array([5.0]), optimizer.init(jnp.zeros(1)))
    >>> print(updates.round(4))  # not adapted yet
    [-5.]
    """
    check_moments("radam", learning_rate, b1, b2, eps, eps_root)
    check_number("radam", "threshold", threshold, low=4.0)

    def update(t: Any, g: Any, m: Any, v: Any) -> Any:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        rho, rho_inf = _lengths(t, b2)
        trusted = rho > threshold
        # Where the root is not used, any lengths will do that have a root with a derivative.
        rho, rho_inf = jnp.where(trusted, rho, 5), jnp.where(trusted, rho_inf, 5)
        r = jnp.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
        adapted = r * safe_divide(m_hat, safe_sqrt(v_hat + eps_root) + eps)
        return -rate(learning_rate, t) * jnp.where(trusted, adapted, m_hat), m, v

    return update


def _lengths(t: Any, b2: Any) -> Any:
    """ρ and ρ∞, over how many gradients v is a mean in effect, now and in the end.

    They are the difference of two numbers of about 2/(1 − β₂), of which 1 − β₂ᵗ would leave few digits in float32.
    """
    b2 = jnp.maximum(jnp.asarray(b2, t.dtype), jnp.finfo(t.dtype).tiny)  # 0 has no logarithm
    exponent = t * jnp.log(b2)
    rho_inf = 2 / (1 - b2) - 1
    return rho_inf - 2 * t * jnp.exp(exponent) / -jnp.expm1(exponent), rho_inf


@elementwise("mu", "mu_diff", "nu", "previous")
def adan(
    learning_rate: Scalar | Schedule,
    b1: Scalar = 0.98,
    b2: Scalar = 0.92,
    b3: Scalar = 0.99,
    eps: Scalar = 1e-8,
    eps_root: Scalar = 0.0,
    weight_decay: Scalar = 0.0,
) -> Any:
    """Adan: Adam with Nesterov's look-ahead estimated from the change of the gradient, and proximal weight decay.

    d = g − g′   with g′ the gradient before, and d = 0 at first
    m ← β₁ m + (1 − β₁) g
    v ← β₂ v + (1 − β₂) d
    n ← β₃ n + (1 − β₃) (g + β₂ d)²
    θ ← (θ − α (m̂ + β₂ v̂) / (√(n̂ + ε_root) + ε)) / (1 + α λ)   with m̂ = m / (1 − β₁ᵗ) and so on

    Args:
        learning_rate: α ≥ 0, or a schedule.
        b1: β₁ in [0, 1), memory of the mean; as in all three, 1 − β of the paper.
        b2: β₂ in [0, 1), memory of the change.
        b3: β₃ in [0, 1), memory of the square.
        eps: ε ≥ 0, outside of the root.
        eps_root: ε_root ≥ 0, inside of the root.
        weight_decay: λ ≥ 0; for some parameters only, `partition`.

    Returns:
        Optimizer with state ``(count, mu, mu_diff, nu, previous)``: m, v, n and g′; its update needs ``params``.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: update without ``params``.

    Same as the authors' ``Adan(params, lr, betas, eps, weight_decay)``. ``optax.adan`` takes β₂ for memory in v but
    1 − β₂ in place of β₂ in front of d and v̂, and decays as AdamW does: it is the same for b2 = 0.5 without decay, and
    its eps_root is 1e-8 unless told. torch has none.

    Source: lecture 000, "Newer Adam approaches"; Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster
    Optimizing Deep Models", 2022, Algorithm 1, and their code.

    >>> import jax.numpy as jnp
    >>> optimizer = adan(0.5, weight_decay=2.0)
    >>> params = jnp.array([3.0])
    >>> updates, state = optimizer.update(jnp.array([5.0]), optimizer.init(params), params)
    >>> print((params + updates).round(4))  # (3 − 0.5) / 2
    [1.25]
    """
    check_moments("adan", learning_rate, b1, b2, eps, eps_root)
    check_number("adan", "b3", b3, low=0.0, high=1.0, high_open=True)
    check_number("adan", "weight_decay", weight_decay, low=0.0)

    def update(t: Any, g: Any, m: Any, v: Any, n: Any, previous: Any, *, params: Any) -> Any:
        d = jnp.where(t == 1, 0, g - previous)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * d
        n = b3 * n + (1 - b3) * (g + b2 * d) ** 2
        m_hat, v_hat, n_hat = m / (1 - b1**t), v / (1 - b2**t), n / (1 - b3**t)
        ahead = safe_divide(m_hat + b2 * v_hat, safe_sqrt(n_hat + eps_root) + eps)
        alpha = rate(learning_rate, t)
        # (θ − α a) / (1 + α λ) − θ, without taking nearly equal numbers from each other
        step = -alpha * (ahead + weight_decay * params) / (1 + alpha * weight_decay)
        return step, m, v, n, g

    return update
