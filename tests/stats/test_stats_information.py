"""Entropies and divergences are those of SciPy, obey their laws, and are safe where a probability is 0."""

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats

from fnnet import stats
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError

RANDOM = np.random.default_rng(0)
VALUES = 4
PAIRS = [stats.cross_entropy, stats.kl_divergence, stats.jensen_shannon_divergence]
laws = hypothesis.settings(max_examples=60, deadline=None, database=None, derandomize=True)


@st.composite
def distributions(draw, rows=2):
    """Rows of probabilities, some of them exactly 0; always one shape, so that nothing is compiled again."""
    parts = st.one_of(st.just(0.0), st.floats(1e-3, 1.0))
    counts = draw(hypothesis.extra.numpy.arrays(float, (rows, VALUES), elements=parts))
    counts[:, 0] += 1e-3
    return counts / counts.sum(axis=1, keepdims=True)


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


@laws
@hypothesis.given(p=distributions())
def test_entropy_lies_between_0_and_log_n_and_is_that_of_scipy(p):
    with jax.enable_x64(True):
        found = np.asarray(stats.entropy(p))
    assert (found >= 0).all()
    assert (found <= np.log(VALUES) + 1e-12).all()
    np.testing.assert_allclose(found, scipy.stats.entropy(p, axis=-1), rtol=1e-12, atol=1e-14)


