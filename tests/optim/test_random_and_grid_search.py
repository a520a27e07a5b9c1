"""Search without a model: random search keeps the best, grid search finds the best node.

What takes more than a second here is compiling: a program a method, for all seeds at once.
"""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import errors, optim
from fnnet.optim.status import EXHAUSTED, NOT_FINITE

pytestmark = pytest.mark.exhaustive  # compiles whole solvers, most of them for one test each

KEYS = jax.random.split(jax.random.key(0), 20)
START = {"a": jnp.array([1.5, -0.5]), "b": jnp.array(1.0)}


def sphere(params):
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


def rastrigin(x):
    """Minimum 0 at 0; every other integer point is near a local minimum, the next best of value 0.99."""
    return jnp.sum(10 + x**2 - 10 * jnp.cos(2 * jnp.pi * x))


def mapped(fun, start, optimizer, steps, keys=KEYS):
    return jax.jit(jax.vmap(lambda key: optim.minimize(fun, start, optimizer, steps=steps, key=key, trace=True)))(keys)


# Random search


def test_an_update_leads_to_the_best_of_the_candidates_that_a_loop_finds():
    x, key = jnp.array([1.0, 2.0]), jax.random.key(3)
    optimizer = optim.random_search(0.5, population=6)
    updates, state = optimizer.update(None, optimizer.init(x), x, value_fn=sphere, key=key)
    points = np.asarray(x)[None] + 0.5 * np.asarray(jax.random.normal(key, (6, 2)))
    best = min([np.asarray(x), *points], key=lambda p: (p**2).sum())
    np.testing.assert_allclose(x + updates, best, rtol=1e-6)
    assert state.count == 1


def test_it_stays_where_no_candidate_is_better():
    x = jnp.zeros(3)
    optimizer = optim.random_search(1.0)
    updates, _ = optimizer.update(None, optimizer.init(x), x, value_fn=sphere, key=jax.random.key(0))
    assert not updates.any()


def test_the_driver_returns_the_best_point_that_was_drawn_and_the_value_never_rises():
    found = mapped(sphere, START, optim.random_search(0.3), 50)
    assert (np.diff(found.trace, axis=1) <= 0).all()
    assert (found.value <= found.trace.min(axis=1)).all()
    np.testing.assert_allclose(jax.vmap(sphere)(found.solution), found.value, rtol=1e-6)
    assert (found.value < 0.02).all()
    assert (found.status == EXHAUSTED).all()


def test_it_finds_the_global_basin_of_rastrigin_in_at_least_18_of_20_runs():
    start = jnp.full(2, 4.0)
    found = mapped(rastrigin, start, optim.random_search(1.0, population=64, low=-5.12, high=5.12), 100)
    assert (jnp.abs(found.solution).max(axis=1) < 0.5).sum() >= 18
    in_box = mapped(rastrigin, start, optim.random_search(population=64, low=-5.12, high=5.12), 100)
    assert (in_box.value < 3).sum() >= 18  # 6400 uniform draws: the value alone says little about the basin


def test_draws_in_a_box_are_uniform_and_a_scale_with_a_box_stays_inside():
    low, high = {"a": jnp.array([-1.0, 2.0])}, {"a": jnp.array([0.0, 6.0])}
    start = {"a": jnp.array([-0.5, 3.0])}
    optimizer = optim.random_search(population=1, low=low, high=high)

    def draw(key):  # where nothing is known of the start, the one candidate is better
        updates, _ = optimizer.update(None, optimizer.init(start), start, value=jnp.inf, value_fn=sphere, key=key)
        return start["a"] + updates["a"]

    u = (np.asarray(jax.vmap(draw)(jax.random.split(KEYS[0], 2000))) - np.asarray(low["a"])) / np.asarray(
        high["a"] - low["a"]
    )
    assert 0 <= u.min() < 0.01 < 0.99 < u.max() <= 1
    np.testing.assert_allclose(u.mean(axis=0), 0.5, atol=0.03)
    np.testing.assert_allclose(u.std(axis=0), 12**-0.5, atol=0.02)
    for scale in (0.1, 100.0):
        found = mapped(lambda p: -sphere(p), start, optim.random_search(scale, low=low, high=high), 20)
        assert (found.solution["a"] >= low["a"][None]).all()
        assert (found.solution["a"] <= high["a"][None]).all()


def test_a_schedule_anneals_the_scale():
    optimizer = optim.random_search(lambda t: 0.8 ** t.astype(float))
    fixed = mapped(sphere, START, optim.random_search(1.0), 40)
    annealed = mapped(sphere, START, optimizer, 40)
    assert jnp.median(annealed.value) < jnp.median(fixed.value) / 10


