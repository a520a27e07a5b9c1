"""Learning-rate schedules: functions of the number of updates done, as arithmetic.

Every argument, step counts too, may be traced, so that a sweep can search over schedules.
"""

from __future__ import annotations

import jax.numpy as jnp

from fnnet.errors import check_number
from fnnet.recipes import recipe
from fnnet.types import Array, Scalar, Schedule


def _progress(count: Scalar, steps: Scalar) -> Array:
    """The part of ``steps`` that is done, from 0 to 1."""
    count = jnp.asarray(count)
    if not jnp.issubdtype(count.dtype, jnp.floating):
        count = count.astype(jnp.zeros(()).dtype)
    return jnp.clip(count / jnp.asarray(steps, count.dtype), 0, 1)


@recipe
def constant(value: Scalar) -> Schedule:
    """αₜ = α.

    Args:
        value: α ≥ 0.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: ``value`` is negative.

    >>> float(constant(0.5)(100))
    0.5
    """
    check_number("constant", "value", value, low=0.0)
    return lambda count: jnp.asarray(value)


@recipe
def linear_decay(start: Scalar, end: Scalar, steps: Scalar) -> Schedule:
    """Linear from α₀ to α_τ in τ updates, then constant.

    αₜ = (1 − t/τ) α₀ + (t/τ) α_τ for t ≤ τ, else α_τ

    Args:
        start: α₀ ≥ 0.
        end: α_τ ≥ 0.
        steps: τ > 0, a number of updates.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Source: lecture 001, stochastic gradient descent; lecture 004.

    >>> schedule = linear_decay(1.0, 0.0, steps=10)
    >>> [round(float(schedule(t)), 2) for t in (0, 5, 10, 20)]
    [1.0, 0.5, 0.0, 0.0]
    """
    check_number("linear_decay", "start", start, low=0.0)
    check_number("linear_decay", "end", end, low=0.0)
    check_number("linear_decay", "steps", steps, low=0.0, low_open=True)

    def schedule(count: Scalar) -> Array:
        done = _progress(count, steps)
        return (1 - done) * start + done * end

    return schedule


__all__ = ["constant", "linear_decay"]
