"""Flat and dead units, counted by the closed forms of derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.analysis import saturation
from fnnet.errors import DataError, HyperparameterError, StructureError

A = np.linspace(-8, 8, 60, dtype=np.float32).reshape(20, 3)
SLOPES = {
    "logistic": (nn.logistic, lambda a: np.exp(-a) / (1 + np.exp(-a)) ** 2),
    "tanh": (nn.tanh, lambda a: 1 / np.cosh(a) ** 2),
    "relu": (nn.relu, lambda a: (a > 0).astype(float)),
    "softplus": (nn.softplus, lambda a: 1 / (1 + np.exp(-a))),
    "leaky": (nn.leaky_relu, lambda a: np.where(a > 0, 1, 0.01)),
    "sine": (jnp.sin, np.cos),
}


def test_a_unit_is_flat_where_the_derivative_of_its_own_activation_is_small():
    """Mapped over thresholds, so that one program tells of all."""
    model = nn.parallel(**{name: function for name, (function, _) in SLOPES.items()}, join=dict)
    params, _ = model.init(jax.random.key(0), A)
    thresholds = np.array([0.01, 0.05, 0.2])
    found = jax.vmap(lambda threshold: saturation(model, params, A, threshold=threshold))(
        jnp.asarray(thresholds, jnp.float32)
    )
    assert found.layers == tuple(SLOPES)
    for column, (_, slope) in enumerate(SLOPES.values()):
        flat = np.abs(slope(A.astype(np.float64))) < thresholds[:, None, None]
        np.testing.assert_allclose(found.flat[:, column], flat.mean(axis=(1, 2)), atol=1e-6)
        np.testing.assert_allclose(found.dead[:, column], flat.all(axis=1).mean(axis=1), atol=1e-6)


def test_dead_units_are_those_that_no_example_activates_in_each_of_many_models():
    model = nn.mlp([6, 2])
    params = {"kernel": jnp.ones((3, 6)), "bias": jnp.zeros(6)}, (), {"kernel": jnp.ones((6, 2)), "bias": jnp.zeros(2)}
    # So many units of each model get a bias that no example overcomes.
    biases = jnp.stack([jnp.where(jnp.arange(6) < count, -1e3, 1e3) for count in (0, 2, 6)])
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), params)
    stacked[0]["bias"] = biases
    found = jax.vmap(lambda params: saturation(model, params, A))(stacked)
    assert found.layers == ("1",)
    assert found.kinds == ("relu",)
    np.testing.assert_allclose(found.dead[:, 0], [0, 1 / 3, 1], rtol=1e-6)
    np.testing.assert_allclose(found.flat[:, 0], [0, 1 / 3, 1], rtol=1e-6)


def test_units_are_channels_and_what_mixes_units_is_no_activation():
    image = np.ones((2, 3, 3, 2), np.float32)
    image[..., 0] = -1
    image[0, 0, 0, 0] = 1  # one pixel of one example is enough to live
    assert saturation(nn.relu, (), image).dead.tolist() == [0.0]
    assert saturation(nn.relu, (), image[1:]).dead.tolist() == [0.5]
    model = nn.chain(nn.dense(4), nn.relu, nn.flatten, nn.residual(nn.dense(4)), nn.log_softmax, nn.softmax)
    assert saturation(model, model.init(jax.random.key(0), A)[0], A).layers == ("1",)


def test_mistakes_meet_a_sentence():
    diverged = {"kernel": jnp.full((3, 2), jnp.nan), "bias": jnp.zeros(2)}, ()
    with pytest.raises(DataError, match=r"params/0/kernel has a value that is not finite"):
        saturation(nn.chain(nn.dense(2), nn.relu), diverged, A)  # or all of its units would be dead
    with pytest.raises(StructureError, match="no part that is a plain function"):
        saturation(nn.dense(2), nn.dense(2).init(jax.random.key(0), A)[0], A)
    with pytest.raises(HyperparameterError, match=r"threshold is 0, but it has to be .*more than 0"):
        saturation(nn.relu, (), A, threshold=0.0)
