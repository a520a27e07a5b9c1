"""Layers made of layers, against what they are made of."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.errors import HyperparameterError, ShapeError, StructureError

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)


def called(model, x=X, **call):
    layer = nn.as_layer(model)
    return layer.apply(*layer.init(KEY, x), x, **call)[0]


def test_parallel_gives_every_part_the_same_input_and_a_key_of_its_own():
    model = nn.parallel(nn.dense(2), nn.relu, nn.dense(5))
    params, state = model.init(KEY, X)
    assert [jnp.shape(p["kernel"]) for p in (params[0], params[2])] == [(3, 2), (3, 5)]
    y, after = model.apply(params, state, X)
    parts = [X @ params[0]["kernel"], np.maximum(X, 0), X @ params[2]["kernel"]]
    np.testing.assert_allclose(y, np.concatenate(parts, axis=1), rtol=1e-6)
    assert after == state == ((), (), ())
    one, other = called(
        nn.parallel(nn.dropout(0.5), nn.dropout(0.5), join=tuple), jnp.ones((50, 50)), key=KEY, train=True
    )
    assert float((one == other).mean()) == pytest.approx(0.5, abs=0.03)


def test_the_outputs_of_parallel_are_joined_as_told():
    np.testing.assert_array_equal(called(nn.parallel(nn.relu, lambda x: -nn.relu(-x), join=sum)), X)
    apart = called(nn.parallel(nn.relu, nn.squeeze, join=tuple), X[:, :1])
    assert [y.shape for y in apart] == [(4, 1), (4,)]
    by_name = called(nn.parallel(up=nn.relu, down=jnp.negative, join=dict))
    np.testing.assert_array_equal(by_name["down"], -X)
    named = called(nn.parallel(up=nn.relu, down=jnp.negative))
    np.testing.assert_array_equal(named, jnp.concatenate([by_name["up"], by_name["down"]], axis=1))


def test_state_of_every_part_is_passed_on():
    def init(key, x):
        return (), jnp.zeros((), jnp.int32)

    def apply(params, state, x, *, key=None, train=False):
        return x, state + int(train)

    counter = nn.Layer(init, apply)
    model = nn.chain(
        nn.parallel(counter, counter, join=sum), nn.residual(counter), nn.repeat(counter, 3), nn.remat(counter)
    )
    params, state = model.init(KEY, X)
    for train in (True, False, True):
        _, state = model.apply(params, state, X, train=train)
    assert jax.tree.map(lambda leaf: leaf.tolist(), state) == ((2, 2), {"body": 2, "shortcut": ()}, [2, 2, 2], 2)


def test_a_residual_layer_adds_its_input_or_a_projection_of_it():
    np.testing.assert_array_equal(called(nn.residual(nn.relu)), X + np.maximum(X, 0))
    model = nn.residual(nn.relu, shortcut=nn.dense(3))
    params, state = model.init(KEY, X)
    assert set(params) == {"body", "shortcut"}
    wanted = X @ params["shortcut"]["kernel"] + np.maximum(X, 0)
    np.testing.assert_allclose(model.apply(params, state, X)[0], wanted, rtol=1e-6)


def test_an_mlp_normalises_between_dense_and_activation():
    model = nn.mlp([5, 4, 2], normalization=nn.batch_norm(), drop_rate=0.1)
    by_hand = nn.chain(
        *(nn.dense(5), nn.batch_norm(), nn.relu, nn.dropout(0.1)),
        *(nn.dense(4), nn.batch_norm(), nn.relu, nn.dropout(0.1)),
        nn.dense(2),
    )
    ours, theirs = (layer.init(KEY, X) for layer in (model, by_hand))
    chex.assert_trees_all_equal(ours, theirs)
    call = {"key": KEY, "train": True}
    chex.assert_trees_all_equal(model.apply(*ours, X, **call), by_hand.apply(*theirs, X, **call))


def test_repeat_is_a_chain_of_copies_with_their_own_parameters_states_and_keys():
    body = nn.chain(nn.dense(3), nn.batch_norm(), nn.dropout(0.3))
    model, by_hand = nn.repeat(body, 3), nn.chain(body, body, body)
    variables, parts = model.init(KEY, X), by_hand.init(KEY, X)
    stack = lambda trees: jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)  # noqa: E731
    chex.assert_trees_all_close(variables, (stack(parts[0]), stack(parts[1])), rtol=1e-6)
    y, state = model.apply(*variables, X, key=KEY, train=True)
    wanted, states = by_hand.apply(*parts, X, key=KEY, train=True)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(state, stack(states), rtol=1e-5)


def test_the_program_of_repeat_does_not_grow_with_the_number_of_copies():
    def lines(times):
        model = nn.repeat(nn.chain(nn.dense(3), nn.tanh), times)

        def slopes(key, x):
            params, state = model.init(key, x)
            return jax.grad(lambda params: model.apply(params, state, x)[0].sum())(params)

        return len(str(jax.make_jaxpr(slopes)(KEY, X)).splitlines())

    assert lines(2) == lines(64)


def test_a_frozen_layer_acts_as_at_inference_and_has_no_gradient_but_passes_one():
    body = nn.chain(nn.dense(3), nn.batch_norm(), nn.dropout(0.5))
    params, state = body.init(KEY, X)

    def total(params, x, layer, train):
        y, after = layer.apply(params, state, x, key=KEY, train=train)
        return y.sum(), (y, after)

    slopes, (y, after) = jax.grad(total, argnums=(0, 1), has_aux=True)(params, X, nn.freeze(body), True)
    wanted, (at_inference, _) = jax.grad(total, argnums=(0, 1), has_aux=True)(params, X, body, False)
    np.testing.assert_array_equal(y, at_inference)
    chex.assert_trees_all_equal(after, state)
    chex.assert_trees_all_equal(slopes[0], jax.tree.map(jnp.zeros_like, params))
    np.testing.assert_allclose(slopes[1], wanted[1], rtol=1e-6)


def test_remat_gives_the_same_values_and_gradients_and_keeps_less():
    body = nn.mlp([64, 64, 64, 3], activation=nn.tanh, drop_rate=0.2)
    params, state = body.init(KEY, X)

    def kept_and_slopes(layer):
        y, pull = jax.vjp(lambda p: layer.apply(p, state, X, key=KEY, train=True)[0], params)
        return sum(leaf.size for leaf in jax.tree.leaves(pull)), (y, pull(jnp.ones_like(y)))

    more, wanted = kept_and_slopes(body)
    less, found = kept_and_slopes(nn.remat(body))
    chex.assert_trees_all_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert less < more - 3 * 4 * 64  # three hidden layers of four examples at least


def test_a_mask_is_offered_to_every_layer_inside_and_to_those_alone():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 3)), jnp.float32)
    there = jnp.array([[True, True, False, False], [True, True, True, True]])
    inner = nn.chain(nn.dense(3), nn.remat(nn.residual(nn.repeat(nn.freeze(nn.rnn(3)), 2))), nn.mean_over_time())
    model = nn.masked(inner, lambda x: there)
    variables = model.init(KEY, x)
    chex.assert_trees_all_equal(variables, inner.init(KEY, x))
    y = jax.jit(lambda x: model.apply(*variables, x)[0])(x)
    np.testing.assert_allclose(y[:1], inner.apply(*variables, x[:1, :2])[0], rtol=1e-5)
    outside = jnp.array([[True, False, True, False], [True, True, False, False]])
    both = jax.jit(lambda x, mask: model.apply(*variables, x, mask=mask)[0])(x, outside)
    np.testing.assert_allclose(both[1:], inner.apply(*variables, x[1:, :2])[0], rtol=1e-5)
    np.testing.assert_allclose(both[:1], inner.apply(*variables, x[:1, :1])[0], rtol=1e-5)


def test_padding_of_nan_leaves_values_and_derivatives_as_they_are_without_it():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 4)), jnp.float32)
    body = nn.chain(nn.gru(4), nn.residual(nn.multi_head_attention(2)), nn.mean_over_time())
    model = nn.masked(body, lambda x: ~jnp.isnan(x).any(axis=-1))
    params, state = body.init(KEY, x)
    total = lambda layer: jax.jit(jax.value_and_grad(lambda p, x: jnp.cos(layer.apply(p, state, x)[0]).sum()))  # noqa: E731
    found = total(model)(params, jnp.pad(x, ((0, 0), (0, 2), (0, 0)), constant_values=jnp.nan))
    chex.assert_trees_all_close(found, total(body)(params, x), rtol=1e-5, atol=1e-6)


MISTAKES = {
    "no parts side by side": (lambda: nn.parallel(), StructureError, "parallel: there are no parts"),
    "some parts with names": (
        lambda: nn.parallel(nn.relu, b=nn.relu),
        StructureError,
        "parallel: 1 parts have no name",
    ),
    "outputs that do not fit": (
        lambda: called(nn.parallel(nn.relu, lambda x: x[:2])),
        ShapeError,
        r"parallel: the outputs are \(4, 3\) of float32, \(2, 3\) of float32; .* join=tuple",
    ),
    "a residual of another shape": (
        lambda: called(nn.chain(nn.relu, nn.residual(nn.dense(1)))),
        ShapeError,
        r"residual: layer 1: the layer gives \(4, 1\) of float32 and the shortcut \(4, 3\) of float32; .*shortcut=",
    ),
    "a repeated layer that changes the shape": (
        lambda: called(nn.repeat(nn.dense(2), 2)),
        ShapeError,
        r"repeat: the layer makes \(4, 2\) of float32 out of \(4, 3\) of float32",
    ),
    "a repeated layer that changes the dtype": (
        lambda: called(nn.repeat(lambda x: x.astype(jnp.bfloat16), 2)),
        ShapeError,
        r"repeat: .* \(4, 3\) of bfloat16 out of \(4, 3\) of float32",
    ),
    "no copies": (lambda: nn.repeat(nn.relu, 0), HyperparameterError, "repeat: times is 0"),
    "a mask of numbers": (
        lambda: called(nn.masked(nn.relu, lambda x: x)),
        StructureError,
        r"masked: mask_of gives shape \(4, 3\) of float32, but booleans of shape \(batch, time\)",
    ),
    "a mask for another length": (
        lambda: called(nn.masked(nn.chain(nn.relu, nn.rnn(2)), lambda x: jnp.ones((4, 2), bool)), X[:, :, None]),
        ShapeError,
        r"rnn: layer 1: the mask is \(4, 2\) of bool, .* shape \(4, 3, 1\), so booleans of shape \(4, 3\)",
    ),
    "the layer deep inside is named": (
        lambda: called(nn.chain(a=nn.residual(nn.repeat(nn.chain(nn.relu, nn.squeeze), 2)))),
        ShapeError,
        "squeeze: layer a/body/1: the input has shape",
    ),
    "a chain without its state": (
        lambda: nn.chain(nn.relu, nn.dense(2)).apply(nn.chain(nn.relu, nn.dense(2)).init(KEY, X)[0], (), X),
        StructureError,
        r"chain: state has no entries, and the parts are 0, 1\. .* params, state = model\.init\(key, x\)",
    ),
    "parameters of other parts": (
        lambda: nn.parallel(a=nn.relu, b=nn.dense(2)).apply({"a": (), "c": {}}, {"a": (), "b": ()}, X),
        StructureError,
        "parallel: params has a, c, and the parts are a, b",
    ),
    "a factory in place of a layer": (lambda: nn.residual(nn.rnn), StructureError, "residual: rnn makes a layer"),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
