"""Hessians through their products, beside dense matrices of NumPy; laws by hypothesis on one compiled function."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

from fnnet import calculus, losses, nn
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 2)).astype(np.float32), RNG.integers(0, 3, 12)
MODEL = nn.mlp([4, 3], activation=nn.tanh)
PARAMS, STATE = MODEL.init(jax.random.key(0), X)
SIZE = nn.count_parameters(PARAMS)  # 27


def network(params):
    return losses.softmax_cross_entropy(MODEL.apply(params, STATE, X)[0], Y).mean()


def as_tree(vector):
    return ravel_pytree(PARAMS)[1](jnp.asarray(vector, jnp.float32))


def as_vector(tree):
    return ravel_pytree(tree)[0]


@functools.cache
def dense():
    """The Hessian of the network, as a matrix, and its eigenvalues."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        theta = as_vector(jax.tree.map(lambda leaf: leaf.astype("float64"), PARAMS))
        back = ravel_pytree(jax.tree.map(lambda leaf: leaf.astype("float64"), PARAMS))[1]
        matrix = np.array(jax.jit(jax.hessian(lambda v: network(back(v))))(theta))
    return matrix, np.linalg.eigvalsh(matrix)


def symmetric(eigenvalues):
    """A symmetric matrix with these eigenvalues, in NumPy float64."""
    q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(len(eigenvalues),) * 2))
    return (q * eigenvalues) @ q.T


def bowl(matrix):
    matrix = jnp.asarray(matrix, jnp.result_type(float))
    return lambda x: x @ matrix @ x / 2


vectors = st.lists(st.floats(-3, 3, width=32), min_size=SIZE, max_size=SIZE).map(np.array)
compiled = jax.jit(
    lambda u, v: (
        as_vector(calculus.hvp(network, PARAMS, as_tree(u))),
        as_vector(calculus.hvp(network, PARAMS, as_tree(v))),
        calculus.directional_derivative(network, PARAMS, as_tree(u)),
        calculus.directional_curvature(network, PARAMS, as_tree(u)),
        as_vector(jax.grad(network)(PARAMS)),
    )
)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(vectors, vectors)
def test_products_are_symmetric_those_of_the_matrix_and_within_the_extreme_curvatures(u, v):
    matrix, eigenvalues = dense()
    hu, hv, slope, bend, gradient = map(np.asarray, compiled(u, v))
    np.testing.assert_allclose(hu, matrix @ u, atol=1e-5)
    np.testing.assert_allclose(u @ hv, v @ hu, atol=1e-4)
    np.testing.assert_allclose(slope, gradient @ u, atol=1e-5)
    np.testing.assert_allclose(bend, u @ matrix @ u, atol=1e-4)
    square = u @ u
    assert eigenvalues[0] * square - 1e-4 <= bend <= eigenvalues[-1] * square + 1e-4
    # No direction of the same length leads down more steeply than the one against the gradient.
    assert slope >= -np.linalg.norm(gradient) * np.sqrt(square) - 1e-5


def test_a_hessian_is_the_jacobian_of_the_gradient():
    x = jnp.array([1.0, 2.0])
    rosenbrock = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2  # noqa: E731
    expected = [[1200 * 1.0 - 400 * 2.0 + 2, -400.0], [-400.0, 200.0]]

    @jax.jit
    def three_ways(x):
        columns = [calculus.hvp(rosenbrock, x, e) for e in jnp.eye(2)]
        return jax.hessian(rosenbrock)(x), jax.jacobian(jax.grad(rosenbrock))(x), jnp.stack(columns)

    for found in three_ways(x):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_steepest_descent_is_against_the_gradient_and_curvature_along_an_eigenvector_its_eigenvalue():
    matrix = symmetric(np.array([-1.0, 0.5, 4.0]))
    x = jnp.array([1.0, -2.0, 0.5])
    gradient = jax.grad(bowl(matrix))(x)
    steepest = -gradient / jnp.linalg.norm(gradient)
    slope = jax.jit(lambda u: calculus.directional_derivative(bowl(matrix), x, u))(steepest)
    np.testing.assert_allclose(slope, -np.linalg.norm(matrix @ np.asarray(x)), rtol=1e-5)
    along = np.linalg.eigh(matrix)[1].T
    curvature = jax.jit(lambda u: calculus.directional_curvature(bowl(matrix), x, u))
    found = [curvature(u.astype(np.float32)) for u in along]
    np.testing.assert_allclose(found, [-1, 0.5, 4], rtol=1e-5)


