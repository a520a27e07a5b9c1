"""Convexity, critical points and Taylor's models, on functions whose answers are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnnet import calculus
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError

KEY = jax.random.key(0)
PLANE = jnp.asarray(np.random.default_rng(0).uniform(-2, 2, (50, 2)), jnp.float32)
quick = settings(max_examples=20, deadline=None, derandomize=True, database=None)

CONVEX = {
    "a bowl": lambda x: jnp.sum(x**2),
    "a norm": lambda x: jnp.sum(jnp.abs(x)),
    "a plane": lambda x: 3 * x[0] - x[1] + 1000,
    "a valley": lambda x: jnp.square(x[0] + x[1]),
}
NOT_CONVEX = {
    "a saddle": lambda x: x[0] * x[1],
    "a hill": lambda x: -jnp.sum(x**2),
    "a dent in a bowl": lambda x: jnp.sum(x**2) - 2 * jnp.exp(-jnp.sum(x**2) * 8),
}


@functools.cache
def _tested():
    """All of the functions at once, as one program."""
    functions = [*CONVEX.values(), *NOT_CONVEX.values()]

    def test(i):
        return calculus.is_convex_on_samples(lambda x: jax.lax.switch(i, functions, x), PLANE, key=KEY, pairs=300)

    found = jax.vmap(test)(jnp.arange(len(functions)))
    return {name: jax.tree.map(lambda leaf, i=i: leaf[i], found) for i, name in enumerate([*CONVEX, *NOT_CONVEX])}


@pytest.mark.parametrize("name", CONVEX)
def test_no_chord_of_a_convex_function_lies_below_it(name):
    assert _tested()[name]


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_a_function_that_is_not_convex_gives_the_pair_that_violates_the_inequality(name):
    found, fun, points = _tested()[name], NOT_CONVEX[name], PLANE.tolist()
    assert not found
    x, y, t = found.first, found.second, found.t
    above = fun(t * x + (1 - t) * y) - (t * fun(x) + (1 - t) * fun(y))
    assert above > 0.01
    np.testing.assert_allclose(found.violation, above, atol=1e-5)
    assert x.tolist() in points
    assert y.tolist() in points


@pytest.mark.exhaustive  # the chord test compiled anew
def test_samples_may_be_trees_and_tests_may_be_mapped_over_functions():
    samples = {"w": PLANE, "b": jnp.linspace(-1, 1, 50)}
    curvatures = jnp.array([1.0, -1.0])

    def convex(curvature):
        return calculus.is_convex_on_samples(
            lambda p: jnp.sum(p["w"] ** 2) + curvature * p["b"] ** 2, samples, key=KEY, pairs=500
        ).convex

    assert jax.vmap(convex)(curvatures).tolist() == [True, False]


def test_samples_that_cannot_be_paired_are_refused():
    with pytest.raises(ShapeError, match="1; all leaves need an axis of the same two points or more"):
        calculus.is_convex_on_samples(jnp.sum, jnp.ones((1, 2)), key=KEY)
    with pytest.raises(ShapeError, match="a 3, b 4; all leaves need"):
        calculus.is_convex_on_samples(lambda p: p["a"] + p["b"], {"a": jnp.ones(3), "b": jnp.ones(4)}, key=KEY)
    with pytest.raises(DataError, match="not finite at 2 of 3 samples, first at sample 0"):
        calculus.is_convex_on_samples(jnp.log, jnp.array([-1.0, 0.0, 1.0]), key=KEY)
    with pytest.raises(StructureError, match="key is 3, which is not a random key"):
        calculus.is_convex_on_samples(jnp.sum, PLANE, key=3)
    with pytest.raises(HyperparameterError, match="pairs is 0"):
        calculus.is_convex_on_samples(jnp.sum, PLANE, key=KEY, pairs=0)


def test_a_matrix_is_semidefinite_if_numpy_finds_no_negative_eigenvalue():
    draws = np.random.default_rng(1).normal(size=(40, 3, 3))
    shifts = np.linspace(-1, 3, 40)[:, None, None] * np.eye(3)
    matrices = ((draws + draws.transpose(0, 2, 1)) / 2 + shifts).astype(np.float32)
    expected = np.linalg.eigvalsh(matrices.astype(float)).min(axis=1) >= 0
    assert 5 < expected.sum() < 35
    assert calculus.is_positive_semidefinite(matrices).tolist() == expected.tolist()


def test_a_singular_matrix_is_semidefinite_and_one_a_little_below_is_not():
    ones, below, nowhere = np.ones((3, 3)), np.ones((3, 3)) - 1e-3 * np.eye(3), np.full((3, 3), np.nan)
    matrices = np.stack([ones, below, nowhere]).astype(np.float32)
    assert calculus.is_positive_semidefinite(matrices).tolist() == [True, False, False]
    assert calculus.is_positive_semidefinite(matrices, tol=1e-2).tolist() == [True, True, False]
    with pytest.raises(ShapeError, match=r"matrix has shape \(2, 3\)"):
        calculus.is_positive_semidefinite(jnp.ones((2, 3)))
    with pytest.raises(StructureError, match="not symmetric: entries that should be equal differ by 1"):
        calculus.is_positive_semidefinite(jnp.array([[1.0, 2.0], [1.0, 1.0]]))
    with pytest.raises(StructureError, match="differ by 1"):  # also beside a matrix of much larger numbers
        calculus.is_positive_semidefinite(jnp.array([[[1e8, 0.0], [0.0, 1e8]], [[1.0, 2.0], [1.0, 1.0]]]))


def quadratic(eigenvalues):
    return lambda x: jnp.sum(jnp.asarray(eigenvalues, x.dtype) * x**2) / 2


@quick
@given(st.lists(st.sampled_from([-3.0, -1.0, 0.0, 0.5, 2.0]), min_size=3, max_size=3))
def test_the_kind_is_told_by_the_signs_of_the_eigenvalues(eigenvalues):
    found = _classified(jnp.array(eigenvalues))
    up, down = max(eigenvalues) > 0, min(eigenvalues) < 0
    expected = "saddle" if up and down else "degenerate" if 0 in eigenvalues else "minimum" if up else "maximum"
    assert found.kind == expected
    np.testing.assert_allclose(found.eigenvalues, sorted(eigenvalues), atol=1e-6)


@jax.jit
def _classified(eigenvalues):
    return calculus.classify_critical_point(quadratic(eigenvalues), jnp.zeros(3))


@quick
@given(st.tuples(*[st.floats(-2, 2, width=16)] * 3))
def test_in_the_plane_determinant_and_eigenvalues_agree(entries):
    a, b, c = entries
    both = _both(jnp.array([[a, b], [b, c]]))
    determinant, size = a * c - b * b, np.abs(np.linalg.eigvalsh([[a, b], [b, c]])).max()
    if abs(determinant) > 1e-3 * size**2:
        assert both[0].kind == both[1].kind
        assert (both[0].kind == "saddle") == (determinant < 0)
    np.testing.assert_allclose(both[1].determinant, determinant, atol=1e-5)


@jax.jit
def _both(matrix):
    fun, origin = (lambda x: x @ matrix @ x / 2), jnp.zeros(2)
    return calculus.classify_critical_point(fun, origin), calculus.determinant_test(fun, origin)


def test_the_erratum_of_lecture_000_in_three_dimensions_the_determinant_does_not_decide():
    hill, saddle = [-1.0, -1.0, -1.0], [-1.0, -1.0, 1.0]
    assert np.prod(hill) < 0 < np.prod(saddle)
    assert _classified(jnp.array(hill)).kind == "maximum"
    assert _classified(jnp.array(saddle)).kind == "saddle"
    with pytest.raises(ShapeError, match="the point has 3 numbers, but the sign of the determinant only decides for 2"):
        calculus.determinant_test(quadratic(saddle), jnp.zeros(3))


def test_points_of_one_function_are_classified_together_and_a_slope_is_no_critical_point():
    himmelblau = lambda p: (p["x"] ** 2 + p["y"] - 11) ** 2 + (p["x"] + p["y"] ** 2 - 7) ** 2  # noqa: E731
    points = {"x": jnp.array([3.0, -0.270845, 0.0866775, 0.0]), "y": jnp.array([2.0, -0.923039, 2.8842547, 0.0])}
    found = jax.vmap(functools.partial(calculus.classify_critical_point, himmelblau))(points)
    assert found.kind == ["minimum", "maximum", "saddle", "not critical"]
    assert found.gradient_norm[-1] > 1


def test_a_convex_function_need_not_have_one_minimum_the_erratum_of_lecture_000():
    valley = CONVEX["a valley"]
    assert _tested()["a valley"]
    assert valley(jnp.array([0.0, 0.0])) == valley(jnp.array([1.0, -1.0])) == 0
    assert calculus.classify_critical_point(valley, jnp.zeros(2)).kind == "degenerate"


def test_values_that_are_not_finite_are_refused_or_not_critical():
    with pytest.raises(DataError, match="the function gives inf at this point"):
        calculus.classify_critical_point(lambda x: jnp.sum(1 / x**2), jnp.zeros(2))
    found = jax.jit(lambda x: calculus.classify_critical_point(lambda x: jnp.sum(1 / x**2), x))(jnp.zeros(2))
    assert found.kind == "not critical"
    with pytest.raises(HyperparameterError, match="gradient_tol is -1"):
        calculus.classify_critical_point(quadratic([1.0]), jnp.zeros(1), gradient_tol=-1)


def surface(p):
    return jnp.exp(p["x"] / 2) * jnp.sin(p["y"][0]) + p["x"] * p["y"][1] ** 3


CENTER = {"x": np.array(0.3), "y": np.array([0.7, -1.2])}


@functools.cache
def _models():
    """In float64: the function and its models along a line away from the centre."""

    def along(t, u):
        at = jax.tree.map(jnp.asarray, CENTER)
        there = {"x": at["x"] + t * u[0], "y": at["y"] + t * u[1:]}
        return surface(there), calculus.taylor(surface, at, 1)(there), calculus.taylor(surface, at)(there)

    return jax.jit(along)


@quick
@given(st.lists(st.sampled_from([-1.0, -0.5, 0.25, 1.0]), min_size=3, max_size=3))
def test_the_remainder_of_a_model_of_order_k_is_of_order_k_plus_one(direction):
    with jax.enable_x64(True):
        f, linear, square = zip(*(_models()(t, np.array(direction)) for t in (1e-2, 5e-3)), strict=True)
    for model, order in ((linear, 2), (square, 3)):
        far, near = (abs(float(m) - float(value)) for m, value in zip(model, f, strict=True))
        assert near <= far / 2**order * 1.25 + 1e-9


def test_a_quadratic_is_its_own_model_and_newtons_step_is_the_models_minimum():
    A, b = np.array([[3.0, 1.0], [1.0, 2.0]], np.float32), np.array([1.0, -1.0], np.float32)
    fun = lambda x: x @ A @ x / 2 - b @ x + 4  # noqa: E731
    points = jnp.array([[0.0, 0.0], [1.0, 2.0], [5.0, -7.0]])

    @jax.jit
    def at_points_and_slope_at_minimum(at, minimum):
        model = calculus.taylor(fun, at)
        return jax.vmap(model)(points), jax.grad(model)(minimum)

    values, slope = at_points_and_slope_at_minimum(jnp.array([5.0, -7.0]), np.linalg.solve(A, b))
    np.testing.assert_allclose(values, [fun(x) for x in np.asarray(points)], atol=1e-3)
    np.testing.assert_allclose(slope, 0, atol=1e-4)


def test_other_orders_and_points_of_other_shapes_are_refused():
    with pytest.raises(HyperparameterError, match="order is 3, but it has to be 1 or 2"):
        calculus.taylor(jnp.sum, jnp.ones(2), 3)
    assert calculus.taylor(lambda x: 3.0, jnp.ones(2))(jnp.zeros(2)) == 3
    with pytest.raises(DataError, match="the function gives -inf at this point"):
        calculus.taylor(jnp.log, 0.0)
    with pytest.raises(ShapeError, match=r"the point has shape \(3,\)"):
        calculus.taylor(jnp.sum, jnp.ones(2))(jnp.ones(3))
