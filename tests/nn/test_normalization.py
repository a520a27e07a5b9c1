"""Normalisation of single examples against its equations in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.errors import ShapeError

KEY = jax.random.key(0)
LAYERS = {"layer_norm": nn.layer_norm(), "rms_norm": nn.rms_norm(), "group_norm": nn.group_norm(2)}
norms = pytest.mark.parametrize("name", LAYERS)


def equation(name, x, eps=1e-5):
    x = np.float64(x)
    if name == "rms_norm":
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    grouped = x.reshape(len(x), -1, 2, x.shape[-1] // 2) if name == "group_norm" else x
    axes = (1, 3) if name == "group_norm" else (-1,)
    mean = grouped.mean(axis=axes, keepdims=True)
    return ((grouped - mean) / np.sqrt(((grouped - mean) ** 2).mean(axis=axes, keepdims=True) + eps)).reshape(x.shape)


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 5, 4)])
@norms
def test_a_norm_is_its_equation_in_training_and_at_inference(name, shape):
    x = np.random.default_rng(0).normal(2.0, 3.0, shape).astype(np.float32)
    params, state = LAYERS[name].init(KEY, x)
    assert state == ()
    params = {
        key: jnp.linspace(0.5, 2, 4) if key == "scale" else jnp.linspace(-1, 1, 4) for key in params
    }  # γ and β that can be told apart
    wanted = equation(name, x) * np.linspace(0.5, 2, 4) + (np.linspace(-1, 1, 4) if "bias" in params else 0)
    for train in (False, True):
        y, _ = LAYERS[name].apply(params, (), jnp.asarray(x), train=train)
        np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)


@norms
def test_parameters_may_be_left_out(name):
    arguments = {"groups": 2} if name == "group_norm" else {}
    bare = getattr(nn, name)(scale=False, **arguments)
    assert set(bare.init(KEY, jnp.ones((1, 4)))[0]) == ({"bias"} if name != "rms_norm" else set())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@norms
def test_derivatives_are_finite_where_all_features_are_equal_and_large_ones_do_not_overflow(name, dtype):
    rows = jnp.array([[0.0] * 4, [3.0] * 4, [1e4] * 4, [1e4, -1e4, 1e4, 0.0]], dtype)
    params, _ = LAYERS[name].init(KEY, rows)
    value, pull = jax.vjp(lambda p, x: LAYERS[name].apply(p, (), x)[0], params, rows)
    assert value.dtype == dtype
    for leaf in jax.tree.leaves((value, pull(jnp.cos(value)))):
        assert np.isfinite(np.float32(leaf)).all()
    exact = equation(name, np.asarray(rows).astype(np.float64))
    np.testing.assert_allclose(np.float64(value), exact, rtol=float(4 * jnp.finfo(dtype).eps), atol=1e-6)


def test_a_large_mean_leaves_the_variance_its_digits():
    x = np.array([[1e4 - 1, 1e4 + 1, 1e4, 1e4]], np.float32)
    y, _ = nn.layer_norm().apply(*LAYERS["layer_norm"].init(KEY, x), x)
    np.testing.assert_allclose(y, equation("layer_norm", x), rtol=1e-4, atol=1e-4)


def apply(layer, given):
    return lambda: layer.apply(*layer.init(KEY, jnp.ones((2, 4))), jnp.ones(given))


MISTAKES = {
    "other features": (
        apply(nn.chain(nn.relu, nn.layer_norm()), (2, 3)),
        r"^layer_norm: layer 1: the input has shape \(2, 3\), but scale has shape \(4,\): the last axis has to be 4",
    ),
    "a single example": (apply(nn.rms_norm(), (4,)), r"^rms_norm: .*\(4,\), but \(batch, …, features\).*x\[None, :\]"),
    "groups that do not divide": (
        apply(nn.group_norm(3), (2, 4)),
        r"^group_norm: .*\(2, 4\), but its 4 channels cannot be divided into groups=3",
    ),
}


@pytest.mark.parametrize(("call", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, sentence):
    with pytest.raises(ShapeError, match=sentence):
        call()
