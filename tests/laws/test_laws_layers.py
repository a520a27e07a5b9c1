"""Laws 1 to 4 for every public layer, combinator and activation."""

import catalogue
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import both, first, lane, second, traced_once

from fnnet import nn

layers = pytest.mark.parametrize("case", catalogue.rows(catalogue.LAYERS))
dtypes = pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
INIT, CALL = jax.random.key(0), jax.random.key(1)


def inputs(case, rows=None):
    shape = case.shape if rows is None else (rows, *case.shape[1:])
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def built(case, numbers=None):
    plain = {name: values[0] for name, values in case.numbers.items()}
    return nn.as_layer(case.build(**(plain if numbers is None else numbers)))


def init_and_apply(case, numbers, x):
    layer = built(case, numbers)
    params, state = layer.init(INIT, x)
    y, after = layer.apply(params, state, x, key=CALL, train=True)
    return params, y, after


def kinds(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree)


@layers
def test_mapped_over_hyperparameters_equals_a_loop_and_new_numbers_never_retrace(case):
    x = inputs(case)
    run = traced_once(lambda numbers, x: init_and_apply(case, numbers, x))
    looped = [run(numbers, x) for numbers in (first(case), second(case))]
    if case.numbers:
        mapped = jax.jit(jax.vmap(lambda n: init_and_apply(case, n, x)))(both(case))
        for index, alone in enumerate(looped):
            chex.assert_trees_all_close(lane(mapped, index), alone, rtol=2e-6, atol=1e-7)
        assert np.abs(looped[0][1] - looped[1][1]).max() > 1e-4


@layers
def test_calls_outside_of_jit_equal_the_ones_inside(case):
    x = inputs(case)
    inside = jax.jit(lambda numbers: init_and_apply(case, numbers, x))(first(case))
    chex.assert_trees_all_close(init_and_apply(case, first(case), x), inside, rtol=2e-6, atol=1e-6)


@layers
def test_mapped_over_parameters_equals_a_loop(case):
    x, layer = inputs(case), built(case)
    draws = [layer.init(jax.random.key(seed), x) for seed in (2, 3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *draws)
    evaluate = jax.jit(lambda variables: layer.apply(*variables, x)[0])
    mapped = jax.vmap(evaluate, axis_size=2)(stacked)
    for index, variables in enumerate(draws):
        np.testing.assert_allclose(mapped[index], evaluate(variables), rtol=2e-6, atol=1e-6)


@layers
def test_a_shape_is_enough_to_initialise(case):
    x, layer = inputs(case), built(case)
    chex.assert_trees_all_equal(layer.init(INIT, jax.ShapeDtypeStruct(x.shape, x.dtype)), layer.init(INIT, x))


@dtypes
@layers
def test_outputs_and_parameters_have_the_dtype_of_the_inputs_and_state_keeps_its_own(case, dtype):
    with jax.enable_x64(dtype == "float64"):
        x = jax.ShapeDtypeStruct(case.shape, jnp.dtype(dtype))
        layer = built(case)
        key = jax.random.key(0)
        params, state = jax.eval_shape(layer.init, key, x)
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} <= {jnp.dtype(dtype)}
        for train in (False, True):
            y, after = jax.eval_shape(
                lambda p, s, x, train=train: layer.apply(p, s, x, key=key, train=train), params, state, x
            )
            assert y.dtype == x.dtype
            assert kinds(after) == kinds(state)
            again, _ = jax.eval_shape(lambda p, s, x: layer.apply(p, s, x, key=key), params, state, x)
            assert kinds(again) == kinds(y), "training and inference give the same shape"


@pytest.mark.parametrize("rows", [0, 1])
@layers
def test_batches_of_one_row_and_of_none_are_batches(case, rows):
    full, x, layer = inputs(case), inputs(case, rows), built(case)
    params, state = layer.init(INIT, x)
    assert kinds((params, state)) == kinds(layer.init(INIT, full))
    y, _ = layer.apply(params, state, x)
    whole, _ = layer.apply(params, state, full)
    assert y.shape == (rows, *whole.shape[1:])


@layers
def test_at_inference_a_row_does_not_depend_on_the_others(case):
    x, layer = inputs(case), built(case)
    variables = layer.init(INIT, x)
    together = layer.apply(*variables, x)[0]
    np.testing.assert_allclose(layer.apply(*variables, x[1:2])[0], together[1:2], rtol=2e-6, atol=1e-7)
    np.testing.assert_array_equal(layer.apply(*variables, x, key=CALL)[0], together)


@layers
def test_derivatives_are_finite_also_for_inputs_and_parameters_of_zero(case):
    x = inputs(case)

    @jax.jit
    def derivative(numbers, params, state, x):
        def total(numbers, params, x):
            y, _ = built(case, numbers).apply(params, state, x, key=CALL, train=True)
            return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype).reshape(y.shape))).sum()

        return jax.grad(total, argnums=(0, 1, 2))(numbers, params, x)

    params, state = built(case).init(INIT, x)
    zeros = jax.tree.map(jnp.zeros_like, (params, x))
    chex.assert_tree_all_finite(derivative(first(case), params, state, x))
    chex.assert_tree_all_finite(derivative(first(case), zeros[0], state, zeros[1]))


@layers
def test_nothing_leaks_out_of_a_trace(case):
    with jax.checking_leaks():
        jax.jit(lambda numbers, x: init_and_apply(case, numbers, x))(first(case), inputs(case))


@layers
def test_the_same_key_initialises_the_same_parameters_and_another_key_others(case):
    x, layer = inputs(case), built(case)
    one, same, other = (layer.init(jax.random.key(seed), x)[0] for seed in (0, 0, 1))
    chex.assert_trees_all_equal(one, same)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.ptp(a) == 0 or not np.array_equal(a, b)  # biases start at one value, whatever the key
