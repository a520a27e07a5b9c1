"""Least squares and quadratics in closed form, and Levenberg–Marquardt for residuals that are not linear."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from problems import BOWL, TARGET

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError

pytestmark = pytest.mark.exhaustive  # compiles whole solvers, most of them for one test each

SHAPES = {"tall": (7, 3), "wide": (3, 7), "square": (4, 4), "one column": (5, 1), "one row": (1, 5)}


def problem(name, columns=(), deficient=False):
    random = np.random.default_rng(5)
    m, n = SHAPES[name]
    A, b = random.normal(size=(m, n)), random.normal(size=(m, *columns))
    if deficient:
        A[:, -1] = 2 * A[:, 0]
    return A, b


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [(), (2,)])
@pytest.mark.parametrize(
    ("name", "deficient"), [(n, d) for n in SHAPES for d in (False, True) if not (d and n == "one column")]
)
def test_least_squares_is_that_of_numpy_whatever_the_rank(name, columns, deficient, dtype):
    with jax.enable_x64(dtype == "float64"):
        A, b = problem(name, columns, deficient)
        found = jax.jit(optim.least_squares)(A.astype(dtype), b.astype(dtype))
        theirs, _, rank, sigma = np.linalg.lstsq(A, b, rcond=None)
        exact = 1e-12 if dtype == "float64" else 2e-5
        np.testing.assert_allclose(found.solution, theirs, rtol=exact, atol=exact)
        np.testing.assert_allclose(found.singular_values, sigma, rtol=exact, atol=exact)
        np.testing.assert_allclose(found.residual, np.linalg.norm(A @ theirs - b, axis=0), rtol=exact, atol=exact)
        assert found.rank == rank
        assert found.solution.dtype == dtype


@pytest.mark.parametrize("name", SHAPES)
def test_ridge_is_least_squares_of_a_longer_matrix(name):
    with jax.enable_x64(True):
        A, b = problem(name)
        n = A.shape[1]
        longer = np.concatenate([A, np.sqrt(0.3) * np.eye(n)]), np.concatenate([b, np.zeros(n)])
        theirs = np.linalg.lstsq(*longer, rcond=None)[0]
        np.testing.assert_allclose(optim.least_squares(A, b, ridge=0.3).solution, theirs, rtol=1e-10, atol=1e-12)


def test_digits_that_the_lectures_normal_equations_lose_are_kept():
    A = np.vander(np.linspace(0, 1, 20), 9, increasing=True)
    x = np.ones(9)
    with jax.enable_x64(True):
        ours = np.asarray(optim.least_squares(A, A @ x).solution)
        normal = np.linalg.solve(A.T @ A, A.T @ (A @ x))
    assert np.abs(ours - x).max() < 1e-9
    assert np.abs(normal - x).max() > 1e-7


@pytest.mark.parametrize("ridge", [0.0, 0.5])
@pytest.mark.parametrize("name", ["tall", "wide", "equal singular values", "of lower rank"])
def test_derivatives_agree_with_finite_differences(name, ridge):
    # Only directions that keep the rank have a derivative without a ridge.
    with jax.enable_x64(True):
        random = np.random.default_rng(1)
        A, b = problem(name if name in SHAPES else "tall")
        dA, db = random.normal(size=A.shape), random.normal(size=b.shape)
        if name == "equal singular values":
            A = np.eye(7, 3)
        if name == "of lower rank":
            left, right = random.normal(size=(7, 2)), random.normal(size=(2, 3))
            dleft, dright = random.normal(size=(7, 2)), random.normal(size=(2, 3))
            at = lambda t: (left + t * dleft) @ (right + t * dright)  # noqa: E731
        else:
            at = lambda t: A + t * dA  # noqa: E731
        solve = lambda t: optim.least_squares(at(t), b + t * db, ridge * (1 + t)).solution  # noqa: E731
        h = 1e-6
        central = (solve(h) - solve(-h)) / (2 * h)
        np.testing.assert_allclose(jax.jvp(solve, (0.0,), (1.0,))[1], central, rtol=1e-6, atol=1e-7)
        backward = jax.jacrev(lambda t: solve(t))(0.0)
        np.testing.assert_allclose(backward, central, rtol=1e-6, atol=1e-7)


def test_least_squares_may_be_mapped():
    A, b = (np.stack([v, 2 * v, -v]).astype(np.float32) for v in problem("tall"))
    found = jax.vmap(optim.least_squares)(A, b)
    for lane in range(3):
        np.testing.assert_allclose(found.solution[lane], optim.least_squares(A[lane], b[lane]).solution, rtol=1e-5)


# Quadratics


def test_minimize_quadratic_solves_the_linear_system():
    with jax.enable_x64(True):
        result = jax.jit(optim.minimize_quadratic)(BOWL, TARGET)
        x = np.linalg.solve(BOWL, TARGET)
        np.testing.assert_allclose(result.solution, x, rtol=1e-12)
        np.testing.assert_allclose(result.value, x @ BOWL @ x / 2 - TARGET @ x)
        assert result.gradient_norm < 1e-12
        assert result.sentence.startswith("converged")


def test_only_the_symmetric_part_counts_as_in_the_function():
    with jax.enable_x64(True):
        skew = BOWL + np.array([[0, 1.0, 2.0], [-1.0, 0, 3.0], [-2.0, -3.0, 0]])
        solution = optim.minimize_quadratic(skew, TARGET).solution
        np.testing.assert_allclose(jax.grad(lambda x: x @ skew @ x / 2 - TARGET @ x)(solution), 0, atol=1e-12)


def test_a_quadratic_without_a_minimum_says_why():
    matrices = jnp.array([np.eye(2), -np.eye(2), np.diag([1.0, 0.0]), np.full((2, 2), np.nan)], jnp.float32)
    result = jax.vmap(optim.minimize_quadratic, in_axes=(0, None))(matrices, jnp.ones(2))
    for sentence, words in zip(result.sentence, ("converged", "not positive", "singular", "not finite"), strict=True):
        assert words in sentence
    np.testing.assert_array_equal(result.solution[1:3], 0)
    assert result.steps.tolist() == [1, 0, 0, 0]


# Levenberg–Marquardt

TIME = np.linspace(0, 3, 25)
SEEN = 3 * np.exp(-1.3 * TIME) + 0.5 + 0.02 * np.random.default_rng(0).normal(size=25)


def decay(p):
    """Residuals of an exponential decay."""
    return p["scale"] * jnp.exp(-p["rate"] * TIME) + p["rest"] - SEEN


def powell(x):
    """Powell's function, whose Jacobian is singular at the minimum 0."""
    first = jnp.stack([x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3])])
    return jnp.concatenate([first, jnp.stack([(x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2])])


def valley(x):
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def fit(residuals, x0, **arguments):
    method = optim.levenberg_marquardt(residuals)
    return optim.minimize(optim.half_sum_of_squares(residuals), x0, method, **arguments)


def test_a_fitted_curve_agrees_with_scipy():
    with jax.enable_x64(True):
        names = ["rate", "rest", "scale"]
        result = fit(decay, dict.fromkeys(names, jnp.array(1.0)), steps=12, tol=1e-9)
        assert result.sentence.startswith("converged")
        theirs = scipy.optimize.least_squares(
            jax.jit(lambda v: decay(dict(zip(names, v, strict=True)))), np.ones(3), method="lm", xtol=1e-14, ftol=1e-14
        )
        np.testing.assert_allclose([result.solution[name] for name in names], theirs.x, rtol=1e-7)
        np.testing.assert_allclose(result.value, theirs.cost, rtol=1e-12)


def test_a_singular_jacobian_at_the_minimum_is_solved_within_its_budget():
    """Rosenbrock's valley, whose Jacobian is not singular, is a row of the laws."""
    with jax.enable_x64(True):
        result = fit(powell, jnp.array([3.0, -1.0, 0.0, 1.0]), steps=30, tol=1e-9)
        assert result.sentence.startswith("converged"), result
        np.testing.assert_allclose(result.solution, 0, atol=2e-3)


def test_linear_residuals_are_solved_as_least_squares_of_any_rank():
    with jax.enable_x64(True):
        for deficient in (False, True):
            A, b = problem("tall", deficient=deficient)
            result = fit(lambda x, A=A, b=b: A @ x - b, jnp.zeros(3), steps=20, tol=1e-10)
            np.testing.assert_allclose(result.value, np.sum((A @ np.linalg.lstsq(A, b)[0] - b) ** 2) / 2, rtol=1e-10)


def test_a_step_is_the_damped_equation_and_one_that_climbs_is_not_taken():
    with jax.enable_x64(True):
        optimizer = optim.levenberg_marquardt(valley, damping=0.1)
        x = jnp.array([-1.2, 1.0])
        update = jax.jit(functools.partial(optimizer.update, None))
        steps, state = update(optimizer.init(x), x)
        J, r = jax.jacobian(valley)(x), valley(x)
        expected = np.linalg.solve(J.T @ J + 0.1 * np.diag(np.diag(J.T @ J)), -J.T @ r)
        np.testing.assert_allclose(steps, expected, rtol=1e-10)
        climbing, after = update(state._replace(damping=jnp.array(1e-12)), jnp.array([-1.2, 1.44]))
        np.testing.assert_array_equal(climbing, 0)
        assert after.damping == 2e-12
        assert after.growth == 4


def test_values_never_go_up_and_a_point_that_cannot_be_bettered_ends_the_search():
    result = fit(lambda x: jnp.stack([x[0] - 1, x[0] + 1]), jnp.array([5.0]), tol=0.0, steps=100, trace=True)
    values = result.trace[: int(result.steps)]
    assert (np.diff(values) <= 0).all()
    assert result.sentence.startswith(("converged", "no step along the search direction"))
    np.testing.assert_allclose(result.solution, 0, atol=1e-4)


def test_mapped_over_starting_points_equals_a_loop():
    starts = jnp.array([[-1.2, 1.0], [1.0, 1.0], [2.0, -1.0], [np.nan, 0.0]])
    run = lambda x: fit(valley, x, tol=1e-4, steps=60)  # noqa: E731
    mapped = jax.jit(jax.vmap(run))(starts)
    for lane, start in enumerate(starts):
        alone = run(start)
        assert mapped.steps[lane] == alone.steps
        assert mapped.sentence[lane] == alone.sentence
    assert len(set(mapped.steps.tolist())) == 3


def test_mistakes_are_met_with_sentences():
    A, b = jnp.ones((3, 2)), jnp.ones(3)
    with pytest.raises(ShapeError, match=r"^least_squares: b has shape \(2,\), but the matrix has 3 rows"):
        optim.least_squares(A, jnp.ones(2))
    with pytest.raises(ShapeError, match=r"^least_squares: the matrix has shape \(3,\)"):
        optim.least_squares(b, b)
    with pytest.raises(ShapeError, match=r"^least_squares: the matrix has shape \(0, 2\)"):
        optim.least_squares(jnp.ones((0, 2)), jnp.ones(0))
    with pytest.raises(StructureError, match=r"^least_squares: the matrix has dtype int32.*astype"):
        optim.least_squares(jnp.ones((3, 2), jnp.int32), b)
    with pytest.raises(HyperparameterError, match=r"^least_squares: ridge is -1"):
        optim.least_squares(A, b, ridge=-1.0)
    with pytest.raises(ShapeError, match=r"^minimize_quadratic: the matrix has shape \(3, 2\), .* square"):
        optim.minimize_quadratic(A, b)
    with pytest.raises(ShapeError, match=r"^minimize_quadratic: b has shape \(3,\), .* it has to be \(2,\)"):
        optim.minimize_quadratic(jnp.eye(2), b)
    with pytest.raises(StructureError, match=r"^levenberg_marquardt: residuals is 3"):
        optim.levenberg_marquardt(3)
    with pytest.raises(StructureError, match=r"^half_sum_of_squares: residuals is None"):
        optim.half_sum_of_squares(None)
    with pytest.raises(HyperparameterError, match=r"^levenberg_marquardt: damping is -0.5"):
        optim.levenberg_marquardt(valley, -0.5)
    with pytest.raises(StructureError, match=r"^levenberg_marquardt: needs the parameters"):
        optim.levenberg_marquardt(valley).update(b, None)
