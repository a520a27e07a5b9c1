"""L-BFGS and conjugate gradients: methods for many parameters, against SciPy and their own equations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.linalg
from problems import BOWL, LONG_START, TARGET, quadratic, rosenbrock, rosenbrock_tree

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.optim.second_order.curvature import two_loops

pytestmark = pytest.mark.exhaustive  # compiles whole solvers, most of them for one test each

# The updates within which Rosenbrock's function in ten dimensions is solved to ‖g‖ ≤ 1e-6 in float64, from (−1.2, 1)
# repeated; about a quarter more than what is needed today. In two dimensions it is a law.
BUDGETS = {
    "lbfgs": (lambda: optim.lbfgs(), 100),
    "lbfgs that backtracks": (lambda: optim.lbfgs(search=optim.line_search.backtracking()), 105),
    "polak_ribiere": (lambda: optim.conjugate_gradient(), 180),
    "fletcher_reeves": (lambda: optim.conjugate_gradient("fletcher_reeves"), 150),
}


@pytest.mark.parametrize("name", BUDGETS)
def test_rosenbrock_in_ten_dimensions_is_solved_within_the_budget(name):
    make, budget = BUDGETS[name]
    with jax.enable_x64(True):
        result = optim.minimize(rosenbrock, jnp.array(LONG_START), make(), steps=budget, tol=1e-6)
        assert result.sentence.startswith("converged"), (result.steps, result.gradient_norm)
        np.testing.assert_allclose(result.solution, 1, atol=1e-5)


@pytest.mark.parametrize(("name", "theirs"), [("lbfgs", "L-BFGS-B"), ("polak_ribiere", "CG")])
def test_scipy_finds_the_same_minimum_in_about_as_many_steps(name, theirs):
    with jax.enable_x64(True):
        f = lambda x: rosenbrock(x) + jnp.sum(jnp.cosh(x - 0.5))  # noqa: E731
        reference = scipy.optimize.minimize(f, LONG_START, jac=jax.jit(jax.grad(f)), method=theirs, tol=1e-10)
        result = optim.minimize(f, jnp.array(LONG_START), BUDGETS[name][0](), steps=400, tol=1e-6)
        assert result.sentence.startswith("converged")
        np.testing.assert_allclose(result.solution, reference.x, atol=1e-6)
        np.testing.assert_allclose(result.value, reference.fun, rtol=1e-12)
        assert result.steps <= 2 * reference.nit


@pytest.mark.parametrize("name", BUDGETS)
def test_a_tree_is_minimised_as_the_vector_of_its_leaves(name):
    with jax.enable_x64(True):
        tree = {"a": jnp.array(LONG_START[:4]).reshape(2, 2), "b": jnp.array(LONG_START[4:])}
        result = optim.minimize(rosenbrock_tree, tree, BUDGETS[name][0](), steps=12)
        vector = optim.minimize(rosenbrock, jnp.array(LONG_START), BUDGETS[name][0](), steps=12)
        np.testing.assert_allclose(result.value, vector.value, rtol=1e-6)


@pytest.mark.parametrize("name", BUDGETS)
def test_values_as_large_or_as_small_as_float32_has_them_do_no_harm(name):
    for scale in (1e-12, 1e8):
        f = lambda x, s=scale: s * quadratic(x)  # noqa: E731
        result = optim.minimize(f, jnp.zeros(3), BUDGETS[name][0](), steps=60, tol=1e-3 * scale)
        assert result.sentence.startswith("converged"), (scale, result)


# L-BFGS


def dense_bfgs(pairs, g):
    """The direction by the BFGS formula for the inverse Hessian, written as a matrix."""
    s, y = pairs[-1]
    B = np.eye(len(g)) * (s @ y) / (y @ y)
    for s, y in pairs:
        rho = 1 / (s @ y)
        V = np.eye(len(g)) - rho * np.outer(y, s)
        B = V.T @ B @ V + rho * np.outer(s, s)
    return B @ g


@pytest.mark.parametrize("past", [1, 2, 4])
def test_two_loops_are_the_bfgs_formula(past):
    random = np.random.default_rng(past)
    s = random.normal(size=(past, 5))
    y = s @ np.diag([1.0, 2.0, 3.0, 4.0, 5.0])
    g = random.normal(size=5)
    with jax.enable_x64(True):
        newest_first = slice(None, None, -1)
        room = np.zeros((6 - past, 5))  # differences that are not there yet
        got = two_loops(
            *(jnp.array(np.concatenate([v[newest_first], room])) for v in (s, y)),
            jnp.array(np.concatenate([1 / np.sum(s * y, axis=1)[newest_first], room[:, 0]])),
            jnp.array(g),
        )
        np.testing.assert_allclose(got, dense_bfgs(list(zip(s, y, strict=True)), g), rtol=1e-10)


def test_lbfgs_forgets_all_but_the_last_differences_and_takes_none_without_curvature():
    with jax.enable_x64(True):
        optimizer = optim.lbfgs(memory=2)
        f = lambda x: jnp.sum(jnp.sqrt(1 + x**2))  # noqa: E731
        x = jnp.array([3.0, -1.0, 0.5])
        state, seen, step = optimizer.init(x), [], jax.jit(functools.partial(optimizer.update, value_fn=f))
        for _ in range(4):
            updates, state = step(jax.grad(f)(x), state, x)
            seen.append((x, jax.grad(f)(x)))
            x = optim.apply_updates(x, updates)
        s, y = (seen[-1][i] - seen[-2][i] for i in (0, 1))
        length = jnp.linalg.norm(s)
        np.testing.assert_allclose(state.params_differences[0], s / length, rtol=1e-10)
        np.testing.assert_allclose(state.grads_differences[0], y / length, rtol=1e-10)
        np.testing.assert_allclose(state.weights[0], length**2 / (s @ y), rtol=1e-10)
        bent = state.grads - 0.1 * s  # a gradient that fell along the step
        _, after = step(bent, state._replace(params=x - s), x)
        np.testing.assert_array_equal(after.params_differences, state.params_differences)


# Conjugate gradients


def test_linear_conjugate_gradients_are_exact_after_as_many_steps_as_unknowns():
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        for n in (1, 2, 5, 8):
            root = random.normal(size=(n, n))
            A, b = root @ root.T + np.eye(n), random.normal(size=n)
            result = optim.solve_conjugate_gradient(A, b, steps=n, tol=1e-10)
            assert result.sentence == "converged: the tolerance was reached"
            np.testing.assert_allclose(result.solution, np.linalg.solve(A, b), rtol=1e-8)
            assert result.steps <= n
            np.testing.assert_allclose(result.value, -b @ np.linalg.solve(A, b) / 2)


def test_as_many_distinct_eigenvalues_as_steps():
    with jax.enable_x64(True):
        d = np.repeat([1.0, 5.0, 20.0], 10)
        result = optim.solve_conjugate_gradient(lambda x: d * x, np.linspace(1, 2, 30), tol=1e-9)
        assert result.steps == 3


def test_linear_conjugate_gradients_follow_scipy_step_by_step():
    A = scipy.sparse.diags([-1.0, 2.5, -1.0], [-1, 0, 1], shape=(20, 20))
    b = np.sin(np.arange(20.0))
    with jax.enable_x64(True):
        for steps in (1, 3, 7):
            theirs, _ = scipy.sparse.linalg.cg(A, b, rtol=0, maxiter=steps)
            ours = optim.solve_conjugate_gradient(jnp.array(A.toarray()), b, steps=steps, tol=0.0)
            np.testing.assert_allclose(ours.solution, theirs, rtol=1e-10)
            np.testing.assert_allclose(ours.gradient_norm, np.linalg.norm(A @ theirs - b), rtol=1e-9)


def test_a_linear_map_of_pytrees_is_solved():
    matrix = lambda p: {"a": 2 * p["a"] + p["b"].sum(), "b": 3 * p["b"] + p["a"].sum()}  # noqa: E731
    b = {"a": jnp.ones((2, 1)), "b": jnp.array([1.0])}
    result = optim.solve_conjugate_gradient(matrix, b, x0=b)
    for name, product in matrix(result.solution).items():
        np.testing.assert_allclose(product, b[name], rtol=1e-5)


def test_linear_conjugate_gradients_name_a_matrix_that_is_not_positive_definite():
    run = jax.vmap(lambda d: optim.solve_conjugate_gradient(lambda x: d * x, jnp.array([1.0, 2.0])))
    good, negative, mixed, zero = run(jnp.array([[1.0, 2.0], [-1.0, -1.0], [1.0, -1.0], [0.0, 0.0]])).sentence
    assert good.startswith("converged")
    for sentence in (negative, mixed, zero):
        assert "not positive definite" in sentence
    at_the_solution = optim.solve_conjugate_gradient(lambda x: -x, jnp.zeros(2))
    assert (at_the_solution.steps, at_the_solution.sentence[:9]) == (0, "converged")


@pytest.mark.parametrize("method", ["polak_ribiere", "fletcher_reeves"])
def test_non_linear_conjugate_gradients_with_an_exact_search_are_the_linear_ones_on_a_quadratic(method):
    with jax.enable_x64(True):
        optimizer = optim.conjugate_gradient(method, optim.line_search.exact_on_quadratics())
        x, state = jnp.zeros(3), optimizer.init(jnp.zeros(3))
        update = jax.jit(functools.partial(optimizer.update, value_fn=quadratic))
        for steps in range(1, 4):
            updates, state = update(jax.grad(quadratic)(x), state, x)
            x = x + updates
            linear = optim.solve_conjugate_gradient(BOWL, TARGET, steps=steps, tol=0.0)
            np.testing.assert_allclose(x, linear.solution, rtol=1e-10)


@pytest.mark.parametrize("method", ["polak_ribiere", "fletcher_reeves"])
def test_the_direction_is_the_equation_and_restarts_where_it_says(method):
    with jax.enable_x64(True):
        optimizer = optim.conjugate_gradient(method)
        x, slope = jnp.array(LONG_START), jax.jit(jax.grad(rosenbrock))
        update = jax.jit(functools.partial(optimizer.update, value_fn=rosenbrock))
        state, before, restarts = optimizer.init(x), None, 0
        for step in range(12):
            g = slope(x)
            updates, state = update(g, state, x)
            expected = -g
            if before is not None:
                h, d = before
                beta = max(0, g @ (g - h) / (h @ h)) if method == "polak_ribiere" else g @ g / (h @ h)
                again = step % 10 == 0 or (method == "fletcher_reeves" and abs(g @ h) > 0.5 * (g @ g))
                again = again or (-g + beta * d) @ g >= 0
                restarts += bool(again or beta == 0)
                expected = -g if again else -g + beta * d
            np.testing.assert_allclose(state.direction, expected, rtol=1e-9, atol=1e-9)
            before, x = (g, state.direction), x + updates
        assert restarts >= 1


def test_mistakes_are_met_with_sentences():
    A, b = jnp.eye(2), jnp.ones(2)
    solve = optim.solve_conjugate_gradient
    with pytest.raises(HyperparameterError, match=r"^lbfgs: memory is 0"):
        optim.lbfgs(memory=0)
    with pytest.raises(HyperparameterError, match=r"^conjugate_gradient: method is 'newton'.*polak_ribiere, fletcher"):
        optim.conjugate_gradient("newton")
    with pytest.raises(ShapeError, match=r"^solve_conjugate_gradient: the matrix has shape \(2, 3\).*square"):
        solve(jnp.ones((2, 3)), b)
    with pytest.raises(ShapeError, match=r"^solve_conjugate_gradient: b has shape \(3,\), .* has to be \(2,\)"):
        solve(A, jnp.ones(3))
    with pytest.raises(StructureError, match=r"^solve_conjugate_gradient: .* has dtype int32"):
        solve(A, jnp.arange(2))
    with pytest.raises(ShapeError, match=r"^solve_conjugate_gradient: x0 has a leaf of shape \(3,\)"):
        solve(A, b, jnp.ones(3))
    with pytest.raises(ShapeError, match=r"^solve_conjugate_gradient: the product A b has a leaf of shape \(\)"):
        solve(lambda x: x.sum(), b)
    with pytest.raises(HyperparameterError, match=r"^solve_conjugate_gradient: tol is -1"):
        solve(A, b, tol=-1.0)
    with pytest.raises(HyperparameterError, match=r"^solve_conjugate_gradient: steps is 0"):
        solve(A, b, steps=0)
