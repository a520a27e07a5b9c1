"""Schedules against their equations in NumPy, at whole counts, between them, and as series."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.optim import schedules

COUNTS = np.concatenate([np.arange(45.0), [0.5, 7.25, 10.75, 1e4]])


def restarts(t, steps, multiplier):
    begin, length = 0.0, float(steps)
    while begin + length <= t:
        begin, length = begin + length, length * multiplier
    return (1 + np.cos(np.pi * (t - begin) / length)) / 2


def one_cycle(t, steps, peak, start, d, f):
    top = start * steps
    if t <= top:
        return peak / d + (peak - peak / d) * (1 - np.cos(np.pi * t / top)) / 2
    return peak + (peak / (d * f) - peak) * (1 - np.cos(np.pi * min(1, (t - top) / (steps - top)))) / 2


EQUATIONS = {
    "constant": (schedules.constant(0.3), lambda t: 0.3),
    "linear decay": (
        schedules.linear_decay(0.2, 0.04, 8),
        lambda t: (1 - t / 8) * 0.2 + t / 8 * 0.04 if t <= 8 else 0.04,
    ),
    "polynomial": (
        schedules.polynomial(0.2, 0.04, 2.5, 12),
        lambda t: (0.2 - 0.04) * (1 - t / 12) ** 2.5 + 0.04 if t <= 12 else 0.04,
    ),
    "a root": (schedules.polynomial(0.2, 0.0, 0.5, 12), lambda t: 0.2 * (1 - t / 12) ** 0.5 if t <= 12 else 0.0),
    "1/t": (schedules.inverse_time(0.2, 5), lambda t: 0.2 / (1 + t / 5)),
    "a power of 1/t": (schedules.inverse_time(0.2, 5, 0.7), lambda t: 0.2 / (1 + t / 5) ** 0.7),
    "exponential": (schedules.exponential(0.2, 5, 0.9), lambda t: 0.2 * 0.9 ** (t / 5)),
    "step": (schedules.step(0.2, 7, 0.9), lambda t: 0.2 * 0.9 ** (t // 7)),
    "cosine": (
        schedules.cosine(0.2, 10, 0.1),
        lambda t: 0.2 * (0.1 + 0.9 * (1 + np.cos(np.pi * min(t, 10) / 10)) / 2),
    ),
    "restarts": (schedules.cosine_restarts(0.2, 6), lambda t: 0.2 * restarts(t, 6, 1)),
    "slower restarts": (
        schedules.cosine_restarts(0.2, 6, 1.5, 0.1),
        lambda t: 0.2 * (0.1 + 0.9 * restarts(t, 6, 1.5)),
    ),
    "one cycle": (schedules.one_cycle(20, 0.2, 0.4, 5, 50), lambda t: one_cycle(t, 20, 0.2, 0.4, 5, 50)),
    "piecewise": (
        schedules.piecewise([4, 9], [0.1, 0.3, 0.2]),
        lambda t: [0.1, 0.3, 0.2][int(np.searchsorted([4, 9], t, "right"))],
    ),
    "piecewise as arrays": (
        schedules.piecewise(jnp.array([4, 9]), np.array([0.1, 0.3, 0.2])),
        lambda t: [0.1, 0.3, 0.2][int(np.searchsorted([4, 9], t, "right"))],
    ),
    "scaled by one factor": (
        schedules.piecewise_scaled(0.2, [4, 9], 0.5),
        lambda t: 0.2 * 0.5 ** np.searchsorted([4, 9], t, "right"),
    ),
    "scaled by several": (
        schedules.piecewise_scaled(0.2, [4, 9], [0.5, 3.0]),
        lambda t: 0.2 * [1, 0.5, 1.5][int(np.searchsorted([4, 9], t, "right"))],
    ),
    "warm-up": (schedules.warm_up(5, 0.2, 0.1), lambda t: min(0.2, 0.1 + 0.1 * t / 5)),
    "no warm-up": (schedules.warm_up(0, schedules.inverse_time(0.2, 5)), lambda t: 0.2 / (1 + t / 5)),
    "warm-up of a schedule": (
        schedules.warm_up(5, schedules.inverse_time(0.2, 5)),
        lambda t: 0.2 * t / 5 if t < 5 else 0.2 / (1 + (t - 5) / 5),
    ),
    "join": (
        schedules.join([0.1, schedules.exponential(0.2, 5, 0.5), schedules.linear_decay(0.3, 0.1, 10)], [4, 9]),
        lambda t: 0.1 if t < 4 else 0.2 * 0.5 ** ((t - 4) / 5) if t < 9 else max(0.1, 0.3 - 0.2 * (t - 9) / 10),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_schedule_is_its_equation(name):
    with jax.enable_x64(True):
        schedule, equation = EQUATIONS[name]
        expected = np.array([equation(t) for t in COUNTS])
        one_by_one = np.array([schedule(t) for t in COUNTS])
        np.testing.assert_allclose(one_by_one, expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(schedule(jnp.asarray(COUNTS)), expected, rtol=1e-12, atol=1e-15)
        whole = jax.jit(jax.vmap(schedule))(jnp.arange(45))
        np.testing.assert_allclose(whole, expected[:45], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("steps", [3, 41, 47, 49, 55])
def test_steps_fall_exactly_at_multiples_also_where_a_reciprocal_rounds(steps):
    count = jnp.arange(1, 60, dtype=jnp.float32) * steps
    rate = jax.jit(jax.vmap(lambda t: schedules.step(1.0, steps, 0.5)(t)))
    np.testing.assert_array_equal(rate(count), 0.5 ** np.arange(1.0, 60))
    np.testing.assert_array_equal(rate(count - 1), 0.5 ** np.arange(0.0, 59))


@pytest.mark.parametrize("multiplier", [1.0, 2.0, 3.0])
def test_restarts_fall_exactly_at_their_boundaries_in_single_precision(multiplier):
    begins = np.cumsum(10 * multiplier ** np.arange(9)).astype(np.float32)
    rate = jax.jit(lambda m, t: schedules.cosine_restarts(1.0, 10.0, m)(t))
    np.testing.assert_allclose(rate(jnp.float32(multiplier), begins), 1, atol=1e-6)
    assert (rate(jnp.float32(multiplier), begins - 1) < 0.03).all()


def derivatives(schedule, arguments, count):
    with jax.enable_x64(True):
        given = [jnp.float64(a) for a in arguments]
        found = jax.grad(lambda *a: schedule(*a)(count), argnums=range(len(given)))(*given)
        numeric = [
            (schedule(*[a + 1e-6 * (i == j) for j, a in enumerate(arguments)])(count)
             - schedule(*[a - 1e-6 * (i == j) for j, a in enumerate(arguments)])(count)) / 2e-6
            for i in range(len(given))
        ]  # fmt: skip
        return np.array(found), np.array(numeric)


SLOPES = {
    "linear_decay": (schedules.linear_decay, (0.2, 0.1, 10.0)),
    "polynomial": (schedules.polynomial, (0.2, 0.1, 2.5, 10.0)),
    "inverse_time": (schedules.inverse_time, (0.2, 5.0, 0.7)),
    "exponential": (schedules.exponential, (0.2, 5.0, 0.7)),
    "step": (schedules.step, (0.2, 2.9, 0.7)),
    "cosine": (schedules.cosine, (0.2, 9.0, 0.1)),
    "cosine_restarts": (schedules.cosine_restarts, (0.2, 2.9, 1.3, 0.1)),
    "one_cycle": (schedules.one_cycle, (12.0, 0.2, 0.4, 5.0, 10.0)),
    "warm_up": (schedules.warm_up, (8.0, 0.2, 0.1)),
    "join": (lambda a, b: schedules.join([a, schedules.inverse_time(a, 5.0)], [b]), (0.2, 3.2)),
}


@pytest.mark.parametrize("name", SLOPES)
def test_derivatives_by_every_argument_agree_with_differences(name):
    found, numeric = derivatives(*SLOPES[name], 5)
    np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-8)
    assert np.abs(found).max() > 0


def test_the_slope_of_restarts_is_right_where_waves_stop_growing():
    found = jax.grad(lambda m: schedules.cosine_restarts(1.0, 3.0, m)(7))(1.0)
    above = jax.grad(lambda m: schedules.cosine_restarts(1.0, 3.0, m)(7))(1.001)
    np.testing.assert_allclose(found, above, rtol=2e-2)


def blocks(schedule, power):
    """Σ αₜ^power over [2ⁿ, 2ⁿ⁺¹), n = 10, …, 17."""
    with jax.enable_x64(True):
        rate = np.asarray(schedule(np.arange(2**18, dtype=np.float64)))
    return np.array([(rate[2**n : 2 ** (n + 1)] ** power).sum() for n in range(10, 18)])


def diverges(schedule, power):
    """Cauchy: a falling series behaves as that of its dyadic blocks, here by the ratio of one to the one before."""
    sums = blocks(schedule, power)
    if sums[-1] < 1e-100:
        return False
    ratio = sums[-1] / sums[-2]
    assert abs(ratio - 1) > 0.05 or abs(ratio - 1) < 1e-3, "the test cannot tell"
    return ratio > 1 - 1e-3


@pytest.mark.parametrize("power", [0.6, 0.75, 1.0])
def test_inverse_time_is_a_schedule_of_robbins_and_monro(power):
    schedule = schedules.inverse_time(0.5, 10.0, power)
    assert diverges(schedule, 1)
    assert not diverges(schedule, 2)


def test_the_sums_of_inverse_time_have_the_bounds_of_their_integrals():
    with jax.enable_x64(True):
        rate = np.asarray(schedules.inverse_time(0.5, 10.0)(np.arange(1e5)))
    assert rate.sum() >= 0.5 * 10 * np.log1p(1e5 / 10)  # Σ α₀/(1 + t/τ) ≥ ∫ = α₀ τ log(1 + n/τ), without bound
    assert (rate**2).sum() <= 0.5**2 * (1 + 10)  # Σ ≤ α₀² + ∫ = α₀² (1 + τ)


NOT_ROBBINS_MONRO = {
    "constant": (schedules.constant(0.1), True, True),
    "linear to a floor": (schedules.linear_decay(0.1, 0.01, 100), True, True),
    "1/√t": (schedules.inverse_time(0.1, 1.0, 0.5), True, True),
    "linear to zero": (schedules.linear_decay(0.1, 0.0, 100), False, False),
    "1/t²": (schedules.inverse_time(0.1, 10.0, 2.0), False, False),
    "exponential": (schedules.exponential(0.1, 100, 0.9), False, False),
    "step": (schedules.step(0.1, 100, 0.9), False, False),
    "cosine": (schedules.cosine(0.1, 100), False, False),
}


@pytest.mark.parametrize("name", NOT_ROBBINS_MONRO)
def test_other_schedules_fail_one_of_the_two_conditions(name):
    schedule, first, second = NOT_ROBBINS_MONRO[name]
    assert (diverges(schedule, 1), diverges(schedule, 2)) == (first, second)


@pytest.mark.parametrize("name", ["piecewise", "piecewise_scaled", "join", "warm_up"])
def test_boundaries_may_be_traced_and_mapped(name):
    build = {
        "piecewise": lambda b: schedules.piecewise([b, 9], [0.1, 0.2, 0.3]),
        "piecewise_scaled": lambda b: schedules.piecewise_scaled(0.1, [b], 0.5),
        "join": lambda b: schedules.join([0.1, schedules.cosine(0.2, b)], [b]),
        "warm_up": lambda b: schedules.warm_up(b, 0.1),
    }[name]
    mapped = jax.jit(jax.vmap(lambda b, t: build(b)(t)))(jnp.array([3, 7]), jnp.array([5, 6]))
    np.testing.assert_allclose(mapped, [build(3)(5), build(7)(6)], rtol=1e-6)


def test_an_optimizer_asks_a_schedule_with_the_updates_that_are_done():
    optimizer = optim.sgd(schedules.join([0.0, 1.0], [2]))
    state, seen = optimizer.init(jnp.zeros(1)), []
    for _ in range(4):
        updates, state = optimizer.update(jnp.ones(1), state)
        seen.append(-float(updates[0]))
    assert seen == [0, 0, 1, 1]


NUMBERS = {
    "polynomial power": lambda v: schedules.polynomial(0.1, 0.0, v, 10),
    "inverse_time transition_steps": lambda v: schedules.inverse_time(0.1, v),
    "exponential decay_rate": lambda v: schedules.exponential(0.1, 10, v),
    "step init_value": lambda v: schedules.step(v, 10, 0.5),
    "cosine decay_steps": lambda v: schedules.cosine(0.1, v),
    "cosine_restarts alpha": lambda v: schedules.cosine_restarts(0.1, 10, alpha=v),
    "one_cycle pct_start": lambda v: schedules.one_cycle(10, 0.1, v),
    "warm_up warmup_steps": lambda v: schedules.warm_up(v, 0.1),
    "warm_up schedule": lambda v: schedules.warm_up(3, v),
    "piecewise values[1]": lambda v: schedules.piecewise([3], [0.1, v]),
    "piecewise boundaries[0]": lambda v: schedules.piecewise([v], [0.1, 0.2]),
    "piecewise_scaled scales": lambda v: schedules.piecewise_scaled(0.1, [3], v),
    "join schedules[0]": lambda v: schedules.join([v, 0.1], [3]),
}


@pytest.mark.parametrize("value", [-0.5, float("nan"), np.float32(-0.5), jnp.float32("nan")], ids=str)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_range_is_named_with_its_value_and_its_range(name, value):
    where, argument = name.split(" ")
    with pytest.raises(HyperparameterError) as caught:
        NUMBERS[name](value)
    assert str(caught.value).startswith(
        f"{where}: {argument} is {'nan' if np.isnan(value) else '-0.5'}, but it has to be"
    )


MISTAKES = {
    "a multiplier that shrinks": (lambda: schedules.cosine_restarts(0.1, 5, 0.5), HyperparameterError, "at least 1"),
    "boundaries that descend": (
        lambda: schedules.piecewise([9, 4], [0.1, 0.2, 0.3]),
        HyperparameterError,
        "^piecewise: boundaries go down from 9 to 4.*Sort them",
    ),
    "too few values": (
        lambda: schedules.piecewise([4, 9], [0.1, 0.2]),
        ShapeError,
        "^piecewise: there are 2 values and 2 boundaries; between 2 lie 1",
    ),
    "too many schedules": (lambda: schedules.join([0.1, 0.2], []), ShapeError, "2 schedules and 0 boundaries"),
    "too few scales": (
        lambda: schedules.piecewise_scaled(0.1, [4, 9], [0.1]),
        ShapeError,
        "2 boundaries and 1 scales. Give one a boundary, or one for all",
    ),
    "a number for a list": (lambda: schedules.piecewise(3, [0.1, 0.2]), StructureError, "has to be a list of numbers"),
    "several numbers": (lambda: schedules.cosine(jnp.ones(2), 5), ShapeError, r"init_value has shape \(2,\).*vmap"),
    "a word": (lambda: schedules.join(["fast", 0.1], [3]), StructureError, "'fast', which is not a number"),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
