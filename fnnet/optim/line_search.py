"""How far to go along a direction: searches for a step size, and the descent that is made of one.

A search is a function ``search(along, value, slope, guess) -> Found``. ``along(α)`` is f(θ + αd), ``value`` and
``slope`` < 0 are what it and its derivative are at 0, and ``guess`` > 0 is the step size to try first. How
often a loop has run is a constant to derivatives, and so is the step size of `strong_wolfe`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import StructureError, check_number, check_size
from fnnet.optim.base import Optimizer, rate
from fnnet.optim.status import NO_DESCENT, RUNNING, code
from fnnet.optim.vectors import point_of
from fnnet.recipes import recipe
from fnnet.types import Array, PyTree, Scalar, Schedule

Along: TypeAlias = Callable[[Array], Array]
"""The objective as a function of the step size."""


class Found(NamedTuple):
    """The step size, 0 if there is none, and whether it decreases the value enough."""

    step_size: Array
    success: Array


Search: TypeAlias = Callable[[Along, Array, Array, Array], Found]
"""What the factories of this module return."""


@recipe
def backtracking(decrease: Scalar = 1e-4, shrink: Scalar = 0.5, evaluations: int = 40) -> Search:
    """Backtracking: from the guess down, until Armijo's condition holds.

    α ← τα while f(θ + αd) > f(θ) + c₁ α gᵀd

    Args:
        decrease: c₁ in (0, 1), the share of the decrease that the slope promises.
        shrink: τ in (0, 1).
        evaluations: the most step sizes to try, a positive integer.

    Returns:
        A search; it fails where the slope is not negative or no step size will do.

    Raises:
        HyperparameterError: a number out of range.

    Source: lecture 000, "linear search"; Nocedal and Wright, algorithm 3.1.

    >>> import jax.numpy as jnp
    >>> from fnnet.optim import line_search
    >>> search = line_search.backtracking()
    >>> float(search(lambda a: (1 - 4 * a) ** 2, jnp.float32(1.0), jnp.float32(-8.0), jnp.float32(1.0)).step_size)
    0.25
    """
    check_number("backtracking", "decrease", decrease, low=0.0, high=1.0, low_open=True, high_open=True)
    check_number("backtracking", "shrink", shrink, low=0.0, high=1.0, low_open=True, high_open=True)
    check_size("backtracking", "evaluations", evaluations)

    def search(along: Along, value: Array, slope: Array, guess: Array) -> Found:
        c1, tau = (jnp.asarray(number, value.dtype) for number in (decrease, shrink))

        def enough(k: Array) -> Array:
            step_size = guess * tau ** k.astype(value.dtype)
            there = along(step_size)  # which may be NaN, and that is not enough
            # The second is the first but for rounding: a decrease that cannot be seen is none.
            return (there <= value + c1 * step_size * slope) & (there < value)

        def body(carry: tuple[Array, Array]) -> tuple[Array, Array]:
            k = carry[0] + 1
            return k, enough(k)

        first = jnp.zeros((), jnp.int32)
        k, success = lax.while_loop(
            lambda carry: ~carry[1] & (carry[0] + 1 < evaluations) & (slope < 0), body, (first, enough(first))
        )
        success = success & (slope < 0)
        return Found(jnp.where(success, guess * tau ** k.astype(value.dtype), 0), success)

    return search


@recipe
def exact_on_quadratics() -> Search:
    """The minimum along the direction of a function that is quadratic there.

    α = −gᵀd / dᵀHd

    Returns:
        A search that does not use the guess; it fails where the slope is not negative or the curvature dᵀHd not
        positive, and does not test whether the value decreased.

    Source: lecture 000, "linear search"; Nocedal and Wright, equation 3.55.

    >>> import jax.numpy as jnp
    >>> from fnnet.optim import line_search
    >>> search = line_search.exact_on_quadratics()
    >>> found = search(lambda a: (1 - 5 * a) ** 2, jnp.float32(1), jnp.float32(-10), jnp.float32(1))
    >>> print(f"{found.step_size:.3f}")
    0.200
    """

    def search(along: Along, value: Array, slope: Array, guess: Array) -> Found:
        _, curvature = jax.jvp(jax.grad(along), (jnp.zeros_like(slope),), (jnp.ones_like(slope),))
        success = (slope < 0) & (curvature > 0)
        return Found(jnp.where(success, -slope / jnp.where(success, curvature, 1), 0), success)

    return search


class _Trial(NamedTuple):
    """A step size with the value and the slope there."""

    step_size: Array
    value: Array
    slope: Array


class _Bracket(NamedTuple):
    """``low`` is the best point that Armijo's condition allows; between it and ``high`` lie points that will do."""

    low: _Trial
    high: _Trial
    next: Array
    width: Array
    tried: Array
    done: Array