# Grid search


def test_it_returns_the_node_that_numpy_finds_by_brute_force():
    with jax.enable_x64(True):
        axes = {
            "a": jnp.linspace(jnp.array([-2.0, 0.0]), jnp.array([1.0, 3.0]), 7, axis=-1),
            "b": jnp.linspace(-1, 1, 5),
        }

        def fun(p):
            return jnp.sin(3 * p["a"][0]) * p["b"] + (p["a"][1] - p["b"]) ** 2

        rows = [*np.asarray(axes["a"]), np.asarray(axes["b"])]
        nodes = np.array(list(itertools.product(*rows)))
        values = np.sin(3 * nodes[:, 0]) * nodes[:, 2] + (nodes[:, 1] - nodes[:, 2]) ** 2
        best = nodes[values.argmin()]
        for batch_size in (1, 10, 49, 245, 1000):  # divides, does not divide, all at once
            found = optim.grid_search(fun, axes, batch_size=batch_size)
            np.testing.assert_array_equal([*found.solution["a"], found.solution["b"]], best)
            np.testing.assert_allclose(found.value, values.min(), rtol=1e-12)
            assert found.steps == 245
            assert found.status == EXHAUSTED


def test_it_agrees_with_scipy_brute():
    from scipy.optimize import brute

    def himmelblau(x):
        return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2

    with jax.enable_x64(True):
        axes = jnp.linspace(jnp.full(2, -5.0), jnp.full(2, 5.0), 23, axis=-1)
        found = optim.grid_search(himmelblau, axes)
        node, value, *_ = brute(himmelblau, ((-5, 5), (-5, 5)), Ns=23, full_output=True, finish=None)
        np.testing.assert_allclose(found.solution, node, rtol=1e-12)
        np.testing.assert_allclose(found.value, value, rtol=1e-12)


def test_of_equal_nodes_the_first_in_the_order_of_the_product_wins():
    axes = (jnp.array([1.0, -1.0]), jnp.array([2.0, -2.0]))
    found = optim.grid_search(lambda p: p[0] ** 2 + p[1] ** 2, axes, batch_size=3)
    assert found.solution == (1.0, 2.0)


def test_nodes_without_a_finite_value_never_win_and_a_grid_of_them_says_so():
    axes = jnp.linspace(-2.0, 2.0, 9)
    found = optim.grid_search(lambda x: jnp.where(x < 0, jnp.log(x), jnp.where(x > 1, -jnp.inf, x)), axes, batch_size=4)
    assert found.solution == 0
    assert found.value == 0
    nowhere = optim.grid_search(lambda x: x * jnp.nan, axes)
    assert nowhere.status == NOT_FINITE
    assert jnp.isnan(nowhere.value)
    assert nowhere.solution == -2
    assert "finite" in nowhere.sentence


def test_it_maps_over_boxes_and_over_what_the_function_depends_on_and_jit_equals_eager():
    def search(center, low):
        return optim.grid_search(lambda x: (x - center) ** 2, jnp.linspace(low, low + 4, 9), batch_size=4)

    centers, lows = jnp.array([0.3, 2.2]), jnp.array([-1.0, 0.0])
    together = jax.jit(jax.vmap(search))(centers, lows)
    alone = [search(c, low) for c, low in zip(centers, lows, strict=True)]
    chex.assert_trees_all_equal(together, jax.tree.map(lambda *rows: jnp.stack(rows), *alone))


# What all of them promise

SEARCHES = {
    "random_search": optim.random_search(0.3, population=8),
    "random_search in a box": optim.random_search(population=8, low=-2.0, high=2.0),
    "genetic": optim.genetic(16, spread=0.5),
    "genetic in a box": optim.genetic(16, low=-2.0, high=2.0),
    "cma_es": optim.cma_es(0.3),
}
searches = pytest.mark.parametrize("optimizer", SEARCHES.values(), ids=SEARCHES)


