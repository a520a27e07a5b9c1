"""Activations against their formulas in NumPy float64, at the ends of the range, and for NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from fnnet import nn

FORMULAS = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "identity": lambda x: x,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "logistic": special.expit,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * special.expit(x),
    "softmax": lambda x: special.softmax(x, axis=-1),
    "softplus": lambda x: np.logaddexp(x, 0),
    "tanh": np.tanh,
}

activations = pytest.mark.parametrize("name", FORMULAS)


@activations
def test_values_are_the_formula_and_derivatives_its_finite_differences(name):
    with jax.enable_x64(True):
        function = getattr(nn, name)
        x = np.linspace(-4.1, 4.2, 24).reshape(4, 6)
        np.testing.assert_allclose(function(jnp.asarray(x)), FORMULAS[name](x), rtol=1e-12, atol=1e-15)
        direction = np.cos(np.arange(24.0)).reshape(4, 6)
        _, slope = jax.jvp(function, (jnp.asarray(x),), (jnp.asarray(direction),))
        step = 1e-6
        ahead, behind = (FORMULAS[name](x + sign * step * direction) for sign in (1, -1))
        np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@activations
def test_values_and_derivatives_are_finite_for_huge_inputs(name, dtype):
    function = getattr(nn, name)
    x = jnp.array([[-1e4, 1e4, 0.0, -0.0, 88.8, -88.8, 1e-30]], dtype)
    value, pull = jax.vjp(function, x)
    assert np.isfinite(np.float32(value)).all()
    assert np.isfinite(np.float32(pull(jnp.ones_like(value))[0])).all()


@activations
def test_only_nan_gives_nan(name):
    function = getattr(nn, name)
    rows = jnp.array([[jnp.nan, 1.0], [1.0, 2.0]])
    value = np.asarray(function(rows))
    assert np.isnan(value[0, 0])
    assert np.isfinite(value[1]).all()


def test_a_softmax_is_a_distribution_unmoved_by_an_offset():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5)), jnp.float32)
    np.testing.assert_allclose(nn.softmax(x).sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(nn.softmax(x + 1000), nn.softmax(x), rtol=1e-3)
