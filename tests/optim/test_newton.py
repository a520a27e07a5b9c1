"""Newton's method for minima and for roots, as lectures 000, 001 and 004 have it, with the errata."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from problems import BOWL, START, TARGET, quadratic, rosenbrock, rosenbrock_tree

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError

pytestmark = pytest.mark.exhaustive  # compiles whole solvers, most of them for one test each

MINIMUM = np.linalg.solve(BOWL, TARGET)


@pytest.mark.parametrize("damping", [1.0, 0.5, 0.25, 1.5])
def test_each_step_multiplies_the_error_on_a_quadratic_by_one_minus_the_damping(damping):
    with jax.enable_x64(True):
        optimizer, x = optim.newton(damping), jnp.array([4.0, -3.0, 2.0])
        state, step = optimizer.init(x), jax.jit(functools.partial(optimizer.update, value_fn=quadratic))
        for _ in range(3):
            updates, state = step(jax.grad(quadratic)(x), state, x)
            after = optim.apply_updates(x, updates)
            np.testing.assert_allclose(after - MINIMUM, (1 - damping) * (x - MINIMUM), atol=1e-13)
            x = after


def test_the_lecture_example_lands_in_the_origin_in_one_step():
    A = jnp.array([1.0, 10.0])  # lecture 004: L = θ·Aθ, one step with η = 1
    result = optim.minimize(lambda x: jnp.sum(A * x**2), jnp.array([3.0, -4.0]), optim.newton())
    assert result.steps == 1
    np.testing.assert_allclose(result.solution, 0, atol=1e-6)


def test_the_minimum_of_rosenbrock_agrees_with_scipy_and_of_a_tree_too():
    with jax.enable_x64(True):
        result = optim.minimize(rosenbrock, jnp.array(START), optim.newton(), steps=7, tol=1e-8)
        assert result.sentence.startswith("converged")
        slope, curvature = jax.jit(jax.grad(rosenbrock)), jax.jit(jax.hessian(rosenbrock))
        theirs = scipy.optimize.minimize(rosenbrock, START, jac=slope, hess=curvature, method="trust-exact", tol=1e-10)
        np.testing.assert_allclose(result.solution, theirs.x, atol=1e-8)
        tree = {"a": jnp.array([[START[0]]]), "b": jnp.array([START[1]])}
        of_a_tree = optim.minimize(rosenbrock_tree, tree, optim.newton(), steps=7, tol=1e-8)
        np.testing.assert_allclose(of_a_tree.solution["b"], result.solution[1:], atol=1e-12)


HESSIANS = {
    "a maximum": (np.diag([-1.0, -2.0]), "not positive definite"),
    "a saddle": (np.array([[0.0, 1.0], [1.0, 0.0]]), "not positive definite"),
    "a saddle of small units": (np.diag([-1e-10, 1.0]), "not positive definite"),
    "a valley": (np.array([[1.0, 1.0], [1.0, 1.0]]), "singular"),
    "a valley along an axis": (np.diag([1.0, 0.0]), "singular"),
    "a plane": (np.zeros((2, 2)), "singular"),
    "a bowl": (np.diag([1.0, 2.0]), "converged"),
    "a bowl of small units": (np.diag([1e-10, 1.0]), "converged"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", HESSIANS)
def test_what_is_not_a_bowl_is_reported_where_it_was_met_and_not_climbed(name, dtype):
    with jax.enable_x64(dtype == "float64"):
        H, words = HESSIANS[name]
        H = jnp.asarray(H, dtype)
        x0 = jnp.array([1.0, -0.5], dtype)
        result = optim.minimize(lambda x: x @ H @ x / 2 + 0.1 * x[1], x0, optim.newton())
        assert words in result.sentence
        if words != "converged":
            np.testing.assert_array_equal(result.solution, x0)
            assert result.steps == 0


def test_a_hessian_that_is_not_finite_is_a_step_that_is_not_finite():
    result = optim.minimize(lambda x: jnp.sum(jnp.abs(x) ** 1.5), jnp.array([0.0, 1.0]), optim.newton())
    assert result.sentence.startswith("the value or the step was not finite")


def test_each_lane_of_a_map_reports_its_own_curvature():
    H = jnp.array([np.eye(2), -np.eye(2), np.diag([1.0, 0.0])], jnp.float32)
    run = jax.vmap(lambda H: optim.minimize(lambda x: x @ H @ x, jnp.ones(2), optim.newton()))
    first, second, third = run(H).sentence
    assert first.startswith("converged")
    assert "not positive definite" in second
    assert "singular" in third


def test_the_derivative_through_a_newton_step_is_that_of_the_minimum():
    with jax.enable_x64(True):

        def minimum(b):
            x = jnp.zeros(3)
            f = lambda x: x @ jnp.asarray(BOWL) @ x / 2 - b @ x  # noqa: E731
            optimizer = optim.newton()
            return x + optimizer.update(jax.grad(f)(x), optimizer.init(x), x, value_fn=f)[0]

        np.testing.assert_allclose(jax.jacobian(minimum)(jnp.array(TARGET)), np.linalg.inv(BOWL), rtol=1e-12)


# Roots


def test_the_erratum_of_lecture_000_the_function_is_taken_at_the_current_point():
    f, df = (lambda x: x**3 - 2.0), (lambda x: 3 * x**2)
    with jax.enable_x64(True):
        x = 1.5
        for steps in range(1, 4):
            x = x - f(x) / df(x)
            root = optim.newton_root(f, 1.5, steps=steps, tol=0.0)
            np.testing.assert_allclose(root.solution, x, rtol=1e-14)
        assert root.solution.shape == ()


def test_scalar_roots_agree_with_scipy():
    with jax.enable_x64(True):
        f = lambda x: jnp.cos(x) - x  # noqa: E731
        root = optim.newton_root(f, 1.0, tol=1e-12)
        assert root.sentence == "converged: the tolerance was reached"
        np.testing.assert_allclose(root.solution, scipy.optimize.newton(f, 1.0, fprime=jax.grad(f), tol=1e-14))


def curves(p):
    x, y = p["x"], p["y"]
    return [x**2 + y[0] ** 2 - 4, jnp.exp(x) + y - 1]


def test_roots_of_a_pytree_agree_with_scipy():
    with jax.enable_x64(True):
        root = optim.newton_root(curves, {"x": jnp.array(1.0), "y": jnp.array([-1.7])}, tol=1e-12)
        vector = lambda v: jnp.concatenate([jnp.atleast_1d(c) for c in curves({"x": v[0], "y": v[1:]})])  # noqa: E731
        theirs = scipy.optimize.root(vector, [1.0, -1.7], jac=jax.jacobian(vector), tol=1e-12)
        np.testing.assert_allclose([root.solution["x"], *root.solution["y"]], theirs.x, rtol=1e-10)
        assert root.residual <= 1e-12


@pytest.mark.parametrize("damping", [0.5, 1.0])
def test_damping_shrinks_the_residual_of_a_linear_system_by_one_minus_it(damping):
    with jax.enable_x64(True):
        f = lambda x: jnp.asarray(BOWL) @ x - jnp.asarray(TARGET)  # noqa: E731
        root = optim.newton_root(f, jnp.zeros(3), damping=damping, steps=2, tol=0.0)
        np.testing.assert_allclose(root.residual, (1 - damping) ** 2 * np.linalg.norm(TARGET), atol=1e-14)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x**2 + 1,
        lambda x: jnp.stack([x.sum(), x.sum() + 1]),
        lambda x: jnp.stack([x[0] - 1, 0 * x[1] + 1]),
    ],
)
def test_a_singular_jacobian_is_named_and_the_point_kept(f):
    x0 = jnp.zeros(()) if f(jnp.zeros(2)).sum() == 2 else jnp.zeros(2)
    root = optim.newton_root(f, x0)
    assert root.sentence == "the linear system of the step is singular; the solution is the point where it was"
    assert root.steps == 0
    np.testing.assert_array_equal(root.solution, x0)


def test_small_units_are_not_singular():
    root = optim.newton_root(lambda x: jnp.array([1e-9, 1.0]) * (x - 3), jnp.zeros(2), tol=1e-12)
    np.testing.assert_allclose(root.solution, 3, rtol=1e-6)


def test_roots_mapped_over_starting_points_have_their_own_counts():
    starts = jnp.array([1.0, 0.0, 100.0, np.nan, np.sqrt(2)])
    f = lambda x: x**2 - 2  # noqa: E731
    mapped = jax.jit(jax.vmap(lambda x: optim.newton_root(f, x, steps=8, tol=1e-5)))(starts)
    for lane, start in enumerate(starts):
        alone = optim.newton_root(f, start, steps=8, tol=1e-5)
        assert mapped.steps[lane] == alone.steps
        assert mapped.sentence[lane] == alone.sentence
        np.testing.assert_allclose(mapped.solution[lane], alone.solution, rtol=1e-6)
    assert [s.split(" ")[1] for s in mapped.sentence] == ["the", "linear", "steps", "value", "the"]
    assert mapped.steps.tolist() == [3, 0, 8, 0, 0]


def test_mistakes_are_met_with_sentences():
    x = jnp.ones(2)
    for wrong in (-0.5, float("nan"), 0.0):
        with pytest.raises(HyperparameterError, match=r"^newton: damping is .*, but it has to be more than 0"):
            optim.newton(wrong)
        with pytest.raises(HyperparameterError, match=r"^newton_root: damping is .*, but it has to be more than 0"):
            optim.newton_root(jnp.sin, x, damping=wrong)
    with pytest.raises(ShapeError, match=r"^newton_root: fun returns 1 numbers for 2 unknowns.*levenberg_marquardt"):
        optim.newton_root(jnp.sum, x)
    with pytest.raises(StructureError, match=r"^newton_root: parameter .* has dtype int32"):
        optim.newton_root(lambda x: x, 3)
    with pytest.raises(StructureError, match=r"^newton_root: fun is None"):
        optim.newton_root(None, x)
    with pytest.raises(HyperparameterError, match=r"^newton_root: steps is -1"):
        optim.newton_root(jnp.sin, x, steps=-1)
