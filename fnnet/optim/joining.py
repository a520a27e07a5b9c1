"""Schedules made of pieces, and the arithmetic on counts that all schedules share.

Everything here is public as ``optim.schedules.X``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import HyperparameterError, ShapeError, StructureError, check_number, is_concrete
from fnnet.recipes import recipe
from fnnet.trees import wide
from fnnet.types import Array, Integer, Scalar, Schedule


def in_dtype_of_count(count: Any, *numbers: Any) -> tuple[Array, ...]:
    """The count as a floating-point number, and the other numbers in its dtype."""
    count = jnp.asarray(count)
    floating = jnp.issubdtype(count.dtype, jnp.floating)
    dtype = wide(count.dtype) if floating else jnp.result_type(float)
    return count.astype(dtype), *(jnp.asarray(number, dtype) for number in numbers)


def part_done(count: Array, steps: Array) -> Array:
    """The part of ``steps`` that is done, from 0 to 1."""
    return jnp.clip(count / steps, 0, 1)


def value_at(schedule: Scalar | Schedule, count: Array) -> Array:
    """The value of a schedule, or of a number that stands for a constant one, in the shape and dtype of count."""
    value = schedule(count) if callable(schedule) else schedule
    return jnp.broadcast_to(jnp.asarray(value, count.dtype), count.shape)


def _check_all(where: str, name: str, values: Any, **limits: Any) -> list[Any]:
    """The numbers of a sequence or a one-dimensional array, each checked."""
    if not isinstance(values, Sequence) and jnp.ndim(values) != 1:
        raise StructureError(where, f"{name} is {values!r}, but it has to be a list of numbers, or an array (n,).")
    numbers = [values[index] for index in range(len(values))]
    for index, number in enumerate(numbers):
        check_number(where, f"{name}[{index}]", number, **limits)
    return numbers


def _check_boundaries(where: str, boundaries: Any, pieces: int, what: str) -> list[Any]:
    """The boundaries between so many pieces, ascending."""
    numbers = _check_all(where, "boundaries", boundaries, low=0.0)
    if len(numbers) != pieces - 1:
        raise ShapeError(
            where, f"there are {pieces} {what} and {len(numbers)} boundaries; between {pieces} lie {pieces - 1}."
        )
    _check_ascending(where, numbers)
    return numbers


def _check_ascending(where: str, numbers: list[Any]) -> None:
    for a, b in pairwise(numbers):
        if is_concrete(a) and is_concrete(b) and a > b:
            raise HyperparameterError(where, f"boundaries go down from {a} to {b}, but they have to ascend. Sort them.")


@recipe
def piecewise(boundaries: Sequence[Integer], values: Sequence[float | Array]) -> Schedule:
    """One constant value after another.

    αₜ = values[i] for boundaries[i − 1] ≤ t < boundaries[i]

    Args:
        boundaries: k numbers of updates, ascending; a list or an array.
        values: k + 1 learning rates, each ≥ 0; a list or an array.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range, or boundaries that descend.
        ShapeError: not one more value than boundaries.

    Same as ``jax.example_libraries.optimizers.piecewise_constant``.

    Source: lecture 002, "Learning rate schedule".

    >>> schedule = piecewise([10, 20], [1.0, 0.5, 0.25])
    >>> [float(schedule(t)) for t in (0, 9, 10, 20)]
    [1.0, 1.0, 0.5, 0.25]
    """
    numbers = _check_all("piecewise", "values", values, low=0.0)
    limits = _check_boundaries("piecewise", boundaries, len(numbers), "values")

    def schedule(count: Scalar) -> Array:
        (t,) = in_dtype_of_count(count)
        rate = value_at(numbers[0], t)
        for boundary, value in zip(limits, numbers[1:], strict=True):
            rate = jnp.where(t < jnp.asarray(boundary, t.dtype), rate, jnp.asarray(value, t.dtype))
        return rate

    return schedule


@recipe
def piecewise_scaled(
    init_value: Scalar, boundaries: Sequence[Integer], scales: Sequence[float | Array] | float | Array
) -> Schedule:
    """Multiplied by a factor at each of some boundaries.

    αₜ = α₀ · Π scales[i] over all i with boundaries[i] ≤ t

    Args:
        init_value: α₀ ≥ 0.
        boundaries: k numbers of updates, ascending; a list or an array.
        scales: k factors, each ≥ 0; or one for every boundary.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range, or boundaries that descend.
        ShapeError: not as many factors as boundaries.

    Same as ``torch.optim.lr_scheduler.MultiStepLR(milestones=boundaries, gamma=scales)`` for one factor, and
    ``optax.piecewise_constant_schedule(init_value, dict(zip(boundaries, scales)))``.

    Source: lecture 002, "Learning rate schedule".

    >>> schedule = piecewise_scaled(1.0, [10, 20], 0.5)
    >>> [float(schedule(t)) for t in (0, 9, 10, 20)]
    [1.0, 1.0, 0.5, 0.25]
    """
    where = "piecewise_scaled"
    check_number(where, "init_value", init_value, low=0.0)
    limits = _check_all(where, "boundaries", boundaries, low=0.0)
    _check_ascending(where, limits)
    if not isinstance(scales, Sequence) and jnp.ndim(scales) == 0:
        check_number(where, "scales", scales, low=0.0)
        factors: list[Any] = [scales] * len(limits)
    else:
        factors = _check_all(where, "scales", scales, low=0.0)
    if len(factors) != len(limits):
        raise ShapeError(
            where, f"there are {len(limits)} boundaries and {len(factors)} scales. Give one a boundary, or one for all."
        )

    def schedule(count: Scalar) -> Array:
        (t,) = in_dtype_of_count(count)
        rate = value_at(init_value, t)
        for boundary, factor in zip(limits, factors, strict=True):
            rate = jnp.where(t < jnp.asarray(boundary, t.dtype), rate, rate * jnp.asarray(factor, t.dtype))
        return rate

    return schedule


@recipe
def join(schedules: Sequence[Any], boundaries: Sequence[Integer]) -> Schedule:
    """One schedule after another, each of which starts to count at its own boundary.

    αₜ = schedules[i](t − boundaries[i − 1]) for boundaries[i − 1] ≤ t < boundaries[i]

    Args:
        schedules: k + 1 schedules, or numbers for constant ones.
        boundaries: k numbers of updates, ascending; a list or an array.

    Returns:
        Schedule. None of its parts is asked for a count outside of its own piece, 0 apart.

    Raises:
        HyperparameterError: a number out of range, or boundaries that descend.
        ShapeError: not one more schedule than boundaries.

    Same as ``optax.join_schedules`` and ``torch.optim.lr_scheduler.SequentialLR``.

    >>> from fnnet.optim import schedules
    >>> schedule = join([1.0, schedules.exponential(1.0, 2, 0.25)], [4])
    >>> [float(schedule(t)) for t in (0, 4, 5, 6)]
    [1.0, 1.0, 0.5, 0.25]
    """
    parts = list(schedules)
    for index, part in enumerate(parts):
        check_number("join", f"schedules[{index}]", part, low=0.0, schedule=True)
    limits = _check_boundaries("join", boundaries, len(parts), "schedules")

    def schedule(count: Scalar) -> Array:
        t, *ends = in_dtype_of_count(count, *limits)
        begins = [jnp.zeros((), t.dtype), *ends]
        rate = value_at(parts[-1], jnp.maximum(t - begins[-1], 0))
        for part, begin, end in reversed(list(zip(parts[:-1], begins[:-1], ends, strict=True))):
            # Both sides of a choice are computed: a count that is foreign to a part could make NaN derivatives.
            own = jnp.where((begin <= t) & (t < end), t - begin, 0)
            rate = jnp.where(t < end, value_at(part, own), rate)
        return rate

    return schedule


@recipe
def warm_up(warmup_steps: Scalar, schedule: Scalar | Schedule, init_value: Scalar = 0.0) -> Schedule:
    """A linear rise to where a schedule starts, and then that schedule.

    αₜ = α_init + (t/w) (α′₀ − α_init) for t < w, else α′ at t − w

    Args:
        warmup_steps: w ≥ 0, a number of updates; 0 for no warm-up.
        schedule: α′, what comes then: a schedule, which starts to count at w, or a number for a constant one.
        init_value: α_init ≥ 0, the learning rate of the first update.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.warmup_constant_schedule`` for a number, and ``optax.warmup_cosine_decay_schedule(α_init, α₀, w, w +
    d)``, which counts the warm-up in, for `cosine` (α₀, d).

    Source: Goyal et al., 2017.

    >>> schedule = warm_up(4, 1.0)
    >>> [float(schedule(t)) for t in (0, 1, 4, 100)]
    [0.0, 0.25, 1.0, 1.0]
    """
    check_number("warm_up", "warmup_steps", warmup_steps, low=0.0)
    check_number("warm_up", "schedule", schedule, low=0.0, schedule=True)
    check_number("warm_up", "init_value", init_value, low=0.0)

    def warmed(count: Scalar) -> Array:
        t, w, low = in_dtype_of_count(count, warmup_steps, init_value)
        then = value_at(schedule, jnp.maximum(t - w, 0))  # in the warm-up its first value
        return jnp.where(t < w, low + jnp.minimum(t, w) / jnp.where(w > 0, w, 1) * (then - low), then)

    return warmed


def whole_cycles(count: Array, steps: Array) -> Array:
    """⌊t/τ⌋, exact where t is a multiple of τ; as a step function it has no derivative to pass on."""
    # floor(t / τ) is not: XLA multiplies by 1/τ, and 7·41·(1/41) rounds below 7. floor_divide divides what is whole.
    return jax.lax.stop_gradient(jnp.floor_divide(count, steps))
