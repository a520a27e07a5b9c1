"""Conjugate gradients: for linear systems, and as an optimizer for any smooth objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import HyperparameterError, ShapeError, StructureError, check_number
from fnnet.optim.base import Optimizer, check_parameters
from fnnet.optim.driver import Result, check_steps
from fnnet.optim.line_search import Search, check_search, searched, strong_wolfe
from fnnet.optim.second_order.curvature import first_guess, safe_norm
from fnnet.optim.second_order.linear import check_square
from fnnet.optim.status import CONVERGED, EXHAUSTED, NOT_FINITE, NOT_POSITIVE_DEFINITE, RUNNING, code
from fnnet.optim.vectors import as_vector, like, point_of
from fnnet.recipes import recipe
from fnnet.trees import tree_where
from fnnet.types import Array, PyTree, Scalar

METHODS = ("polak_ribiere", "fletcher_reeves")

MIN_CYCLE = 10
"""Updates before a restart even where there are fewer parameters; the theory is about many."""


class ConjugateGradientState(NamedTuple):
    """The last gradient and direction, the last step size times its slope, and how the last search ended."""

    count: Array  # type: ignore[assignment]  # a tuple has a method of this name
    grads: Array
    direction: Array
    promised: Array
    status: Array


def _tight_wolfe() -> Search:
    return strong_wolfe(curvature=0.1)


@recipe
def conjugate_gradient(method: str = "polak_ribiere", search: Search | None = None) -> Optimizer:
    """Non-linear conjugate gradients, with restarts.

    d ← −g + β d₋,  θ ← θ + α d   with α from a line search
    Polak–Ribière+:    β = max(0, gᵀ(g − g₋) / ‖g₋‖²)
    Fletcher–Reeves:   β = ‖g‖² / ‖g₋‖²

    It starts afresh with d = −g after as many updates as there are parameters (at least 10), where d would not lead
    down, and, with Fletcher–Reeves, where |gᵀg₋| > ‖g‖² / 2 (Powell's test; Polak–Ribière+ notices by itself).

    Args:
        method: "polak_ribiere" or "fletcher_reeves".
        search: from `fnnet.optim.line_search`; None for ``strong_wolfe(curvature=0.1)``.

    Returns:
        Optimizer with state ``(count, grads, direction, promised, status)``; its update needs ``params`` and
        ``value_fn``. For objectives that are the same at every update: with batches of data, use all of them.

    Raises:
        HyperparameterError: no such method.
        StructureError: update without ``params`` or ``value_fn``.

    Source: lecture 000, "various types of conjugate gradients"; Nocedal and Wright, section 5.2.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> valley = lambda x: x[0] ** 2 + 10 * x[1] ** 2
    >>> result = optim.minimize(valley, jnp.array([5.0, 1.0]), optim.conjugate_gradient(), tol=1e-4)
    >>> float(result.value) < 1e-8
    True
    """
    where = "conjugate_gradient"
    if method not in METHODS:
        raise HyperparameterError(where, f"method is {method!r}, but it has to be one of {', '.join(METHODS)}.")
    chosen = check_search(where, search, _tight_wolfe)

    def init(params: PyTree) -> ConjugateGradientState:
        theta, *_ = point_of(where, params, params, needs_value=False)
        zero = jnp.zeros_like(theta)
        return ConjugateGradientState(code(0), zero, zero, jnp.zeros((), theta.dtype), code(RUNNING))

    def update(
        grads: PyTree,
        state: ConjugateGradientState,
        params: PyTree = None,
        *,
        value_fn: Any = None,
        value: Any = None,
        **extra: Any,
    ) -> tuple[PyTree, ConjugateGradientState]:
        theta, g, back, f = point_of(where, grads, params, value_fn)
        # Dividing by ‖g₋‖ first keeps the squares of tiny gradients from becoming 0 / 0.
        before = safe_norm(state.grads)
        known = before > jnp.finfo(g.dtype).tiny ** 0.5
        now, last = (v / jnp.where(known, before, 1) for v in (g, state.grads))
        if method == "polak_ribiere":
            beta = jnp.maximum(0, now @ (now - last))
        else:
            beta = jnp.where(jnp.abs(now @ last) > 0.5 * (now @ now), 0, now @ now)
        fresh = ~known | (state.count % max(theta.size, MIN_CYCLE) == 0)
        direction = -g + jnp.where(fresh, 0, beta) * state.direction
        down = direction @ g < 0
        direction = jnp.where(down, direction, -g)
        slope = direction @ g
        # The first step of a search promises as much as the last step that was taken.
        repeat = state.promised / jnp.where(slope < 0, slope, -1)
        guess = jnp.where(repeat > 0, repeat, first_guess(g))
        current = f(theta) if value is None else jnp.asarray(value).astype(theta.dtype)
        found = chosen(lambda step_size: f(theta + step_size * direction), current, slope, lax.stop_gradient(guess))
        promised = lax.stop_gradient(found.step_size * slope)
        status = searched(g, direction, found)
        updates = back(found.step_size * direction)
        direction = jnp.where(found.success, direction, 0)  # so that the next one is -g
        return updates, ConjugateGradientState(state.count + 1, g, direction, promised, status)

    return Optimizer(init, update)


def solve_conjugate_gradient(
    matrix: Array | Callable[[PyTree], PyTree],
    b: PyTree,
    x0: PyTree = None,
    *,
    steps: int | None = None,
    tol: Scalar = 1e-6,
) -> Result:
    """Solves Ax = b, and so minimises ½xᵀAx − bᵀx, by linear conjugate gradients.

    α = ‖r‖² / dᵀAd,  x ← x + αd,  r ← r − αAd,  β = ‖r‖² / ‖r₋‖²,  d ← r + βd   with r = b − Ax

    Exact after as many steps as there are unknowns, but for rounding; A is only ever multiplied with.

    Args:
        matrix: A, symmetric and positive definite: (n, n), or the function x ↦ Ax on pytrees like ``b``.
        b: right-hand side: (n,), or a pytree for a function.
        x0: where to start, like ``b``; None for zeros.
        steps: the most steps; None for ten times the number of unknowns.
        tol: of ‖Ax − b‖, at least 0.

    Returns:
        `Result`, whose ``gradient_norm`` is ‖Ax − b‖; its sentence says if dᵀAd ≤ 0 was met.

    Raises:
        ShapeError: A is not square or does not fit b.
        StructureError: ``b`` holds integers; x0 or the result of the function is not like ``b``.
        HyperparameterError: ``steps`` or ``tol`` out of range.

    Source: lecture 000, "good for sparse linear systems"; Hestenes and Stiefel, 1952.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> result = optim.solve_conjugate_gradient(jnp.array([[4.0, 1.0], [1.0, 3.0]]), jnp.array([1.0, 2.0]))
    >>> print(result.solution.round(4), int(result.steps))
    [0.0909 0.6364] 2
    """
    where = "solve_conjugate_gradient"
    b = jax.tree.map(jnp.asarray, b)
    check_parameters(where, b)
    check_number(where, "tol", tol, low=0.0)
    if steps is not None:
        check_steps(where, "steps", steps)
    back, right = like(b), as_vector(b)
    start = jnp.zeros_like(right) if x0 is None else _alike(where, "x0", jax.tree.map(jnp.asarray, x0), b)
    if callable(matrix):
        apply = matrix
        _alike(where, "the product A b", jax.eval_shape(apply, b), b, build=False)

        def times(v: Array) -> Array:
            return as_vector(apply(back(v))).astype(right.dtype)

    else:
        A = check_square(where, matrix, b)

        def times(v: Array) -> Array:
            return A.astype(right.dtype) @ v

    most = 10 * right.size if steps is None else steps
    limit = jnp.asarray(tol, right.dtype)

    class Carry(NamedTuple):
        x: Array
        r: Array
        d: Array
        square: Array
        step: Array
        status: Array

    def judge(square: Array, step: Array) -> Array:
        going = jnp.where(step >= most, EXHAUSTED, RUNNING)
        return code(jnp.where(jnp.isfinite(square), jnp.where(jnp.sqrt(square) <= limit, CONVERGED, going), NOT_FINITE))

    def body(c: Carry) -> Carry:
        product = times(c.d)
        curvature = c.d @ product
        positive = curvature > 0
        alpha = c.square / jnp.where(positive, curvature, 1)
        r = c.r - alpha * product
        square = r @ r
        taken = c._replace(
            x=c.x + alpha * c.d,
            r=r,
            d=r + square / c.square * c.d,
            square=square,
            step=c.step + 1,
            status=judge(square, c.step + 1),
        )
        stays = jnp.isfinite(curvature) & positive & (taken.status != NOT_FINITE)
        why = jnp.where(jnp.isfinite(curvature) & ~positive, NOT_POSITIVE_DEFINITE, NOT_FINITE)
        return tree_where(stays, taken, c._replace(status=code(why)))

    r = right - times(start)
    end = lax.while_loop(lambda c: c.status == RUNNING, body, Carry(start, r, r, r @ r, code(0), judge(r @ r, code(0))))
    # The recursion for r drifts away from the residual; what is reported is the residual.
    product = times(end.x)
    value = end.x @ (product / 2 - right)
    return Result(back(end.x), value, safe_norm(product - right), end.step, end.status)


def _alike(where: str, name: str, tree: Any, b: PyTree, build: bool = True) -> Any:
    """The tree as a vector, if it has the structure and shapes of b."""
    structure: Any = jax.tree.structure(tree)
    if structure != jax.tree.structure(b):
        raise StructureError(where, f"{name} is not a tree like b.")
    for one, other in zip(jax.tree.leaves(tree), jax.tree.leaves(b), strict=True):
        if one.shape != other.shape:
            raise ShapeError(where, f"{name} has a leaf of shape {one.shape} where b has {other.shape}.")
    if not build:
        return None
    check_parameters(where, tree)
    return as_vector(tree).astype(as_vector(b).dtype)
