"""Methods without gradients in the driver, inside of wrappers and in training; a program for each method."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import data, losses, nn, optim
from fnnet.optim.base import is_derivative_free
from fnnet.optim.status import EXHAUSTED, NOT_FINITE

METHODS = {
    "random_search": lambda: optim.random_search(0.5, population=8),
    "genetic": lambda: optim.genetic(8, mutation_scale=0.5),
    "cma_es": lambda: optim.cma_es(0.5),
}
AROUND = {
    "chain": lambda o: optim.chain(o, optim.clip(1.0)),
    "skip_nonfinite": optim.skip_nonfinite,
    "accumulate": lambda o: optim.accumulate(o, 1),
    "ema_parameters": lambda o: optim.ema_parameters(o, 0.9),
    "decoupled_weight_decay": lambda o: optim.decoupled_weight_decay(o, 0.0, learning_rate=1.0),
    "partition": lambda o: optim.partition({True: o, False: optim.cma_es(0.5)}, optim.matrices),
    "all of them": lambda o: optim.skip_nonfinite(optim.accumulate(optim.chain(optim.ema_parameters(o, 0.9)), 1)),
}


def has_no_derivative(x):
    """A bowl that says so to whoever differentiates it."""

    @jax.custom_jvp
    def bowl(x):
        return jnp.sum(x**2)

    @bowl.defjvp
    def refuse(primals, tangents):
        raise AssertionError("was differentiated")

    return bowl(x)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", AROUND)
def test_inside_of_others_too_nothing_is_differentiated_and_the_method_arrives(name):
    optimizer = AROUND[name](optim.random_search(0.5))
    assert is_derivative_free(optimizer)
    found = optim.minimize(has_no_derivative, jnp.array([2.0, -1.0]), optimizer, steps=30, key=jax.random.key(0))
    assert found.value < 0.1
    assert np.isnan(found.gradient_norm)


def test_what_needs_gradients_beside_one_that_does_not_still_gets_them():
    mixed = optim.partition({True: optim.sgd(0.25), False: optim.random_search(0.5)}, optim.matrices)
    assert not is_derivative_free(mixed)
    assert not is_derivative_free(optim.chain(optim.clip(1.0), optim.random_search(0.5)))
    assert not is_derivative_free(optim.skip_nonfinite(optim.adam(0.1)))
    start = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
    total = lambda p: jnp.sum(p["kernel"] ** 2) + jnp.sum(p["bias"] ** 2)  # noqa: E731
    found = optim.minimize(total, start, mixed, steps=40, key=jax.random.key(0))
    assert found.value < 0.05


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["random_search", "cma_es", pytest.param("genetic", marks=pytest.mark.exhaustive)])
def test_each_lane_of_a_map_over_seeds_has_its_own_count_and_status_also_where_a_start_has_no_value(name):
    """Lanes: a value at the start, NaN there, −∞ there, no value anywhere, no start."""

    def run(key, start, height, elsewhere):
        def fun(x):
            return jnp.where(jnp.all(x == start), height, jnp.sum((x - 1) ** 2) + elsewhere)

        return optim.minimize(fun, start, METHODS[name](), steps=25, key=key, trace=True)

    starts = jnp.array([[2.0, 2.0]] * 4 + [[jnp.nan, 2.0]])
    heights = jnp.array([2.0, jnp.nan, -jnp.inf, jnp.nan, 2.0])
    elsewhere = jnp.array([0.0, 0.0, 0.0, jnp.nan, 0.0])
    keys = jax.random.split(jax.random.key(0), 5)
    alone, mapped = jax.jit(run), jax.jit(jax.vmap(run))(keys, starts, heights, elsewhere)
    for lane in range(5):
        single = alone(keys[lane], starts[lane], heights[lane], elsewhere[lane])
        assert (mapped.steps[lane], mapped.status[lane]) == (single.steps, single.status)
        np.testing.assert_allclose(mapped.solution[lane], single.solution, rtol=1e-3, atol=1e-3)
    assert mapped.status.tolist() == [EXHAUSTED] * 3 + [NOT_FINITE] * 2
    assert mapped.steps.tolist() == [25, 25, 25, 25, 0]
    assert (mapped.value[:3] < 1).all()
    assert np.isnan(mapped.value[3])
    np.testing.assert_array_equal(mapped.solution[3], starts[3])
    assert len({tuple(trace) for trace in np.asarray(mapped.trace[:3, -1:])}) == 3  # and draws of its own


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["random_search", "cma_es"])
def test_fit_trains_without_gradients(name):
    x = np.linspace(-1, 1, 16, dtype=np.float32)[:, None]
    learner = fnnet.Learner(nn.dense(1), losses.squared_error, METHODS[name]())
    line = data.from_arrays(x, 2 * x + 1)
    run = fnnet.fit(learner, line, epochs=30, batch_size=16, key=jax.random.key(0))
    seen = run.history["train/loss"]
    assert seen[-1] < 0.2 * seen[0]
    assert (np.diff(seen) <= 1e-6).all()  # all data in each batch: the best point is kept


def test_a_function_that_is_rounded_has_no_derivative_that_helps_and_needs_none():
    stairs = functools.partial(lambda x: jnp.sum(jnp.abs(jnp.round(2 * x) - 3)))
    found = optim.minimize(
        stairs, jnp.zeros(2), optim.skip_nonfinite(optim.cma_es(1.0)), steps=40, key=jax.random.key(1)
    )
    assert found.value == 0
