"""What flows between layers: forward and backward passes against those written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.analysis import layer_gradients, layer_inputs, layer_outputs
from fnnet.errors import DataError, ShapeError, StructureError
from fnnet.trees import flatten_with_names

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
NESTED = nn.chain(
    nn.dense(4),
    nn.relu,
    nn.residual(nn.chain(nn.dense(4), nn.tanh)),
    nn.repeat(nn.chain(nn.dense(4), nn.tanh), 3),
    nn.remat(nn.mlp([3, 2])),
    nn.batch_norm(),
)


@pytest.fixture(scope="module")
def nested():
    """Parameters and state of the net, drawn without compiling anything."""
    draws = np.random.default_rng(1)
    like = jax.eval_shape(NESTED.init, jax.eval_shape(lambda: KEY), X)
    return jax.tree.map(lambda leaf: jnp.asarray(np.abs(draws.normal(size=leaf.shape)), leaf.dtype) / 2, like)


def test_outputs_inputs_and_gradients_are_those_of_the_lectures_forward_and_backward_pass():
    model = nn.mlp([4, 4, 2], activation=nn.tanh)
    params, _ = model.init(KEY, X)
    weights = [np.asarray(params[index]["kernel"], np.float64) for index in (0, 2, 4)]
    biases = [np.asarray(params[index]["bias"], np.float64) for index in (0, 2, 4)]
    h, forward = np.asarray(X, np.float64), []
    for index, (W, b) in enumerate(zip(weights, biases, strict=True)):
        forward.append(h @ W + b)
        h = np.tanh(forward[-1])
        forward += [h] if index < 2 else []
    # The gradient of Σ f² is 2f; then δ ← (δ Wᵀ)·σ′.
    delta = 2 * forward[4]
    backward = [delta]
    for layer in (1, 0):
        passed = backward[0] @ weights[layer + 1].T
        backward = [passed * (1 - forward[2 * layer + 1] ** 2), passed, *backward]
    outputs = layer_outputs(model, params, X)
    gradients = layer_gradients(lambda y: jnp.square(y).sum(), model, params, X)
    inputs = layer_inputs(model, params, X)
    assert list(outputs) == list(inputs) == list(gradients) == ["0", "1", "2", "3", "4"]
    for index, name in enumerate(outputs):
        np.testing.assert_allclose(outputs[name], forward[index], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(gradients[name], backward[index], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(inputs[name], X if index == 0 else forward[index - 1], rtol=1e-4, atol=1e-5)


def test_parts_have_the_paths_of_their_parameters_however_deep_and_the_copies_of_repeat_a_number(nested):
    params, state = nested
    found = layer_outputs(NESTED, params, X, model_state=state)
    layers = {path.rpartition("/")[0] for path in flatten_with_names(params)}
    assert layers <= {name.split("[")[0] for name in found}
    assert [name for name in found if name.startswith("3")] == [
        "3/0[0]", "3/1[0]", "3/0[1]", "3/1[1]", "3/0[2]", "3/1[2]",
    ]  # fmt: skip
    assert [name for name in found if name.startswith("2")] == ["2/body/0", "2/body/1", "2/shortcut", "2"]
    np.testing.assert_array_equal(found["2"], found["2/body/1"] + found["2/shortcut"])
    np.testing.assert_allclose(found["5"], NESTED.apply(params, state, jnp.asarray(X))[0], rtol=1e-5, atol=1e-6)


@pytest.mark.exhaustive  # the gradient of a net of every combinator is compiled twice
def test_the_gradient_of_a_bias_is_the_sum_over_the_batch_of_what_reaches_the_output(nested):
    """So that gradients between layers are right through residuals, repetitions and recomputation alike."""
    params, state = nested

    def loss(y):
        return jnp.sin(y).sum()

    found = layer_gradients(loss, NESTED, params, X, model_state=state)
    by_parameter = jax.jit(jax.grad(lambda p: loss(NESTED.apply(p, state, jnp.asarray(X))[0])))(params)
    for path, gradient in flatten_with_names(by_parameter).items():
        layer, _, kind = path.rpartition("/")
        if kind == "bias" and layer.startswith("3"):
            sums = [found[f"{layer}[{copy}]"].sum(axis=0) for copy in range(3)]
            np.testing.assert_allclose(gradient, jnp.stack(sums), rtol=1e-4, atol=1e-5)
        elif kind == "bias":
            np.testing.assert_allclose(gradient, found[layer].sum(axis=0), rtol=1e-4, atol=1e-5)


def test_stacked_parameters_are_mapped_and_new_numbers_compile_nothing(compilations):
    model = nn.chain(nn.dense(4), nn.dropout(0.3))
    stacked = jax.vmap(lambda key: model.init(key, X)[0])(jax.random.split(KEY, 3))
    call = {"key": KEY, "train": True}
    mapped = jax.vmap(lambda params: layer_outputs(model, params, X, **call))(stacked)
    for lane in range(3):
        alone = layer_outputs(model, jax.tree.map(lambda leaf, lane=lane: leaf[lane], stacked), X, **call)
        jax.tree.map(lambda a, b, lane=lane: np.testing.assert_allclose(a[lane], b, rtol=1e-6), mapped, alone)
    other = nn.chain(nn.dense(4), nn.dropout(0.4))  # only a number is another one
    params = jax.tree.map(lambda leaf: leaf[0], stacked)
    before = len(compilations)
    found = layer_outputs(other, params, X, **call)
    assert len(compilations) == before
    assert not np.array_equal(found["1"], mapped["1"][0])


def test_a_wrapper_and_the_layer_in_it_have_one_entry_and_a_layer_alone_has_no_path():
    model = nn.freeze(nn.dense(2))
    params, _ = model.init(KEY, X)
    assert list(layer_outputs(model, params, X)) == [""]
    mixed = nn.mixed_precision(nn.mlp([3, 2]))
    params, _ = mixed.init(KEY, X)
    found = layer_outputs(mixed, params, X)
    assert {name: y.dtype.name for name, y in found.items()} == {
        "0": "bfloat16", "1": "bfloat16", "2": "bfloat16", "": "float32",
    }  # fmt: skip


def test_mistakes_meet_a_sentence_that_says_what_to_do():
    model = nn.mlp([4, 2])
    params, _ = model.init(KEY, X)
    with pytest.raises(ShapeError, match="layer 0: the input has shape"):
        layer_outputs(model, params, np.ones((5, 7), np.float32))
    with pytest.raises(DataError, match="the inputs hold NaN or infinity"):
        layer_outputs(model, params, np.full((5, 3), np.nan, np.float32))
    with pytest.raises(ShapeError, match=r"loss returned shape .* one number is needed"):
        layer_gradients(lambda y: y, model, params, X)
    normal = nn.chain(nn.dense(4), nn.batch_norm())
    with pytest.raises(StructureError, match=r"keeps a state.*model_state=run.model_state"):
        layer_outputs(normal, normal.init(KEY, X)[0], X)

    def twice(params, state, x, *, key=None, train=False):
        return jax.lax.scan(lambda x, _: (inner.apply(params, ((),), x)[0], None), x, None, length=2)[0], state

    inner = nn.chain(nn.dense(3))
    looping = nn.chain(nn.Layer(lambda key, x: (inner.init(key, x)[0], ()), twice))
    with pytest.raises(StructureError, match="inside of a loop or a transformation of its own"):
        layer_outputs(looping, looping.init(KEY, X)[0], X)