@laws
@hypothesis.given(p=distributions(), q=distributions())
def test_divergences_are_not_negative_and_those_of_scipy_and_cross_entropy_is_entropy_plus_divergence(p, q):
    with jax.enable_x64(True):
        divergence = np.asarray(stats.kl_divergence(p, q))
        cross, own = np.asarray(stats.cross_entropy(p, q)), np.asarray(stats.entropy(p))
        jensen = np.asarray(stats.jensen_shannon_divergence(p, q, base=2))
    assert (divergence >= -1e-12).all()
    np.testing.assert_allclose(cross, own + divergence, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(divergence, scipy.stats.entropy(p, q, axis=-1), rtol=1e-10, atol=1e-12)
    theirs = scipy.spatial.distance.jensenshannon(p, q, axis=-1, base=2)
    np.testing.assert_allclose(jensen, np.nan_to_num(theirs) ** 2, atol=1e-12)  # SciPy takes the root of −1e-17
    assert (jensen <= 1 + 1e-12).all()


@laws
@hypothesis.given(p=distributions(), q=distributions())
def test_the_divergence_is_0_only_for_equal_distributions(p, q):
    with jax.enable_x64(True):
        equal, apart = np.asarray(stats.kl_divergence(p, p)), np.asarray(stats.kl_divergence(p, q))
    assert (equal == 0).all()
    # Pinsker: the divergence is at least half of the squared distance.
    assert (apart >= np.abs(p - q).sum(axis=-1) ** 2 / 2 - 1e-12).all()


def test_a_fair_coin_is_one_bit_and_a_certain_one_none():
    coins = jnp.array([[0.5, 0.5], [1.0, 0.0]])
    np.testing.assert_array_equal(stats.entropy(coins, base=2), [1, 0])
    assert float(stats.entropy(coins[0])) == pytest.approx(np.log(2))
    assert not np.signbit(stats.entropy(coins[1]))


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_from_logits_they_are_exact_where_probabilities_underflow(size, double):
    z, y = size * RANDOM.normal(size=(3, VALUES)), size * RANDOM.normal(size=(3, VALUES))
    log_p, log_q = scipy.special.log_softmax(z, axis=1), scipy.special.log_softmax(y, axis=1)
    p, q = stats.Logits(z), stats.Logits(y)
    np.testing.assert_allclose(stats.entropy(p), -(np.exp(log_p) * log_p).sum(axis=1), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(stats.cross_entropy(p, q), -(np.exp(log_p) * log_q).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(
        stats.kl_divergence(p, q), (np.exp(log_p) * (log_p - log_q)).sum(axis=1), rtol=1e-10, atol=1e-12
    )
    slopes = jax.grad(lambda z, y: stats.kl_divergence(stats.Logits(z), stats.Logits(y)).sum(), argnums=(0, 1))(z, y)
    assert all(np.isfinite(slope).all() for slope in slopes)
    np.testing.assert_allclose(slopes[1], np.exp(log_q) - np.exp(log_p), atol=1e-12)  # softmax − target


def test_a_logit_of_minus_infinity_is_a_probability_of_0():
    z = jnp.array([0.0, 0.0, -jnp.inf])
    slope = jax.grad(lambda z: stats.entropy(stats.Logits(z)))(z)
    assert float(stats.entropy(stats.Logits(z), base=2)) == pytest.approx(1)
    np.testing.assert_allclose(slope, np.zeros(3), atol=1e-7)
    assert float(stats.kl_divergence(stats.Logits(jnp.zeros(3)), stats.Logits(z))) == np.inf


def test_at_zeros_values_are_their_limits_and_derivatives_finite(double):
    p, q = jnp.array([0.5, 0.5, 0.0, 0.0]), jnp.array([0.25, 0.25, 0.5, 0.0])
    np.testing.assert_allclose(jax.grad(stats.entropy)(p), [np.log(2) - 1] * 2 + [0, 0], rtol=1e-13)
    by_p, by_q = jax.grad(stats.cross_entropy, argnums=(0, 1))(p, q)
    np.testing.assert_allclose(by_p, [*-np.log(q[:3]), 0], rtol=1e-13)
    np.testing.assert_allclose(by_q, [-2, -2, 0, 0], rtol=1e-13)
    assert float(stats.kl_divergence(p, q)) == pytest.approx(np.log(2))
    assert float(stats.kl_divergence(q, p)) == np.inf
    assert float(stats.jensen_shannon_divergence(p, q)) < np.log(2)
    for function in PAIRS:
        for pair in ((p, q), (q, p)):
            slopes = jax.grad(function, argnums=(0, 1))(*pair)
            assert all(np.isfinite(slope).all() for slope in slopes), function


def test_they_may_be_compiled_mapped_and_narrow():
    p = jax.nn.softmax(jnp.asarray(RANDOM.normal(size=(3, VALUES)), jnp.float32))
    one_by_one = jnp.stack([stats.entropy(row, base=2) for row in p])
    np.testing.assert_allclose(jax.vmap(lambda row: stats.entropy(row, base=2))(p), one_by_one, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(stats.entropy)(p, base=2.0), one_by_one, rtol=1e-6)
    narrow = stats.entropy(p.astype(jnp.bfloat16), base=2)
    assert narrow.dtype == jnp.float32
    np.testing.assert_allclose(narrow, one_by_one, rtol=0.02)


@pytest.mark.parametrize("function", PAIRS)
def test_distributions_of_two_precisions_are_compared_in_the_wider(function, double):
    p, q = np.array([0.5, 0.5]), jnp.array([0.25, 0.75], jnp.float32)
    for other in (q, stats.Logits(jnp.log(q))):
        found = function(p, other)
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, function(p, np.array([0.25, 0.75])), rtol=1e-6)


def test_what_is_no_distribution_is_refused_by_its_first_row():
    rows = np.full((3, 2), 0.5)
    rows[1] = 0.5, 0.4
    with pytest.raises(DataError, match=r"entropy: p is no distribution: row 1 sums to 0.9, but .*Divide counts"):
        stats.entropy(rows)
    rows[1] = 1.5, -0.5
    with pytest.raises(DataError, match=r"kl_divergence: q is no distribution: row 1 holds -0.5"):
        stats.kl_divergence(np.full((3, 2), 0.5), rows)
    rows[1] = np.nan, 1
    with pytest.raises(DataError, match=r"row \(0, 1\) holds nan"):
        stats.entropy(rows[None])
    with pytest.raises(DataError, match=r"it sums to 2"):
        stats.entropy([1.0, 1.0])
    with pytest.raises(DataError, match="logits without a softmax: it holds NaN"):
        stats.entropy(stats.Logits(np.array([np.inf, 0.0])))
    with pytest.raises(ShapeError, match=r"p has shape \(2,\) and q \(3,\)"):
        stats.cross_entropy(np.ones(2) / 2, np.ones(3) / 3)
    with pytest.raises(ShapeError, match="the last axis is that of the values"):
        stats.entropy(1.0)
    with pytest.raises(HyperparameterError, match="base is 1, but it has to be more than 1"):
        stats.entropy([1.0], base=1)
    for words in (["a"], np.array([0.5, 0.5j])):
        with pytest.raises(StructureError, match="not an array of numbers"):
            stats.entropy(words)
    with pytest.raises(StructureError, match="not an array of numbers"):
        stats.entropy([[1.0], [0.5, 0.5]])