@searches
def test_mapped_over_seeds_equals_a_loop_and_jit_equals_eager_and_a_key_decides(optimizer):
    together = mapped(sphere, START, optimizer, 12, KEYS[:3])
    run = jax.jit(lambda key: optim.minimize(sphere, START, optimizer, steps=12, key=key, trace=True))
    for i, key in enumerate(KEYS[:3]):
        alone = run(key)
        chex.assert_trees_all_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone, rtol=1e-4, atol=1e-6)
        chex.assert_trees_all_equal(alone, run(key))
    assert not np.array_equal(together.trace[0], together.trace[1])
    params, state = START, optimizer.init(START)
    for step in range(12):
        key = jax.random.fold_in(KEYS[0], step)
        updates, state = optimizer.update(None, state, params, value_fn=sphere, key=key)
        params = optim.apply_updates(params, updates)
    chex.assert_trees_all_close(params, jax.tree.map(lambda leaf: leaf[0], together.solution), rtol=1e-4, atol=1e-6)


@searches
def test_regions_without_a_value_are_left_out_and_the_best_point_is_kept(optimizer):
    def fun(params):
        value = sphere(params)  # NaN where b < 0, −∞ where a₀ < 0: only points with both ≥ 0 count
        value = jnp.where(params["a"][0] < 0, -jnp.inf, value)
        return jnp.where(params["b"] < 0, jnp.nan, value)

    found = mapped(fun, START, optimizer, 60)
    assert (found.status == EXHAUSTED).all()
    assert jnp.isfinite(found.trace).all()
    assert (found.solution["b"] >= 0).all()
    assert (found.solution["a"][:, 0] >= 0).all()
    assert (np.diff(found.trace, axis=1) <= 0).all()
    assert jnp.median(found.value) < 0.3 < sphere(START)


@searches
def test_where_nothing_has_a_value_it_stays_and_no_state_is_poisoned(optimizer):
    params, state = START, optimizer.init(START)
    for step, fun in enumerate([lambda p: sphere(p) * jnp.nan] * 3 + [sphere] * 3):
        if step == 3:
            chex.assert_trees_all_equal(params, START)
        updates, state = optimizer.update(None, state, params, value_fn=fun, key=jax.random.key(step))
        params = optim.apply_updates(params, updates)
    assert jnp.isfinite(sphere(params))
    assert not any(jnp.isnan(leaf).any() for leaf in jax.tree.leaves(state))


@searches
def test_parameters_of_mixed_and_low_precision_keep_their_dtypes_and_get_what_was_evaluated(optimizer):
    start = {"a": START["a"].astype(jnp.bfloat16), "b": START["b"]}

    def fun(params):
        return sphere(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params))

    params, state, values = start, optimizer.init(start), [fun(start)]
    update = jax.jit(lambda state, params, key: optimizer.update(None, state, params, value_fn=fun, key=key))
    for key in jax.random.split(KEYS[0], 30):
        updates, state = update(state, params, key)
        assert updates["a"].dtype == jnp.bfloat16
        params = optim.apply_updates(params, updates)
        values.append(fun(params))
    assert params["a"].dtype == jnp.bfloat16
    assert params["b"].dtype == jnp.float32
    assert (np.diff(values) <= 0).all()
    assert values[-1] < 1


@searches
def test_functions_without_derivative_and_whole_numbers_for_values_are_fine(optimizer):
    def count(params):
        return sum(jnp.sum(jnp.abs(leaf) > 0.4) for leaf in jax.tree.leaves(params))

    params, state = START, optimizer.init(START)
    update = jax.jit(lambda state, params, key: optimizer.update(None, state, params, value_fn=count, key=key))
    for key in jax.random.split(jax.random.key(1), 30):
        updates, state = update(state, params, key)
        params = optim.apply_updates(params, updates)
    assert count(params) < count(START)


@searches
def test_mapped_over_float_hyperparameters_with_one_trace(optimizer):
    from fnnet.recipes import split

    numbers, skeleton = split(optimizer)
    traces = []

    @jax.jit
    def run(numbers):
        traces.append(numbers)
        return optim.minimize(sphere, START, skeleton(numbers), steps=5, key=KEYS[0]).value

    both = [jnp.float32([n, 1.5 * n]) for n in numbers]
    mapped = jax.jit(jax.vmap(lambda n: optim.minimize(sphere, START, skeleton(n), steps=5, key=KEYS[0]).value))(both)
    looped = [run([n[i] for n in both]) for i in range(2)]
    assert len(traces) == 1
    np.testing.assert_allclose(mapped, looped, rtol=1e-4)
    assert mapped[0] != mapped[1]


