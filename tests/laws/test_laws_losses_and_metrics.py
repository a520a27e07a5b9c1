"""Laws for every public loss and metric."""

import catalogue
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import traced_once

from fnnet.metrics import as_metric

losses = pytest.mark.parametrize("case", catalogue.rows(catalogue.LOSSES))
metrics = pytest.mark.parametrize("case", catalogue.rows(catalogue.METRICS))
WEIGHTS = np.array([0.5, 0.0, 2.0, 1.0, 0.0, 3.0], np.float32)


@losses
def test_a_loss_gives_one_number_an_example_mapped_jitted_or_plain(case):
    f, y = jnp.asarray(case.predictions), jnp.asarray(case.targets)
    plain = case.function(f, y)
    assert plain.shape == (6,)
    np.testing.assert_allclose(jax.jit(case.function)(f, y), plain, rtol=2e-6, atol=1e-7)
    shifted = jnp.stack([f, 2 * f])
    mapped = jax.jit(jax.vmap(case.function, in_axes=(0, None)))(shifted, y)
    for index in range(2):
        np.testing.assert_allclose(mapped[index], case.function(shifted[index], y), rtol=2e-6, atol=1e-7)


@losses
def test_a_loss_never_retraces_for_new_values(case):
    run = traced_once(lambda f, y, w: case.function(f, y, weights=w))
    for factor in (1.0, 2.0):
        run(np.float32(factor) * case.predictions, case.targets, np.float32(factor) * WEIGHTS)


@losses
def test_a_loss_is_smallest_at_the_best_predictions_and_has_no_gradient_there(case):
    y = jnp.asarray(case.targets)
    total = jax.jit(jax.value_and_grad(lambda f: case.function(f, y).sum()))
    best, slope = total(jnp.asarray(case.perfect))
    worse, _ = total(jnp.asarray(case.predictions))
    assert best < worse
    assert np.isfinite(best)
    np.testing.assert_allclose(slope, 0, atol=1e-6)


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
@losses
def test_a_loss_is_computed_in_at_least_single_precision(case, dtype):
    with jax.enable_x64(dtype == "float64"):
        f = jnp.asarray(case.predictions, dtype)
        got = case.function(f, jnp.asarray(case.targets))
        assert got.dtype == (jnp.float64 if dtype == "float64" else jnp.float32)
        exact = case.function(f.astype(jnp.float32), jnp.asarray(case.targets))
        np.testing.assert_allclose(got, exact, rtol=1e-6, atol=1e-6)
        slope = jax.grad(lambda f: case.function(f, jnp.asarray(case.targets)).sum())(f)
        assert slope.dtype == f.dtype


@losses
def test_weights_multiply_and_an_example_of_weight_zero_counts_nothing_whatever_it_holds(case):
    y = jnp.asarray(case.targets)

    @jax.jit
    def total(f, y, weights):
        values = case.function(f, y, weights=weights)
        return values.sum(), values

    both = jax.jit(jax.value_and_grad(total, has_aux=True))
    (_, values), slope = both(jnp.asarray(case.predictions), y, WEIGHTS)
    np.testing.assert_allclose(values, WEIGHTS * case.function(jnp.asarray(case.predictions), y), rtol=1e-6)
    ignored = WEIGHTS == 0
    nans = np.where(ignored[:, None], np.nan, case.predictions).astype(np.float32)
    wrong = y if y.ndim == 1 else jnp.where(ignored[:, None], jnp.nan, y)
    for f, t in ((nans, y), (case.predictions, wrong), (nans, wrong)):
        (_, with_nans), slope_with_nans = both(jnp.asarray(f), t, WEIGHTS)
        np.testing.assert_array_equal(with_nans, values)
        np.testing.assert_array_equal(slope_with_nans, slope)
        assert not np.asarray(slope_with_nans)[ignored].any()


numbered = pytest.mark.parametrize("case", [p for p in catalogue.rows(catalogue.LOSSES) if p.values[0].numbers])


@numbered
def test_law_1_the_numbers_of_a_loss_may_be_mapped_and_have_finite_derivatives(case):
    f, y = jnp.asarray(case.predictions), jnp.asarray(case.targets)

    def values(numbers):
        return case.function(f, y, **numbers)

    mapped, slopes = jax.jit(jax.vmap(lambda n: (values(n), jax.jacrev(values)(n))))(catalogue.both(case))
    for index, numbers in enumerate((catalogue.first(case), catalogue.second(case))):
        np.testing.assert_allclose(mapped[index], values(numbers), rtol=2e-6, atol=1e-7)
    assert np.abs(mapped[0] - mapped[1]).max() > 1e-3
    assert all(np.isfinite(slope).all() for slope in slopes.values())


@losses
def test_no_examples_have_no_losses(case):
    f, y = jnp.asarray(case.predictions[:0]), jnp.asarray(case.targets[:0])
    assert case.function(f, y).shape == (0,)
    assert case.function(f, y, weights=jnp.ones(0)).shape == (0,)


@losses
def test_less_of_a_loss_is_better(case):
    assert case.function.higher_is_better is False


@pytest.mark.exhaustive
@metrics
def test_a_metric_is_one_number_mapped_jitted_or_plain(case):
    f, y = jnp.asarray(case.predictions), jnp.asarray(case.targets)
    plain = case.function(f, y)
    assert plain.shape == ()
    assert plain.dtype == jnp.float32
    np.testing.assert_allclose(jax.jit(case.function)(f, y), plain, rtol=1e-6)
    mapped = jax.jit(jax.vmap(case.function, in_axes=(0, None)))(jnp.stack([f, -f]), y)
    np.testing.assert_allclose(mapped, [case.function(f, y), case.function(-f, y)], rtol=1e-6)


@pytest.mark.exhaustive
@metrics
def test_the_sums_of_a_metric_add_up_over_batches(case):
    f, y, w = jnp.asarray(case.predictions), jnp.asarray(case.targets), jnp.asarray(WEIGHTS)
    metric = as_metric(case.function)
    cuts = [slice(0, 4), slice(4, 5), slice(5, 6), slice(6, 6)]
    parts = [metric.sums(f[cut], y[cut], w[cut]) for cut in cuts]
    whole = metric.merged(parts)
    if not metric.rows:
        shapes = [jax.tree.map(jnp.shape, part) for part in (*parts, whole)]
        assert all(shape == shapes[0] for shape in shapes)
    np.testing.assert_allclose(metric.compute(whole), case.function(f, y, weights=w), rtol=1e-6)


@pytest.mark.exhaustive
@metrics
def test_a_metric_ignores_examples_of_weight_zero_whatever_they_hold(case):
    f, y = jnp.asarray(case.predictions), jnp.asarray(case.targets)
    kept = WEIGHTS != 0
    nans = jnp.where(kept[:, None], f, jnp.nan)
    expected = case.function(f[kept], y[kept], weights=jnp.asarray(WEIGHTS[kept]))
    np.testing.assert_allclose(case.function(nans, y, weights=WEIGHTS), expected, rtol=1e-6)
    assert np.isnan(case.function(f, y, weights=0 * WEIGHTS))


@metrics
def test_the_direction_of_a_metric_points_to_the_best_predictions(case):
    better = as_metric(case.function).higher_is_better
    y = jnp.asarray(case.targets)
    best = case.function(jnp.asarray(case.perfect), y)
    worse = case.function(jnp.asarray(case.predictions), y)
    assert better is bool(best > worse)
