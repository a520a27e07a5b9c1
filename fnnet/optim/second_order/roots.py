"""Roots of functions by Newton–Raphson."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import ShapeError, StructureError, check_number
from fnnet.optim.base import check_parameters
from fnnet.optim.driver import check_steps, starting_point
from fnnet.optim.second_order.curvature import safe_norm
from fnnet.optim.status import CONVERGED, EXHAUSTED, NOT_FINITE, RUNNING, SINGULAR, code, sentence_of, stands
from fnnet.optim.vectors import as_vector, like
from fnnet.trees import tree_where
from fnnet.types import Array, PyTree, Scalar


class Root(NamedTuple):
    """Where the search ended: ``residual`` is ‖f(solution)‖, ``steps`` counts solves, ``status`` is a code."""

    solution: PyTree
    residual: Array
    steps: Array
    status: Array

    @property
    def sentence(self) -> str | list[Any]:
        """The status in words; for mapped results a list with an entry a lane."""
        return sentence_of(self.status)


class _Carry(NamedTuple):
    theta: Array
    residual: Array
    best: Array
    best_residual: Array
    step: Array
    status: Array


def newton_root(
    fun: Callable[[PyTree], PyTree],
    x0: PyTree,
    *,
    damping: Scalar = 1.0,
    steps: int = 50,
    tol: Scalar = 1e-6,
) -> Root:
    """Newton–Raphson for a root of a function with as many results as unknowns.

    θ ← θ − η s   with J(θ) s = f(θ)

    The lecture prints f(θ₀) / f′(θ₀), the root that is sought; f and f′ are taken at the current θ here.

    Args:
        fun: f, from a pytree of floats to a pytree with as many numbers; pure. For a minimum pass the gradient, or
            use `newton`, which tells minima from other critical points.
        x0: where to start.
        damping: η > 0; 1 is the full step.
        steps: the most steps, a positive integer.
        tol: of ‖f(θ)‖, at least 0.

    Returns:
        `Root`; its sentence says if J was singular. May be mapped over starting points.

    Raises:
        ShapeError: f does not have as many results as unknowns.
        StructureError: ``x0`` is empty or holds integers; ``fun`` is not a function.
        HyperparameterError: a number out of range.

    Source: lecture 000, "Finding the root of a function".

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> root = optim.newton_root(lambda x: x**2 - 2, jnp.array(1.0))
    >>> print(root.solution.round(4), root.sentence)
    1.4142 converged: the tolerance was reached
    >>> print(optim.newton_root(lambda x: x**2 + 1, jnp.array(0.0)).sentence)
    the linear system of the step is singular; the solution is the point where it was
    """
    where = "newton_root"
    if not callable(fun):
        raise StructureError(where, f"fun is {fun!r}, which is not a function.")
    check_number(where, "damping", damping, low=0.0, low_open=True)
    check_number(where, "tol", tol, low=0.0)
    check_steps(where, "steps", steps)
    x0 = starting_point(where, x0)
    check_parameters(where, x0)
    back = like(x0)
    results = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(fun, x0)))
    unknowns = sum(leaf.size for leaf in jax.tree.leaves(x0))
    if results != unknowns:
        raise ShapeError(
            where,
            f"fun returns {results} numbers for {unknowns} unknowns, but Newton's method needs as many. To make "
            f"residuals small that are more than the unknowns, use optim.levenberg_marquardt.",
        )

    def run(theta: Array, eta: Array, tol: Array) -> Root:
        def f(vector: Array) -> Array:
            return as_vector(fun(back(vector))).astype(vector.dtype)

        def judge(theta: Array, residual: Array, step: Array) -> Array:
            finite = jnp.isfinite(residual) & jnp.all(jnp.isfinite(theta))
            going = jnp.where(step >= steps, EXHAUSTED, RUNNING)
            return code(jnp.where(finite, jnp.where(residual <= tol, CONVERGED, going), NOT_FINITE))

        def body(c: _Carry) -> _Carry:
            s, singular = solve(jax.jacfwd(f)(c.theta), f(c.theta))
            theta = c.theta - eta * s
            residual = safe_norm(f(theta))
            status = jnp.where(singular, SINGULAR, judge(theta, residual, c.step + 1))
            taken = ~singular & (status != NOT_FINITE)
            theta, residual = tree_where(taken, (theta, residual), (c.theta, c.residual))
            better = residual < c.best_residual
            best, best_residual = tree_where(better, (theta, residual), (c.best, c.best_residual))
            return _Carry(theta, residual, best, best_residual, c.step + taken.astype(jnp.int32), status)

        residual = safe_norm(f(theta))
        start = _Carry(theta, residual, theta, residual, code(0), judge(theta, residual, code(0)))
        end = lax.while_loop(lambda c: c.status == RUNNING, body, start)
        last = (end.theta, end.residual)
        theta, residual = tree_where(stands(end.status), last, (end.best, end.best_residual))
        return Root(back(theta), residual, end.step, end.status)

    theta = as_vector(x0)
    return jax.jit(run)(theta, jnp.asarray(damping, theta.dtype), jnp.asarray(tol, theta.dtype))


def solve(matrix: Array, right: Array) -> tuple[Array, Array]:
    """The solution of Jx = b by LU with partial pivoting, and whether J is singular to working precision.

    Equations and unknowns are scaled first, so that small units are not taken for small pivots.
    """
    rows = _scale(matrix, axis=1)
    columns = _scale(matrix / rows[:, None], axis=0)
    scaled = matrix / rows[:, None] / columns[None, :]
    factors = jax.scipy.linalg.lu_factor(scaled)
    tiny = matrix.shape[0] * jnp.finfo(matrix.dtype).eps
    singular = jnp.any(jnp.abs(jnp.diagonal(factors[0])) <= tiny)
    x = jax.scipy.linalg.lu_solve(factors, right / rows) / columns
    return x, singular


def _scale(matrix: Array, axis: int) -> Array:
    largest = jnp.max(jnp.abs(matrix), axis=axis)
    return jnp.where(largest > 0, largest, 1)
