"""Layers over a time axis, against loops in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.errors import HyperparameterError, ShapeError

KEY = jax.random.key(0)
WIDTH, FEATURES = 3, 2
X = np.random.default_rng(0).normal(size=(4, 5, FEATURES))
THERE = np.arange(5)[None, :] < np.array([5, 3, 1, 0])[:, None]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_step(p, x, h):
    return (np.tanh(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"]),)


def gru_step(p, x, h):
    (W_r, W_z, W_n), (U_r, U_z, U_n) = (np.split(p[name], 3, axis=1) for name in ("kernel", "recurrent_kernel"))
    b_r, b_z, b_n = np.split(p["bias"], 3)
    r, z = sigmoid(x @ W_r + h @ U_r + b_r), sigmoid(x @ W_z + h @ U_z + b_z)
    n = np.tanh(x @ W_n + b_n + r * (h @ U_n + p["recurrent_bias"]))
    return ((1 - z) * n + z * h,)


def lstm_step(p, x, h, c):
    i, f, g, o = np.split(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


LAYERS = {"rnn": (nn.rnn, rnn_step, 1), "gru": (nn.gru, gru_step, 1), "lstm": (nn.lstm, lstm_step, 2)}
kinds = pytest.mark.parametrize("kind", LAYERS)


def reference(kind, params, x, there, reverse=False):
    """One example and one step after the other."""
    _, step, carried = LAYERS[kind]
    params = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    outputs = np.zeros((*x.shape[:2], WIDTH))
    for row in range(x.shape[0]):
        carry = (np.zeros(WIDTH),) * carried
        for time in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
            if there[row, time]:
                carry = step(params, x[row, time], *carry)
            outputs[row, time] = carry[0]
    return outputs


def drawn(kind, **options):
    """The layer with parameters that are all different from zero."""
    layer = LAYERS[kind][0](WIDTH, **options)
    params, _ = layer.init(KEY, jnp.asarray(X))
    return layer, jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params)


@pytest.mark.exhaustive
@kinds
@pytest.mark.parametrize("reverse", [False, True])
def test_it_is_its_equation_with_and_without_a_mask_forwards_and_backwards(kind, reverse):
    with jax.enable_x64(True):
        layer, params = drawn(kind, reverse=reverse)
        run = jax.jit(lambda x, mask: layer.apply(params, (), x, mask=mask)[0])
        everything = np.ones_like(THERE)
        for mask in (everything, THERE):
            wanted = reference(kind, params, X, mask, reverse)
            np.testing.assert_allclose(run(X, mask), wanted, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(layer.apply(params, (), X)[0], run(X, everything), rtol=1e-12)


@pytest.mark.exhaustive
@kinds
def test_padding_changes_neither_the_last_state_nor_any_gradient(kind):
    layer, params = drawn(kind)

    @jax.jit
    def slopes(params, x):
        return jax.value_and_grad(
            lambda p, x: nn.last_step(layer.apply(p, (), x, mask=THERE)[0]).sum(), argnums=(0, 1)
        )(params, x)

    x = jnp.asarray(X, jnp.float32)
    value, (by_params, by_input) = slopes(params, x)
    again, (by_params_again, _) = slopes(params, jnp.where(THERE[:, :, None], x, 1e4))
    assert float(value) == float(again)
    jax.tree.map(np.testing.assert_array_equal, by_params, by_params_again)
    assert not np.asarray(by_input)[~THERE].any()
    last = nn.last_step(layer.apply(params, (), x, mask=THERE)[0])
    alone = layer.apply(params, (), x[1:2, :3])[0][:, -1]
    np.testing.assert_allclose(last[1:2], alone, rtol=1e-6)
    assert not last[3].any(), "an empty sequence stays at the initial state"


@kinds
def test_each_gate_starts_with_a_rotation_and_with_the_stated_bias(kind):
    layer = LAYERS[kind][0](8)
    params, state = layer.init(KEY, jax.ShapeDtypeStruct((1, 0, 6), jnp.float32))
    gates = params["recurrent_kernel"].shape[1] // 8
    for gate in np.split(np.asarray(params["recurrent_kernel"]), gates, axis=1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(8), atol=1e-6)
    bound = np.sqrt(6 / (6 + 8))  # of one gate, not of all beside each other
    assert 0.9 * bound < np.abs(params["kernel"]).max() <= bound
    wanted = np.zeros(8 * gates)
    if kind == "lstm":
        wanted[8:16] = 1.0
    np.testing.assert_array_equal(params["bias"], wanted)
    assert state == ()


@kinds
def test_a_sequence_of_no_steps_gives_no_steps(kind):
    layer, params = drawn(kind)
    assert layer.apply(params, (), jnp.zeros((2, 0, FEATURES)))[0].shape == (2, 0, WIDTH)


def test_parts_of_a_batch_on_several_devices_are_their_rows_of_the_whole():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows, x = jax.P("data"), jax.random.normal(jax.random.key(0), (4, 3, 2))
    for layer in (nn.gru(2), nn.lstm(2, reverse=True)):
        params, _ = layer.init(jax.random.key(0), x)
        call = lambda p, x, layer=layer: layer.apply(p, (), x)[0]  # noqa: E731
        apart = jax.jit(jax.shard_map(call, mesh=mesh, in_specs=(jax.P(), rows), out_specs=rows))
        np.testing.assert_allclose(apart(params, x), jax.jit(call)(params, x), rtol=1e-6, atol=1e-7)


def test_the_program_does_not_grow_with_time():
    layer, params = drawn("gru")
    lines = [
        len(str(jax.make_jaxpr(lambda x: layer.apply(params, (), x))(jnp.ones((2, time, FEATURES)))).splitlines())
        for time in (2, 200)
    ]
    assert lines[0] == lines[1]


def test_the_mean_over_time_counts_what_is_there_and_is_zero_where_nothing_is():
    wanted = [row[there].mean(axis=0) if there.any() else 0 * row[0] for row, there in zip(X, THERE, strict=True)]
    with jax.enable_x64(True):
        run = lambda x, mask: nn.mean_over_time().apply((), (), x, mask=mask)[0]  # noqa: E731
        np.testing.assert_allclose(run(jnp.asarray(X), jnp.asarray(THERE)), wanted, rtol=1e-12)
        np.testing.assert_allclose(run(jnp.asarray(X), None), X.mean(axis=1), rtol=1e-12)
        slope = jax.grad(lambda x: run(x, jnp.asarray(THERE)).sum())(jnp.asarray(X))
        np.testing.assert_allclose(slope[1, :, 0], [1 / 3, 1 / 3, 1 / 3, 0, 0], rtol=1e-12)
        assert not slope[3].any()


def test_positions_have_vectors_of_their_own():
    layer = nn.positional_embedding(7)
    x = jnp.asarray(X, jnp.float32)
    params, state = layer.init(KEY, x)
    assert params["embedding"].shape == (7, FEATURES)
    y, _ = layer.apply(params, state, x)
    np.testing.assert_allclose(y - x, np.broadcast_to(params["embedding"][:5], x.shape), atol=1e-6)


def given(layer, made_for, shape, **call):
    def run():
        variables = layer.init(KEY, jnp.ones(made_for))
        return layer.apply(*variables, jnp.ones(shape), **call)

    return run


MISTAKES = {
    "no units": (lambda: nn.gru(0), HyperparameterError, "gru: width is 0"),
    "no time axis": (given(nn.lstm(2), (3, 2), (3, 2)), ShapeError, r"lstm: .* \(3, 2\), .*x\[:, :, None\]"),
    "other features": (
        given(nn.chain(nn.relu, nn.gru(2)), (3, 4, 2), (3, 4, 5)),
        ShapeError,
        r"gru: layer 1: the input has shape \(3, 4, 5\), but the kernel has shape \(2, 6\): the last axis has to be 2",
    ),
    "a mask of another shape": (
        given(nn.rnn(2), (3, 4, 2), (3, 4, 2), mask=jnp.ones((3, 5), bool)),
        ShapeError,
        r"rnn: the mask is \(3, 5\) of bool, but the input has shape \(3, 4, 2\)",
    ),
    "a mask of numbers": (
        given(nn.mean_over_time(), (3, 4, 2), (3, 4, 2), mask=jnp.ones((3, 4))),
        ShapeError,
        r"mean_over_time: the mask is \(3, 4\) of float32, .*booleans",
    ),
    "no last step": (lambda: nn.last_step(jnp.ones((2, 0, 3))), ShapeError, "last_step: .* there are no steps"),
    "too long for its positions": (
        given(nn.positional_embedding(4), (3, 4, 2), (3, 5, 2)),
        ShapeError,
        r"positional_embedding: the input has shape \(3, 5, 2\), but there are vectors of 2 features for 4 positions",
    ),
    "a bias that is no number": (
        lambda: nn.lstm(2, forget_bias=np.nan),
        HyperparameterError,
        "lstm: forget_bias is nan",
    ),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
