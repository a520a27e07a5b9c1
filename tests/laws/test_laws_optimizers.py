"""Laws 1 to 4 for every public optimizer and transformation of gradients."""

import functools

import catalogue
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import both, first, lane, second, traced_once

from fnnet import optim

STEPS = 3
PARAMS = {"kernel": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), "bias": np.ones(3, np.float32)}
GRADS = jax.tree.map(lambda p: np.random.default_rng(p.size).normal(size=(STEPS, *p.shape)).astype(np.float32), PARAMS)
optimizers = pytest.mark.parametrize("case", catalogue.rows(catalogue.OPTIMIZERS))
dtypes = pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])


def as_dtype(tree, dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), tree)


def kinds(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype), bool(leaf.weak_type)), tree)


def trajectory(case, numbers, params, grads):
    """Parameters and state after all steps, in one scan."""
    optimizer = case.build(**numbers)

    def step(carry, g):
        params, state = carry
        updates, state = optimizer.update(g, state, params, **case.extra)
        return (optim.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, optimizer.init(params)), grads)[0]


@optimizers
def test_mapped_over_hyperparameters_equals_a_loop_and_new_numbers_never_retrace(case):
    run = traced_once(lambda numbers, p, g: trajectory(case, numbers, p, g))
    looped = [run(numbers, PARAMS, GRADS) for numbers in (first(case), second(case))]
    mapped = jax.jit(jax.vmap(lambda n: trajectory(case, n, PARAMS, GRADS)))(both(case))
    for index, alone in enumerate(looped):
        chex.assert_trees_all_close(lane(mapped, index), alone, rtol=2e-6, atol=case.atol)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), looped[0][0], looped[1][0])
    assert max(jax.tree.leaves(moved)) > 1e-4  # the two values do differ, else nothing was compared


@optimizers
def test_a_loop_outside_of_jit_equals_the_scan_inside(case):
    optimizer = case.build(**first(case))
    params = as_dtype(PARAMS, "float32")
    state = optimizer.init(params)
    for index in range(STEPS):
        updates, state = optimizer.update(as_dtype(lane(GRADS, index), "float32"), state, params, **case.extra)
        params = optim.apply_updates(params, updates)
    inside = jax.jit(lambda n: trajectory(case, n, PARAMS, GRADS))(first(case))
    chex.assert_trees_all_close((params, state), inside, rtol=2e-6, atol=case.atol)


@dtypes
@optimizers
def test_states_and_updates_keep_shapes_dtypes_weak_types_and_structure(case, dtype):
    with jax.enable_x64(dtype == "float64"):
        params, grads = as_dtype(PARAMS, dtype), as_dtype(lane(GRADS, 0), dtype)
        plain = {name: values[0] for name, values in case.numbers.items()}
        choices = [plain]
        if "learning_rate" in plain:
            choices.append({**plain, "learning_rate": np.float32(plain["learning_rate"])})
            choices.append({**plain, "learning_rate": jnp.float32(plain["learning_rate"])})
        for numbers in choices:
            optimizer = case.build(**numbers)
            state = jax.eval_shape(optimizer.init, params)
            updates, after = jax.eval_shape(functools.partial(optimizer.update, **case.extra), grads, state, params)
            assert kinds(after) == kinds(state)
            assert kinds(updates) == kinds(jax.eval_shape(lambda g: g, grads))
            stepped = jax.eval_shape(optim.apply_updates, params, updates)
            assert kinds(stepped) == kinds(jax.eval_shape(lambda p: p, params))
            sequence = jax.tree.map(lambda g: jnp.stack([g, g]), grads)
            jax.eval_shape(
                lambda p, g, o=optimizer: trajectory(case._replace(build=lambda: o), {}, p, g), params, sequence
            )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@optimizers
def test_low_precision_follows_single_precision(case, dtype):
    numbers = {name: values[0] for name, values in case.numbers.items()}
    rounded = as_dtype(as_dtype(lane(GRADS, 0), dtype), "float32")
    optimizer = case.build(**numbers)
    params = as_dtype(PARAMS, "float32")
    expected, _ = optimizer.update(rounded, optimizer.init(params), params, **case.extra)
    low = as_dtype(params, dtype)
    updates, _ = optimizer.update(as_dtype(rounded, dtype), optimizer.init(low), low, **case.extra)
    for got, wanted in zip(jax.tree.leaves(updates), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.float32(got), wanted, rtol=4 * float(jnp.finfo(dtype).eps))


@optimizers
def test_derivatives_are_finite_where_gradients_and_parameters_are_zero(case):
    @jax.jit
    def total(numbers, params, grads):
        after, _state = trajectory(case, numbers, params, grads)
        return sum(leaf.sum() for leaf in jax.tree.leaves(after))

    zeros = jax.tree.map(np.zeros_like, (PARAMS, GRADS))
    dead = jax.tree.map(lambda g: np.where(np.arange(g.shape[-1]) == 0, 0, g).astype(np.float32), GRADS)
    tiny = jax.tree.map(lambda g: np.full_like(g, 1e-21), GRADS)  # its square is a denormal number
    derivative = jax.jit(jax.grad(total, argnums=(0, 1, 2)))
    for params, grads in (zeros, (PARAMS, zeros[1]), (PARAMS, dead), (PARAMS, tiny)):
        chex.assert_tree_all_finite(derivative(first(case), params, grads))


@optimizers
def test_nothing_leaks_out_of_a_trace(case):
    with jax.checking_leaks():
        jax.jit(lambda numbers, g: trajectory(case, numbers, PARAMS, g))(first(case), GRADS)


@optimizers
def test_a_nan_gradient_stays_in_its_lane_of_a_map(case):
    poisoned = jax.tree.map(lambda g: np.stack([g, np.full_like(g, np.nan)]), GRADS)
    clean = jax.tree.map(lambda g: np.stack([g, g]), GRADS)
    run = jax.jit(jax.vmap(lambda g: trajectory(case, first(case), PARAMS, g)))
    chex.assert_trees_all_equal(lane(run(poisoned), 0), lane(run(clean), 0))
