"""Dropout: expectations, masks, keys, and derivatives at the ends of its range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fnnet import nn
from fnnet.errors import HyperparameterError, ShapeError, StructureError

KEY = jax.random.key(0)
X = jnp.ones((200, 100))


@jax.jit
def train(drop_rate, key, x):
    return nn.dropout(drop_rate).apply((), (), x, key=key, train=True)[0]


@pytest.mark.parametrize("drop_rate", [0.1, 0.5, 0.9])
def test_the_share_of_zeros_and_the_scale_of_the_rest_are_exact(drop_rate):
    y = np.asarray(train(drop_rate, KEY, X))
    zeros = int((y == 0).sum())
    assert stats.binomtest(zeros, y.size, drop_rate).pvalue > 1e-5
    np.testing.assert_allclose(y[y != 0], 1 / (1 - drop_rate), rtol=1e-6)
    error = np.sqrt(drop_rate / (1 - drop_rate) / y.size)
    assert abs(y.mean() - 1) < 4.5 * error  # the expectation is kept


def test_inference_is_the_identity_with_and_without_a_key():
    for key in (None, KEY):
        assert nn.dropout(0.5).apply((), (), X, key=key)[0] is X


def test_whole_numbers_become_floats_so_that_what_is_kept_can_be_scaled():
    pixels = jnp.full((4, 5), 255, jnp.uint8)
    y, _ = nn.dropout(0.2).apply((), (), pixels, key=KEY, train=True)
    assert sorted(set(y.ravel().tolist())) == [0, 255 / 0.8]
    assert nn.dropout(0.2).apply((), (), pixels)[0].dtype == y.dtype


def test_at_rate_0_nothing_is_drawn_and_no_key_is_needed():
    assert nn.dropout(0.0).apply((), (), X, train=True)[0] is X
    np.testing.assert_array_equal(train(0.0, KEY, X), X)


@pytest.mark.parametrize("drop_rate", [0.0, 0.5, 1.0])
def test_values_and_derivatives_are_finite_for_a_traced_rate_at_both_ends(drop_rate):
    value = train(drop_rate, KEY, X)
    assert np.isfinite(value).all()
    total = lambda rate, x: train(rate, KEY, x).sum()  # noqa: E731
    slope, back = jax.grad(total, argnums=(0, 1))(drop_rate, X)
    assert np.isfinite(slope)
    np.testing.assert_array_equal(back, value)  # the layer is linear, and X is one
    if drop_rate == 1.0:
        assert not value.any()
        assert slope == 0
    else:  # d/dp of 1/(1 − p), for what is kept
        np.testing.assert_allclose(slope, int((value > 0).sum()) / (1 - drop_rate) ** 2, rtol=1e-5)


def test_the_same_key_gives_the_same_mask_and_other_keys_and_steps_others():
    masks = [train(0.5, key, X) for key in (KEY, jax.random.key(1), jax.random.fold_in(KEY, 1))]
    np.testing.assert_array_equal(train(0.5, KEY, X), masks[0])
    for a, b in ((0, 1), (0, 2), (1, 2)):
        agree = float((masks[a] == masks[b]).mean())
        assert agree == pytest.approx(0.5, abs=0.02)


def test_rows_and_columns_are_dropped_independently():
    kept = np.asarray(train(0.5, KEY, X)) > 0
    for axis, length in ((0, 200), (1, 100)):
        counts = kept.sum(axis=axis)
        statistic = ((counts - length / 2) ** 2 / (length / 4)).sum()
        assert 1e-5 < stats.chi2.sf(statistic, counts.size) < 1 - 1e-5


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_expectation_is_kept_in_low_precision_for_rates_that_round_to_one(dtype):
    x = X.astype(dtype)
    y = np.asarray(train(0.999, KEY, x), np.float32)
    assert y.max() == pytest.approx(1000, rel=2 * float(jnp.finfo(dtype).eps))
    assert train(0.3, KEY, x).dtype == dtype


MISTAKES = {
    "no key": (
        lambda: nn.dropout(0.5).apply((), (), X, train=True),
        StructureError,
        r"^dropout: there is no random key, but train=True draws a mask\. Pass apply\(\.\.\., key=jax",
    ),
    "no key in a chain": (
        lambda: nn.chain(nn.relu, nn.dropout(0.5)).apply(((), ()), ((), ()), X, train=True),
        StructureError,
        "^dropout: layer 1: there is no random key",
    ),
    "too much": (
        lambda: nn.dropout(1.5),
        HyperparameterError,
        "drop_rate is 1.5, but it has to be at least 0 and at most 1",
    ),
    "too little": (lambda: nn.dropout(-0.1), HyperparameterError, "drop_rate is -0.1"),
    "not a number": (lambda: nn.dropout(float("nan")), HyperparameterError, "drop_rate is nan"),
    "several": (lambda: nn.dropout(jnp.array([0.1, 0.2])), ShapeError, r"drop_rate has shape \(2,\).*jax\.vmap"),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