def test_the_erratum_of_lecture_001_the_limit_has_one_step():
    """(f(θ + αu) − f(θ))/α for α → 0: halving α halves what is left, while a second symbol h would have no limit."""
    x, u = np.array([0.5, -1.0]), np.array([2.0, 1.0])
    f = lambda x: np.exp(x[0]) * x[1] ** 2  # noqa: E731
    slope = calculus.directional_derivative(lambda x: jnp.exp(x[0]) * x[1] ** 2, *(v.astype("float32") for v in (x, u)))
    left = [(f(x + a * u) - f(x)) / a - float(slope) for a in (1e-3, 5e-4)]
    np.testing.assert_allclose(left[0] / left[1], 2, rtol=1e-2)
    np.testing.assert_allclose(slope, np.exp(0.5) * (2.0 - 2.0), atol=1e-6)


def test_extreme_curvatures_are_the_dense_eigenvalues_of_a_network():
    found = calculus.extreme_curvatures(network, PARAMS)
    eigenvalues = dense()[1]
    assert found.converged
    np.testing.assert_allclose([found.least, found.greatest], eigenvalues[[0, -1]], atol=1e-5)
    for value, direction in ((found.least, found.least_direction), (found.greatest, found.greatest_direction)):
        u = np.asarray(as_vector(direction))
        np.testing.assert_allclose(u @ u, 1, rtol=1e-5)
        np.testing.assert_allclose(dense()[0] @ u, float(value) * u, atol=1e-4)


SPECTRA = {
    "even": np.linspace(-1, 1, 60),
    "one that stands out below": np.r_[-5.0, np.abs(np.random.default_rng(2).normal(size=59))],
    "many zeros": np.r_[np.zeros(57), -0.1, 2.0, 5.0],
    "all equal": np.full(60, 3.0),
    "pairs at both ends": np.r_[-2.0, -2.0, np.linspace(-1, 1, 56), 2.0, 2.0],
}


def test_extreme_curvatures_are_those_of_numpy_for_spectra_of_all_kinds():
    """One program for all; memory for 20 vectors of 60, so that it restarts."""
    with jax.enable_x64(True):
        run = jax.jit(lambda m: calculus.extreme_curvatures(lambda x: x @ m @ x / 2, jnp.zeros(60)))
        for name, eigenvalues in SPECTRA.items():
            matrix = symmetric(eigenvalues)
            found, expected = run(matrix), np.linalg.eigvalsh(matrix)
            size = np.abs(expected).max()
            assert found.converged, name
            np.testing.assert_allclose(found.least, expected[0], atol=1e-5 * size, err_msg=name)
            np.testing.assert_allclose(found.greatest, expected[-1], atol=1e-5 * size, err_msg=name)
            assert abs(found.least - expected[0]) <= found.least_error + 1e-12, name
        assert run(symmetric(SPECTRA["even"])).products > 20


@pytest.mark.exhaustive  # a million numbers in a compiled solver
def test_over_millions_of_parameters_float32_keeps_its_digits_and_memory_is_bounded():
    size, memory = 2**20, 4
    curvatures = np.linspace(-1, 1, size, dtype=np.float32)
    curvatures[7], curvatures[9] = 5, -3

    @jax.jit
    def run(d, theta):
        found = calculus.extreme_curvatures(lambda x: (d * x) @ x / 2, theta, memory=memory, tol=1e-4)
        return found.least, found.greatest, found.greatest_direction

    program = run.lower(curvatures, np.zeros(size, np.float32)).compile()
    least, greatest, direction = program(curvatures, np.zeros(size, np.float32))
    np.testing.assert_allclose([least, greatest], [-3, 5], rtol=1e-5)
    np.testing.assert_allclose(np.sum(np.asarray(direction, float) ** 2), 1, rtol=1e-5)
    # The vectors that are kept, half as many again for a restart, and a few of which a step is made.
    assert program.memory_analysis().temp_size_in_bytes < (1.5 * memory + 10) * 4 * size


