"""Laws 1 to 4 for every public learning-rate schedule."""

import catalogue
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import both, first, lane, second, traced_once

schedules = pytest.mark.parametrize("case", catalogue.rows(catalogue.SCHEDULES))
COUNTS = jnp.arange(20)


def values(case, numbers):
    schedule = case.build(**numbers)
    return jax.lax.map(lambda t: jnp.asarray(schedule(t)), COUNTS)


@schedules
def test_mapped_over_hyperparameters_equals_a_loop_and_new_numbers_never_retrace(case):
    run = traced_once(lambda numbers: values(case, numbers))
    mapped = jax.jit(jax.vmap(lambda n: values(case, n)))(both(case))
    for index, numbers in enumerate((first(case), second(case))):
        chex.assert_trees_all_close(lane(mapped, index), run(numbers), rtol=1e-6)


@schedules
def test_plain_calls_equal_the_jitted_ones_and_are_never_negative(case):
    schedule = case.build(**{name: value[0] for name, value in case.numbers.items()})
    plain = np.array([schedule(int(t)) for t in COUNTS])
    # A cosine near −1 cancels, so what counts is the rounding of the largest rate.
    np.testing.assert_allclose(plain, values(case, first(case)), rtol=1e-6, atol=1e-7 * plain.max())
    assert (plain >= 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@schedules
def test_the_rate_is_a_float_scalar_whatever_counts_the_updates(case, dtype):
    with jax.enable_x64(dtype == "float64"):
        for numbers in (first(case), {name: value[0] for name, value in case.numbers.items()}):
            schedule = case.build(**numbers)
            for count in (0, 3.0, jnp.int32(3), jnp.asarray(3, dtype)):
                value = jnp.asarray(schedule(count))
                assert value.shape == ()
                assert jnp.issubdtype(value.dtype, jnp.floating)


@schedules
def test_derivatives_are_finite_at_every_count(case):
    derivative = jax.jit(jax.jacobian(lambda numbers: values(case, numbers)))(first(case))
    chex.assert_tree_all_finite(derivative)
