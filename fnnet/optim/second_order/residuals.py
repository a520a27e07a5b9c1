"""Least squares of residuals that are not linear in the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnnet.errors import StructureError, check_number
from fnnet.optim.base import Optimizer
from fnnet.optim.second_order.curvature import safe_norm
from fnnet.optim.status import NO_DESCENT, RUNNING, code
from fnnet.optim.vectors import as_vector, point_of
from fnnet.recipes import recipe
from fnnet.types import Array, PyTree, Scalar


@recipe
def half_sum_of_squares(residuals: Callable[[PyTree], PyTree]) -> Callable[[PyTree], Array]:
    """The objective of least squares, from the function that gives the residuals.

    f(θ) = ½ Σ r(θ)²

    Args:
        residuals: from a pytree of floats to a pytree of floats.

    Returns:
        A function from a pytree to a scalar, for `minimize`.

    Raises:
        StructureError: ``residuals`` is not a function.

    Source: lecture 001, 4.3.1 "Least Squares".

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> float(optim.half_sum_of_squares(lambda x: x - 1)(jnp.array([2.0, 4.0])))
    5.0
    """
    check_residuals("half_sum_of_squares", residuals)

    def fun(params: PyTree) -> Array:
        r = as_vector(residuals(params))
        return r @ r / 2

    return fun


class LevenbergMarquardtState(NamedTuple):
    """Updates tried, the damping μ and the factor by which it grows next, the scales D², and what went wrong."""

    count: Array  # type: ignore[assignment]  # a tuple has a method of this name
    damping: Array
    growth: Array
    scales: Array
    status: Array


@recipe
def levenberg_marquardt(residuals: Callable[[PyTree], PyTree], damping: Scalar = 1e-3) -> Optimizer:
    """Levenberg–Marquardt for least squares: between Gauss–Newton (μ → 0) and short steps downhill (μ → ∞).

    (JᵀJ + μD²) s = −Jᵀr,  θ ← θ + s if f(θ + s) < f(θ)   with f = ½‖r‖², D²ⱼ = max over updates of ‖J's column j‖²

    Solved as the linear least squares problem of [J; √μD] and [−r; 0], by QR, so that J's condition number is not
    squared. μ shrinks where the linear model predicts well; a step that does not descend is not taken, and μ grows.

    Args:
        residuals: r, from a pytree of floats to a pytree of floats. Minimise ``half_sum_of_squares(residuals)``.
        damping: μ > 0 of the first update; D makes it a pure number.

    Returns:
        Optimizer with state ``(count, damping, growth, scales, status)``; its update needs ``params``.

    Raises:
        HyperparameterError: ``damping`` is not positive.
        StructureError: ``residuals`` is not a function, or update without ``params``.

    Source: lecture 001, "Approximate Second-Order Methods"; Marquardt, 1963; Nielsen, 1999, for μ; Moré, 1978, for D.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> t = jnp.array([0.0, 1.0, 2.0])
    >>> residuals = lambda p: p["scale"] * jnp.exp(-p["rate"] * t) - 3 * jnp.exp(-0.5 * t)
    >>> x0 = {"rate": jnp.array(1.0), "scale": jnp.array(1.0)}
    >>> method = optim.levenberg_marquardt(residuals)
    >>> result = optim.minimize(optim.half_sum_of_squares(residuals), x0, method, steps=20, tol=1e-4)
    >>> print(f"{result.solution['rate']:.3f} {result.solution['scale']:.3f}")
    0.500 3.000
    """
    where = "levenberg_marquardt"
    check_residuals(where, residuals)
    check_number(where, "damping", damping, low=0.0, low_open=True)

    def init(params: PyTree) -> LevenbergMarquardtState:
        theta, *_ = point_of(where, params, params, needs_value=False)
        mu = jnp.full((), damping, theta.dtype)
        return LevenbergMarquardtState(code(0), mu, jnp.full_like(mu, 2), jnp.zeros_like(theta), code(RUNNING))

    def update(
        grads: PyTree, state: LevenbergMarquardtState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, LevenbergMarquardtState]:
        theta, _, back, _ = point_of(where, params if grads is None else grads, params, needs_value=False)

        def r(vector: Array) -> Array:
            return as_vector(residuals(back(vector))).astype(theta.dtype)

        here, J, mu = r(theta), jax.jacfwd(r)(theta), state.damping
        scales = jnp.maximum(state.scales, jnp.sum(J**2, axis=0))
        D = jnp.sqrt(jnp.where(scales > 0, scales, 1))
        Q, R = jnp.linalg.qr(jnp.concatenate([J, jnp.diag(jnp.sqrt(mu) * D)]))
        s = -jax.scipy.linalg.solve_triangular(R, Q[: here.size].T @ here)

        there = r(theta + s)
        predicted = (jnp.sum((J @ s) ** 2) + 2 * mu * jnp.sum((D * s) ** 2)) / 2
        # ‖r‖² − ‖r₊‖² as a product keeps the digits that the difference of two near squares would lose.
        actual = (here - there) @ (here + there) / 2
        gain = actual / jnp.where(predicted > 0, predicted, 1)
        accepted = (actual > 0) & (predicted > 0) & jnp.isfinite(gain)
        shrink = jnp.maximum(1 / 3, 1 - (2 * jnp.where(accepted, gain, 0) - 1) ** 3)
        after = LevenbergMarquardtState(
            count=state.count + 1,
            damping=jnp.where(accepted, mu * shrink, mu * state.growth),
            growth=jnp.where(accepted, 2, 2 * state.growth),
            scales=scales,
            status=code(jnp.where(~accepted & _negligible(D * s, D * theta), NO_DESCENT, RUNNING)),
        )
        # A step that is NaN because the point is NaN passes: that is for the caller to see.
        return back(jnp.where(accepted, s, jnp.where(jnp.isfinite(here @ here), 0, jnp.nan))), after

    return Optimizer(init, update)


def _negligible(step: Array, theta: Array) -> Array:
    return safe_norm(step) <= jnp.finfo(step.dtype).eps * (safe_norm(theta) + jnp.finfo(step.dtype).tiny)


def check_residuals(where: str, residuals: Any) -> None:
    """Raises unless the residuals are a function."""
    if not callable(residuals):
        raise StructureError(where, f"residuals is {residuals!r}, which is not a function of the parameters.")
