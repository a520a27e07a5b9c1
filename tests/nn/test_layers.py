"""Dense layers and the ones that only change shapes, against NumPy and closed forms."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.recipes import split

KEY = jax.random.key(0)


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize("shape", [(1, 3), (4, 3), (4, 2, 3), (2, 2, 2, 3)])
def test_dense_is_x_times_w_plus_b_along_the_last_axis(shape):
    with jax.enable_x64(True):
        x, kernel, bias = normal(*shape), normal(3, 5), normal(5)
        params = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
        y, state = nn.dense(5).apply(params, (), jnp.asarray(x))
        np.testing.assert_allclose(y, np.einsum("...i,ij->...j", x, kernel) + bias, rtol=1e-12)
        assert state == ()


def test_dense_without_bias_maps_zero_to_zero():
    layer = nn.dense(5, bias=False)
    params, _ = layer.init(KEY, jnp.ones((2, 3)))
    assert set(params) == {"kernel"}
    assert not layer.apply(params, (), jnp.zeros((2, 3)))[0].any()


def test_dense_derivatives_are_the_closed_forms():
    with jax.enable_x64(True):
        x, kernel, slope = normal(4, 3), normal(3, 2), normal(4, 2)
        params = {"kernel": jnp.asarray(kernel), "bias": jnp.zeros(2)}
        _, pull = jax.vjp(lambda p, x: nn.dense(2).apply(p, (), x)[0], params, jnp.asarray(x))
        grads, back = pull(jnp.asarray(slope))
        np.testing.assert_allclose(grads["kernel"], x.T @ slope, rtol=1e-12)
        np.testing.assert_allclose(grads["bias"], slope.sum(axis=0), rtol=1e-12)
        np.testing.assert_allclose(back, slope @ kernel.T, rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("float32", "float32"),
        ("bfloat16", "bfloat16"),
        ("float16", "float16"),
        ("int32", "float32"),
        ("uint8", "float32"),
    ],
)
def test_dense_parameters_have_the_float_dtype_of_the_inputs_else_the_default(given, made):
    x = jnp.ones((2, 3), given)
    params, _ = nn.dense(4).init(KEY, x)
    assert {str(leaf.dtype) for leaf in params.values()} == {made}
    assert nn.dense(4).apply(params, (), x)[0].dtype == made


def test_dense_kernels_follow_he_unless_told_and_biases_are_zero():
    params, _ = nn.dense(500).init(KEY, jnp.ones((1, 400)))
    assert np.var(params["kernel"]) == pytest.approx(2 / 400, rel=0.02)
    assert not params["bias"].any()
    ones, _ = nn.dense(2, kernel_init=nn.initializers.ones, bias_init=nn.initializers.constant(0.5)).init(
        KEY, jnp.ones((1, 3))
    )
    assert (ones["kernel"] == 1).all()
    assert (ones["bias"] == 0.5).all()


def test_flatten_keeps_the_batch_and_the_order_and_squeeze_drops_the_last_axis():
    x = jnp.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(nn.flatten(x), np.arange(24.0).reshape(2, 12))
    assert nn.flatten(jnp.ones(5)).shape == (5, 1)
    assert nn.squeeze(jnp.ones((5, 2, 1))).shape == (5, 2)


@pytest.mark.parametrize(
    ("widths", "count"),
    [([298, 10], 15208), ([100, 100, 10], 15210), ([75] * 3 + [10], 15235), ([63] * 4 + [10], 15319)],
)
def test_the_nets_of_figure_20_2_have_as_many_parameters_as_counted_by_hand(widths, count):
    params, _ = jax.eval_shape(nn.mlp(widths).init, KEY, jnp.ones((1, 40)))
    sizes = [40, *widths]
    assert sum((n + 1) * m for n, m in itertools.pairwise(sizes)) == count
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


def test_an_mlp_is_its_equation():
    model = nn.mlp([5, 4, 2], activation=nn.tanh)
    x = jnp.asarray(normal(3, 6), jnp.float32)
    params, state = model.init(KEY, x)
    h = np.asarray(x, np.float64)
    kernels = [p for p in params if p]
    for p in kernels[:-1]:
        h = np.tanh(h @ np.float64(p["kernel"]) + np.float64(p["bias"]))
    h = h @ np.float64(kernels[-1]["kernel"]) + np.float64(kernels[-1]["bias"])
    np.testing.assert_allclose(model.apply(params, state, x)[0], h, rtol=1e-5, atol=1e-6)


def test_a_stack_of_dense_layers_without_activations_is_one_linear_map():
    with jax.enable_x64(True):
        model = nn.chain(nn.dense(7), nn.dense(5), nn.identity, nn.dense(2))
        x = jnp.asarray(normal(6, 3))
        params, state = model.init(jax.random.key(1), x)
        params = jax.tree.map(lambda p: p + 0.1, params)
        apply = lambda x: np.asarray(model.apply(params, state, jnp.asarray(x))[0])  # noqa: E731
        offset = apply(np.zeros((1, 3)))
        kernel = apply(np.eye(3)) - offset
        np.testing.assert_allclose(apply(x), np.asarray(x) @ kernel + offset, rtol=1e-12)
        product = np.linalg.multi_dot([np.asarray(p["kernel"]) for p in params if p])
        np.testing.assert_allclose(kernel, product, rtol=1e-12)


def test_a_chain_feeds_each_part_with_what_came_before_and_takes_plain_functions():
    model = nn.chain(nn.flatten, lambda x: 2 * x, nn.relu, nn.squeeze)
    params, state = model.init(KEY, jax.ShapeDtypeStruct((2, 1, 1), jnp.float32))
    assert jax.tree.leaves((params, state)) == []
    y, _ = model.apply(params, state, jnp.array([[[3.0]], [[-1.0]]]))
    np.testing.assert_array_equal(y, [6.0, 0.0])


def test_a_chain_folds_its_key_once_for_each_part():
    model = nn.chain(nn.dense(3), nn.dense(3))
    params, _ = model.init(KEY, jnp.ones((1, 3)))
    for index in (0, 1):
        alone, _ = nn.dense(3).init(jax.random.fold_in(KEY, index), jnp.ones((1, 3)))
        np.testing.assert_array_equal(params[index]["kernel"], alone["kernel"])
    drops = nn.chain(nn.dropout(0.5), nn.dropout(0.5))
    x = jnp.ones((50, 50))
    y, _ = drops.apply(((), ()), ((), ()), x, key=KEY, train=True)
    assert float((y > 0).mean()) == pytest.approx(0.25, abs=0.02)  # two masks, not one twice


def test_chains_nest_and_an_empty_chain_is_the_identity():
    x = jnp.ones((2, 3))
    nested = nn.chain(nn.chain(nn.dense(4), nn.relu), nn.chain(nn.chain(nn.dense(2))))
    params, state = nested.init(KEY, x)
    assert nested.apply(params, state, x)[0].shape == (2, 2)
    empty = nn.chain()
    np.testing.assert_array_equal(empty.apply(*empty.init(KEY, x), x)[0], x)


def test_a_function_as_a_layer_is_the_same_structure_each_time_and_its_number_comes_out():
    made = [nn.as_layer(partial(nn.leaky_relu, negative_slope=c)) for c in (0.1, 0.2)]
    assert [split(layer)[0] for layer in made] == [[0.1], [0.2]]
    assert split(made[0])[1] == split(made[1])[1]
    assert repr(nn.as_layer(nn.tanh)) == "as_layer(tanh)"


def test_a_pair_of_functions_is_a_layer_and_its_state_is_threaded_through():
    def init(key, x):
        return (), jnp.zeros((), jnp.int32)

    def apply(params, state, x, *, key=None, train=False):
        return x + 1, state + int(train)

    model = nn.chain((init, apply), nn.relu, nn.Layer(init, apply))
    params, state = model.init(KEY, jnp.ones((1, 1)))
    for train in (True, True, False):
        y, state = model.apply(params, state, jnp.ones((1, 1)), train=train)
    assert float(y[0, 0]) == 3.0
    assert [int(leaf) for leaf in jax.tree.leaves(state)] == [2, 2]


def init(model, *shape):
    return lambda: model().init(KEY, jnp.ones(shape))


def apply(model, made_for, given):
    def call():
        layer = nn.as_layer(model())
        return layer.apply(*layer.init(KEY, jnp.ones(made_for)), jnp.ones(given))

    return call


MISTAKES = {
    "no units": (lambda: nn.dense(0), HyperparameterError, "width is 0, but it has to be a positive integer"),
    "negative units": (lambda: nn.dense(-2), HyperparameterError, "dense: width is -2"),
    "a truth value as width": (lambda: nn.dense(True), HyperparameterError, "width is True"),
    "a traced width": (lambda: jax.jit(lambda n: nn.dense(n))(3), Exception, "fixes a shape|is not an instance"),
    "no widths": (lambda: nn.mlp([]), HyperparameterError, r"mlp: widths is empty.*mlp\(\[64, 10\]\)"),
    "no batch axis at initialisation": (init(lambda: nn.dense(2), 3), ShapeError, r"shape \(3,\).*x\[None, :\]"),
    "no batch axis": (apply(lambda: nn.dense(2), (1, 3), (3,)), ShapeError, r"dense: .*\(3,\)"),
    "other features": (
        apply(lambda: nn.dense(2), (1, 3), (1, 4)),
        ShapeError,
        r"dense: the input has shape \(1, 4\), but the kernel has shape \(3, 2\): the last axis has to be 3",
    ),
    "the layer is named": (
        apply(lambda: nn.chain(nn.relu, nn.chain(nn.dense(2))), (1, 3), (1, 4)),
        ShapeError,
        r"^dense: layer 1/0: the input has shape \(1, 4\)",
    ),
    "the layer is named at initialisation": (
        init(lambda: nn.chain(nn.dense(4), nn.chain(nn.relu, nn.squeeze), nn.dense(2)), 2, 3),
        ShapeError,
        r"^squeeze: layer 1/1: the input has shape \(2, 4\)",
    ),
    "squeezing a long axis": (lambda: nn.squeeze(jnp.ones((2, 3))), ShapeError, r"\(2, 3\).*length 1"),
    "squeezing the batch": (lambda: nn.squeeze(jnp.ones(1)), ShapeError, r"\(1,\).*two or more axes"),
    "not a layer": (lambda: nn.as_layer([nn.relu]), (StructureError, TypeError), "neither a layer nor|not an instance"),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
