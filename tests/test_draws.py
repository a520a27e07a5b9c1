"""Data orders and dropout masks: exact bijections, and statistics with fixed seeds."""

import itertools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fnnet import draws

# The seeds are fixed, so these tests pass or fail for good; one in a hundred thousand seeds would fail them.
UNLIKELY = 1e-5


def order(size, seed=0, epoch=0):
    return np.asarray(draws.permuted(jnp.arange(size), size, jax.random.key(seed), epoch))


def orders(size, epochs, seed=0, positions=None):
    """One row an epoch."""
    places = jnp.arange(size) if positions is None else jnp.asarray(positions)
    run = jax.jit(jax.vmap(lambda e: draws.permuted(places, size, jax.random.key(seed), e)))
    return np.asarray(run(jnp.arange(epochs)))


def chi_square(counts, expected):
    """The p-value of counts that all have the same expectation."""
    return stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.size - 1)


def test_an_order_is_a_bijection_for_small_sizes():
    places = jnp.arange(130)  # always as many, so that every operation is compiled once for all sizes
    for size in [*range(1, 35), 63, 64, 65, 66, 127, 128, 129, 130]:
        order = draws.permuted(places, size, jax.random.key(size), 0)[:size]
        assert sorted(order.tolist()) == list(range(size)), size


@pytest.mark.parametrize("size", [1024, 4000, 65537, 2**20 + 3])
def test_an_order_is_a_bijection_for_large_sizes(size):
    np.testing.assert_array_equal(np.sort(_bijection(size)(0, 7)), np.arange(size))


@hypothesis.settings(deadline=None, max_examples=50, derandomize=True)
@hypothesis.given(seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 2**31 - 1))
@pytest.mark.parametrize("size", [2, 3, 7, 50, 64])
def test_an_order_is_a_bijection_for_any_key_and_epoch(size, seed, epoch):
    run = _bijection(size)
    assert sorted(np.asarray(run(seed, epoch)).tolist()) == list(range(size))


_compiled = {}


def _bijection(size):
    if size not in _compiled:
        _compiled[size] = jax.jit(
            lambda seed, epoch: draws.permuted(jnp.arange(size), size, jax.random.key(seed), epoch)
        )
    return _compiled[size]


def test_positions_can_be_asked_for_in_parts_of_any_shape():
    whole = order(1000, epoch=3)
    part = draws.permuted(jnp.arange(600, 650).reshape(5, 10), 1000, jax.random.key(0), 3)
    np.testing.assert_array_equal(part.ravel(), whole[600:650])
    assert part.dtype == jnp.int32


def test_the_largest_size_stays_inside_its_range():
    size = 2**31 - 1
    ends = draws.permuted(jnp.array([0, 1, size - 2, size - 1]), size, jax.random.key(0), 0)
    assert ((ends >= 0) & (ends < size)).all()
    assert len(set(ends.tolist())) == 4


def test_epochs_and_keys_give_other_orders_and_the_same_give_the_same():
    many = orders(100, 50)
    assert len({tuple(row) for row in many}) == 50
    np.testing.assert_array_equal(many[3], order(100, epoch=3))
    assert (order(100, seed=0) != order(100, seed=1)).any()


@pytest.mark.parametrize("size", [2, 3, 4])
def test_all_orders_of_a_few_things_are_equally_likely(size):
    many = orders(size, 24000)
    _, counts = np.unique(many, axis=0, return_counts=True)
    count = int(np.prod(np.arange(1, size + 1)))
    assert len(counts) == count
    assert chi_square(counts, 24000 / count) > UNLIKELY


@pytest.mark.parametrize("size", [7, 16, 50])
def test_every_position_points_everywhere_equally_often(size):
    epochs = 200 * size
    many = orders(size, epochs)
    counts = np.stack([np.bincount(column, minlength=size) for column in many.T])
    statistic = ((counts - epochs / size) ** 2 / (epochs / size)).sum()
    assert stats.chi2.sf(statistic, (size - 1) ** 2) > UNLIKELY
    assert stats.chi2.cdf(statistic, (size - 1) ** 2) > UNLIKELY  # nor suspiciously even


@pytest.mark.parametrize(("size", "pair"), [(10, (0, 1)), (10, (4, 5)), (16, (0, 8)), (16, (7, 6)), (13, (0, 12))])
def test_pairs_of_positions_are_jointly_uniform(size, pair):
    epochs = 200 * size**2
    first, second = orders(size, epochs, positions=pair).T
    counts = np.bincount(first * size + second, minlength=size * size).reshape(size, size)
    assert not np.diag(counts).any()
    assert chi_square(counts[~np.eye(size, dtype=bool)], epochs / (size * (size - 1))) > UNLIKELY


