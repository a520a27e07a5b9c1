"""Clipping, weight decay, masks and freezing against their equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError

RANDOM = np.random.default_rng(0)
TREE = {"a": {"kernel": RANDOM.normal(size=(2, 3)), "bias": RANDOM.normal(size=3)}, "b": [RANDOM.normal(size=(1, 4))]}
GRADS = jax.tree.map(lambda leaf: RANDOM.normal(size=leaf.shape), TREE)
PARAMS = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), TREE)


def updated(transform, grads=GRADS, params=PARAMS):
    grads = jax.tree.map(lambda g: jnp.asarray(g, jnp.float32), grads)
    return transform.update(grads, transform.init(params), params)[0]


def assert_close(tree, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7), tree, expected)


def test_clip_cuts_every_element():
    assert_close(updated(optim.clip(0.5)), jax.tree.map(lambda g: np.clip(g, -0.5, 0.5), GRADS))


def test_clip_by_norm_shortens_each_array_by_its_own_norm():
    expected = jax.tree.map(lambda g: g * min(1, 1.5 / np.linalg.norm(g)), GRADS)
    assert_close(updated(optim.clip_by_norm(1.5)), expected)
    assert len({np.linalg.norm(g) > 1.5 for g in jax.tree.leaves(GRADS)}) == 2  # some are short enough


def test_clip_by_global_norm_shortens_all_by_one_factor():
    norm = np.sqrt(sum((g**2).sum() for g in jax.tree.leaves(GRADS)))
    assert_close(updated(optim.clip_by_global_norm(0.5)), jax.tree.map(lambda g: g * 0.5 / norm, GRADS))
    assert_close(updated(optim.clip_by_global_norm(100.0)), GRADS)


@pytest.mark.parametrize("clip", [optim.clip, optim.clip_by_norm, optim.clip_by_global_norm])
def test_clipping_a_half_precision_gradient_neither_overflows_nor_vanishes(clip):
    grads = jnp.array([3e4, 4e4], jnp.float16)  # its squared norm is not a float16
    clipped, _ = clip(1e-3).update(grads, clip(1e-3).init(grads), grads)
    assert clipped.dtype == jnp.float16
    assert np.all(np.float32(clipped) >= 5.9e-4)


def test_coupled_weight_decay_is_the_gradient_of_its_penalty():
    penalty = jax.grad(lambda p: sum((leaf**2).sum() for leaf in jax.tree.leaves(p)) * 0.3 / 2)(PARAMS)
    assert_close(updated(optim.add_weight_decay(0.3)), jax.tree.map(np.add, GRADS, penalty))


MASKS = {
    "by rank": optim.matrices,
    "by path": optim.by_path(lambda path: path.endswith("kernel") or path == "b/0"),
    "a tree": {"a": {"kernel": True, "bias": False}, "b": [True]},
    "the upper part of a tree": {"a": {"kernel": np.True_, "bias": False}, "b": True},
    "traced": {"a": {"kernel": jnp.array(True), "bias": jnp.array(False)}, "b": [jnp.array(True)]},
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_mask_says_what_decays_whatever_its_form(mask):
    expected = jax.tree.map(lambda g, p: g + 0.3 * p * (p.ndim > 1), GRADS, TREE)
    assert_close(updated(optim.add_weight_decay(0.3, mask)), expected)
    decoupled = optim.decoupled_weight_decay(optim.sgd(0.5), 0.3, mask)
    assert_close(updated(decoupled), jax.tree.map(lambda g: -0.5 * g, expected))
    ours = updated(optim.adamw(0.5, weight_decay=0.3, mask=mask))
    assert_close(ours, updated(optim.decoupled_weight_decay(optim.adam(0.5), 0.3, mask)))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_what_is_frozen_gets_zeros_even_for_a_gradient_that_is_not_finite(mask):
    updates = updated(optim.freeze(mask), jax.tree.map(lambda g: g * np.nan, GRADS))
    assert not np.any(updates["a"]["kernel"])
    assert not np.any(updates["b"][0])
    assert np.isnan(updates["a"]["bias"]).all()


def test_freezing_at_the_end_of_a_chain_stops_momentum_and_decay_too():
    optimizer = optim.chain(optim.adamw(0.1, weight_decay=0.5), optim.freeze({"a": True, "b": False}))
    updates = updated(optimizer)
    assert not np.any(updates["a"]["kernel"])
    assert np.all(updates["b"][0])


def test_decoupled_decay_does_not_pass_through_the_moments_and_coupled_decay_does():
    zeros = jax.tree.map(np.zeros_like, GRADS)
    decoupled = updated(optim.decoupled_weight_decay(optim.adam(0.1), 0.5), zeros)
    assert_close(decoupled, jax.tree.map(lambda p: -0.1 * 0.5 * p, TREE))
    coupled = updated(optim.chain(optim.add_weight_decay(0.5), optim.adam(0.1)), zeros)
    jax.tree.map(lambda u, p: np.testing.assert_allclose(u, -0.1 * np.sign(p), rtol=1e-4), coupled, TREE)


def test_decoupled_decay_follows_the_schedule_of_its_optimizer():
    schedule = optim.schedules.piecewise([1], [0.5, 0.125])
    optimizer = optim.decoupled_weight_decay(optim.chain(optim.clip(1.0), optim.sgd(schedule, 0.9)), 0.5)
    given = optim.decoupled_weight_decay(optim.clip(1.0), 0.5, learning_rate=schedule)
    params = jnp.ones(2)
    for decayed in (optimizer, given):
        first, state = decayed.update(jnp.zeros(2), decayed.init(params), params)
        second, _ = decayed.update(jnp.zeros(2), state, params)
        assert (first[0], second[0]) == (-0.25, -0.0625)


def test_decay_is_rounded_once_to_a_low_precision():
    params, grads = jnp.full(1, 3, jnp.bfloat16), jnp.full(1, 1 / 256, jnp.bfloat16)
    update, _ = optim.add_weight_decay(1e-3).update(grads, (), params)
    assert float(update[0]) == float(jnp.bfloat16(1 / 256 + 3e-3))


TRANSFORMS = {
    "clip": optim.clip(1.0),
    "clip_by_norm": optim.clip_by_norm(1.0),
    "clip_by_global_norm": optim.clip_by_global_norm(1.0),
    "add_weight_decay": optim.add_weight_decay(0.1),
    "freeze": optim.freeze(),
    "decoupled_weight_decay": optim.decoupled_weight_decay(optim.sgd(0.1), 0.1),
    "accumulate": optim.accumulate(optim.sgd(0.1), 2),
    "ema_parameters": optim.ema_parameters(optim.sgd(0.1), 0.9),
    "skip_nonfinite": optim.skip_nonfinite(optim.sgd(0.1)),
    "partition": optim.partition({"all": optim.sgd(0.1)}, optim.by_path(lambda path: "all")),
}
each = pytest.mark.parametrize("name", TRANSFORMS)


@each
def test_parameters_that_cannot_be_trained_are_named(name):
    with pytest.raises(StructureError, match=f"^{name}: the parameters are an empty tree"):
        TRANSFORMS[name].init({})
    with pytest.raises(StructureError, match=rf"^{name}: parameter b/1 has dtype int32.*\.astype\(float\)"):
        TRANSFORMS[name].init({"b": [jnp.ones(2), jnp.ones(2, int)]})


@each
def test_a_gradient_unlike_the_parameters_is_named_by_its_first_path(name):
    transform = TRANSFORMS[name]
    state = transform.init(PARAMS)
    with pytest.raises(StructureError, match=f"^{name}: the gradients are not a tree like.*first difference is at b/0"):
        transform.update({"a": PARAMS["a"]}, state, PARAMS)
    turned = {"a": PARAMS["a"], "b": [jnp.ones((4, 1))]}
    with pytest.raises(ShapeError, match=rf"^{name}: the gradient at b/0 has shape \(4, 1\)"):
        transform.update(turned, state, PARAMS)


@pytest.mark.parametrize("name", ["add_weight_decay", "decoupled_weight_decay", "ema_parameters"])
def test_missing_parameters_are_asked_for(name):
    with pytest.raises(StructureError, match=rf"^{name}: needs the parameters\. Call update\(grads, state, params\)"):
        TRANSFORMS[name].update(PARAMS, TRANSFORMS[name].init(PARAMS))


NUMBERS = {
    "clip max_delta": lambda v: optim.clip(v),
    "clip_by_norm max_norm": lambda v: optim.clip_by_norm(v),
    "add_weight_decay weight_decay": lambda v: optim.add_weight_decay(v),
    "decoupled_weight_decay weight_decay": lambda v: optim.decoupled_weight_decay(optim.sgd(1.0), v),
    "decoupled_weight_decay learning_rate": lambda v: optim.decoupled_weight_decay(optim.sgd(1.0), 0.1, None, v),
    "accumulate steps": lambda v: optim.accumulate(optim.sgd(1.0), v),
    "ema_parameters decay": lambda v: optim.ema_parameters(optim.sgd(1.0), v),
    "skip_nonfinite limit": lambda v: optim.skip_nonfinite(optim.sgd(1.0), v),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_range_is_named_with_its_value_and_its_range(name):
    where, argument = name.split()
    for value in (-0.5, float("nan"), np.float32(-0.5), jnp.float32("nan")):
        with pytest.raises(HyperparameterError, match=f"^{where}: {argument} is (-0.5|nan), but it has to be "):
            NUMBERS[name](value)
    with pytest.raises(ShapeError, match=rf"^{where}: {argument} has shape \(2,\)"):
        NUMBERS[name](jnp.ones(2))


MISTAKES = {
    "a mask of another structure": (
        lambda: updated(optim.add_weight_decay(0.1, {"a": True})),
        "^add_weight_decay: mask is not a tree like the parameters: the first difference is at b/0",
    ),
    "a mask with more": (
        lambda: updated(optim.freeze({"a": True, "b": True, "c": True})),
        "^freeze: mask is not a tree like the parameters: the first difference is at c",
    ),
    "a mask that goes deeper": (
        lambda: updated(optim.freeze({"a": {"kernel": [True], "bias": True}, "b": True})),
        "first difference is at a/kernel",
    ),
    "a mask of another container": (
        lambda: updated(optim.freeze({"a": True, "b": (True,)})),
        "first difference is at the kinds of containers",
    ),
    "a mask of adamw": (
        lambda: updated(optim.adamw(0.1, mask={"a": True})),
        "^adamw: mask is not a tree like the parameters",
    ),
    "a mask of numbers": (
        lambda: updated(optim.freeze({"a": 1, "b": True})),
        "^freeze: mask is 1 at a/bias, but it has to be True or False",
    ),
    "a mask of arrays": (lambda: updated(optim.freeze(lambda params: params)), "^freeze: mask is .* at a/bias"),
    "a path for a predicate": (lambda: optim.by_path("kernel"), "^by_path: predicate is 'kernel', which is not a func"),
}


@pytest.mark.parametrize(("call", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, sentence):
    with pytest.raises(StructureError, match=sentence):
        call()
