"""Minimisation under constraints by the augmented Lagrangian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import StructureError, check_number, within
from fnnet.optim.base import check_parameters
from fnnet.optim.driver import check_scalar, check_steps, minimize, starting_point
from fnnet.optim.second_order.curvature import lbfgs, safe_norm
from fnnet.optim.status import CONVERGED, EXHAUSTED, INFEASIBLE, NOT_FINITE, RUNNING, code, sentence_of
from fnnet.optim.vectors import as_vector, like, wide_dtype
from fnnet.trees import tree_where
from fnnet.types import Array, PyTree, Scalar

Constraints = Callable[[PyTree], PyTree]
"""From a pytree of floats to any pytree of floats, such as an array of all constraints of one kind."""

LIMIT = 1e-3
"""A violation above this when the steps are used up is called one, and not a lack of precision."""


class Constrained(NamedTuple):
    """What a constrained minimisation found; under `jax.vmap` each field has a lane axis.

    ``equality_multipliers`` and ``inequality_multipliers`` (λ, and μ ≥ 0) are like what the constraints return, ()
    where there are none. ``violation`` is the largest |cᵢ| or −cₖ, ``kkt_residual`` the largest failure of the
    conditions that a solution meets, ``steps`` the updates of the multipliers, ``status`` a code.
    """

    solution: PyTree
    value: Array
    equality_multipliers: PyTree
    inequality_multipliers: PyTree
    violation: Array
    kkt_residual: Array
    steps: Array
    status: Array

    @property
    def sentence(self) -> str | list[Any]:
        """The status in words; for mapped results a list with an entry a lane."""
        return sentence_of(self.status)


class _Estimate(NamedTuple):
    """A point with multipliers, and how well they meet the conditions."""

    theta: Array
    equal: Array
    unequal: Array
    violation: Array
    residual: Array


class _Carry(NamedTuple):
    theta: Array
    equal: Array
    unequal: Array
    penalty: Array
    target: Array
    best: _Estimate
    step: Array
    status: Array


def augmented_lagrangian(
    fun: Callable[[PyTree], Any],
    x0: PyTree,
    *,
    equalities: Constraints | None = None,
    inequalities: Constraints | None = None,
    optimizer: Any = None,
    steps: int = 30,
    inner_steps: int = 200,
    tol: Scalar = 1e-4,
    penalty: Scalar = 10.0,
    growth: Scalar = 10.0,
) -> Constrained:
    """Minimises a function under constraints cᵢ(θ) = 0 and cₖ(θ) ≥ 0.

    θ ← argmin f(θ) − Σ λᵢcᵢ(θ) + ρ/2 Σ cᵢ(θ)² + 1/(2ρ) Σ max(0, μₖ − ρcₖ(θ))²
    λᵢ ← λᵢ − ρcᵢ(θ),  μₖ ← max(0, μₖ − ρcₖ(θ))   where |cᵢ| and |min(cₖ, μₖ/ρ)| have shrunk to a quarter
    ρ ← τρ   where they have not

    It ends where the conditions of Karush, Kuhn and Tucker hold: ∇f − Σ λᵢ∇cᵢ − Σ μₖ∇cₖ = 0, the constraints, and
    μₖcₖ = 0. The point found is a local solution; x0 may violate the constraints.

    Args:
        fun: f, from a pytree of floats to a scalar; pure.
        x0: where to start.
        equalities: c for c(θ) = 0, to any pytree of floats, or None.
        inequalities: c for c(θ) ≥ 0, to any pytree of floats, or None.
        optimizer: of the inner minimisations, any pair for `minimize`; None for ``lbfgs()``.
        steps: the most updates of the multipliers, a positive integer.
        inner_steps: the most updates of θ between two of them, a positive integer.
        tol: of the residual of the conditions, at least 0. In float32 1e-4 is about what can be had.
        penalty: ρ > 0 at first.
        growth: τ > 1.

    Returns:
        `Constrained`; pure, so it may be mapped over starting points.

    Raises:
        ShapeError: ``fun`` does not return a scalar.
        StructureError: there are no constraints; ``x0`` is empty or holds integers; something is not a function.
        HyperparameterError: a number out of range.

    Source: lecture 000, "constrained optimization"; Nocedal and Wright, section 17.3.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> found = optim.augmented_lagrangian(
    ...     lambda x: jnp.sum(x**2), jnp.zeros(2), equalities=lambda x: x[0] + x[1] - 2, inequalities=lambda x: x
    ... )
    >>> print(found.solution.round(3), found.equality_multipliers.round(3), found.sentence)
    [1. 1.] 2.0 converged: the tolerance was reached
    """
    where = "augmented_lagrangian"
    x0 = starting_point(where, x0)
    check_parameters(where, x0)
    check_scalar(where, fun, x0)
    _check(where, x0, equalities, inequalities)
    check_steps(where, "steps", steps)
    check_steps(where, "inner_steps", inner_steps)
    check_number(where, "tol", tol, low=0.0)
    check_number(where, "penalty", penalty, low=0.0, low_open=True)
    check_number(where, "growth", growth, low=1.0, low_open=True)
    inner = lbfgs() if optimizer is None else optimizer
    back, dtype = like(x0), wide_dtype(x0)

    def f(theta: Array) -> Array:
        return jnp.asarray(fun(back(theta)))

    equality, equal_back = _as_vectors(equalities, x0, back, dtype)
    inequality, unequal_back = _as_vectors(inequalities, x0, back, dtype)

    def estimate(theta: Array, equal: Array, unequal: Array) -> _Estimate:
        def lagrangian(v: Array) -> Array:
            return f(v).astype(dtype) - equal @ equality(v) - unequal @ inequality(v)

        e, u = equality(theta), inequality(theta)
        violation = jnp.max(jnp.abs(jnp.concatenate([e, jnp.minimum(u, 0)])))
        complementary = jnp.max(jnp.abs(unequal * u), initial=0)
        stationary = safe_norm(jax.grad(lagrangian)(theta))
        return _Estimate(
            theta, equal, unequal, violation, jnp.maximum(jnp.maximum(violation, complementary), stationary)
        )

    def run(theta: Array, tol: Array, penalty: Array, growth: Array) -> Constrained:
        largest = 10 / jnp.finfo(dtype).eps ** 0.5  # beyond it the objective drowns in the rounding of the penalty

        def body(c: _Carry) -> _Carry:
            def augmented(v: Array) -> Array:
                e, hinge = equality(v), jnp.maximum(0, c.unequal - c.penalty * inequality(v))
                return f(v).astype(dtype) - c.equal @ e + c.penalty / 2 * (e @ e) + hinge @ hinge / (2 * c.penalty)

            # While the multipliers are wrong an exact inner minimum is not worth its price.
            asked = jnp.minimum(0.1 ** (c.step + 1).astype(dtype), 0.1 * c.best.residual)
            found = minimize(augmented, c.theta, inner, steps=inner_steps, tol=jnp.maximum(tol / 2, asked))
            theta = found.solution
            e, u = equality(theta), inequality(theta)
            equal, unequal = c.equal - c.penalty * e, jnp.maximum(0, c.unequal - c.penalty * u)
            now = estimate(theta, equal, unequal)
            progress = jnp.max(jnp.abs(jnp.concatenate([e, jnp.minimum(u, c.unequal / c.penalty)])))
            # Where the minimisation ran away (the objective may have no minimum outside of the constraints) nothing
            # moves, and the penalty that grows holds the next one back.
            usable = (
                (found.status != NOT_FINITE) & jnp.isfinite(now.residual) & (progress <= jnp.maximum(c.target, tol))
            )
            shrunk = progress <= jnp.maximum(0.25 * c.target, tol / 2)
            updated = usable & (shrunk | (c.penalty >= largest))
            best = tree_where(usable & (now.residual < c.best.residual), now, c.best)
            step = c.step + 1
            going = jnp.where(step >= steps, jnp.where(best.violation > LIMIT, INFEASIBLE, EXHAUSTED), RUNNING)
            return _Carry(
                theta=jnp.where(usable, theta, c.theta),
                equal=jnp.where(updated, equal, c.equal),
                unequal=jnp.where(updated, unequal, c.unequal),
                penalty=jnp.where(usable & shrunk, c.penalty, jnp.minimum(c.penalty * growth, largest)),
                target=jnp.where(usable & shrunk, progress, c.target),
                best=best,
                step=step,
                status=code(jnp.where(best.residual <= tol, CONVERGED, going)),
            )

        none = jnp.zeros(equality(theta).shape, dtype), jnp.zeros(inequality(theta).shape, dtype)
        first = estimate(theta, *none)
        finite = jnp.isfinite(first.residual) & jnp.isfinite(f(theta))
        status = jnp.where(finite, jnp.where(first.residual <= tol, CONVERGED, RUNNING), NOT_FINITE)
        target = 4 * jnp.maximum(1, first.violation)
        start = _Carry(theta, *none, penalty, target, first, code(0), code(status))
        end = lax.while_loop(lambda c: c.status == RUNNING, body, start)
        best = end.best
        return Constrained(
            solution=back(best.theta),
            value=f(best.theta),
            equality_multipliers=equal_back(best.equal),
            inequality_multipliers=unequal_back(best.unequal),
            violation=best.violation,
            kkt_residual=best.residual,
            steps=end.step,
            status=end.status,
        )

    numbers = (jnp.asarray(number, dtype) for number in (tol, penalty, growth))
    with within(where):
        return jax.jit(run)(as_vector(x0), *numbers)


def _as_vectors(
    constraints: Constraints | None, x0: PyTree, back: Callable[[Array], PyTree], dtype: Any
) -> tuple[Callable[[Array], Array], Callable[[Array], PyTree]]:
    """Constraints from vectors to vectors, and the way from a vector of multipliers to the user's structure."""
    if constraints is None:
        return lambda v: jnp.zeros(0, dtype), lambda multipliers: ()
    chosen = constraints
    shapes = jax.eval_shape(lambda x: jax.tree.map(jnp.asarray, chosen(x)), x0)
    return lambda v: as_vector(jax.tree.map(jnp.asarray, chosen(back(v)))).astype(dtype), like(shapes)


def _check(where: str, x0: PyTree, equalities: Any, inequalities: Any) -> None:
    if equalities is None and inequalities is None:
        raise StructureError(where, "there are no constraints. Pass equalities= or inequalities=, or use minimize.")
    for name, constraints in (("equalities", equalities), ("inequalities", inequalities)):
        if constraints is None:
            continue
        if not callable(constraints):
            raise StructureError(where, f"{name} is {constraints!r}, which is not a function of the parameters.")
        leaves = jax.tree.leaves(jax.eval_shape(lambda x, c=constraints: jax.tree.map(jnp.asarray, c(x)), x0))
        if not leaves or not all(jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.size for leaf in leaves):
            raise StructureError(where, f"{name} returns {leaves}, but one float or more are needed.")
