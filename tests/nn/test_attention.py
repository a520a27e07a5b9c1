"""Attention and the transformer block, against a loop in NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

import fnnet
from fnnet import losses, nn, optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
X, MEMORY = RANDOM.normal(size=(3, 5, 4)), RANDOM.normal(size=(3, 6, 2))
THERE = np.arange(6)[None, :] < np.array([6, 2, 0])[:, None]


def project(params, name, x):
    return x @ np.asarray(params[name]["kernel"], np.float64) + np.asarray(params[name].get("bias", 0.0), np.float64)


def reference(params, x, memory, heads, there=None, causal=False):
    """One example, one head and one query after the other."""
    q, k, v = (project(params, name, y) for name, y in (("query", x), ("key", memory), ("value", memory)))
    size = q.shape[2] // heads
    among = np.zeros(q.shape)
    for row in range(x.shape[0]):
        for part in (slice(h * size, (h + 1) * size) for h in range(heads)):
            for time in range(x.shape[1]):
                seen = np.ones(memory.shape[1], bool) if there is None else there[row].copy()
                if causal:
                    seen[time + 1 :] = False
                if seen.any():
                    weights = softmax(k[row, seen, part] @ q[row, time, part] / np.sqrt(size))
                    among[row, time, part] = weights @ v[row, seen, part]
    return project(params, "out", among)


def drawn(layer, x):
    """Parameters that are all different from zero."""
    params, _ = layer.init(KEY, x)
    return jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params)


CASES = {
    "to itself": ({}, False),
    "to the past": ({"causal": True}, False),
    "to another sequence, of another width, without biases": ({"width": 6, "bias": False}, True),
}


@pytest.mark.parametrize(("options", "cross"), CASES.values(), ids=CASES)
def test_attention_is_its_equation_with_and_without_a_mask(options, cross):
    with jax.enable_x64(True):
        layer = nn.multi_head_attention(2, **options)
        memory = MEMORY if cross else X
        x = (jnp.asarray(X), jnp.asarray(MEMORY)) if cross else jnp.asarray(X)
        params = drawn(layer, x)
        run = jax.jit(lambda mask: layer.apply(params, (), x, mask=mask)[0])
        causal = options.get("causal", False)
        for there in (None, THERE[:, : memory.shape[1]]):
            wanted = reference(params, X, memory, 2, there, causal)
            np.testing.assert_allclose(run(there), wanted, rtol=1e-12, atol=1e-14)


def test_a_query_that_may_look_at_nothing_is_finite_and_so_are_all_derivatives():
    layer, x = nn.multi_head_attention(2), jnp.asarray(X, jnp.float32)
    params = drawn(layer, x)

    @jax.jit
    def everything(params, x, mask):
        y, pull = jax.vjp(lambda p, x: layer.apply(p, (), x, mask=mask)[0], params, x)
        return y, pull(jnp.ones_like(y))

    there = jnp.asarray(THERE[:, :5])
    y, (by_params, by_input) = everything(params, x, there)
    for leaf in jax.tree.leaves((y, by_params, by_input)):
        assert np.isfinite(leaf).all()
    np.testing.assert_array_equal(y[2], np.broadcast_to(params["out"]["bias"], y[2].shape))
    assert not by_input[2].any()
    # What stands in the padding is seen by no position that is there.
    other, _ = everything(params, jnp.where(there[:, :, None], x, 1e3), there)
    np.testing.assert_array_equal(other[1, :2], y[1, :2])


def test_no_position_depends_on_the_future_when_causal():
    layer, x = nn.transformer_block(2, hidden=3, causal=True), jnp.asarray(X, jnp.float32)
    run = jax.jit(lambda x: layer.apply(*layer.init(KEY, x), x)[0])
    before, after = run(x), run(x.at[:, 2, 0].add(1.0))
    np.testing.assert_array_equal(after[:, :2], before[:, :2])
    assert (np.abs(after - before)[:, 2:].max(axis=(0, 2)) > 1e-3).all()


def test_the_softmax_of_half_precision_is_computed_in_float32():
    layer, x = nn.multi_head_attention(2), jnp.asarray(X, jnp.bfloat16)
    params, state = layer.init(KEY, x)
    program = jax.make_jaxpr(lambda x: layer.apply(params, state, x)[0])(x)
    lines = [line for line in str(program).splitlines() if "= exp " in line]
    assert lines
    assert all("f32" in line for line in lines)
    assert program.out_avals[0].dtype == jnp.bfloat16


def test_dropout_acts_on_the_weights_in_training_alone():
    x = jnp.asarray(X, jnp.float32)
    layer = nn.multi_head_attention(2, drop_rate=1.0)
    params = drawn(layer, x)
    y, _ = layer.apply(params, (), x, key=KEY, train=True)
    np.testing.assert_array_equal(y, np.broadcast_to(params["out"]["bias"], y.shape))
    at_inference, _ = layer.apply(params, (), x)
    np.testing.assert_allclose(at_inference, reference(params, X, X, 2), rtol=1e-4, atol=1e-5)


def test_a_transformer_block_is_made_of_the_parts_that_it_names():
    layer, x, there = nn.transformer_block(2), jnp.asarray(X, jnp.float32), jnp.asarray(THERE[:, :5])
    params, state = layer.init(KEY, x)
    attention, feedforward = params["attention"]["body"], params["feedforward"]["body"]
    assert feedforward["hidden"]["kernel"].shape == (4, 16)
    norm = lambda p, x: nn.layer_norm().apply(p["normalization"], (), x)[0]  # noqa: E731
    wanted = x + nn.multi_head_attention(2).apply(attention["attention"], (), norm(attention, x), mask=there)[0]
    hidden = nn.gelu(nn.dense(16).apply(feedforward["hidden"], (), norm(feedforward, wanted))[0])
    wanted = wanted + nn.dense(4).apply(feedforward["out"], (), hidden)[0]
    np.testing.assert_allclose(layer.apply(params, state, x, mask=there)[0], wanted, rtol=1e-5, atol=1e-6)


PADDED = {
    "a recurrent layer": lambda: nn.chain(nn.gru(4), nn.last_step, nn.dense(2)),
    "attention": lambda: nn.chain(nn.multi_head_attention(2, width=4), nn.mean_over_time(), nn.dense(2)),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", PADDED)
def test_fit_trains_on_padded_sequences_whatever_stands_in_the_padding(kind):
    """Which sequences sum to more than 0; the last feature says whether a step is there."""
    random = np.random.default_rng(1)
    there = np.arange(6)[None, :] < random.integers(1, 7, size=40)[:, None]
    steps = np.where(there, random.normal(size=there.shape), 0)
    targets = (steps.sum(axis=1) > 0).astype(np.int32)

    def trained(padding):
        inputs = np.stack([np.where(there, steps, padding), there], axis=2).astype(np.float32)
        model = nn.masked(PADDED[kind](), positions_that_are_there)
        learner = fnnet.Learner(model, losses.softmax_cross_entropy, optim.adam(0.03))
        return fnnet.fit(learner, (inputs, targets), epochs=20, batch_size=16, key=KEY, progress=False)

    run, other = trained(0.0), trained(7.0)
    assert run.history["train/loss"][-1] < 0.6 * run.history["train/loss"][0]
    np.testing.assert_allclose(other.history["train/loss"], run.history["train/loss"], rtol=1e-5)


def positions_that_are_there(x):
    return x[:, :, -1] > 0


def given(layer, made_for, x=None, **call):
    def run():
        variables = layer.init(KEY, made_for)
        return layer.apply(*variables, made_for if x is None else x, **call)

    return run


ones = jnp.ones
MISTAKES = {
    "no heads": (lambda: nn.multi_head_attention(0), HyperparameterError, "multi_head_attention: heads is 0"),
    "heads that do not divide the features": (
        given(nn.chain(nn.relu, nn.multi_head_attention(3)), ones((2, 5, 4))),
        HyperparameterError,
        "multi_head_attention: layer 1: 4 features do not divide into 3 heads",
    ),
    "heads that do not divide the features of a block": (
        given(nn.transformer_block(3), ones((2, 5, 4))),
        HyperparameterError,
        "multi_head_attention: layer attention/body/attention: 4 features do not divide into 3 heads",
    ),
    "no time axis": (given(nn.multi_head_attention(2), ones((2, 4))), ShapeError, r"multi_head_attention: .*\(2, 4\)"),
    "other features": (
        given(nn.multi_head_attention(2, width=4), ones((2, 5, 4)), ones((2, 5, 6))),
        ShapeError,
        r"dense: layer query: the input has shape \(2, 5, 6\), but the kernel has shape \(4, 4\)",
    ),
    "no key": (
        given(nn.chain(nn.multi_head_attention(2, drop_rate=0.5)), ones((2, 5, 4)), train=True),
        StructureError,
        "multi_head_attention: layer 0: there is no random key",
    ),
    "three sequences": (
        given(nn.multi_head_attention(2), (ones((2, 5, 4)),) * 3),
        StructureError,
        r"the input is a tuple of 3, but an array, or a pair \(queries, memory\)",
    ),
    "pairs that are none": (
        given(nn.multi_head_attention(2), (ones((2, 5, 4)), ones((3, 5, 4)))),
        ShapeError,
        "there are 2 sequences of queries and 3 to look at",
    ),
    "a past of another sequence": (
        given(nn.multi_head_attention(2, causal=True), (ones((2, 5, 4)), ones((2, 6, 4)))),
        ShapeError,
        "causal=True .* queries have 5 .* has 6",
    ),
    "a mask of the queries": (
        given(nn.multi_head_attention(2), (ones((2, 5, 4)), ones((2, 6, 4))), mask=ones((2, 5), bool)),
        ShapeError,
        r"the mask is \(2, 5\) of bool",
    ),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