@pytest.mark.exhaustive  # a solver of its own to compile
def test_a_search_that_runs_out_of_products_says_so_and_how_far_off_it_may_be():
    eigenvalues = SPECTRA["even"]
    run = functools.partial(calculus.extreme_curvatures, bowl(symmetric(eigenvalues)), jnp.zeros(60))
    found = run(memory=4, most=8, tol=1e-6)
    assert not found.converged
    assert found.products <= 8
    assert abs(found.greatest - 1) <= 20 * found.greatest_error


@pytest.mark.exhaustive  # two solvers to compile, mapped
def test_mapped_over_stacked_parameters_each_model_has_its_own_curvatures():
    points = jnp.array([[0.0, 0.0], [1.0, 2.0]])
    quartic = lambda x: x[0] ** 4 / 12 + 3 * x[1] ** 2 / 2  # noqa: E731
    found = jax.vmap(lambda x: calculus.extreme_curvatures(quartic, x))(points)
    np.testing.assert_allclose(found.least, [0, 1], atol=1e-5)
    np.testing.assert_allclose(found.greatest, [3, 3], atol=1e-5)
    trace = jax.vmap(lambda x: calculus.hessian_trace(quartic, x, key=jax.random.key(0), samples=2))(points)
    np.testing.assert_allclose(trace.value, [3, 4], rtol=1e-6)


def test_the_trace_is_within_four_standard_errors_and_exact_for_a_diagonal():
    found = calculus.hessian_trace(network, PARAMS, key=jax.random.key(0), samples=200)
    matrix = dense()[0]
    assert abs(found.value - np.trace(matrix)) < 4 * found.standard_error
    off = matrix - np.diag(np.diag(matrix))
    np.testing.assert_allclose(found.standard_error, np.sqrt(2 * (off**2).sum() / 200), rtol=0.3)
    exact = calculus.hessian_trace(bowl(np.diag([1.0, 2.0, 4.0])), jnp.ones(3), key=jax.random.key(0), samples=3)
    np.testing.assert_allclose(exact.value, 7, rtol=1e-6)
    np.testing.assert_allclose(exact.standard_error, 0, atol=1e-5)


