"""Schedules made of halves of cosine waves; public as ``optim.schedules.X``."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fnnet.errors import check_number
from fnnet.optim.joining import in_dtype_of_count, part_done, whole_cycles
from fnnet.recipes import recipe
from fnnet.types import Array, Scalar, Schedule


def _half_wave(part: Array) -> Array:
    """From 0 to 1 along half a cosine wave."""
    return (1 - jnp.cos(jnp.pi * part)) / 2


@recipe
def cosine(init_value: Scalar, decay_steps: Scalar, alpha: Scalar = 0.0) -> Schedule:
    """Down along half a cosine wave, then constant.

    αₜ = α₀ (a + (1 − a) (1 + cos πt/τ)/2) for t ≤ τ, else a α₀

    Args:
        init_value: α₀ ≥ 0.
        decay_steps: τ > 0, a number of updates.
        alpha: a ≥ 0, the floor as a part of α₀.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.cosine_decay_schedule``, and up to τ as ``torch.optim.lr_scheduler.CosineAnnealingLR(T_max=τ,
    eta_min=a α₀)``, which then rises again.

    Source: Loshchilov and Hutter, 2017.

    >>> schedule = cosine(1.0, 10)
    >>> [round(float(schedule(t)), 4) for t in (0, 5, 10, 20)]
    [1.0, 0.5, 0.0, 0.0]
    """
    check_number("cosine", "init_value", init_value, low=0.0)
    check_number("cosine", "decay_steps", decay_steps, low=0.0, low_open=True)
    check_number("cosine", "alpha", alpha, low=0.0)

    def schedule(count: Scalar) -> Array:
        t, first, steps, floor = in_dtype_of_count(count, init_value, decay_steps, alpha)
        return first * (floor + (1 - floor) * (1 - _half_wave(part_done(t, steps))))

    return schedule


@recipe
def cosine_restarts(init_value: Scalar, decay_steps: Scalar, multiplier: Scalar = 1.0, alpha: Scalar = 0.0) -> Schedule:
    """Down along half a cosine wave again and again, each time m times as slowly as before.

    αₜ = α₀ (a + (1 − a) (1 + cos π(t − tᵢ)/(τ mⁱ))/2) for tᵢ ≤ t < tᵢ₊₁, with tᵢ = τ (1 + m + … + mⁱ⁻¹)

    Args:
        init_value: α₀ ≥ 0.
        decay_steps: τ > 0, updates of the first wave.
        multiplier: m ≥ 1.
        alpha: a ≥ 0, the floor as a part of α₀.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(T_0=τ, T_mult=m, eta_min=a α₀)``, and
    ``optax.join_schedules`` of `cosine` decays.

    Source: Loshchilov and Hutter, 2017.

    >>> schedule = cosine_restarts(1.0, 10, multiplier=2.0)
    >>> [round(float(schedule(t)), 4) for t in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """
    check_number("cosine_restarts", "init_value", init_value, low=0.0)
    check_number("cosine_restarts", "decay_steps", decay_steps, low=0.0, low_open=True)
    check_number("cosine_restarts", "multiplier", multiplier, low=1.0)
    check_number("cosine_restarts", "alpha", alpha, low=0.0)

    def schedule(count: Scalar) -> Array:
        t, first, steps, m, floor = in_dtype_of_count(count, init_value, decay_steps, multiplier, alpha)
        more = m - 1
        grows = more > 0
        safe = jnp.where(grows, more, 1)

        def begin(wave: Array) -> Array:
            """tᵢ; the geometric sum near m = 1 by its series, so that it has its value and its slope there."""
            series = wave + wave * (wave - 1) / 2 * more
            return steps * jnp.where(grows, jnp.expm1(wave * jnp.log1p(safe)) / safe, series)

        guess = jnp.where(grows, jnp.floor(jnp.log1p(safe * t / steps) / jnp.log1p(safe)), whole_cycles(t, steps))
        # Logarithm and power round, and must not put a boundary on its wrong side: a few units in the last place.
        near = t + 8 * jnp.finfo(t.dtype).eps * t
        guess = jnp.where(begin(guess) > near, guess - 1, jnp.where(begin(guess + 1) <= near, guess + 1, guess))
        wave = jax.lax.stop_gradient(guess)
        done = part_done(t - begin(wave), steps * m**wave)
        return first * (floor + (1 - floor) * (1 - _half_wave(done)))

    return schedule


@recipe
def one_cycle(
    transition_steps: Scalar,
    peak_value: Scalar,
    pct_start: Scalar = 0.3,
    div_factor: Scalar = 25.0,
    final_div_factor: Scalar = 1e4,
) -> Schedule:
    """Up along half a cosine wave and down along another one, to far below the start.

    from α̂/d to α̂ in t ≤ pT, from α̂ to α̂/(d f) in pT < t ≤ T, then flat;
    between a and b at the part s of the way: a + (b − a)(1 − cos πs)/2

    Args:
        transition_steps: T > 0, updates of the whole cycle.
        peak_value: α̂ ≥ 0.
        pct_start: p in (0, 1), the part of the cycle that rises.
        div_factor: d > 0.
        final_div_factor: f > 0.

    Returns:
        Schedule.

    Raises:
        HyperparameterError: a number out of range.

    Same as ``optax.cosine_onecycle_schedule`` where pT is whole (optax rounds it down), and
    ``torch.optim.lr_scheduler.OneCycleLR(max_lr=α̂, total_steps=T + 1, pct_start=(pT + 1)/(T + 1))``.

    Source: Smith and Topin, 2018.

    >>> schedule = one_cycle(10, 1.0, pct_start=0.5, div_factor=4.0, final_div_factor=2.0)
    >>> [round(float(schedule(t)), 3) for t in (0, 5, 10, 99)]
    [0.25, 1.0, 0.125, 0.125]
    """
    check_number("one_cycle", "transition_steps", transition_steps, low=0.0, low_open=True)
    check_number("one_cycle", "peak_value", peak_value, low=0.0)
    check_number("one_cycle", "pct_start", pct_start, low=0.0, low_open=True, high=1.0, high_open=True)
    check_number("one_cycle", "div_factor", div_factor, low=0.0, low_open=True)
    check_number("one_cycle", "final_div_factor", final_div_factor, low=0.0, low_open=True)

    def schedule(count: Scalar) -> Array:
        t, steps, peak, part = in_dtype_of_count(count, transition_steps, peak_value, pct_start)
        _, d, f = in_dtype_of_count(count, div_factor, final_div_factor)
        rise = part_done(t, part * steps)
        fall = part_done(t - part * steps, (1 - part) * steps)
        up = peak / d + (peak - peak / d) * _half_wave(rise)
        down = peak + (peak / (d * f) - peak) * _half_wave(fall)
        return jnp.where(t < part * steps, up, down)

    return schedule
