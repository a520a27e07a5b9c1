"""Methods that use curvature: Newton's with the Hessian itself, L-BFGS with what past gradients tell of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import check_number, check_size
from fnnet.optim.base import Optimizer, rate
from fnnet.optim.line_search import Search, check_search, searched, strong_wolfe
from fnnet.optim.status import NOT_POSITIVE_DEFINITE, RUNNING, SINGULAR, code
from fnnet.optim.vectors import point_of
from fnnet.recipes import recipe
from fnnet.types import Array, PyTree, Scalar, Schedule


def solve_positive_definite(matrix: Array, right: Array) -> tuple[Array, Array]:
    """The solution of Hx = b by Cholesky's factorisation, and a status; 0 and why if H is not positive definite.

    A pivot that has lost all its digits to cancellation counts as 0. NaN in, NaN out: that is no fault of H.
    """
    dtype, n = matrix.dtype, matrix.shape[0]
    matrix = (matrix + matrix.T) / 2
    fixed = lax.stop_gradient(matrix)
    sizes = jnp.abs(jnp.diagonal(fixed))
    tiny = n * jnp.finfo(dtype).eps
    pivots = jnp.diagonal(jnp.linalg.cholesky(fixed)) ** 2
    positive = jnp.all(pivots > tiny * sizes)
    finite = jnp.all(jnp.isfinite(fixed)) & jnp.all(jnp.isfinite(right))

    def reason() -> Array:
        # Scaling rows and columns alike keeps the signs of the eigenvalues and brings them near 1.
        scale = 1 / jnp.sqrt(jnp.where(sizes > 0, sizes, 1))
        smallest = jnp.linalg.eigvalsh(jnp.where(finite, scale[:, None] * fixed * scale[None, :], 0))[0]
        return code(jnp.where(smallest < -tiny, NOT_POSITIVE_DEFINITE, SINGULAR))

    failed = lax.cond(positive | ~finite, lambda: code(RUNNING), reason)
    usable = jnp.where(positive, matrix, jnp.eye(n, dtype=dtype))
    x = jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(usable), True), right)
    return jnp.where(finite, jnp.where(positive, x, 0), jnp.nan), failed


class NewtonState(NamedTuple):
    """Updates done, and what was wrong with the last Hessian."""

    count: Array  # type: ignore[assignment]  # a tuple has a method of this name
    status: Array


@recipe
def newton(damping: Scalar | Schedule = 1.0) -> Optimizer:
    """Newton's method for minima, by a solve with the dense Hessian of all parameters.

    θ ← θ − η s   with H s = g

    On a quadratic it lands on the minimum in one step with η = 1 and multiplies the error by 1 − η otherwise. At a
    point where H is singular or not positive definite s need not lead down: the method stands and says so.
    Needs memory for n² numbers and time for n³; see `lbfgs` for many parameters.

    Args:
        damping: η > 0, or a schedule; 1 is the full step.

    Returns:
        Optimizer with state ``(count, status)``; its update needs ``params`` and ``value_fn``.

    Raises:
        HyperparameterError: ``damping`` is not positive.
        StructureError: update without ``params`` or ``value_fn``.

    Source: lecture 000, "Finding the root of a function"; lectures 001 and 004, where an inverse is written.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> bowl = lambda x: 2 * (x[0] - 1) ** 2 + (x[1] + 3) ** 2
    >>> result = optim.minimize(bowl, jnp.zeros(2), optim.newton())
    >>> result.solution.round(4).tolist(), int(result.steps)
    ([1.0, -3.0], 1)
    >>> print(optim.minimize(lambda x: -jnp.sum(x**2), jnp.ones(2), optim.newton()).sentence)
    the matrix of second derivatives is not positive definite, ... the solution is the point where it was
    """
    check_number("newton", "damping", damping, low=0.0, low_open=True, schedule=True)

    def init(params: PyTree) -> NewtonState:
        point_of("newton", params, params, needs_value=False)
        return NewtonState(code(0), code(RUNNING))

    def update(
        grads: PyTree, state: NewtonState, params: PyTree = None, *, value_fn: Any = None, **extra: Any
    ) -> tuple[PyTree, NewtonState]:
        theta, g, back, f = point_of("newton", grads, params, value_fn)
        count = state.count + 1
        step, status = solve_positive_definite(jax.hessian(f)(theta), g)
        return back(-rate(damping, count.astype(theta.dtype)) * step), NewtonState(count, status)

    return Optimizer(init, update)


class LbfgsState(NamedTuple):
    """The last point and gradient, and the newest differences of both, newest first; weights are 1 / sᵀy or 0."""

    count: Array  # type: ignore[assignment]  # a tuple has a method of this name
    params: Array
    grads: Array
    params_differences: Array
    grads_differences: Array
    weights: Array
    status: Array


@recipe
def lbfgs(memory: int = 10, search: Search | None = None) -> Optimizer:
    """L-BFGS: the BFGS direction from the last m differences, and a line search along it.

    s = θ − θ₋,  y = g − g₋   kept, both divided by ‖s‖, if sᵀy > ε ‖s‖ ‖y‖
    θ ← θ − α B g   with B by the two-loop recursion, from B₀ = (sᵀy / yᵀy) I

    For objectives that are the same at every update: with batches of data, use all of them.

    Args:
        memory: m, a positive integer; state and time grow with m times the number of parameters.
        search: from `fnnet.optim.line_search`; None for ``strong_wolfe()``.

    Returns:
        Optimizer with state ``(count, params, grads, params_differences, grads_differences, weights, status)``; its
        update needs ``params`` and ``value_fn``.

    Raises:
        HyperparameterError: ``memory`` is not a positive integer.
        StructureError: update without ``params`` or ``value_fn``.

    Source: lecture 001, "Approximate Second-Order Methods"; Nocedal and Wright, algorithms 7.4 and 7.5.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> rosenbrock = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> result = optim.minimize(rosenbrock, jnp.array([-1.2, 1.0]), optim.lbfgs(), tol=1e-3)
    >>> print(result.solution.round(3), bool(result.steps < 60))
    [1. 1.] True
    """
    check_size("lbfgs", "memory", memory)
    chosen = check_search("lbfgs", search, strong_wolfe)

    def init(params: PyTree) -> LbfgsState:
        theta, *_ = point_of("lbfgs", params, params, needs_value=False)
        past = jnp.zeros((memory, theta.size), theta.dtype)
        zero = jnp.zeros_like(theta)
        return LbfgsState(code(0), zero, zero, past, past, past[:, 0], code(RUNNING))

    def update(
        grads: PyTree,
        state: LbfgsState,
        params: PyTree = None,
        *,
        value_fn: Any = None,
        value: Any = None,
        **extra: Any,
    ) -> tuple[PyTree, LbfgsState]:
        theta, g, back, f = point_of("lbfgs", grads, params, value_fn)
        s, y, rho = remember(state, theta, g)
        direction = -two_loops(s, y, rho, g)
        # Rounding can turn the direction uphill: then the past is forgotten, and steepest descent starts afresh.
        down = direction @ g < 0
        rho = jnp.where(down, rho, 0)
        direction = jnp.where(down, direction, -g)
        guess = jnp.where(rho[0] > 0, 1, first_guess(g))
        now = f(theta) if value is None else jnp.asarray(value).astype(theta.dtype)
        found = chosen(lambda step_size: f(theta + step_size * direction), now, direction @ g, guess)
        rho = jnp.where(found.success, rho, 0)
        status = searched(g, direction, found)
        return back(found.step_size * direction), LbfgsState(state.count + 1, theta, g, s, y, rho, status)

    return Optimizer(init, update)


def remember(state: LbfgsState, theta: Array, g: Array) -> tuple[Array, Array, Array]:
    """The differences with the newest in front, if it meets the curvature condition.

    B is the same for s and y divided by one number; with ‖s‖, sᵀy is a curvature, however short the step was.
    """
    tiny = jnp.finfo(g.dtype).tiny ** 0.5
    length = safe_norm(theta - state.params)
    length = jnp.where((state.count > 0) & (length > tiny), length, 1)
    s, y = (theta - state.params) / length, (g - state.grads) / length
    curvature = s @ y
    curved = (state.count > 0) & (curvature > tiny) & (curvature > jnp.finfo(g.dtype).eps * safe_norm(y))
    weight = jnp.where(curved, 1 / jnp.where(curved, curvature, 1), 0)
    new = zip((s, y, weight), (state.params_differences, state.grads_differences, state.weights), strict=True)
    first, second, third = (jnp.where(curved, jnp.concatenate([newest[None], past[:-1]]), past) for newest, past in new)
    return first, second, third


def two_loops(s: Array, y: Array, rho: Array, g: Array) -> Array:
    """The approximate inverse Hessian times g; differences of weight 0 do nothing."""

    def newest_to_oldest(q: Array, past: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        s, y, rho = past
        a = rho * (s @ q)
        return q - a * y, a

    def oldest_to_newest(r: Array, past: tuple[Array, Array, Array, Array]) -> tuple[Array, None]:
        s, y, rho, a = past
        return r + s * (a - rho * (y @ r)), None

    q, a = lax.scan(newest_to_oldest, g, (s, y, rho))
    known = rho[0] > 0
    scale = jnp.where(known, 1 / jnp.where(known, rho[0] * (y[0] @ y[0]), 1), 1)
    return lax.scan(oldest_to_newest, scale * q, (s, y, rho, a), reverse=True)[0]


def first_guess(g: Array) -> Array:
    """A step size before anything is known: that of a step of length 1, whatever the unit of the objective is."""
    norm = lax.stop_gradient(safe_norm(g))
    return 1 / jnp.where(norm > jnp.finfo(g.dtype).tiny ** 0.5, norm, 1)


def safe_norm(x: Array) -> Array:
    """‖x‖ with derivative 0 at 0, and without overflow or underflow of the squares."""
    largest = lax.stop_gradient(jnp.max(jnp.abs(x)))
    positive = largest > 0
    unit = x / jnp.where(positive, largest, 1)
    return jnp.where(positive, largest * jnp.sqrt(jnp.where(positive, unit @ unit, 1)), 0)