@pytest.mark.parametrize("size", [1000, 4096])
def test_neighbours_in_an_order_are_not_neighbours_in_the_data(size):
    gaps = np.concatenate([np.diff(row) % size for row in orders(size, 20)])
    counts, _ = np.histogram(gaps, bins=50, range=(0.5, size - 0.5))
    assert chi_square(counts, counts.mean()) > UNLIKELY


def test_orders_of_successive_epochs_and_of_successive_keys_are_uncorrelated():
    size = 500
    epochs = orders(size, 200)
    keys = np.stack([order(size, seed=seed) for seed in range(40)])
    for many in (epochs, keys):
        correlations = np.array([np.corrcoef(a, b)[0, 1] for a, b in itertools.pairwise(many)])
        z = correlations.mean() * np.sqrt(len(correlations) * size)
        assert abs(z) < stats.norm.isf(UNLIKELY)
        same = sum((a == b).sum() for a, b in itertools.pairwise(many))
        assert stats.poisson.sf(same, len(many) - 1) > UNLIKELY


@pytest.fixture(scope="module")
def words():
    """Words (64 keys, 4096 positions), as dropout draws them: one folded key a step."""
    keys = jax.vmap(lambda step: draws.key_for(jax.random.key(0), draws.NOISE, step))(jnp.arange(64))
    return np.asarray(jax.jit(jax.vmap(lambda key: draws.bits(key, (4096,))))(keys))


def test_words_are_uniform_in_their_high_and_low_bits(words):
    for shift in (0, 8, 24):
        counts = np.bincount(((words >> shift) & 255).ravel(), minlength=256)
        assert chi_square(counts, words.size / 256) > UNLIKELY


def test_every_bit_is_set_half_of_the_time_and_pairs_of_bits_are_independent(words):
    bits = ((words.ravel()[:, None] >> np.arange(32, dtype=np.uint32)) & 1).astype(np.float64) * 2 - 1
    bound = stats.norm.isf(UNLIKELY / 32**2 / 2) / np.sqrt(len(bits))
    assert np.abs(bits.mean(axis=0)).max() < bound
    products = bits.T @ bits / len(bits) - np.eye(32)
    assert np.abs(products).max() < bound


def test_words_of_neighbouring_positions_steps_and_lanes_are_uncorrelated(words):
    uniform = words / 2.0**32
    seeds = jax.vmap(jax.random.key)(jnp.arange(64))
    lanes = np.asarray(jax.vmap(lambda key: draws.bits(key, (4096,)))(seeds)) / 2.0**32
    pairs = [(table[:, lag:], table[:, :-lag]) for table in (uniform, lanes) for lag in (1, 2, 8, 64)]
    pairs += [(table[lag:], table[:-lag]) for table in (uniform, lanes) for lag in (1, 2, 32)]
    for a, b in pairs:
        z = np.corrcoef(a.ravel(), b.ravel())[0, 1] * np.sqrt(a.size)
        assert abs(z) < stats.norm.isf(UNLIKELY)


def test_words_have_no_more_repetitions_than_chance():
    many = np.asarray(draws.bits(jax.random.key(5), (2**17,)))
    repeated = many.size - len(np.unique(many))
    assert stats.poisson.sf(repeated, many.size**2 / 2**33) > UNLIKELY


def test_a_shape_changes_how_the_words_are_laid_out_and_not_the_words():
    key = jax.random.key(3)
    np.testing.assert_array_equal(draws.bits(key, (6, 4)).ravel(), draws.bits(key, (24,)))
    assert draws.bits(key, (0, 3)).shape == (0, 3)
    assert draws.bits(key, ()).shape == ()


def test_a_mask_is_true_as_often_as_it_should_be_never_at_0_and_always_at_1():
    key = jax.random.key(0)
    mask = jax.jit(lambda probability: draws.bernoulli(key, probability, (100, 1000)))
    for probability in (0.01, 0.3, 0.5, 0.99):
        count = int(mask(probability).sum())
        assert stats.binomtest(count, 100_000, probability).pvalue > UNLIKELY
    assert not mask(0.0).any()
    assert mask(1.0).all()


def test_masks_of_growing_probability_contain_each_other():
    key = jax.random.key(0)
    few, many = (draws.bernoulli(key, probability, (1000,)) for probability in (0.2, 0.6))
    assert (few <= many).all()


def test_any_key_generator_will_do():
    key = jax.random.key(0, impl="rbg")
    assert sorted(draws.permuted(jnp.arange(9), 9, key, 0).tolist()) == list(range(9))
    assert draws.bits(key, (3,)).shape == (3,)


def test_purposes_and_steps_have_keys_of_their_own():
    root = jax.random.key(0)
    keys = {
        tuple(jax.random.key_data(draws.key_for(root, purpose, index)).tolist())
        for purpose in (draws.INITIALISATION, draws.ORDER, draws.NOISE, draws.SEARCH, draws.AUGMENTATION)
        for index in range(20)
    }
    assert len(keys) == 100
