"""Scalers agree with scikit-learn and run on arrays, Datasets and inside jit."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from fnnet import data, errors
from fnnet.data import Dataset

SCALERS = [data.standardizer, data.min_max_scaler]


@pytest.fixture(scope="module")
def parts():
    return data.split(data.load("breast_cancer"), key=jax.random.key(0))


def test_the_standardizer_is_scikit_learns(parts):
    train, test = parts
    reference = StandardScaler().fit(train.inputs.astype(np.float64))
    expected = reference.transform(test.inputs.astype(np.float64))
    np.testing.assert_allclose(data.standardizer(train, epsilon=0.0)(test).inputs, expected, atol=2e-4)


def test_the_standardizer_is_the_lectures_equation():
    x = np.random.default_rng(0).normal(3, 0.01, (50, 4)).astype(np.float32)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 0.1)
    np.testing.assert_allclose(data.standardizer(x, epsilon=0.1)(x), expected, atol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (2.0, 5.0)])
def test_the_min_max_scaler_is_scikit_learns(parts, low, high):
    train, test = parts
    reference = MinMaxScaler((low, high)).fit(train.inputs.astype(np.float64))
    expected = reference.transform(test.inputs.astype(np.float64))
    np.testing.assert_allclose(data.min_max_scaler(train, low, high)(test).inputs, expected, atol=1e-5)


def test_weights_count_as_that_many_copies():
    x = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    copies = np.array([0, 1, 2, 3, 1])
    weighted = Dataset(x, np.zeros((5, 1), np.float32), copies.astype(np.float32))
    for fit in SCALERS:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
            fit(weighted),
            fit(np.repeat(x, copies, axis=0)),
        )


@pytest.mark.parametrize("fit", SCALERS)
def test_constant_features_become_zero_and_stay_small(fit):
    constant = np.full((7, 2), [0.1, 1e6], np.float32)
    scaler = fit(constant)
    np.testing.assert_array_equal(scaler(constant), 0)
    np.testing.assert_allclose(scaler(constant[:1] + 1), 1, rtol=1e-6)


def test_constant_features_stay_inside_a_range_without_zero():
    assert data.min_max_scaler(np.ones((3, 1), np.float32), 2.0, 3.0)(np.ones((1, 1), np.float32)) == 2


@pytest.mark.parametrize("fit", SCALERS)
def test_the_inverse_undoes_the_scaling(fit, parts):
    train, test = parts
    scaler = fit(train)
    np.testing.assert_allclose(scaler.inverse(scaler(test.inputs)), test.inputs, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(scaler.inverse(scaler(test)).inputs, test.inputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("fit", SCALERS)
def test_only_the_inputs_of_a_dataset_change(fit, parts):
    train, test = parts
    scaled = fit(train)(test)
    assert scaled.targets is test.targets
    assert scaled.about == test.about


@pytest.mark.parametrize("dtype", [np.float32, np.float16, jnp.bfloat16])
def test_dtypes_are_kept_and_host_arrays_stay_on_the_host(dtype):
    x = np.linspace(0, 1, 12).reshape(6, 2).astype(dtype)
    scaler = data.standardizer(x)
    assert scaler.shift.dtype == scaler.scale.dtype == np.float32
    assert isinstance(scaler(x), np.ndarray)
    assert scaler(x).dtype == dtype
    assert scaler(jnp.asarray(x)).dtype == dtype


def test_pixels_become_floats():
    images = np.arange(2 * 3 * 3 * 1, dtype=np.uint8).reshape(2, 3, 3, 1)
    scaled = data.min_max_scaler(images)(images)
    assert (scaled.shape, scaled.dtype) == (images.shape, np.float32)
    np.testing.assert_array_equal(scaled[0], -1)


def test_it_runs_under_jit_without_any_promotion(parts):
    train, test = parts
    scaler = data.standardizer(train)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        x = jnp.asarray(test.inputs)
        inside = jax.jit(scaler)(x)
        passed = jax.jit(lambda s, d: s(d))(scaler, test)
        mapped = jax.vmap(scaler)(x.reshape(2, 57, 30))
        halves = jax.jit(lambda x: scaler(x))(x.astype(jnp.bfloat16))
    for found in (inside, passed.inputs, mapped.reshape(114, 30)):
        np.testing.assert_allclose(found, scaler(test.inputs), rtol=1e-5, atol=1e-5)
    assert halves.dtype == jnp.bfloat16


def test_stacked_batches_are_scaled_alike(parts):
    train, test = parts
    scaler = data.standardizer(train)
    stacked = test.inputs.reshape(2, 57, 30)
    np.testing.assert_array_equal(scaler(stacked).reshape(114, 30), scaler(test.inputs))


def test_its_text_is_short(parts):
    assert repr(data.standardizer(parts[0])) == "Scaler(for examples of shape (30,))"


def test_only_the_given_rows_are_looked_at(parts):
    train, test = parts
    before = data.standardizer(train)
    data.standardizer(train)(dataclasses.replace(test, inputs=test.inputs * 100))
    np.testing.assert_array_equal(before.shift, data.standardizer(train).shift)


@pytest.mark.parametrize("fit", SCALERS)
@pytest.mark.parametrize(
    ("train", "error", "sentence"),
    [
        (np.array([[1.0], [np.nan]]), errors.DataError, "first row 1"),
        (np.zeros((0, 2)), errors.DataError, "no rows"),
        (np.zeros((3, 2), int), errors.DataError, "token ids"),
        ([[1.0]], errors.StructureError, "Dataset or an array"),
        (Dataset(np.ones((2, 1)), np.ones(2), np.zeros(2)), errors.DataError, "positive weight"),
    ],
    ids=["nan", "empty", "integers", "list", "weightless"],
)
def test_what_has_no_scale_is_refused(fit, train, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        fit(train)
    assert caught.value.where == f"data.{fit.__name__}"


def test_other_mistakes_are_sentences(parts):
    train, test = parts
    with pytest.raises(errors.ShapeError, match=r"shape \(30,\), but these have shape \(29,\)"):
        data.standardizer(train)(test.inputs[:, 1:])
    with pytest.raises(errors.ShapeError, match=r"^Scaler\.inverse"):
        data.standardizer(train).inverse(np.float32(1))
    with pytest.raises(errors.HyperparameterError, match="epsilon"):
        data.standardizer(train, epsilon=-1.0)
    with pytest.raises(errors.HyperparameterError, match="low has to be below high"):
        data.min_max_scaler(train, 1.0, 1.0)
    with pytest.raises(errors.HyperparameterError, match="high"):
        data.min_max_scaler(train, 1.0, float("inf"))
    with pytest.raises(errors.StructureError, match="Fit it before"):
        jax.jit(lambda x: data.standardizer(x).shift)(train.inputs)


def test_no_warning_for_tiny_or_huge_values():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fit in SCALERS:
            assert np.all(np.isfinite(fit(np.array([[1e-38], [3e38]], np.float32)).scale))
