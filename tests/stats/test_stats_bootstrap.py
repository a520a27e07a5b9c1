"""Bootstrap intervals are SciPy's for the same random numbers, and those that sweeps have always had."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnnet import stats
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError
from fnnet.stats import resampling
from fnnet.sweeps import comparing

SAMPLE = np.random.default_rng(1).gamma(2.0, size=40)
STATISTICS = {
    "mean": np.mean,
    "median": np.median,
    "interquartile mean": stats.interquartile_mean,
    "a quantile": functools.partial(np.quantile, q=0.8),
}


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
def test_an_interval_is_that_of_scipy_for_the_same_random_numbers(statistic, method):
    theirs = scipy.stats.bootstrap(
        (SAMPLE,),
        statistic,
        n_resamples=500,
        confidence_level=0.9,
        method={"percentile": "percentile", "bca": "BCa"}[method],
        rng=np.random.default_rng(7),
    ).confidence_interval
    ours = stats.bootstrap_interval(SAMPLE, statistic, confidence=0.9, method=method, resamples=500, seed=7)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("size", [2, 5, 40, 3000])
def test_intervals_of_sweeps_are_bit_by_bit_the_quantiles_of_means_of_choices(size):
    scores = np.random.default_rng(size).normal(size=size)
    draws = np.random.default_rng(0).choice(scores, (2000, size))
    low, high = np.quantile(draws.mean(axis=1), [(1 - 0.95) / 2, (1 + 0.95) / 2])
    assert tuple(comparing.interval(scores, 0.95)) == (low, high)
    assert resampling.RESAMPLES == 2000


def test_the_middle_half_is_bit_by_bit_the_weighted_mean_and_scipys_trimmed_mean():
    for size in (1, 2, 3, 4, 7, 40):
        scores = SAMPLE[:size]
        places = np.arange(size)
        inside = np.minimum((places + 1) / size, 0.75) - np.maximum(places / size, 0.25)
        expected = float(np.average(np.sort(scores), weights=np.maximum(inside, 0)))
        assert comparing.interquartile_mean(scores) == expected
        if size % 4 == 0:
            assert expected == pytest.approx(scipy.stats.trim_mean(scores, 0.25))
    stack = SAMPLE.reshape(5, 8)
    one_by_one = [stats.interquartile_mean(row) for row in stack]
    np.testing.assert_array_equal(stats.interquartile_mean(stack), one_by_one)
    np.testing.assert_array_equal(stats.interquartile_mean(stack.T, axis=0), one_by_one)
    assert np.isnan(stats.interquartile_mean(np.zeros((2, 0)))).all()


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_stack_of_samples_has_the_intervals_of_each_alone(method):
    stack = SAMPLE.reshape(2, 2, 10)
    found = stats.bootstrap_interval(stack, np.mean, method=method, resamples=200)
    assert found.low.shape == (2, 2)
    for place in np.ndindex(2, 2):
        alone = stats.bootstrap_interval(stack[place], np.mean, method=method, resamples=200)
        np.testing.assert_allclose([found.low[place], found.high[place]], alone, rtol=1e-12)


def test_parts_of_the_resamples_are_the_whole(monkeypatch):
    whole = [stats.bootstrap_interval(SAMPLE, method=method, resamples=300) for method in ("percentile", "bca")]
    monkeypatch.setattr(resampling, "_AT_ONCE", 7 * SAMPLE.size)
    parts = [stats.bootstrap_interval(SAMPLE, method=method, resamples=300) for method in ("percentile", "bca")]
    assert parts == whole


def test_a_statistic_without_axis_is_called_for_one_resample_at_a_time():
    def first_two(x):
        assert x.ndim == 1
        return x[:2].mean()

    low, high = stats.bootstrap_interval(SAMPLE, first_two, resamples=50)
    assert SAMPLE.min() <= low < high <= SAMPLE.max()
    assert stats.bootstrap_interval(SAMPLE, max, resamples=50).high == SAMPLE.max()  # has no signature to look at


def test_narrow_numbers_are_averaged_in_float64():
    narrow = jnp.arange(5, dtype=jnp.bfloat16)
    assert stats.bootstrap_interval(narrow) == stats.bootstrap_interval(np.arange(5.0))


def test_intervals_of_a_mean_hold_the_truth_about_as_often_as_they_say():
    samples = np.random.default_rng(0).exponential(size=(400, 30))
    for method, least in (("percentile", 0.86), ("bca", 0.88)):
        low, high = stats.bootstrap_interval(samples, np.mean, confidence=0.95, method=method, resamples=400)
        assert least < ((low <= 1) & (high >= 1)).mean() < 0.97
    # Equal numbers have no spread, and no acceleration either.
    assert stats.bootstrap_interval(np.ones(5), method="bca", resamples=20) == (1, 1)


def test_mistakes_with_intervals_are_sentences():
    with pytest.raises(ShapeError, match="at least two numbers"):
        stats.bootstrap_interval([1.0])
    with pytest.raises(DataError, match="the sample holds nan: 1 of 3 numbers"):
        stats.bootstrap_interval([1.0, np.nan, 2.0])
    with pytest.raises(StructureError, match="the statistic is 3, which is not a function"):
        stats.bootstrap_interval(SAMPLE, 3)
    with pytest.raises(StructureError, match="which is not an array of numbers"):
        stats.bootstrap_interval([[1.0], [2.0, 3.0]])
    with pytest.raises(StructureError, match=r"resampled on the host. Call it outside of jax.jit"):
        jax.jit(stats.bootstrap_interval)(jnp.ones(4))
    with pytest.raises(HyperparameterError, match="seed is -1"):
        stats.bootstrap_interval(SAMPLE, seed=-1)
    with pytest.raises(HyperparameterError, match="method is 'basic'"):
        stats.bootstrap_interval(SAMPLE, method="basic")
    with pytest.raises(HyperparameterError, match="confidence is 95"):
        stats.bootstrap_interval(SAMPLE, confidence=95)
    with pytest.raises(ShapeError, match="has to take the last axis away"):
        stats.bootstrap_interval(SAMPLE, lambda x, axis: x)
    with pytest.raises(DataError, match=r"all resamples lie on one side .* Use method='percentile'"):
        stats.bootstrap_interval(SAMPLE, lambda x: len(np.unique(x)), method="bca", resamples=50)