@recipe
def strong_wolfe(decrease: Scalar = 1e-4, curvature: Scalar = 0.9, evaluations: int = 25) -> Search:
    """A step size that meets the strong Wolfe conditions: brackets it, then narrows by cubic interpolation.

    f(θ + αd) ≤ f(θ) + c₁ α gᵀd   and   |∇f(θ + αd)ᵀd| ≤ c₂ |gᵀd|

    Where the two values differ by no more than rounding, (2c₁ − 1) gᵀd ≥ ∇f(θ + αd)ᵀd stands in for the first.

    Args:
        decrease: c₁ in (0, ½).
        curvature: c₂ in (c₁, 1): 0.9 for quasi-Newton steps, 0.1 for conjugate gradients.
        evaluations: the most step sizes to try, a positive integer.

    Returns:
        A search. If the evaluations are used up it returns the best step size that meets the first condition.

    Raises:
        HyperparameterError: a number out of range.

    Source: Nocedal and Wright, algorithms 3.5 and 3.6; Hager and Zhang, 2005, for the rounding.

    >>> import jax.numpy as jnp
    >>> from fnnet.optim import line_search
    >>> search = line_search.strong_wolfe(curvature=0.1)
    >>> found = search(lambda a: (1 - 5 * a) ** 2, jnp.float32(1), jnp.float32(-10), jnp.float32(1))
    >>> print(f"{found.step_size:.3f}")
    0.200
    """
    check_number("strong_wolfe", "decrease", decrease, low=0.0, high=0.5, low_open=True, high_open=True)
    low = float(decrease) if isinstance(decrease, int | float) else 0.0
    check_number("strong_wolfe", "curvature", curvature, low=low, high=1.0, low_open=True, high_open=True)
    check_size("strong_wolfe", "evaluations", evaluations)

    def search(along: Along, value: Array, slope: Array, guess: Array) -> Found:
        c1, c2 = (jnp.asarray(number, value.dtype) for number in (decrease, curvature))
        noise = 4 * jnp.finfo(value.dtype).eps * jnp.abs(value)

        def body(b: _Bracket) -> _Bracket:
            trial = _Trial(b.next, *jax.value_and_grad(along)(b.next))
            armijo = trial.value <= value + c1 * trial.step_size * slope
            rounded = (trial.value <= value + noise) & ((2 * c1 - 1) * slope >= trial.slope)
            enough = (armijo & (trial.value < b.low.value)) | rounded
            flat = jnp.abs(trial.slope) <= -c2 * slope
            # Uphill towards high (which is at ∞ until something has been too far): the bracket's other end is low.
            turned = trial.slope * (b.high.step_size - b.low.step_size) >= 0
            high = _choose(enough, _choose(turned, b.low, b.high), trial)
            low = _choose(enough, trial, b.low)
            open_end = jnp.isinf(high.step_size)
            width = jnp.abs(high.step_size - low.step_size)
            # Interpolation that leaves most of the bracket is followed by halving it.
            share = jnp.where(width > 0.66 * b.width, 0.5, _lowest_share(low, high))
            inside = low.step_size + share * jnp.where(open_end, 0, high.step_size - low.step_size)
            narrow = ~open_end & (width <= jnp.finfo(value.dtype).eps * high.step_size)
            step = jnp.where(open_end, 2 * trial.step_size, inside)
            return _Bracket(low, high, step, width, b.tried + 1, (enough & flat) | narrow)

        zero, infinity = jnp.zeros_like(slope), jnp.full_like(slope, jnp.inf)
        low, high = _Trial(zero, value, slope), _Trial(infinity, infinity, zero)
        start = _Bracket(low, high, guess, infinity, jnp.zeros((), jnp.int32), slope >= 0)
        end = lax.while_loop(lambda b: ~b.done & (b.tried < evaluations), body, start)
        return Found(lax.stop_gradient(end.low.step_size), end.low.step_size > 0)

    return search


