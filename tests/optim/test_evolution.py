"""The genetic algorithm by its parts, and CMA-ES against the tutorial, by its invariances and by what it reaches.

What takes more than a second here is compiling: a program a method, for all seeds at once.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim
from fnnet.optim.zeroth_order.adaptation import cma_es_constants, cma_es_population, symmetric_root
from fnnet.optim.zeroth_order.evolution import cross, mutate, select

pytestmark = pytest.mark.exhaustive  # compiles whole solvers, most of them for one test each

KEYS = jax.random.split(jax.random.key(7), 20)


@pytest.fixture(name="float64")
def _float64():
    with jax.enable_x64(True):
        yield


def sphere(x):
    return jnp.sum(x**2)


def ellipsoid(x):
    """Condition number 10⁶."""
    return jnp.sum(10.0 ** jnp.linspace(0, 6, x.size, dtype=x.dtype) * x**2)


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rastrigin(x):
    """Minimum 0 at 0; every other integer point is near a local minimum, the next best of value 0.99."""
    return jnp.sum(10 + x**2 - 10 * jnp.cos(2 * jnp.pi * x))


def mapped(fun, start, optimizer, steps, keys=KEYS):
    return jax.jit(jax.vmap(lambda key: optim.minimize(fun, start, optimizer, steps=steps, key=key, trace=True)))(keys)


# The genetic algorithm


def test_selection_takes_the_best_of_each_tournament():
    values = jnp.array([3.0, 1.0, jnp.inf, 2.0])
    won = np.asarray(select(jax.random.uniform(jax.random.key(0), (20_000, 2)), values))
    # The member of rank r of 4 wins unless both entrants are better or one is: (9 − 2r) / 16, here by index.
    np.testing.assert_allclose(np.bincount(won, minlength=4) / len(won), np.array([3, 7, 1, 5]) / 16, atol=0.015)
    assert set(np.asarray(select(jax.random.uniform(jax.random.key(0), (50, 64)), values))) == {1}
    anyone = (
        np.bincount(np.asarray(select(jax.random.uniform(jax.random.key(0), (20_000, 1)), values)), minlength=4)
        / 20_000
    )
    np.testing.assert_allclose(anyone, 0.25, atol=0.015)


def test_crossover_takes_every_coordinate_from_one_of_the_parents():
    whether, which = (jax.random.uniform(jax.random.key(i), (5_000, k)) for i, k in ((0, 1), (1, 4)))
    mothers, fathers = jnp.zeros((5_000, 4)), jnp.ones((5_000, 4))
    children = np.asarray(cross(whether, which, mothers, fathers, 0.6))
    assert set(np.unique(children)) == {0.0, 1.0}
    mixed = children.any(axis=1)
    assert abs(mixed.mean() - 0.6 * (1 - 1 / 16)) < 0.02  # a crossed child is all mother in 1 of 16 cases
    assert abs(children.mean(axis=0) - 0.3).max() < 0.02
    assert abs(np.corrcoef(children[mixed].T) - np.eye(4)).max() < 0.15
    np.testing.assert_array_equal(cross(whether, which, mothers, fathers, 0.0), mothers)


def test_mutation_changes_coordinates_with_the_probability_and_by_the_scale():
    members = jnp.full((5_000, 4), 2.0)
    coins, noise = jax.random.uniform(jax.random.key(0), (5_000, 4)), jax.random.normal(jax.random.key(1), (5_000, 4))
    mutants = np.asarray(mutate(coins, noise, members, 0.25, jnp.float32(0.5)))
    changed = mutants != 2.0
    assert abs(changed.mean(axis=0) - 0.25).max() < 0.02
    np.testing.assert_allclose(mutants[changed], 2 + 0.5 * np.asarray(noise)[changed], rtol=1e-6)
    np.testing.assert_array_equal(mutate(coins, noise, members, 0.0, jnp.float32(0.5)), members)
    np.testing.assert_array_equal(mutate(coins, noise, members, 1.0, jnp.float32(0.5)), members + 0.5 * noise)


@pytest.mark.exact  # they are evaluated again, in other places of the population
def test_the_elites_live_on_with_their_values_and_the_best_is_where_the_parameters_are():
    optimizer = optim.genetic(12, elites=3)
    x = jnp.array([1.0, -2.0, 0.5])
    state = optimizer.init(x)
    update = jax.jit(lambda state, x, key: optimizer.update(None, state, x, value_fn=sphere, key=key))
    best = sphere(x)
    for step, key in enumerate(jax.random.split(jax.random.key(2), 15)):
        elites = np.sort(state.values)[:3]
        updates, state = update(state, x, key)
        x = optim.apply_updates(x, updates)
        if step > 0:
            assert (np.sort(state.values)[:3] <= elites).all()
            np.testing.assert_array_equal(np.sort(state.values[:3]), elites)
            np.testing.assert_allclose(state.values[3:], jax.vmap(sphere)(state.population[3:]), rtol=1e-5)
        assert state.values.min() <= best
        best = state.values.min()
        np.testing.assert_array_equal(state.population[state.values.argmin()], x)
        assert state.population.shape == (12, 3)


def test_the_first_generation_is_spread_around_the_start_or_fills_the_box():
    x = jnp.array([1.0, -1.0])
    for optimizer, mean, deviation in (
        (optim.genetic(4001, elites=1, spread=2.0), [1.0, -1.0], [2.0, 2.0]),
        (
            optim.genetic(4001, elites=1, low=jnp.array([0.0, -3.0]), high=jnp.array([2.0, 3.0])),
            [1, 0],
            [3**-0.5, 3**0.5],
        ),
    ):
        _, state = optimizer.update(None, optimizer.init(x), x, value_fn=sphere, key=jax.random.key(0))
        np.testing.assert_allclose(state.population[1:].mean(axis=0), mean, atol=0.1)
        np.testing.assert_allclose(state.population[1:].std(axis=0), deviation, rtol=0.05)


def test_genetic_finds_the_global_basin_of_rastrigin_in_5_dimensions_in_at_least_18_of_20_runs():
    optimizer = optim.genetic(low=-5.12, high=5.12, mutation_scale=0.5)
    found = mapped(rastrigin, jnp.full(5, 4.0), optimizer, 150)
    assert (jnp.abs(found.solution).max(axis=1) < 0.5).sum() >= 18
    assert (np.diff(found.trace, axis=1) <= 0).all()


def test_genetic_reaches_what_differential_evolution_of_scipy_reaches():
    from scipy.optimize import differential_evolution

    def numpy_rastrigin(x):
        return np.sum(10 + x**2 - 10 * np.cos(2 * np.pi * x))

    reference = differential_evolution(numpy_rastrigin, [(-5.12, 5.12)] * 2, seed=0, polish=False)
    schedule = optim.schedules.exponential(1.0, 10, 0.6)
    found = mapped(rastrigin, jnp.full(2, 4.0), optim.genetic(low=-5.12, high=5.12, mutation_scale=schedule), 150)
    assert abs(jnp.median(found.value) - reference.fun) < 1e-4


# CMA-ES


def test_the_constants_are_those_of_the_tutorial():
    # n = 10 written out: λ = 4 + ⌊3 · 2.3026⌋ = 10, w ∝ ln 5.5 − ln i for i = 1 … 5.
    assert [cma_es_population(n) for n in (1, 10)] == [4, 10]
    k = cma_es_constants(10, 10)
    np.testing.assert_allclose(k.weights[:5], [0.45627, 0.27075, 0.16223, 0.08524, 0.02551], atol=1e-5)
    assert not k.weights[5:].any()
    assert k.weights.sum() == pytest.approx(1)
    assert k.mu_eff == pytest.approx(3.1672993, rel=1e-6)
    assert k.c_sigma == pytest.approx(5.1672993 / 18.1672993, rel=1e-6)
    assert k.d_sigma == pytest.approx(1 + k.c_sigma)
    assert k.c_c == pytest.approx((4 + 0.31672993) / (14 + 0.63345986), rel=1e-6)
    assert k.c_1 == pytest.approx(2 / (11.3**2 + 3.1672993), rel=1e-6)
    assert k.c_mu == pytest.approx(2 * (1.1672993 + 1 / 3.1672993) / (144 + 3.1672993), rel=1e-6)
    lengths = np.linalg.norm(np.random.default_rng(0).normal(size=(200_000, 10)), axis=1)
    assert k.chi == pytest.approx(lengths.mean(), rel=2e-3)
    assert cma_es_constants(2, 400).d_sigma > 2  # a large population damps more


def test_eight_steps_equal_the_equations_of_the_tutorial_in_numpy(float64):
    n, size, optimizer = 3, 8, optim.cma_es(0.7, population=8)
    x = jnp.array([1.0, -0.5, 2.0])
    state, params = optimizer.init(x), x
    w, mu_eff, c_s, d_s, c_c, c_1, c_mu, chi = cma_es_constants(n, size)
    m, sigma, C, p_s, p_c = np.asarray(x), 0.7, np.eye(n), np.zeros(n), np.zeros(n)
    for step in range(8):
        key = jax.random.key(step)
        updates, state = optimizer.update(None, state, params, value_fn=rosenbrock, key=key)
        params = params + updates
        d2, B = np.linalg.eigh(C)
        root, inverse_root = B @ np.diag(np.sqrt(d2)) @ B.T, B @ np.diag(1 / np.sqrt(d2)) @ B.T
        y = [root @ z for z in np.asarray(jax.random.normal(key, (size, n)))]
        y.sort(key=lambda y: float(rosenbrock(jnp.asarray(m + sigma * y))))
        y_w = sum(w[i] * y[i] for i in range(size // 2))
        m = m + sigma * y_w
        p_s = (1 - c_s) * p_s + np.sqrt(c_s * (2 - c_s) * mu_eff) * inverse_root @ y_w
        bound = (1.4 + 2 / (n + 1)) * chi
        h = float(np.linalg.norm(p_s) / np.sqrt(1 - (1 - c_s) ** (2 * (step + 1))) < bound)
        p_c = (1 - c_c) * p_c + h * np.sqrt(c_c * (2 - c_c) * mu_eff) * y_w
        rank_mu = sum(w[i] * np.outer(y[i], y[i]) for i in range(size // 2))
        C = (1 + c_1 * (1 - h) * c_c * (2 - c_c) - c_1 - c_mu) * C + c_1 * np.outer(p_c, p_c) + c_mu * rank_mu
        sigma = sigma * np.exp(c_s / d_s * (np.linalg.norm(p_s) / chi - 1))
        for got, wanted in zip(state[1:], (m, sigma, C, p_s, p_c), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("fun", "start", "scale", "steps"),
    [
        (sphere, np.ones(5), 1.0, 130),  # 1040 evaluations
        (ellipsoid, np.ones(5), 1.0, 400),  # 3200
        (rosenbrock, np.zeros(4), 0.5, 320),  # 2560
    ],
)
def test_cma_es_reaches_1e_8_within_the_stated_steps_of_8_evaluations_from_20_seeds(float64, fun, start, scale, steps):
    found = mapped(fun, jnp.asarray(start), optim.cma_es(scale), steps)
    assert (found.value < 1e-8).all(), np.sort(found.value)[-3:]
    assert (np.diff(found.trace, axis=1) <= 0).all()


def test_a_larger_population_finds_the_global_basin_of_rastrigin_in_at_least_14_of_20_runs():
    found = mapped(rastrigin, jnp.full(2, 4.0), optim.cma_es(2.0, population=60), 60)
    assert (found.value < 1e-3).sum() >= 14


def test_increasing_functions_of_the_values_leave_the_path_bitwise_as_it_is(float64):
    start, optimizer = jnp.array([1.5, -0.5, 0.25]), optim.cma_es(0.5)

    def path(fun):
        @jax.jit
        def step(params, state, key):
            updates, state = optimizer.update(None, state, params, value_fn=fun, key=key)
            return optim.apply_updates(params, updates), state

        params, state, points = start, optimizer.init(start), []
        for key in KEYS:
            params, state = step(params, state, key)
            points.append((params, state))
        return points

    plain = path(rosenbrock)
    chex.assert_trees_all_equal(plain, path(lambda x: 8 * rosenbrock(x)))
    chex.assert_trees_all_equal(plain, path(lambda x: rosenbrock(x) ** 3))
    chex.assert_trees_all_equal(plain, path(lambda x: jnp.log(rosenbrock(x)) - 5))


def test_a_translation_translates_the_path(float64):
    shift, start, optimizer = jnp.array([64.0, -16.0, 4.0]), jnp.array([1.5, -0.5, 0.25]), optim.cma_es(0.5)
    here = mapped(rosenbrock, start, optimizer, 60, KEYS[:4])
    there = mapped(lambda x: rosenbrock(x - shift), start + shift, optimizer, 60, KEYS[:4])
    np.testing.assert_allclose(there.solution - shift[None], here.solution, atol=1e-6)
    np.testing.assert_allclose(there.trace, here.trace, rtol=1e-5, atol=1e-9)


def test_a_rotation_of_the_ellipsoid_is_learned_as_well_as_its_axes(float64):
    Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
    found = mapped(lambda x: ellipsoid(jnp.asarray(Q) @ x), jnp.ones(4), optim.cma_es(1.0), 350)
    assert (found.value < 1e-8).all()


def test_the_mean_stays_in_the_state_and_the_parameters_are_the_best_point_drawn():
    optimizer, x = optim.cma_es(0.5), jnp.array([1.0, 1.0])
    updates, state = optimizer.update(None, optimizer.init(x), x, value_fn=sphere, key=jax.random.key(0))
    points = np.asarray(x)[None] + 0.5 * np.asarray(jax.random.normal(jax.random.key(0), (6, 2)))
    np.testing.assert_allclose(x + updates, points[(points**2).sum(axis=1).argmin()], rtol=1e-5)
    assert not np.allclose(state.mean, x + updates)


def test_candidates_without_a_value_weigh_nothing():
    optimizer, x, key = optim.cma_es(0.5, population=4), jnp.zeros(2), jax.random.key(0)
    z = np.asarray(jax.random.normal(key, (4, 2)))
    alive = int(z[:, 0].argmax())
    threshold = float(0.5 * (np.sort(z[:, 0])[-1] + np.sort(z[:, 0])[-2]) / 2)

    def fun(x):
        return jnp.where(x[0] > threshold, 1.0, jnp.nan)

    _, state = optimizer.update(None, optimizer.init(x), x, value=2.0, value_fn=fun, key=key)
    np.testing.assert_allclose(state.mean, 0.5 * z[alive], rtol=1e-5)  # of two parents one has a value


def test_the_root_of_a_covariance_has_its_derivative_also_where_eigenvalues_are_equal(float64):
    random = np.random.default_rng(0)
    A = random.normal(size=(4, 4))
    for C in (A @ A.T + np.eye(4), np.eye(4), np.diag([1.0, 1.0, 2.0, 3.0])):
        root = symmetric_root(jnp.asarray(C))
        np.testing.assert_allclose(root @ root, C, atol=1e-12)
        change = random.normal(size=(4, 4))
        change = change + change.T
        _, derivative = jax.jvp(symmetric_root, (jnp.asarray(C),), (jnp.asarray(change),))
        numeric = (
            symmetric_root(jnp.asarray(C + 1e-6 * change)) - symmetric_root(jnp.asarray(C - 1e-6 * change))
        ) / 2e-6
        np.testing.assert_allclose(derivative, numeric, atol=1e-8)


def test_a_flat_function_neither_breaks_nor_blows_up_the_distribution():
    found = mapped(lambda x: jnp.sum(x) * 0, jnp.ones(3), optim.cma_es(1.0), 100)
    assert jnp.all(found.solution == 1) & jnp.all(found.value == 0)


def test_one_parameter_is_enough():
    for optimizer in (optim.cma_es(1.0), optim.genetic(), optim.random_search(1.0)):
        found = optim.minimize(lambda x: (x - 3) ** 2, jnp.array(0.0), optimizer, steps=60, key=KEYS[0])
        assert abs(found.solution - 3) < 0.05
