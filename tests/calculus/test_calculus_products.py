"""Products, angles and distances, beside NumPy and SciPy, and where a length is zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial.distance
from hypothesis import given, settings
from hypothesis import strategies as st

from fnnet import calculus
from fnnet.errors import ShapeError, StructureError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 4)).astype(np.float32), RNG.normal(size=(5, 4)).astype(np.float32)


cosine, gram, distances = map(jax.jit, (calculus.cosine_similarity, calculus.gram_matrix, calculus.pairwise_distances))
slope_of_cosine = jax.jit(jax.value_and_grad(calculus.cosine_similarity))


def test_products_of_the_lecture_are_those_of_jax():
    x, u, W, b = X[0], Y[0], RNG.normal(size=(4, 3)).astype(np.float32), np.ones(3, np.float32)
    np.testing.assert_allclose(jnp.inner(x, u), sum(x[i] * u[i] for i in range(4)), rtol=1e-6)
    np.testing.assert_allclose(jnp.outer(x, u), [[x[i] * u[j] for j in range(4)] for i in range(4)], rtol=1e-6)
    product = [[sum(X[i, k] * W[k, j] for k in range(4)) for j in range(3)] for i in range(6)]
    np.testing.assert_allclose(jnp.matmul(X, W), product, rtol=1e-5, atol=1e-6)
    linear = [sum(x[i] * W[i, j] for i in range(4)) + b[j] for j in range(3)]
    np.testing.assert_allclose(jnp.matmul(x, W) + b, linear, rtol=1e-5)


def test_a_cosine_is_one_minus_scipys_distance_and_its_gradient_is_at_a_right_angle():
    expected = [1 - scipy.spatial.distance.cosine(x, y) for x, y in zip(X[:5], Y, strict=True)]
    np.testing.assert_allclose(cosine(X[:5], Y), expected, atol=1e-6)
    slope = slope_of_cosine(X[0, :3], Y[0, :3])[1]
    np.testing.assert_allclose(np.vdot(slope, X[0, :3]), 0, atol=1e-6)  # a longer vector has the same angle


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.sampled_from([-1e30, -2.0, -1e-30, 0.0, 1.0, 1e20]), min_size=6, max_size=6),
    st.floats(0.125, 1024, width=32),
)
def test_a_cosine_is_finite_between_minus_one_and_one_and_blind_to_lengths(numbers, factor):
    x, y = np.array(numbers, np.float32).reshape(2, 3)
    value, slope = slope_of_cosine(x, y)
    assert -1 <= value <= 1
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(cosine(x, np.float32(factor) * y), value, atol=1e-5)


def test_a_gram_matrix_is_the_product_and_has_no_negative_eigenvalue():
    np.testing.assert_allclose(gram(X), X @ X.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gram(X, Y), X @ Y.T, rtol=1e-5, atol=1e-6)
    assert calculus.is_positive_semidefinite(gram(X))


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_distances_of_all_pairs_are_those_of_scipy_wherever_the_points_are(shift):
    x, y = X + np.float32(shift), Y + np.float32(shift)
    expected = scipy.spatial.distance.cdist(x.astype(float), y.astype(float))
    np.testing.assert_allclose(distances(x, y), expected, rtol=1e-5)
    own = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(x.astype(float)))
    np.testing.assert_allclose(distances(x), own, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_distances_neither_overflow_nor_vanish_and_nothing_is_at_a_distance_from_nan(size):
    np.testing.assert_allclose(distances(np.float32(size) * X) / np.float32(size), distances(X), rtol=1e-5)
    assert np.isnan(distances(np.array([[np.nan], [1.0]], np.float32))[0, 1])


def test_numbers_of_two_precisions_are_compared_in_the_wider():
    with jax.enable_x64(True):
        assert calculus.gram_matrix(X, Y.astype(float)).dtype == jnp.float64


def test_the_gradient_of_distances_is_the_sum_of_the_directions_between_the_points():
    found = jax.jit(jax.grad(lambda x: distances(x, Y).sum()))(X)
    apart = X[:, None, :] - Y[None, :, :]
    np.testing.assert_allclose(
        found, (apart / np.linalg.norm(apart, axis=-1, keepdims=True)).sum(1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32"])
def test_equal_points_and_zeros_are_at_distance_zero_with_derivative_zero(dtype):
    x = jnp.asarray(np.round(np.concatenate([10 * X[:2], 10 * X[:2], np.zeros((2, 4))])), dtype)
    for found in map(np.asarray, (distances(x), distances(x, x))):
        assert found.dtype == np.float32
        assert found[0, 2] == found[1, 3] == found[4, 5] == 0
        assert (np.diagonal(found) == 0).all()
    if dtype != "int32":
        slope = jax.jit(jax.grad(lambda x: distances(x).sum()))
        assert not np.asarray(slope(jnp.ones_like(x))).any()
        assert np.isfinite(np.asarray(slope(x))).all()


@pytest.mark.parametrize("features", [3, 784])
def test_the_same_points_twice_are_at_distance_zero_however_long_they_are(features):
    x = 1e4 * RNG.normal(size=(20, features)).astype(np.float32) + 1e3
    assert (np.diagonal(distances(x, x)) == 0).all()


def test_shapes_that_do_not_fit_are_refused_in_sentences():
    with pytest.raises(ShapeError, match=r"x has shape \(6, 4\) and y \(4,\); they have to agree"):
        calculus.cosine_similarity(X, Y[0])
    with pytest.raises(ShapeError, match=r"gram_matrix: x has shape \(4,\) .* x\[None, :\]"):
        calculus.gram_matrix(X[0])
    with pytest.raises(ShapeError, match=r"pairwise_distances: .*\(6, 4\) and y \(5, 3\)"):
        calculus.pairwise_distances(X, Y[:, :3])
    with pytest.raises(StructureError, match="x is 'data', which is not an array of numbers"):
        calculus.gram_matrix("data")
