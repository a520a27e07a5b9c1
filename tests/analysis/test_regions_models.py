"""Which models are piecewise linear: seen in the operations that they are made of, whatever made them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.analysis import activation_pattern, count_linear_regions, joints, linear_pieces
from fnnet.errors import DataError, ShapeError, StructureError

IMAGE = (4, 4, 1)
SMALL = nn.mlp([5, 4, 1])


def drawn(model, shape, seed=0):
    """Parameters and state of a model, drawn without compiling anything; what has to be positive is."""
    draws = np.random.default_rng(seed)
    like = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)), jnp.ones((1, *shape)))
    params, state = jax.tree.map(lambda leaf: draws.normal(size=leaf.shape).astype(leaf.dtype), like)
    return params, jax.tree.map(np.abs, state)


ACCEPTED = {
    "an image through everything that is piecewise linear": (
        nn.chain(
            nn.conv(2, (3, 3)),
            nn.batch_norm(),
            nn.relu,
            nn.max_pool(2, stride=1, padding="SAME"),
            nn.avg_pool(2),
            nn.flatten,
            nn.residual(nn.chain(nn.leaky_relu, nn.dense(8))),
            nn.parallel(nn.hard_tanh, nn.remat(nn.dense(2))),
            nn.repeat(nn.chain(nn.dense(10), nn.relu6), 2),
            nn.dropout(0.5),
            nn.freeze(nn.dense(3)),
            jnp.abs,
        ),
        IMAGE,
    ),
    "functions of users": (
        nn.chain(
            lambda x: jnp.clip(x, -0.3, 0.4) - jnp.minimum(2 * x, 0.1),
            lambda x: jnp.concatenate([x, jax.lax.stop_gradient(x[:, ::-1])], axis=1) @ jnp.arange(8.0).reshape(8, 1),
            lambda x: jnp.where(jnp.isnan(x) | ~(x < 0), x / 3, -x),
        ),
        (4,),
    ),
    "the largest of many": (nn.chain(nn.max_pool(9, padding=4), nn.flatten, lambda x: x.max(axis=-1)), (10, 2)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_path_through_a_piecewise_linear_model_is_the_model(name):
    model, shape = ACCEPTED[name]
    start, stop = np.random.default_rng(0).normal(size=(2, *shape))
    params, state = drawn(model, shape)
    found = linear_pieces(model, params, start, stop, model_state=state)
    t = np.linspace(0, 1, 501)
    at = (start + t.reshape(-1, *(1,) * len(shape)) * (stop - start)).astype(np.float32)
    expected = np.asarray(jax.jit(lambda x: model.apply(params, state, x)[0])(at)).reshape(len(t), -1)
    corners = np.concatenate([[0], found.positions, [1]])
    for output, slopes in zip(expected.T, found.slopes.reshape(len(corners) - 1, -1).T, strict=True):
        steps = np.concatenate([[0], np.cumsum(np.diff(corners) * slopes)])
        np.testing.assert_allclose(output[0] + np.interp(t, corners, steps), output, atol=1e-4)


REFUSED = {
    "1: tanh": nn.mlp([3, 1], activation=nn.tanh),
    "1/body: sigmoid": nn.chain(nn.dense(2), nn.residual(nn.sigmoid)),
    "0/1: softplus": nn.chain(nn.repeat(nn.chain(nn.dense(2), nn.softplus), 3)),
    "0: layer_norm": nn.chain(nn.layer_norm()),
    "1: step": nn.chain(nn.dense(2), nn.step),
    "0: dense": nn.chain(nn.mixed_precision(nn.dense(1))),
    "inner: <lambda>": nn.chain(inner=lambda x: x * x),
    "0: round": nn.chain(jnp.round),
    "0: sort": nn.chain(jnp.sort),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_piecewise_linear_is_refused_by_the_name_of_its_layer(name):
    model = REFUSED[name]
    params, _ = drawn(model, (2,))
    with pytest.raises(StructureError, match=rf"linear_pieces: layer {name}.* is not known to be piecewise linear"):
        linear_pieces(model, params, [0.0, 0.0], [1.0, 1.0])


def test_a_model_that_is_one_function_is_refused_by_its_name():
    with pytest.raises(StructureError, match="joints: tanh is not known to be piecewise linear: tanh of"):
        joints(nn.tanh, (), -1, 1)


def test_a_linear_model_has_one_piece_and_no_units():
    params, _ = drawn(nn.dense(2), (1,))
    found = joints(nn.dense(2), params, -1, 1)
    assert found.positions.shape == (0,)
    np.testing.assert_allclose(found.slopes, params["kernel"], rtol=1e-6)
    assert activation_pattern(nn.dense(2), params, jnp.ones((3, 1))) == {}
    wide, _ = drawn(nn.dense(2), (3,))
    assert count_linear_regions(nn.dense(2), wide, [(-1, 1)] * 3, points=10, key=jax.random.key(0)).regions == 1


def test_a_pattern_tells_which_hidden_units_are_on():
    model = nn.chain(first=nn.dense(4), bend=nn.relu, rest=nn.residual(nn.chain(nn.dense(4), nn.leaky_relu)))
    params, _ = drawn(model, (3,))
    x = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    found = activation_pattern(model, params, x)
    z = x @ params["first"]["kernel"] + params["first"]["bias"]
    inner = params["rest"]["body"][0]
    second = np.maximum(z, 0) @ inner["kernel"] + inner["bias"]
    assert list(found) == ["bend", "rest/body/1"]
    np.testing.assert_array_equal(found["bend"], z > 0)
    np.testing.assert_array_equal(found["rest/body/1"], second > 0)


def test_patterns_of_stacked_parameters_are_those_of_each_model():
    model, x = SMALL, np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
    models = [drawn(model, (3,), seed)[0] for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *models)
    together = jax.jit(jax.vmap(lambda params: activation_pattern(model, params, x)))(stacked)
    for index, params in enumerate(models):
        alone = activation_pattern(model, params, x)
        assert together.keys() == alone.keys()
        for place, pattern in alone.items():
            np.testing.assert_array_equal(together[place][index], pattern)


def test_numbers_that_are_not_finite_have_no_pattern():
    params, _ = drawn(SMALL, (3,))
    with pytest.raises(DataError, match="the inputs hold NaN"):
        activation_pattern(SMALL, params, np.full((7, 3), np.nan, np.float32))
    params[0]["bias"][1] = np.inf
    with pytest.raises(DataError, match=r"params/0/bias has a value that is not finite"):
        activation_pattern(SMALL, params, np.ones((7, 3), np.float32))


def test_a_state_that_is_needed_is_asked_for():
    model, x = nn.chain(nn.dense(2), nn.batch_norm(), nn.relu), jnp.ones((4, 3))
    params, state = drawn(model, (3,))
    with pytest.raises(StructureError, match="Pass model_state="):
        activation_pattern(model, params, x)
    assert activation_pattern(model, params, x, model_state=state)["2"].shape == (4, 2)
    with pytest.raises(ShapeError, match="batch, features"):
        activation_pattern(model, params, x[:, 0], model_state=state)
