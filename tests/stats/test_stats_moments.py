"""The covariance matrix is NumPy's and the lecture's, weighted, centred or not, biased or not."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import stats
from fnnet.errors import DataError, ShapeError, StructureError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(7, 3)) + 2
WEIGHTS = RANDOM.uniform(0.1, 2, size=7)


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(("weights", "unbiased"), list(itertools.product([None, WEIGHTS], [False, True])))
def test_a_covariance_matrix_is_that_of_numpy(weights, unbiased, double):
    found = stats.covariance_matrix(X, weights=weights, unbiased=unbiased)
    np.testing.assert_allclose(found, np.cov(X, rowvar=False, aweights=weights, ddof=int(unbiased)), rtol=1e-12)
    np.testing.assert_array_equal(found, found.T)


def test_the_lectures_matrix_is_the_normalised_product_of_the_centred_data(double):
    centred = X - X.mean(axis=0)
    np.testing.assert_allclose(stats.covariance_matrix(X, unbiased=False), centred.T @ centred / 7, rtol=1e-12)
    assert stats.covariance_matrix(X, unbiased=False)[0, 0] == pytest.approx(float(jnp.var(X[:, 0])))
    around_0 = (WEIGHTS[:, None] * X).T @ X / WEIGHTS.sum()
    for unbiased in (False, True):
        np.testing.assert_allclose(
            stats.covariance_matrix(X, weights=WEIGHTS, centered=False, unbiased=unbiased), around_0, rtol=1e-12
        )


def test_mean_and_expectation_are_those_of_jax():
    """Lecture 000: E(X) = Σ p(x) x, the empirical mean Σ x / |X|, Cov(X, Y) of two variables."""
    p, x = jnp.array([0.5, 0.25, 0.25]), jnp.array([1.0, 2.0, 4.0])
    assert float(p @ x) == 2
    assert float(jnp.average(x, weights=p)) == 2
    np.testing.assert_allclose(jnp.mean(jnp.asarray(X, jnp.float32), axis=0), X.mean(axis=0), rtol=1e-6)


def test_the_unbiased_matrix_is_unbiased_and_the_other_is_not():
    draws = jax.random.normal(jax.random.key(0), (4000, 3, 2))
    assert float(stats.covariance_matrix(draws).mean(axis=0)[0, 0]) == pytest.approx(1, abs=0.05)
    assert float(stats.covariance_matrix(draws, unbiased=False).mean(axis=0)[0, 0]) == pytest.approx(2 / 3, abs=0.05)


def test_stacks_masks_and_derivatives(double):
    stack = jnp.stack([X, 2 * X])
    weights = jnp.array([WEIGHTS, WEIGHTS])
    np.testing.assert_allclose(stats.covariance_matrix(stack)[1], 4 * np.cov(X, rowvar=False), rtol=1e-12)
    for w in (weights, WEIGHTS):
        found = stats.covariance_matrix(stack, weights=w)
        np.testing.assert_allclose(found[0], np.cov(X, rowvar=False, aweights=WEIGHTS), rtol=1e-12)
    mask = np.array([1.0, 1, 1, 1, 0, 0, 0])
    np.testing.assert_allclose(stats.covariance_matrix(X, weights=mask), np.cov(X[:4], rowvar=False), rtol=1e-12)
    same = jnp.ones((4, 2))
    slopes = jax.jit(jax.grad(lambda x, w: stats.covariance_matrix(x, weights=w).sum(), argnums=(0, 1)))(
        same, jnp.ones(4)
    )
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_mistakes_with_data_matrices_are_sentences():
    with pytest.raises(ShapeError, match=r"A single feature is a column, x\[:, None\]"):
        stats.covariance_matrix(X[:, 0])
    with pytest.raises(ShapeError, match=r"weights have shape \(3,\), but the data have 7 examples"):
        stats.covariance_matrix(X, weights=np.ones(3))
    with pytest.raises(DataError, match="one example, so no spread"):
        stats.covariance_matrix(X[:1])
    assert not stats.covariance_matrix(X[:1], unbiased=False).any()
    with pytest.raises(DataError, match="only one example has a weight"):
        stats.covariance_matrix(X, weights=np.eye(7)[0])
    with pytest.raises(DataError, match="finite and not negative"):
        stats.covariance_matrix(X, weights=-np.ones(7))
    for words in ([["a"]], [[1.0], [1.0, 2.0]]):
        with pytest.raises(StructureError, match=r"the data is .* which is not an array of numbers"):
            stats.covariance_matrix(words)
    wrong = X.copy()
    wrong[4, 1] = np.nan
    with pytest.raises(DataError, match="NaN or ∞, first at row 4"):
        stats.covariance_matrix(wrong)