X = jnp.zeros(2)
NAMES = ["random_search", "genetic", "cma_es"]
BUILD = {
    "random_search": lambda: optim.random_search(1.0),
    "genetic": optim.genetic,
    "cma_es": lambda: optim.cma_es(1.0),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"params": None}, errors.StructureError, "needs the parameters"),
        ({"value_fn": None}, errors.StructureError, "value_fn is missing"),
        ({"key": None}, errors.StructureError, "key is missing"),
        ({"key": 0}, errors.StructureError, "not a random key"),
        ({"key": KEYS}, errors.ShapeError, "one key is needed"),
        ({"value_fn": lambda x: x}, errors.ShapeError, "a scalar is needed"),
    ],
)
def test_what_an_update_lacks_is_said_in_a_sentence(name, change, kind, words):
    optimizer = BUILD[name]()
    given = {"params": X, "value_fn": sphere, "key": KEYS[0], **change}
    with pytest.raises(kind, match=f"{name}: .*{words}"):
        optimizer.update(None, optimizer.init(X), given.pop("params"), **given)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_that_cannot_be_searched_are_said_in_a_sentence(name):
    for params in ({}, jnp.arange(3)):
        with pytest.raises(errors.StructureError, match=f"{name}: "):
            BUILD[name]().init(params)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: optim.random_search(), errors.StructureError, "needs a scale"),
        (lambda: optim.random_search(0.0), errors.HyperparameterError, "scale is 0"),
        (lambda: optim.random_search(jnp.ones(2)), errors.ShapeError, "jax.vmap"),
        (lambda: optim.random_search(1.0, population=0), errors.HyperparameterError, "positive integer"),
        (lambda: optim.random_search(1.0, population=2.0), errors.HyperparameterError, "positive integer"),
        (lambda: optim.random_search(low=0.0), errors.StructureError, "has low but not high"),
        (lambda: optim.random_search(low=1.0, high=1.0), errors.HyperparameterError, "low less than high"),
        (lambda: optim.random_search(low=0.0, high=float("inf")), errors.HyperparameterError, "finite"),
        (lambda: optim.random_search(low=jnp.zeros(2), high=1.0), errors.ShapeError, "alike"),
        (lambda: optim.random_search(low={"a": 0.0}, high={"b": 1.0}), errors.StructureError, "differ at a"),
        (lambda: optim.random_search(low=jnp.zeros(3), high=jnp.ones(3)).init(X), errors.ShapeError, "tree like them"),
        (lambda: optim.random_search(low=1.0, high=2.0).init(X), errors.HyperparameterError, "outside of the box"),
        (lambda: optim.genetic(0), errors.HyperparameterError, "population is 0"),
        (lambda: optim.genetic(4, elites=4), errors.HyperparameterError, "less than the population"),
        (lambda: optim.genetic(elites=0), errors.HyperparameterError, "elites is 0"),
        (lambda: optim.genetic(tournament=0), errors.HyperparameterError, "tournament is 0"),
        (lambda: optim.genetic(crossover_rate=1.1), errors.HyperparameterError, "crossover_rate is 1.1"),
        (lambda: optim.genetic(mutation_rate=-0.1), errors.HyperparameterError, "mutation_rate is -0.1"),
        (lambda: optim.genetic(mutation_scale=float("nan")), errors.HyperparameterError, "mutation_scale is nan"),
        (lambda: optim.genetic(spread=0.0), errors.HyperparameterError, "spread is 0"),
        (lambda: optim.genetic(low=1.0, high=2.0).init(X), errors.HyperparameterError, "outside of the box"),
        (lambda: optim.cma_es(-1.0), errors.HyperparameterError, "scale is -1"),
        (lambda: optim.cma_es(1.0, population=1), errors.HyperparameterError, "at least 2"),
        (lambda: jax.jit(lambda k: optim.cma_es(1.0, population=k))(4), errors.HyperparameterError, "hp.static"),
        (lambda: optim.grid_search(1.0, X), errors.StructureError, "not a function"),
        (lambda: optim.grid_search(sphere, {}), errors.StructureError, "empty tree"),
        (lambda: optim.grid_search(sphere, jnp.arange(3)), errors.StructureError, "int32"),
        (lambda: optim.grid_search(sphere, jnp.array(1.0)), errors.ShapeError, "last axis holds the nodes"),
        (lambda: optim.grid_search(sphere, jnp.zeros((2, 0))), errors.ShapeError, "at least one"),
        (lambda: optim.grid_search(lambda x: x, jnp.zeros((2, 3))), errors.ShapeError, "a scalar is needed"),
        (lambda: optim.grid_search(sphere, X, batch_size=0), errors.HyperparameterError, "batch_size is 0"),
        (lambda: optim.grid_search(sphere, jnp.zeros((40, 2))), errors.HyperparameterError, "1.1e\\+12 nodes"),
    ],
)
def test_a_mistake_is_a_sentence(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
