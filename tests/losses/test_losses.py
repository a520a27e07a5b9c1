"""Losses against SciPy and closed forms in float64, their derivatives, huge logits and weights."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial import distance

from fnnet import losses

RANDOM = np.random.default_rng(0)
F, Y = RANDOM.normal(size=(2, 5, 4)) * 3
IDS = RANDOM.integers(0, 4, size=5)
SHARES = special.softmax(Y, axis=1)
LABELS = (Y > 0).astype(float)


def cross_entropy(f, shares):
    return -(shares * special.log_softmax(f, axis=-1)).sum(axis=-1)


def binary_cross_entropy(z, y):
    return -(y * special.log_expit(z) + (1 - y) * special.log_expit(-z)).mean(axis=-1)


def cosine_slope(f, y):
    lengths = np.linalg.norm(f, axis=1, keepdims=True)
    u, v = f / lengths, y / np.linalg.norm(y, axis=1, keepdims=True)
    return (u * (u * v).sum(axis=1, keepdims=True) - v) / lengths


def focal_of_sure(z, gamma):
    """Focal loss of the label 1, from the printed formula."""
    return -(special.expit(-z) ** gamma) * special.log_expit(z)


def focal_slope_of_sure(z, gamma):
    p = special.expit(z)
    return (1 - p) ** gamma * (gamma * p * special.log_expit(z) + p - 1)


COUNTS = RANDOM.integers(0, 6, size=F.shape).astype(float)
SIGNS = 2 * LABELS - 1
CASES = {
    "squared_error": (losses.squared_error, Y, lambda f: ((f - Y) ** 2).mean(axis=1), 2 * (F - Y) / 4),
    "absolute_error": (losses.absolute_error, Y, lambda f: np.abs(f - Y).mean(axis=1), np.sign(F - Y) / 4),
    "softmax_cross_entropy of ids": (
        losses.softmax_cross_entropy,
        IDS,
        lambda f: cross_entropy(f, np.eye(4)[IDS]),
        special.softmax(F, axis=1) - np.eye(4)[IDS],
    ),
    "softmax_cross_entropy of shares": (
        losses.softmax_cross_entropy,
        SHARES,
        lambda f: cross_entropy(f, SHARES),
        special.softmax(F, axis=1) - SHARES,
    ),
    "sigmoid_binary_cross_entropy": (
        losses.sigmoid_binary_cross_entropy,
        LABELS,
        lambda f: binary_cross_entropy(f, LABELS),
        (special.expit(F) - LABELS) / 4,
    ),
    "half_squared_error": (losses.half_squared_error, Y, lambda f: ((f - Y) ** 2).mean(axis=1) / 2, (F - Y) / 4),
    "sum_of_squares": (losses.sum_of_squares, Y, lambda f: ((f - Y) ** 2).sum(axis=1), 2 * (F - Y)),
    "huber": (
        partial(losses.huber, delta=2.0),
        Y,
        lambda f: special.huber(2.0, f - Y).mean(axis=1),
        np.clip(F - Y, -2, 2) / 4,
    ),
    "log_cosh": (losses.log_cosh, Y, lambda f: np.log(np.cosh(f - Y)).mean(axis=1), np.tanh(F - Y) / 4),
    "cosine": (
        losses.cosine,
        Y,
        lambda f: np.array([distance.cosine(a, b) for a, b in zip(f, Y, strict=True)]),
        cosine_slope(F, Y),
    ),
    "kl_divergence": (
        losses.kl_divergence,
        SHARES,
        lambda f: stats.entropy(SHARES, special.softmax(f, axis=1), axis=1),
        special.softmax(F, axis=1) - SHARES,
    ),
    "label smoothing of ids": (
        partial(losses.softmax_cross_entropy, label_smoothing=0.1),
        IDS,
        lambda f: cross_entropy(f, 0.9 * np.eye(4)[IDS] + 0.025),
        special.softmax(F, axis=1) - 0.9 * np.eye(4)[IDS] - 0.025,
    ),
    "label smoothing of shares": (
        partial(losses.softmax_cross_entropy, label_smoothing=0.1),
        SHARES,
        lambda f: cross_entropy(f, 0.9 * SHARES + 0.025),
        special.softmax(F, axis=1) - 0.9 * SHARES - 0.025,
    ),
    "focal": (
        partial(losses.focal, gamma=1.5, alpha=0.3),
        LABELS,
        lambda f: np.where(LABELS, 0.3, 0.7) * focal_of_sure(SIGNS * f, 1.5) @ np.full(4, 0.25),
        np.where(LABELS, 0.3, 0.7) * SIGNS * focal_slope_of_sure(SIGNS * F, 1.5) / 4,
    ),
    "focal without gamma": (
        partial(losses.focal, gamma=0.0),
        LABELS,
        lambda f: binary_cross_entropy(f, LABELS),
        (special.expit(F) - LABELS) / 4,
    ),
    "hinge": (
        losses.hinge,
        LABELS,
        lambda f: np.maximum(0, 1 - SIGNS * f).mean(axis=1),
        np.where(SIGNS * F < 1, -SIGNS, 0) / 4,
    ),
    "hinge of signs": (
        losses.hinge,
        SIGNS,
        lambda f: np.maximum(0, 1 - SIGNS * f).mean(axis=1),
        np.where(SIGNS * F < 1, -SIGNS, 0) / 4,
    ),
    "gaussian_nll": (
        partial(losses.gaussian_nll, variance=2.5),
        Y,
        lambda f: -stats.norm(f, np.sqrt(2.5)).logpdf(Y).mean(axis=1),
        (F - Y) / 2.5 / 4,
    ),
    "laplace_nll": (
        partial(losses.laplace_nll, scale=2.5),
        Y,
        lambda f: -stats.laplace(f, 2.5).logpdf(Y).mean(axis=1),
        np.sign(F - Y) / 2.5 / 4,
    ),
    "poisson_nll": (
        losses.poisson_nll,
        COUNTS,
        lambda f: -stats.poisson(np.exp(f)).logpmf(COUNTS).mean(axis=1),
        (np.exp(F) - COUNTS) / 4,
    ),
}


@pytest.mark.parametrize(("loss", "targets", "value", "slope"), CASES.values(), ids=CASES)
def test_values_and_derivatives_are_the_closed_forms(loss, targets, value, slope):
    with jax.enable_x64(True):
        f, y = jnp.asarray(F), jnp.asarray(targets)
        values, pull = jax.vjp(jax.jit(lambda f: loss(f, y)), f)
        np.testing.assert_allclose(values, value(F), rtol=1e-12)
        (derivative,) = pull(jnp.ones(len(F)))
        np.testing.assert_allclose(derivative, slope, rtol=1e-10, atol=1e-14)
        direction = np.random.default_rng(1).normal(size=F.shape)
        numeric = (value(F + 1e-6 * direction) - value(F - 1e-6 * direction)).sum() / 2e-6
        assert float((derivative * direction).sum()) == pytest.approx(numeric, rel=1e-7)


def test_one_number_an_example_needs_no_axis_of_outputs():
    f, y = jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])
    np.testing.assert_array_equal(losses.squared_error(f, y), [1.0, 4.0])
    np.testing.assert_array_equal(losses.absolute_error(f, y), [1.0, 2.0])
    assert losses.sigmoid_binary_cross_entropy(f, jnp.array([0, 1])).shape == (2,)


LABELLED = [
    losses.sigmoid_binary_cross_entropy,
    losses.focal,
    partial(losses.focal, gamma=0.5, alpha=0.25),
    losses.hinge,
]
NUMBERED = [
    losses.squared_error, losses.half_squared_error, losses.absolute_error, losses.huber, losses.log_cosh,
    losses.cosine, losses.gaussian_nll, losses.laplace_nll,
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_huge_logits_have_finite_losses_and_derivatives(dtype):
    ids, shares, labels = jnp.array([1, 0]), jnp.eye(3)[jnp.array([1, 0])], jnp.array([[0, 1, 0], [1, 0, 0]])
    wrong = [
        (losses.softmax_cross_entropy, ids, 2.0),
        (losses.softmax_cross_entropy, shares, 2.0),
        (losses.kl_divergence, shares, 2.0),
        (partial(losses.softmax_cross_entropy, label_smoothing=0.1), ids, 0.9 * 2 + 0.1 * 1),
    ]
    others = [(loss, labels) for loss in LABELLED] + [(loss, jnp.zeros((2, 3))) for loss in NUMBERED]
    if dtype != "float16":  # which does not hold its derivative of 120000
        others.append((losses.sum_of_squares, jnp.zeros((2, 3))))
    cases = [case[:2] for case in wrong] + others

    @jax.jit
    def all_of(f):
        return [jax.value_and_grad(lambda f, loss=loss, y=y: loss(f, y)[0])(f) for loss, y in cases]

    with jax.enable_x64(dtype == "float64"):
        for size in (1e4, 6e4):
            found = all_of(size * jnp.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 1.0]], dtype))
            for (value, slope), (loss, _) in zip(found, cases, strict=True):
                assert np.isfinite(value), loss
                assert np.isfinite(np.float64(slope)).all(), loss
            for (value, _), (*_, share) in zip(found, wrong, strict=False):
                assert float(value) == pytest.approx(share * size, rel=0.01)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_exponentials_of_huge_logits_are_finite_and_their_derivatives_point_the_right_way(dtype):
    with jax.enable_x64(dtype == "float64"):
        z, far = jnp.array([1e4, -1e4], dtype), jnp.array([2e4, 0.0], dtype)
        value, slope = jax.jit(jax.value_and_grad(lambda z: losses.poisson_nll(z, jnp.ones(2)).sum()))(z)
        assert np.isfinite(value)
        assert np.isfinite(np.float64(slope)).all()
        assert slope[0] > 0 > slope[1]

        def total(mean, log_variance):
            return losses.gaussian_nll((mean, log_variance), jnp.ones(2)).sum()

        both = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))
        for s in (z, -z):
            value, slopes = both(far, s)
            assert np.isfinite(value)
            assert all(np.isfinite(np.float64(slope)).all() for slope in slopes)
            assert (slopes[1] > 0).tolist() == (s > 0).tolist()


def test_vectors_of_zeros_have_no_direction_and_no_derivative():
    zeros, some = jnp.zeros((1, 3)), jnp.array([[0.0, 3.0, 4.0]])
    both = jax.jit(jax.value_and_grad(lambda f, y: losses.cosine(f, y).sum(), argnums=(0, 1)))
    for f, y in ((zeros, some), (some, zeros), (zeros, zeros)):
        value, slopes = both(f, y)
        assert float(value) == 1
        for x, slope in zip((f, y), slopes, strict=True):
            np.testing.assert_allclose(slope, 0, atol=1e-7 if x.any() else 0)
    for scale in (1e-30, 1e30):
        assert float(both(scale * some, some)[0]) == pytest.approx(0, abs=1e-12)


def test_a_small_difference_keeps_its_digits_in_single_precision():
    f, y = jnp.array([[1.0, 1e-3]], jnp.float32), jnp.array([[1.0, 0.0]], jnp.float32)
    assert float(losses.log_cosh(f, y)[0]) == pytest.approx(np.log(np.cosh(np.float64(np.float32(1e-3)))) / 2, rel=1e-6)
    assert float(losses.cosine(f, y)[0]) == pytest.approx(1 - 1 / np.sqrt(1 + 1e-6), rel=1e-6)


def test_a_certain_and_right_answer_costs_nothing_and_a_coin_costs_log_two():
    right = losses.softmax_cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([0]))
    assert float(right[0]) == 0
    coin = losses.sigmoid_binary_cross_entropy(jnp.zeros((1, 1)), jnp.ones((1, 1)))
    assert float(coin[0]) == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int32"])
def test_class_ids_may_have_any_integer_dtype_also_with_more_classes_than_it_counts(dtype):
    f = jnp.zeros((2, 300))
    np.testing.assert_allclose(losses.softmax_cross_entropy(f, jnp.array([5, 100], dtype)), np.log(300), rtol=1e-6)


def test_a_class_out_of_range_counts_like_none_while_it_is_traced():
    values, slope = jax.vjp(lambda f: losses.softmax_cross_entropy(f, jnp.array([-1, 4, 0])), jnp.zeros((3, 4)))
    np.testing.assert_allclose(values, [0, 0, np.log(4)], rtol=1e-6)
    assert not np.asarray(slope(jnp.ones(3))[0])[:2].any()


def test_pixels_are_averaged_and_their_weights_count():
    f = jnp.asarray(RANDOM.normal(size=(2, 3, 3, 4)), jnp.float32)
    ids = jnp.asarray(RANDOM.integers(0, 4, size=(2, 3, 3)))
    each = losses.softmax_cross_entropy(f.reshape(18, 4), ids.reshape(18)).reshape(2, 9)
    np.testing.assert_allclose(losses.softmax_cross_entropy(f, ids), each.mean(axis=1), rtol=1e-6)
    weights = jnp.asarray(RANDOM.random((2, 3, 3)), jnp.float32).at[0, 1].set(0)
    holes = f.at[0, 1].set(jnp.nan)
    expected = (each * weights.reshape(2, 9)).mean(axis=1)
    np.testing.assert_allclose(losses.softmax_cross_entropy(holes, ids, weights=weights), expected, rtol=1e-6)
    for columns in (weights[:, :, 0], weights[:, 0, 0]):
        full = jnp.broadcast_to(columns.reshape(columns.shape + (1,) * (3 - columns.ndim)), (2, 3, 3))
        np.testing.assert_allclose(
            losses.softmax_cross_entropy(f, ids, weights=columns),
            losses.softmax_cross_entropy(f, ids, weights=full),
            rtol=1e-6,
        )
