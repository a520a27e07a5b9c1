"""Estimators: the error is squared bias and variance, and falls as the lecture says."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import stats
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError
from fnnet.stats import estimation
from fnnet.stats.estimation import EstimatorReport

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def variance():
    """Of samples of N(0, 4), by division by n, which is biased by −σ²/n."""
    return stats.estimator_report(
        jnp.var, lambda key, n: 2 * jax.random.normal(key, (n,)), 4.0, (5, 20, 80), repetitions=4000, key=KEY
    )


def test_the_biased_variance_has_the_bias_and_the_spread_of_its_formulas(variance):
    n = variance.sizes
    assert (abs(variance.bias + 4 / n) < 4 * variance.standard_error).all()
    np.testing.assert_allclose(variance.variance, 2 * 16 * (n - 1) / n**2, rtol=0.1)
    assert variance.rate == pytest.approx(-1, abs=0.1)
    assert np.isnan(variance._replace(sizes=np.array([5, 5, 5])).rate)


def test_the_unbiased_variance_is_unbiased_but_not_nearer():
    def unbiased(x):
        return jnp.var(x, ddof=1)

    report = stats.estimator_report(
        unbiased, lambda key, n: 2 * jax.random.normal(key, (n,)), 4.0, (5,), repetitions=4000, key=KEY
    )
    assert abs(report.bias[0]) < 4 * report.standard_error[0]
    assert report.mse[0] > 16 * 9 / 25  # (2n − 1)/n² σ⁴, the error of the biased one
    assert np.isnan(report.rate)


@hypothesis.settings(max_examples=100, deadline=None, database=None, derandomize=True)
@hypothesis.given(truth=st.floats(-1e6, 1e6), shift=st.floats(-1e6, 1e6), seed=st.integers(0, 1000))
def test_the_error_is_squared_bias_plus_variance_to_a_trillionth(truth, shift, seed):
    estimates = shift + np.random.default_rng(seed).normal(size=50)
    moments = estimation._moments(estimates, np.float64(truth))
    report = EstimatorReport(np.array([3]), np.float64(truth), *(np.array([moment]) for moment in moments), 50)
    assert report.gap < 1e-12
    np.testing.assert_allclose(report.mse[0], ((estimates - truth) ** 2).mean(), rtol=1e-12)


def test_samples_are_held_a_part_at_a_time_however_wide_their_rows_are(monkeypatch, variance):
    assert variance.gap < 1e-12
    assert variance.mse.dtype == np.float64
    held = []
    monkeypatch.setattr(estimation, "_AT_ONCE", 60)
    monkeypatch.setattr(jax.lax, "map", lambda f, xs, batch_size: held.append(batch_size) or jax.vmap(f)(xs))
    stats.estimator_report(first, np.ones((4, 5)), np.ones(5), (3,), repetitions=8, key=KEY)
    assert held == [4]  # of 3 rows with 5 numbers each


def first(x):
    return x[0]


def test_the_first_example_is_unbiased_but_not_consistent_and_a_constant_not_even_that():
    report = stats.estimator_report(first, jax.random.normal, 0.0, (4, 64), repetitions=2000, key=KEY)
    assert (abs(report.bias) < 4 * report.standard_error).all()
    assert report.rate == pytest.approx(0, abs=0.1)
    constant = stats.estimator_report(lambda x: 0 * x[0] + 1, jax.random.normal, 0.0, (4, 64), repetitions=3, key=KEY)
    np.testing.assert_array_equal(constant.bias, [1, 1])
    np.testing.assert_array_equal(constant.variance, [0, 0])
    exact = constant._replace(mse=0 * constant.mse)
    with pytest.raises(DataError, match="everything is 0, which a logarithmic axis cannot show"):
        stats.plot_estimator(exact)


def test_estimates_may_be_arrays_and_samples_rows_of_a_population():
    rows = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    report = stats.estimator_report(
        lambda x: x.mean(axis=0), rows, rows.mean(axis=0), (10, 40), repetitions=2000, key=KEY
    )
    assert report.bias.shape == (2, 2)
    np.testing.assert_allclose(report.variance, rows.var(axis=0) / report.sizes[:, None], rtol=0.15)
    assert report.rate == pytest.approx(-1, abs=0.1)
    assert len(str(report).splitlines()) == 4


def test_a_report_prints_as_a_table(variance):
    lines = str(variance).splitlines()
    assert lines[0].split() == ["n", "bias", "±", "s.e.", "bias²", "variance", "bias²", "+", "variance", "MSE"]
    assert lines[1].split()[0] == "5"
    assert lines[1].split()[-1] == lines[1].split()[-2]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[-1].startswith("4000 samples of each size; MSE falls like n^-")


def test_mistakes_with_estimators_are_sentences():
    with pytest.raises(ShapeError, match=r"an estimate has shape \(5,\) and the truth has shape \(\)"):
        stats.estimator_report(lambda x: x, jax.random.normal, 0.0, (5,), key=KEY)
    with pytest.raises(DataError, match="10 of 10 estimates from 1 examples are not finite"):
        stats.estimator_report(lambda x: jnp.var(x, ddof=1), jnp.ones(1), 0.0, (1,), repetitions=10, key=KEY)
    with pytest.raises(HyperparameterError, match="a size is 0"):
        stats.estimator_report(jnp.mean, jax.random.normal, 0.0, (0,), key=KEY)
    with pytest.raises(ShapeError, match=r"an estimate is a dict and the truth has shape \(\)"):
        stats.estimator_report(lambda x: {"mean": x[0]}, jax.random.normal, 0.0, (5,), key=KEY)
    with pytest.raises(HyperparameterError, match="sizes is 10, but one or more are needed"):
        stats.estimator_report(jnp.mean, jax.random.normal, 0.0, 10, key=KEY)
    with pytest.raises(StructureError, match="truth is 'zero', which is not an array of numbers"):
        stats.estimator_report(jnp.mean, jax.random.normal, "zero", key=KEY)
    with pytest.raises(HyperparameterError, match=r"sizes is \(\), but one or more are needed"):
        stats.estimator_report(jnp.mean, jax.random.normal, 0.0, (), key=KEY)
    with pytest.raises(DataError, match="truth is nan"):
        stats.estimator_report(jnp.mean, jax.random.normal, np.nan, (2,), key=KEY)
    with pytest.raises(StructureError, match="not a function of a sample"):
        stats.estimator_report("mean", jax.random.normal, 0.0, key=KEY)
    with pytest.raises(StructureError, match="not a random key"):
        stats.estimator_report(jnp.mean, jax.random.normal, 0.0, key=0)
    with pytest.raises(ShapeError, match="at least one row"):
        stats.estimator_report(jnp.mean, jnp.zeros((0,)), 0.0, key=KEY)


def test_figures_of_estimators_state_the_rate(variance, tmp_path):
    pytest.importorskip("matplotlib")
    figure = stats.plot_estimator(variance, tmp_path / "estimator.png")
    assert (tmp_path / "estimator.png").stat().st_size < 60_000
    assert figure.texts[0].get_text().startswith("The error falls like n^-")
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), variance.mse)
    stats.plot_estimator(EstimatorReport(*(x[:1] if np.ndim(x) else x for x in variance)))
    with pytest.raises(StructureError, match="no EstimatorReport"):
        stats.plot_estimator(None)
