"""What the lectures print wrongly, in numbers: the printed formula beside the right one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import losses, nn

KEY = jax.random.key(0)
LOGITS = np.linspace(-4, 4, 9).astype(np.float32)


def test_with_the_printed_variance_of_he_signals_grow_from_layer_to_layer():
    width, layers = 256, 4
    for variance, growth in ((2 / width, 1.0), (2 / np.sqrt(width), np.sqrt(width))):
        rng = np.random.default_rng(0)
        signal = rng.normal(size=(500, width))
        for _ in range(layers):
            signal = np.maximum(signal, 0) @ rng.normal(scale=np.sqrt(variance), size=(width, width))
        assert np.log(signal.var()) == pytest.approx(layers * np.log(growth), abs=0.3)
    kernel = nn.initializers.he_normal()(KEY, (width, width), jnp.float32)
    assert float(kernel.var()) == pytest.approx(2 / width, rel=0.02)


def test_the_second_argument_of_glorots_normal_is_a_variance():
    kernel = np.asarray(nn.initializers.glorot_normal()(KEY, (300, 200), jnp.float32))
    assert kernel.var() == pytest.approx(2 / 500, rel=0.02)
    assert kernel.std() > 10 * 2 / 500


def test_dropout_of_both_forms_has_the_same_expectation():
    keep, x = 0.8, np.ones((1, 20_000), np.float32)
    ours = nn.dropout(1 - keep)
    trained, _ = ours.apply((), (), jnp.asarray(x), key=KEY, train=True)
    used, _ = ours.apply((), (), jnp.asarray(x))
    mask = np.asarray(trained) > 0
    assert float(trained.mean()) == pytest.approx(float(used.mean()), rel=0.02)
    # The lecture's: the mask alone in training, scaled by p_keep at inference, is ours times p_keep both times.
    np.testing.assert_allclose(mask * x, keep * np.asarray(trained), rtol=1e-6)
    assert (mask * x).mean() == pytest.approx(keep * float(used.mean()), rel=0.02)


def test_only_with_the_logarithm_is_the_gaussian_likelihood_a_density():
    y, deviation = np.linspace(-30, 30, 60_001), 1.7
    nll = losses.gaussian_nll(jnp.zeros(y.shape), jnp.asarray(y, jnp.float32), variance=deviation**2)
    printed = y**2 / (2 * deviation**2) + 0.5 * 2 * np.pi * deviation**2
    assert np.exp(-np.asarray(nll, float)).sum() * 1e-3 == pytest.approx(1, abs=1e-4)
    assert np.exp(-printed).sum() * 1e-3 < 0.01


def test_without_the_minus_the_logistic_loss_rewards_what_is_wrong():
    f = 1 / (1 + np.exp(-LOGITS))
    printed = np.log(f)  # for y = 1
    loss = losses.sigmoid_binary_cross_entropy(jnp.asarray(LOGITS)[:, None], jnp.ones((len(f), 1), jnp.int32))
    np.testing.assert_allclose(loss, -printed, rtol=1e-5)
    assert np.argmin(loss) == len(f) - 1
    assert np.argmin(printed) == 0


def test_along_y_minus_f_the_loss_goes_up():
    logits, target = jnp.array([[1.0, -0.5, 0.3]]), jnp.array([1])

    def loss(z):
        return losses.softmax_cross_entropy(z, target)[0]

    f = np.exp(np.asarray(logits)) / np.exp(np.asarray(logits)).sum()
    printed = jnp.asarray(np.eye(3, dtype=np.float32)[1] - f)
    np.testing.assert_allclose(jax.grad(loss)(logits), -printed, rtol=1e-5)
    assert loss(logits + 0.1 * printed) < loss(logits) < loss(logits - 0.1 * printed)  # down is against the gradient


def test_with_log_f_in_both_terms_all_answers_are_one():
    f = 1 / (1 + np.exp(-LOGITS))
    for y, best in ((0, 0), (1, len(f) - 1)):
        loss = losses.sigmoid_binary_cross_entropy(jnp.asarray(LOGITS)[:, None], jnp.full((len(f), 1), y))
        np.testing.assert_allclose(loss, -(y * np.log(f) + (1 - y) * np.log(1 - f)), rtol=1e-4)
        assert np.argmin(loss) == best
        assert np.argmin(-(y * np.log(f) + (1 - y) * np.log(f))) == len(f) - 1


def test_deviations_that_are_not_squared_have_mean_zero():
    x = np.random.default_rng(0).normal(3, 2, (200, 4)).astype(np.float32)
    assert np.abs((x - x.mean(0)).mean(0)).max() < 1e-5
    layer = nn.batch_norm()
    params, state = layer.init(KEY, jnp.asarray(x))
    y, _ = layer.apply(params, state, jnp.asarray(x), train=True)
    np.testing.assert_allclose(np.std(y, axis=0), 1, rtol=1e-4)


def test_the_gabor_model_has_the_width_of_the_lecture():
    from experiments import gabor_model

    x = np.linspace(-15, 15, 31, dtype=np.float32)
    phi = np.array([0.5, 16.6], np.float32)
    u = phi[0] + 0.06 * phi[1] * x
    assert gabor_model.WIDTHS[0] == 8.0
    for width in (8.0, 32.0):
        found = gabor_model.gabor(jnp.asarray(phi), jnp.asarray(x), width)
        np.testing.assert_allclose(found, np.sin(u) * np.exp(-(u**2) / width), atol=1e-5)
