"""What the lectures say of losses: their derivatives, which likelihoods they are, and what minimises them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from fnnet import losses

RANDOM = np.random.default_rng(0)
Y = RANDOM.gamma(1.0, size=(9, 1))  # skewed, so that mean and median are apart


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_the_derivative_of_a_cross_entropy_by_its_logits_is_output_minus_target(size):
    z = (size * RANDOM.normal(size=(5, 4))).astype(np.float32)
    ids, labels = RANDOM.integers(0, 4, size=5), RANDOM.integers(0, 2, size=(5, 4))
    wide = z.astype(float)
    slope = jax.grad(lambda z: losses.softmax_cross_entropy(z, jnp.asarray(ids)).sum())(z)
    np.testing.assert_allclose(slope, special.softmax(wide, axis=1) - np.eye(4)[ids], atol=5e-6)
    slope = jax.grad(lambda z: 4 * losses.sigmoid_binary_cross_entropy(z, jnp.asarray(labels)).sum())(z)
    np.testing.assert_allclose(slope, special.expit(wide) - labels, atol=1e-6)


def test_cross_entropies_are_finite_where_the_logarithm_of_a_probability_is_not():
    z = jnp.array([[0.0, 200.0]])
    assert jax.nn.softmax(z)[0, 0] == 0  # so the printed formula is −log 0
    assert float(losses.softmax_cross_entropy(z, jnp.array([0]))[0]) == 200
    assert 1 - jax.nn.sigmoid(z[0, 1]) == 0
    assert float(losses.sigmoid_binary_cross_entropy(z, jnp.array([[1, 0]]))[0]) == pytest.approx((np.log(2) + 200) / 2)


def test_squared_error_is_a_gaussian_and_absolute_error_a_laplace_likelihood_up_to_constants(double):
    f, y = jnp.asarray(RANDOM.normal(size=(9, 1))), jnp.asarray(Y)
    nll = losses.gaussian_nll(f, y, variance=0.7)
    np.testing.assert_allclose(nll, losses.squared_error(f, y) / 1.4 + np.log(2 * np.pi * 0.7) / 2, rtol=1e-13)
    np.testing.assert_allclose(
        losses.gaussian_nll(f, y, variance=1 / 2), losses.squared_error(f, y) + np.log(np.pi) / 2
    )
    nll = losses.laplace_nll(f, y, scale=0.7)
    np.testing.assert_allclose(nll, losses.absolute_error(f, y) / 0.7 + np.log(1.4), rtol=1e-13)
    assert losses.categorical is losses.softmax_cross_entropy


def best_constant(loss):
    """The number that minimises a mean loss over Y, by a search that knows nothing of derivatives."""
    mean = jax.jit(lambda c: loss(jnp.full(Y.shape, c), jnp.asarray(Y)).mean())
    return optimize.minimize_scalar(
        lambda c: float(mean(c)), bounds=(-5, 5), method="bounded", options={"xatol": 1e-9}
    ).x


MINIMISERS = {
    "squared_error": np.mean(Y),
    "gaussian_nll": np.mean(Y),
    "absolute_error": np.median(Y),
    "laplace_nll": np.median(Y),
    "poisson_nll": np.log(np.mean(Y)),
}


@pytest.mark.parametrize(("name", "best"), MINIMISERS.items(), ids=MINIMISERS)
def test_the_mean_minimises_squares_and_the_median_distances(name, best, double):
    assert best_constant(getattr(losses, name)) == pytest.approx(best, abs=1e-6)


def test_a_huber_loss_lies_between_the_median_and_the_mean(double):
    assert best_constant(lambda f, y: losses.huber(f, y, delta=1e-3)) == pytest.approx(np.median(Y), abs=2e-3)
    assert best_constant(lambda f, y: losses.huber(f, y, delta=1e3)) == pytest.approx(np.mean(Y), abs=1e-6)
    assert np.median(Y) < best_constant(losses.huber) < np.mean(Y)


def test_a_predicted_variance_is_best_where_it_is_the_mean_square_of_the_residuals(double):
    y = jnp.asarray(Y)
    residuals = Y - 0.3

    def mean(s):
        return losses.gaussian_nll((jnp.full(y.shape, 0.3), jnp.full(y.shape, s)), y).mean()

    best = np.log(np.mean(residuals**2))
    assert float(jax.grad(mean)(best)) == pytest.approx(0, abs=1e-12)
    assert float(jax.grad(jax.grad(mean))(best)) == pytest.approx(0.5)
    fixed = losses.gaussian_nll(jnp.full(y.shape, 0.3), y, variance=np.exp(best)).mean()
    assert float(mean(best)) == pytest.approx(float(fixed), rel=1e-13)
    # The number variance is a unit for the predicted one.
    scaled = losses.gaussian_nll((jnp.full(y.shape, 0.3), jnp.zeros(y.shape)), y, variance=np.exp(best)).mean()
    assert float(scaled) == pytest.approx(float(fixed), rel=1e-13)


def test_a_predicted_variance_of_an_example_of_weight_zero_counts_nothing_whatever_it_holds():
    y, weights = jnp.ones((3, 1)), jnp.array([1.0, 0.0, 2.0])
    nan = jnp.array([[0.0], [jnp.nan], [0.5]])

    def total(mean, log_variance):
        return losses.gaussian_nll((mean, log_variance), y, weights=weights).sum()

    value, slopes = jax.value_and_grad(total, argnums=(0, 1))(nan, nan)
    kept = jnp.array([[0.0], [0.5]])
    expected = losses.gaussian_nll((kept, kept), y[:2], weights=weights[jnp.array([0, 2])]).sum()
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    assert all(np.isfinite(slope).all() and slope[1, 0] == 0 for slope in slopes)
