"""Batch normalisation: its equations, its memory, rows that do not count, and batches in several places."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import fnnet
from fnnet import data, losses, nn, optim
from fnnet.errors import ShapeError

KEY = jax.random.key(0)
LAYER = nn.batch_norm()
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(3.0, 2.0, size=(8, 5)).astype(np.float32)


@jax.jit
def train(params, state, x, weights=None):
    return LAYER.apply(params, state, x, train=True, weights=weights)


@jax.jit
def infer(params, state, x):
    return LAYER.apply(params, state, x)[0]


def variables(features=5):
    params, state = LAYER.init(KEY, jax.ShapeDtypeStruct((1, features), jnp.float32))
    params = {"scale": jnp.linspace(0.5, 2, features), "bias": jnp.linspace(-1, 1, features)}
    return params, state


def test_training_is_the_lectures_equation_over_all_axes_but_the_last():
    for shape in ((8, 5), (4, 2, 3, 5)):
        x = RANDOM.normal(3.0, 2.0, size=shape).astype(np.float32)
        params, state = variables()
        y, after = train(params, state, x)
        exact = x.astype(np.float64).reshape(-1, 5)
        mean, var = exact.mean(axis=0), ((exact - exact.mean(axis=0)) ** 2).mean(axis=0)
        wanted = (exact - mean) / np.sqrt(var + 1e-5) * np.float64(params["scale"]) + np.float64(params["bias"])
        np.testing.assert_allclose(np.asarray(y).reshape(-1, 5), wanted, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(after["mean"], mean, rtol=1e-6)
        np.testing.assert_allclose(after["var"], var, rtol=1e-5)
        assert int(after["count"]) == 1


def test_before_any_step_inference_uses_mean_0_and_variance_1():
    params, state = variables()
    wanted = X / np.sqrt(1 + 1e-5) * params["scale"].reshape(1, -1) + params["bias"].reshape(1, -1)
    np.testing.assert_allclose(infer(params, state, X), wanted, rtol=1e-6, atol=1e-6)


def test_the_running_averages_are_plain_means_until_the_memory_is_filled_and_exponential_from_there_on():
    batches = RANDOM.normal(size=(15, 4, 2)).astype(np.float32)
    params, state = variables(2)
    mean = np.zeros(2)
    for t, x in enumerate(batches, start=1):
        _, state = train(params, state, x)
        mean = mean + max(0.1, 1 / t) * (np.float64(x).mean(axis=0) - mean)
        np.testing.assert_allclose(state["mean"], mean, rtol=1e-5, atol=1e-6)
        if t <= 10:
            np.testing.assert_allclose(state["mean"], batches[:t].mean(axis=(0, 1)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 10, 1000])
def test_inference_agrees_with_the_statistics_of_training_on_stationary_data(steps):
    params, state = variables()
    still = jax.jit(lambda state, n: jax.lax.fori_loop(0, n, lambda _, s: train(params, s, X)[1], state))(state, steps)
    assert int(still["count"]) == steps
    # The same batch at every step: what training gives for it is what inference gives.
    np.testing.assert_allclose(infer(params, still, X), train(params, state, X)[0], rtol=2e-5, atol=2e-5)

    def draw(i, state):
        x = 3 + 2 * jax.random.normal(jax.random.fold_in(KEY, i), (64, 5))
        return train(params, state, x)[1]

    drawn = jax.jit(lambda state, n: jax.lax.fori_loop(0, n, draw, state))(state, steps)
    # An exponential memory of 0.9 weighs as 19 equal batches would, and as many as there were before it is filled.
    seen = 64 * min(steps, 19)
    np.testing.assert_allclose(drawn["mean"], 3, atol=4.5 * 2 / np.sqrt(seen))
    np.testing.assert_allclose(drawn["var"], 4, atol=4 / 64 + 4.5 * 4 * np.sqrt(2 / seen))


def test_a_large_mean_leaves_the_variance_its_digits():
    params, state = variables(2)
    x = (1e4 + np.array([[-1.0, -0.01], [1.0, 0.01]])).astype(np.float32)
    y, after = train(params, state, x)
    np.testing.assert_allclose(after["var"], np.float64(x).var(axis=0), rtol=1e-6)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_statistics_of_low_precision_are_taken_in_float32(dtype):
    x = jnp.asarray(RANDOM.normal(size=(2000, 1)) + 1, dtype)
    params, state = LAYER.init(KEY, x)
    y, after = LAYER.apply(params, state, x, train=True)
    assert (y.dtype, params["scale"].dtype) == (dtype, dtype)
    assert after["mean"].dtype == after["var"].dtype == jnp.float32
    exact = np.asarray(x).astype(np.float64)
    np.testing.assert_allclose(after["mean"], exact.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(after["var"], exact.var(axis=0), rtol=1e-5)


def loss(params, x, state, weights):
    """A loss that weighs its rows; one that holds NaN gives NaN derivatives for its own row."""
    y, after = LAYER.apply(params, state, x, train=True, weights=weights)
    return (jnp.where(weights == 0, 0, jnp.cos(y).sum(axis=1) * weights)).sum(), (y, after)


weighed = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))


@pytest.mark.parametrize("filling", [0.0, 7.0, 1e30, np.nan, np.inf])
def test_rows_of_weight_0_do_not_count_whatever_they_hold(filling):
    params, state = variables()
    full = np.concatenate([X, np.full((3, 5), filling, np.float32)])
    weights = jnp.asarray([1.0] * 8 + [0.0] * 3)
    (total, (y, after)), (slopes, back) = weighed(params, jnp.asarray(full), state, weights)
    (wanted, (alone, kept)), (slopes_alone, back_alone) = weighed(params, jnp.asarray(X), state, jnp.ones(8))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    close(y[:8], alone)
    close(total, wanted)
    close(back[:8], back_alone)
    assert not y[8:].any()
    assert not back[8:].any()
    jax.tree.map(close, (slopes, after), (slopes_alone, kept))


def test_a_weight_of_2_counts_as_the_row_twice():
    params, state = variables()
    y, after = train(params, state, X, jnp.asarray([2.0] + [1.0] * 7))
    twice, wanted = train(params, state, np.concatenate([X[:1], X]), jnp.ones(9))
    np.testing.assert_allclose(y, twice[1:], rtol=1e-5, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after, wanted)


@pytest.mark.parametrize("counting", [0, 1])
def test_with_fewer_than_two_rows_that_count_the_running_averages_stay(counting):
    params, state = variables()
    _, state = train(params, state, X)
    y, after = train(params, state, X, jnp.asarray([1.0] * counting + [0.0] * (8 - counting)))
    assert np.isfinite(y).all()
    jax.tree.map(np.testing.assert_array_equal, after, state)


def test_a_chain_passes_the_weights_of_training_on():
    rows = data.Dataset(X, np.zeros((8, 1), np.float32), None)
    padded = data.Dataset(
        np.concatenate([X, X[:3]]), np.zeros((11, 1), np.float32), np.array([1.0] * 8 + [0.0] * 3, np.float32)
    )
    model = nn.chain(nn.dense(3), nn.batch_norm(), nn.relu, nn.dense(1))
    training = fnnet.training(fnnet.Learner(model, losses.squared_error, optim.sgd(0.1)))
    state = training.init(KEY, X[:1])
    ours, theirs = (training.step(state, batch)[0] for batch in (padded, rows))
    for a, b in zip(*map(jax.tree.leaves, ((ours.params, ours.model_state), (theirs.params, theirs.model_state)))):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert float(jnp.abs(ours.model_state[1]["mean"]).max()) > 0.1


def test_under_vmap_every_lane_has_its_own_statistics():
    params, state = variables()
    batches = jnp.stack([X, X * 2 + 1])
    states = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), state)
    y, after = jax.vmap(lambda s, x: train(params, s, x))(states, batches)
    for index in (0, 1):
        alone, alone_after = train(params, state, batches[index])
        np.testing.assert_allclose(y[index], alone, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(after["mean"][index], alone_after["mean"], rtol=1e-6)


def mesh():
    return Mesh(np.array(jax.devices()[:4]), ("batch",), axis_types=(AxisType.Auto,))


def test_a_batch_that_is_sharded_over_a_mesh_has_the_statistics_of_the_whole():
    params, state = variables()
    spread = jax.device_put(X, NamedSharding(mesh(), P("batch")))
    assert len(spread.sharding.device_set) == 4
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5),
        train(params, state, spread),
        train(params, state, X),
    )


@pytest.mark.parametrize("weighs", [False, True])
@pytest.mark.parametrize("mapping", ["shard_map", "vmap"])
def test_parts_of_a_batch_in_several_places_are_synchronised_by_the_name_of_their_axis(mapping, weighs):
    params, state = variables()
    layer = nn.batch_norm(axis_name="batch")
    # In the last part one row counts, and none in the one before it.
    weights = jnp.asarray([1.0, 1, 1, 3, 0, 0, 0, 1]) if weighs else jnp.ones(8)

    def apply(x, weights):
        return layer.apply(params, state, x, train=True, weights=weights if weighs else None)

    def loss(x):
        if mapping == "vmap":
            parts = (x.reshape(4, 2, 5), weights.reshape(4, 2))
            y, after = jax.vmap(apply, axis_name="batch", out_axes=(0, None))(*parts)
            y = y.reshape(8, 5)
        else:
            mapped = jax.shard_map(apply, mesh=mesh(), in_specs=(P("batch"), P("batch")), out_specs=(P("batch"), P()))
            y, after = mapped(x, weights)
        return jnp.cos(y).sum(), (y, after)

    def whole(x):
        y, after = LAYER.apply(params, state, x, train=True, weights=weights if weighs else None)
        return jnp.cos(y).sum(), (y, after)

    ours, theirs = (jax.jit(jax.value_and_grad(f, has_aux=True))(jnp.asarray(X)) for f in (loss, whole))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5), ours, theirs
    )


def test_one_row_in_each_place_is_enough_if_they_are_synchronised():
    layer = nn.batch_norm(axis_name="row")
    params, state = variables()
    y, _ = jax.vmap(lambda x: layer.apply(params, state, x, train=True), axis_name="row", out_axes=(0, None))(
        jnp.asarray(X)[:, None]
    )
    np.testing.assert_allclose(y[:, 0], train(params, state, X)[0], rtol=1e-5, atol=1e-5)


def call(x, **arguments):
    return lambda: LAYER.apply(*LAYER.init(KEY, jnp.ones((2, 3))), x, **arguments)


MISTAKES = {
    "one row in training": (
        call(jnp.ones((1, 3)), train=True),
        r"^batch_norm: the input has shape \(1, 3\), so with train=True each feature has one value: it is its own "
        r"mean, the variance is zero.*batch_size of 2 or more",
    ),
    "one row in a model": (
        lambda: nn.chain(nn.batch_norm()).apply(({},), (LAYER.init(KEY, X)[1],), jnp.ones((1, 5)), train=True),
        "^batch_norm: layer 0: .*the variance is zero",
    ),
    "other features": (
        call(jnp.ones((2, 4))),
        r"^batch_norm: the input has shape \(2, 4\), but scale has shape \(3,\): the last axis has to be 3",
    ),
    "no features": (call(jnp.ones(3)), r"^batch_norm: the input has shape \(3,\), but \(batch, …, features\)"),
    "weights of other rows": (
        call(jnp.ones((2, 3)), train=True, weights=jnp.ones(3)),
        r"^batch_norm: weights have shape \(3,\), but one an example is needed, \(2,\)",
    ),
}


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(mistake, sentence):
    with pytest.raises(ShapeError, match=sentence):
        mistake()


def test_one_row_with_several_positions_has_a_variance():
    y, after = train(*variables(), RANDOM.normal(size=(1, 4, 5)).astype(np.float32))
    assert int(after["count"]) == 1
    assert np.isfinite(y).all()
