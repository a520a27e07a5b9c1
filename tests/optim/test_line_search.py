"""Searches along a direction: the conditions that they promise hold at the step size that they return."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from problems import BOWL, START, quadratic, rosenbrock

from fnnet import optim
from fnnet.errors import HyperparameterError, StructureError
from fnnet.optim import line_search

pytestmark = pytest.mark.exhaustive  # compiles whole solvers, most of them for one test each

FUNCTIONS = {
    "quadratic": quadratic,
    "rosenbrock": rosenbrock,
    "waves": lambda x: jnp.sum(jnp.sin(3 * x) + 0.1 * x**2),
    "steep": lambda x: jnp.sum(jnp.exp(x**2)),
    "not defined everywhere": lambda x: jnp.sum(x - jnp.log(x + 4)),
}
GUESSES = [1e-4, 0.3, 1.0, 1e3]
every_function = pytest.mark.parametrize("name", FUNCTIONS)


def rays(name, count=6):
    """Starting points with the value, the direction of steepest descent and the slope, in float64."""
    f = FUNCTIONS[name]
    points = np.random.default_rng(3).normal(size=(count, 3))
    return f, jnp.array(points), jax.vmap(f)(jnp.array(points)), -jax.vmap(jax.grad(f))(jnp.array(points))


def search_all(search, name, guess):
    """Step sizes and values, slopes before and after, for every ray."""
    f, points, values, directions = rays(name)

    def one(x, value, d):
        along = lambda a: f(x + a * d)  # noqa: E731
        found = search(along, value, -(d @ d), jnp.asarray(guess, value.dtype))
        return found.step_size, found.success, *jax.value_and_grad(along)(found.step_size), -(d @ d)

    step, success, there, after, before = jax.jit(jax.vmap(one))(points, values, directions)
    assert success.all()
    assert (step > 0).all()
    return step, values, there, before, after


@every_function
@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize(("decrease", "shrink"), [(1e-4, 0.5), (0.3, 0.8)])
def test_backtracking_meets_armijos_condition_with_the_first_step_size_that_does(name, guess, decrease, shrink):
    with jax.enable_x64(True):
        search = line_search.backtracking(decrease, shrink, evaluations=120)
        step, values, there, before, _ = search_all(search, name, guess)
        assert (there <= values + decrease * step * before).all()
        tries = jnp.round(jnp.log(step / guess) / jnp.log(shrink))
        np.testing.assert_allclose(step, guess * shrink**tries, rtol=1e-10)
        f, points, _, directions = rays(name)
        larger = jnp.where(tries > 0, step / shrink, jnp.nan)[:, None]
        too_far = jax.vmap(f)(points + larger * directions) <= values + decrease * larger[:, 0] * before
        assert not too_far.any()


@every_function
@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize("curvature", [0.9, 0.1, 0.01])
def test_strong_wolfe_meets_both_conditions(name, guess, curvature):
    with jax.enable_x64(True):
        search = line_search.strong_wolfe(1e-4, curvature, evaluations=60)
        step, values, there, before, after = search_all(search, name, guess)
        assert (there <= values + 1e-4 * step * before).all()
        assert (jnp.abs(after) <= -curvature * before).all()


def test_strong_wolfe_finds_what_scipy_finds_to_be_good_enough():
    f, x = rosenbrock, jnp.array(START, jnp.float32)
    d = -jax.grad(f)(x)
    found = line_search.strong_wolfe(curvature=0.1)(lambda a: f(x + a * d), f(x), -(d @ d), jnp.float32(1e-3))
    theirs = scipy.optimize.line_search(f, jax.grad(f), x, d, c2=0.1)[0]
    assert f(x + found.step_size * d) <= 1.05 * f(x + jnp.float32(theirs) * d)


def test_exact_search_lands_where_the_slope_is_zero_on_a_quadratic():
    with jax.enable_x64(True):
        step, _, _, before, after = search_all(line_search.exact_on_quadratics(), "quadratic", 1.0)
        np.testing.assert_allclose(after / before, 0, atol=1e-12)
        _, _, _, d = rays("quadratic")
        exact = jnp.sum(d * d, axis=1) / jnp.einsum("ni,ij,nj->n", d, jnp.asarray(BOWL), d)
        np.testing.assert_allclose(step, exact, rtol=1e-12)


SEARCHES = {
    "backtracking": line_search.backtracking(),
    "strong_wolfe": line_search.strong_wolfe(),
    "exact_on_quadratics": line_search.exact_on_quadratics(),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_no_step_is_taken_uphill(name):
    found = SEARCHES[name](lambda a: 1 + a - a**2 / 9, jnp.float32(1), jnp.float32(1), jnp.float32(1))
    assert not found.success
    assert found.step_size == 0


@pytest.mark.parametrize("name", ["backtracking", "strong_wolfe"])
def test_a_slope_that_promises_a_decrease_that_is_not_there_ends_with_no_step(name):
    found = SEARCHES[name](lambda a: 1 + a, jnp.float32(1), jnp.float32(-1), jnp.float32(1))
    assert not found.success
    assert found.step_size == 0
    nowhere = SEARCHES[name](lambda a: a * jnp.nan, jnp.float32(1), jnp.float32(-1), jnp.float32(1))
    assert not nowhere.success


def test_there_is_no_end_to_a_descent_without_a_bottom_but_the_search_ends():
    found = line_search.strong_wolfe(evaluations=8)(lambda a: -a, jnp.float32(0), jnp.float32(-1), jnp.float32(1))
    assert found.success
    assert found.step_size == 2.0**7


def test_descent_never_goes_up_and_says_when_it_cannot_go_on():
    result = optim.minimize(
        rosenbrock, jnp.array(START, jnp.float32), optim.line_search_descent(), steps=60, trace=True
    )
    assert (np.diff(result.trace) < 0).all()
    with jax.enable_x64(True):
        wrong = jax.custom_jvp(lambda x: jnp.sum(x**2))
        wrong.defjvp(lambda p, t: (wrong(*p), -2 * (p[0] @ t[0])))  # a derivative of the wrong sign
        result = optim.minimize(wrong, jnp.ones(2), optim.line_search_descent())
        assert result.sentence.startswith("no step along the search direction decreases the value enough")
        np.testing.assert_array_equal(result.solution, 1)


def test_descent_with_the_exact_search_is_steepest_descent_with_the_lectures_best_step_size():
    with jax.enable_x64(True):
        x = jnp.array([1.0, 2.0, -1.0])
        g = jax.grad(quadratic)(x)
        expected = x - (g @ g) / (g @ BOWL @ g) * g
        optimizer = optim.line_search_descent(search=line_search.exact_on_quadratics())
        updates, state = optimizer.update(g, optimizer.init(x), x, value_fn=quadratic)
        np.testing.assert_allclose(x + updates, expected, rtol=1e-12)
        np.testing.assert_allclose(state.step_size, (g @ g) / (g @ BOWL @ g))


def test_mistakes_are_met_with_sentences():
    for name, make in {
        "backtracking: decrease": lambda v: line_search.backtracking(decrease=v),
        "backtracking: shrink": lambda v: line_search.backtracking(shrink=v),
        "strong_wolfe: decrease": lambda v: line_search.strong_wolfe(decrease=v),
        "strong_wolfe: curvature": lambda v: line_search.strong_wolfe(curvature=v),
    }.items():
        for wrong in (-0.1, 0.0, 1.0, float("nan")):
            with pytest.raises(HyperparameterError, match=f"^{name} is .*, but it has to be more than"):
                make(wrong)
    with pytest.raises(HyperparameterError, match=r"curvature is 0.1, but it has to be more than 0.2"):
        line_search.strong_wolfe(0.2, 0.1)
    with pytest.raises(HyperparameterError, match=r"^backtracking: evaluations is 0"):
        line_search.backtracking(evaluations=0)
    with pytest.raises(HyperparameterError, match="learning_rate is -1, but it has to be more than 0"):
        optim.line_search_descent(-1.0)
    with pytest.raises(StructureError, match=r"^lbfgs: search is 'wolfe'.*line_search.strong_wolfe\(\)"):
        optim.lbfgs(search="wolfe")
