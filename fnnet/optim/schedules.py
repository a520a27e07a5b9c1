"""Learning-rate schedules: functions of the number of updates done, as arithmetic.

Every argument, step counts too, may be traced, so that a sweep can search over schedules. Counts may be whole or
not, a number or an array of numbers; the rate comes back in the shape of the count.
"""

from __future__ import annotations

import jax.numpy as jnp

from fnnet.errors import check_number
from fnnet.optim.joining import (
    in_dtype_of_count,
    join,
    part_done,
    piecewise,
    piecewise_scaled,
    value_at,
    warm_up,
    whole_cycles,
)
from fnnet.optim.waves import cosine, cosine_restarts, one_cycle
from fnnet.recipes import recipe
from fnnet.types import Array, Scalar, Schedule


@recipe
def constant(value: Scalar) -> Schedule:
    """αₜ = α.

    Args:
        value: α ≥ 0.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: ``value`` is negative.

    Same as ``optax.constant_schedule``.

    Source: lecture 002, "Fixed learning rate".

    >>> float(constant(0.5)(100))
    0.5
    """
    check_number("constant", "value", value, low=0.0)
    return lambda count: value_at(value, *in_dtype_of_count(count))


@recipe
def linear_decay(init_value: Scalar, end_value: Scalar, transition_steps: Scalar) -> Schedule:
    """Linear from α₀ to α_τ in τ updates, then constant.

    αₜ = (1 − t/τ) α₀ + (t/τ) α_τ for t ≤ τ, else α_τ

    Args:
        init_value: α₀ ≥ 0.
        end_value: α_τ ≥ 0.
        transition_steps: τ > 0, a number of updates.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.linear_schedule`` and ``torch.optim.lr_scheduler.LinearLR(1.0, α_τ/α₀, τ)``.

    Source: lecture 001, section 6.4; lecture 004.

    >>> schedule = linear_decay(1.0, 0.0, transition_steps=10)
    >>> [round(float(schedule(t)), 2) for t in (0, 5, 10, 20)]
    [1.0, 0.5, 0.0, 0.0]
    """
    check_number("linear_decay", "init_value", init_value, low=0.0)
    check_number("linear_decay", "end_value", end_value, low=0.0)
    check_number("linear_decay", "transition_steps", transition_steps, low=0.0, low_open=True)

    def schedule(count: Scalar) -> Array:
        t, first, last, steps = in_dtype_of_count(count, init_value, end_value, transition_steps)
        done = part_done(t, steps)
        return (1 - done) * first + done * last

    return schedule


@recipe
def polynomial(init_value: Scalar, end_value: Scalar, power: Scalar, transition_steps: Scalar) -> Schedule:
    """Along a power of the time that is left, then constant.

    αₜ = (α₀ − α_τ) (1 − t/τ)^p + α_τ for t ≤ τ, else α_τ

    Args:
        init_value: α₀ ≥ 0.
        end_value: α_τ ≥ 0.
        power: p > 0; 1 for linear.
        transition_steps: τ > 0, a number of updates.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.polynomial_schedule``, and ``torch.optim.lr_scheduler.PolynomialLR(total_iters=τ, power=p)`` for
    α_τ = 0.

    >>> schedule = polynomial(1.0, 0.0, power=2.0, transition_steps=10)
    >>> [round(float(schedule(t)), 2) for t in (0, 5, 10, 20)]
    [1.0, 0.25, 0.0, 0.0]
    """
    check_number("polynomial", "init_value", init_value, low=0.0)
    check_number("polynomial", "end_value", end_value, low=0.0)
    check_number("polynomial", "power", power, low=0.0, low_open=True)
    check_number("polynomial", "transition_steps", transition_steps, low=0.0, low_open=True)

    def schedule(count: Scalar) -> Array:
        t, first, last, p, steps = in_dtype_of_count(count, init_value, end_value, power, transition_steps)
        left = 1 - part_done(t, steps)
        # A root has an infinite slope at 0, which must not meet the zero slope of what is clipped.
        curve = jnp.where(left > 0, jnp.where(left > 0, left, 1) ** p, 0)
        return (first - last) * curve + last

    return schedule