def _choose(condition: Array, yes: _Trial, no: _Trial) -> _Trial:
    return _Trial(*(jnp.where(condition, a, b) for a, b in zip(yes, no, strict=True)))


def _lowest_share(a: _Trial, b: _Trial) -> Array:
    """How much of the way from one point to the other the cubic through both with their slopes has its minimum."""
    width = b.step_size - a.step_size
    known = (width != 0) & jnp.isfinite(width)
    d1 = a.slope + b.slope - 3 * (b.value - a.value) / jnp.where(known, width, 1)
    under = d1**2 - a.slope * b.slope
    d2 = jnp.sign(width) * jnp.sqrt(jnp.where(under > 0, under, 0))
    below = b.slope - a.slope + 2 * d2
    share = 1 - (b.slope + d2 - d1) / jnp.where(below != 0, below, 1)
    usable = known & (under > 0) & (below != 0) & jnp.isfinite(share)
    return jnp.where(usable, jnp.clip(share, 0.01, 0.99), 0.5)


class LineSearchDescentState(NamedTuple):
    """Updates done, the last step size, and how the last search ended."""

    count: Array  # type: ignore[assignment]  # a tuple has a method of this name
    step_size: Array
    status: Array


@recipe
def line_search_descent(learning_rate: Scalar | Schedule = 1.0, search: Search | None = None) -> Optimizer:
    """Gradient descent that never goes up: along −g with a step size from a search.

    θ ← θ − αg   with f(θ − αg) ≤ f(θ) − c₁ α ‖g‖²

    Such an α exists wherever g is not 0. Where rounding hides it the method stands and says so.

    Args:
        learning_rate: the step size to try first, α > 0, or a schedule.
        search: from `fnnet.optim.line_search`; None for ``backtracking()``.

    Returns:
        Optimizer with state ``(count, step_size, status)``; its update needs ``params`` and ``value_fn``.

    Raises:
        HyperparameterError: ``learning_rate`` is not positive.
        StructureError: update without ``params`` or ``value_fn``.

    Source: lecture 000, "gradient descent or linear search".

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> result = optim.minimize(lambda x: jnp.sum(x**2), jnp.array([3.0, 4.0]), optim.line_search_descent())
    >>> result.solution.tolist(), int(result.steps)
    ([0.0, 0.0], 1)
    """
    check_number("line_search_descent", "learning_rate", learning_rate, low=0.0, low_open=True, schedule=True)
    chosen = check_search("line_search_descent", search, backtracking)

    def init(params: PyTree) -> LineSearchDescentState:
        theta, *_ = point_of("line_search_descent", params, params, needs_value=False)
        return LineSearchDescentState(code(0), jnp.zeros((), theta.dtype), code(RUNNING))

    def update(
        grads: PyTree,
        state: LineSearchDescentState,
        params: PyTree = None,
        *,
        value_fn: Any = None,
        value: Any = None,
        **extra: Any,
    ) -> tuple[PyTree, LineSearchDescentState]:
        theta, g, back, f = point_of("line_search_descent", grads, params, value_fn)
        count = state.count + 1
        now = f(theta) if value is None else jnp.asarray(value).astype(theta.dtype)
        guess = rate(learning_rate, count.astype(theta.dtype))
        found = chosen(lambda step_size: f(theta - step_size * g), now, -(g @ g), guess)
        return back(-found.step_size * g), LineSearchDescentState(count, found.step_size, searched(g, -g, found))

    return Optimizer(init, update)


def check_search(where: str, search: Any, default: Callable[[], Search]) -> Search:
    """The search, or the default if it is None."""
    if search is None:
        return default()
    if not callable(search):
        raise StructureError(where, f"search is {search!r}, which is not one. Pass optim.line_search.strong_wolfe().")
    return search


def searched(g: Array, direction: Array, found: Found) -> Array:
    """The status after a search along a direction.

    Steepest descent is the last resort: a method that failed along another direction forgets its past and tries
    that next. Where the gradient is 0 no step is needed, and where it is NaN none can help.
    """
    resort = jnp.all(direction == -g) & (g @ g > 0)
    return jnp.where(~found.success & resort, NO_DESCENT, RUNNING).astype(jnp.int32)