@pytest.mark.exhaustive  # twenty vectors of thirty steps
def test_the_spectrum_has_the_moments_and_the_distribution_of_the_eigenvalues():
    eigenvalues = np.r_[np.linspace(-1, 1, 190), np.linspace(4, 5, 10)]
    found = calculus.curvature_spectrum(
        bowl(symmetric(eigenvalues)), jnp.zeros(200), key=jax.random.key(0), steps=30, samples=20
    )
    values, weights = np.asarray(found.eigenvalues), np.asarray(found.weights)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    for power in (1, 2, 3):
        moments = (weights * values**power).sum(axis=1)
        spread = moments.std(ddof=1) / np.sqrt(20)
        assert abs(moments.mean() - (eigenvalues**power).mean()) < 4 * spread
    # A twentieth of the eigenvalues stands apart, and so does a twentieth of the weight.
    np.testing.assert_allclose(weights[values > 2].sum() / 20, 0.05, atol=0.02)
    points = np.linspace(-3, 7, 400).astype(np.float32)
    density = np.asarray(found.density(points, 0.1))
    bells = np.exp(-(((points[:, None] - eigenvalues) / 0.1) ** 2) / 2).mean(axis=1) / (0.1 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(np.trapezoid(density, points), 1, rtol=1e-3)
    assert np.trapezoid(np.abs(density - bells), points) < 0.15


@pytest.mark.exhaustive  # Lanczos' method in float64, compiled for four numbers
def test_with_as_many_steps_as_parameters_the_quadrature_is_exact_for_its_vector():
    matrix = symmetric(np.array([1.0, 2.0, 2.0, 7.0]))
    with jax.enable_x64(True):
        found = calculus.curvature_spectrum(bowl(matrix), jnp.zeros(4), key=jax.random.key(3), steps=9, samples=2)
    assert found.weights.shape == (2, 4)
    for values, weights in zip(np.asarray(found.eigenvalues), np.asarray(found.weights), strict=True):
        seen = np.unique(values[weights > 1e-12].round(8))  # the two that are equal share their weight
        np.testing.assert_allclose(seen, [1, 2, 7], rtol=1e-8)


def test_the_densities_of_stacked_spectra_are_those_of_each():
    spectrum = calculus.Spectrum(
        jnp.asarray(RNG.normal(size=(2, 3, 4)), "float32"),
        jnp.asarray(RNG.dirichlet(np.ones(4), size=(2, 3)), "float32"),
    )
    points = np.linspace(-2, 2, 5).astype("float32")
    found = spectrum.density(points, 0.5)
    for model in range(2):
        alone = calculus.Spectrum(*(field[model] for field in spectrum)).density(points, 0.5)
        np.testing.assert_allclose(found[model], alone, rtol=1e-6)


def test_a_figure_of_the_spectrum_states_its_ends(tmp_path):
    pytest.importorskip("matplotlib")
    eigenvalues = np.array([[-1.0, 0.0, 4.0], [-0.9, 0.0, 3.9]])
    spectrum = calculus.Spectrum(jnp.asarray(eigenvalues, "float32"), jnp.full((2, 3), 1 / 3))
    figure = calculus.plot_spectrum(spectrum, tmp_path / "spectrum.png")
    assert figure.texts[0].get_text() == "Curvatures from -1 to 4"
    assert (tmp_path / "spectrum.png").stat().st_size < 60_000
    with pytest.raises(ShapeError, match=r"\(samples, steps\) of one model"):
        calculus.plot_spectrum(jax.tree.map(lambda leaf: leaf[None], spectrum))
    with pytest.raises(DataError, match="the spectrum is not finite"):
        calculus.plot_spectrum(spectrum._replace(weights=jnp.full((2, 3), jnp.nan)))
    with pytest.raises(StructureError, match="curvature_spectrum gives a Spectrum"):
        calculus.plot_spectrum(eigenvalues)


def test_what_is_no_function_point_or_direction_is_refused_in_sentences():
    square = lambda x: jnp.sum(x**2)  # noqa: E731
    for call in (calculus.hvp, calculus.directional_derivative, calculus.directional_curvature):
        with pytest.raises(
            ShapeError, match=r"has shape \(3,\) at \(the only leaf\), but the parameter has shape \(2,\)"
        ):
            call(square, jnp.ones(2), jnp.ones(3))
        with pytest.raises(StructureError, match="not a tree like the parameters"):
            call(lambda p: square(p["w"]), {"w": jnp.ones(2)}, {"v": jnp.ones(2)})
        with pytest.raises(ShapeError, match="a scalar is needed"):
            call(lambda x: x, jnp.ones(2), jnp.ones(2))
        with pytest.raises(DataError, match="is not finite: 1 of 2 entries"):
            call(square, jnp.array([jnp.inf, 1.0]), jnp.ones(2))
        with pytest.raises(DataError, match="the function gives nan at this point"):
            call(lambda x: jnp.sum(jnp.log(x)), -jnp.ones(2), jnp.ones(2))
    with pytest.raises(DataError, match="extreme_curvatures: the function gives nan at this point"):
        calculus.extreme_curvatures(lambda x: jnp.log(x), -1.0)
    with pytest.raises(HyperparameterError, match=r"memory is 3, but it has to be .*at least 4"):
        calculus.extreme_curvatures(square, jnp.ones(2), memory=3)
    with pytest.raises(HyperparameterError, match="tol is 0"):
        calculus.extreme_curvatures(square, jnp.ones(2), tol=0.0)
    with pytest.raises(HyperparameterError, match="samples is 1"):
        calculus.hessian_trace(square, jnp.ones(2), key=jax.random.key(0), samples=1)
    with pytest.raises(HyperparameterError, match=r"key is None.*jax.random.key\(0\)"):
        calculus.curvature_spectrum(square, jnp.ones(2), key=None)
    with pytest.raises(StructureError, match="key is 3, which is not a random key"):
        calculus.curvature_spectrum(square, jnp.ones(2), key=3)
    with pytest.raises(HyperparameterError, match="width is 0"):
        calculus.Spectrum(jnp.ones((1, 1)), jnp.ones((1, 1))).density(jnp.ones(1), 0.0)