@recipe
def inverse_time(init_value: Scalar, transition_steps: Scalar = 1.0, power: Scalar = 1.0) -> Schedule:
    """As 1/t, or a power of it, with which stochastic gradient descent converges in the sense of Robbins and Monro.

    αₜ = α₀ / (1 + t/τ)^p

    Σ αₜ = ∞ and Σ αₜ² < ∞ exactly if ½ < p ≤ 1: the steps reach anywhere, and their noise dies out. With p = ½ it is
    the 1/√t of online learning.

    Args:
        init_value: α₀ ≥ 0.
        transition_steps: τ > 0, updates until the rate has halved for p = 1.
        power: p > 0.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``tf.keras.optimizers.schedules.InverseTimeDecay(α₀, τ, 1)`` for p = 1.

    Source: lecture 001, section 6.4 (where the second condition lacks its square); Robbins and Monro, 1951.

    >>> schedule = inverse_time(1.0, transition_steps=10)
    >>> [round(float(schedule(t)), 2) for t in (0, 10, 90)]
    [1.0, 0.5, 0.1]
    """
    check_number("inverse_time", "init_value", init_value, low=0.0)
    check_number("inverse_time", "transition_steps", transition_steps, low=0.0, low_open=True)
    check_number("inverse_time", "power", power, low=0.0, low_open=True)

    def schedule(count: Scalar) -> Array:
        t, first, steps, p = in_dtype_of_count(count, init_value, transition_steps, power)
        return first / (1 + t / steps) ** p

    return schedule


@recipe
def exponential(init_value: Scalar, transition_steps: Scalar, decay_rate: Scalar) -> Schedule:
    """The same factor in the same time, all along.

    αₜ = α₀ · r^(t/τ)

    Its sum is finite for r < 1, so it is no schedule in the sense of Robbins and Monro: the steps end at a finite
    distance.

    Args:
        init_value: α₀ ≥ 0.
        transition_steps: τ > 0, updates in which the rate is multiplied by r.
        decay_rate: r > 0; less than 1 to decay.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.exponential_decay``, and ``torch.optim.lr_scheduler.ExponentialLR(gamma=r)`` for τ = 1.

    Source: lecture 002, "Learning rate schedule".

    >>> schedule = exponential(1.0, transition_steps=10, decay_rate=0.25)
    >>> [round(float(schedule(t)), 4) for t in (0, 5, 10)]
    [1.0, 0.5, 0.25]
    """
    check_number("exponential", "init_value", init_value, low=0.0)
    check_number("exponential", "transition_steps", transition_steps, low=0.0, low_open=True)
    check_number("exponential", "decay_rate", decay_rate, low=0.0, low_open=True)

    def schedule(count: Scalar) -> Array:
        t, first, steps, r = in_dtype_of_count(count, init_value, transition_steps, decay_rate)
        return first * r ** (t / steps)

    return schedule


@recipe
def step(init_value: Scalar, transition_steps: Scalar, decay_rate: Scalar) -> Schedule:
    """Multiplied by a factor every k updates.

    αₜ = α₀ · r^⌊t/k⌋

    Its sum is finite for r < 1, so it is no schedule in the sense of Robbins and Monro.

    Args:
        init_value: α₀ ≥ 0.
        transition_steps: k > 0, updates between two steps down.
        decay_rate: r > 0; less than 1 to decay.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``torch.optim.lr_scheduler.StepLR(step_size=k, gamma=r)``, and ``optax.exponential_decay`` with
    ``staircase=True``.

    Source: lecture 002, "Learning rate schedule".

    >>> schedule = step(1.0, transition_steps=10, decay_rate=0.5)
    >>> [float(schedule(t)) for t in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """
    check_number("step", "init_value", init_value, low=0.0)
    check_number("step", "transition_steps", transition_steps, low=0.0, low_open=True)
    check_number("step", "decay_rate", decay_rate, low=0.0, low_open=True)

    def schedule(count: Scalar) -> Array:
        t, first, steps, r = in_dtype_of_count(count, init_value, transition_steps, decay_rate)
        return first * r ** whole_cycles(t, steps)

    return schedule


__all__ = [
    "constant",
    "cosine",
    "cosine_restarts",
    "exponential",
    "inverse_time",
    "join",
    "linear_decay",
    "one_cycle",
    "piecewise",
    "piecewise_scaled",
    "polynomial",
    "step",
    "warm_up",
]
