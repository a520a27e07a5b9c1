"""Recipes: functions that remember how they were made, their numbers apart from their structure."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn, optim
from fnnet.optim import schedules
from fnnet.recipes import describe, recipe, recipe_of, split

MADE = {
    "model": lambda r: nn.chain(nn.dense(8), nn.relu, nn.dropout(r), nn.mlp([4, 2], drop_rate=r)),
    "kernel_init": lambda r: nn.dense(3, kernel_init=nn.initializers.normal(r)),
    "optimizer": lambda r: optim.chain(optim.clip_by_global_norm(r), optim.sgd(r, momentum=r, nesterov=True)),
    "masked": lambda r: optim.adamw(r, mask=_mask),
    "scheduled": lambda r: optim.sgd(schedules.linear_decay(r, 0.0, 10)),
    "scheduled by name": lambda r: optim.adam(learning_rate=schedules.constant(r)),
    "containers": lambda r: {"a": [r, (r, 1)], "b": Pair(nn.dropout(r), r), "c": "text", "d": None},
    "bound": lambda r: nn.chain(nn.dense(2), functools.partial(jax.nn.leaky_relu, negative_slope=r)),
    "learner": lambda r: Pair(nn.dense(2), schedules.constant(r)),
}


class Pair(NamedTuple):
    """A tuple whose last member may carry a recipe that is not the tuple's."""

    first: Any
    second: Any


def _mask(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)


made = pytest.mark.parametrize("make", MADE.values(), ids=MADE)


@made
def test_other_numbers_leave_the_same_skeleton_and_come_out_in_the_same_order(make):
    (few, one), (many, other) = split(make(0.25)), split(make(0.5))
    assert one == other
    assert hash(one) == hash(other)
    assert [2 * a for a in few] == pytest.approx([b if b == 0.5 else 2 * b for b in many])
    assert 0.25 in few
    assert 0.5 in many


@made
def test_joining_the_numbers_back_makes_the_same_thing(make):
    numbers, skeleton = split(make(0.25))
    again = skeleton(numbers)
    if not isinstance(again, Pair):  # whose own repr is not ours
        assert describe(again) == describe(make(0.25))
    assert type(again) is type(make(0.25))
    assert split(again) == (numbers, skeleton)


def test_a_joined_model_computes_the_same_also_with_traced_numbers():
    model = MADE["model"](0.5)
    numbers, skeleton = split(model)
    x, key = jnp.ones((4, 3)), jax.random.key(0)
    params, state = model.init(key, x)
    expected, _ = model.apply(params, state, x, key=key, train=True)
    run = jax.jit(lambda numbers: skeleton(numbers).apply(params, state, x, key=key, train=True)[0])
    np.testing.assert_allclose(run(numbers), expected, rtol=1e-6)
    assert np.abs(run([0.1] * len(numbers)) - expected).max() > 0


def test_a_joined_optimizer_with_a_schedule_computes_the_same():
    optimizer = MADE["scheduled"](0.25)
    numbers, skeleton = split(optimizer)
    again = skeleton(numbers)
    params = jnp.ones(2)
    for update in (optimizer.update, again.update):
        np.testing.assert_allclose(update(params, again.init(params))[0], -0.25)


DIFFERENT = {
    "width": (nn.dense(2), nn.dense(3)),
    "kind": (optim.sgd(0.1), optim.adam(0.1)),
    "a switch": (optim.sgd(0.1, 0.9), optim.sgd(0.1, 0.9, nesterov=True)),
    "none or some": (optim.sgd(0.1), optim.sgd(0.1, 0.9)),
    "activation": (nn.mlp([2], activation=nn.tanh), nn.mlp([2], activation=nn.relu)),
    "order": (nn.chain(nn.relu, nn.dense(2)), nn.chain(nn.dense(2), nn.relu)),
    "zero or not": (nn.dropout(0.0), nn.dropout(0.1)),
    "list or tuple": ([1.0], (1.0,)),
    "one or true": ({"a": 1}, {"a": True}),
    "schedule or number": (optim.sgd(0.1), optim.sgd(schedules.constant(0.1))),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_another_structure_is_another_skeleton(one, other):
    assert split(one)[1] != split(other)[1]


@pytest.mark.parametrize("zero", [0.0, -0.0, np.float32(0), np.zeros(()), jnp.zeros(())], ids=repr)
def test_exactly_zero_is_structure_of_whatever_type_it_is(zero):
    numbers, skeleton = split(nn.dropout(zero))
    assert numbers == []
    assert skeleton == split(nn.dropout(0.0))[1]
    assert hash(skeleton) == hash(split(nn.dropout(0.0))[1])


def test_numbers_keep_their_types_and_whole_numbers_are_structure():
    numbers, _ = split([0.5, np.float32(0.5), jnp.float32(0.5), np.array([0.0, 0.0]), 3, float("nan")])
    assert [type(number).__name__ for number in numbers] == ["float", "float32", "ArrayImpl", "ndarray", "float"]


def test_a_plain_function_is_itself_and_no_other():
    def mine(x):
        return x

    def twin(x):
        return x

    assert split(nn.chain(mine))[1] == split(nn.chain(mine))[1]
    assert split(nn.chain(mine))[1] != split(nn.chain(twin))[1]
    assert recipe_of(mine) is None


TEXTS = {
    "chain(dense(64), relu, dense(10))": nn.chain(nn.dense(64), nn.relu, nn.dense(10)),
    "mlp([64, 10], activation=tanh)": nn.mlp([64, 10], activation=nn.tanh),
    "chain(flatten, dense(2, bias=False), dropout(0.5))": nn.chain(
        nn.flatten, nn.dense(2, bias=False), nn.dropout(0.5)
    ),
    "dense(2, kernel_init=normal(0.1))": nn.dense(2, kernel_init=nn.initializers.normal(0.1)),
    "chain(clip_by_global_norm(1.0), sgd(0.1, momentum=0.9))": optim.chain(
        optim.clip_by_global_norm(1.0), optim.sgd(0.1, momentum=0.9)
    ),
    "adam(linear_decay(0.1, 0.0, transition_steps=10))": optim.adam(
        schedules.linear_decay(0.1, 0.0, transition_steps=10)
    ),
    "adamw(0.5)": optim.adamw(jnp.float32(0.5)),
}


@pytest.mark.parametrize(("text", "thing"), TEXTS.items(), ids=TEXTS)
def test_a_thing_is_described_as_the_call_that_makes_it(text, thing):
    assert describe(thing) == text
    assert repr(thing) == text


def test_containers_constants_and_arrays_are_described_too():
    assert describe({"a": [1, (2.0, None)], "b": nn.relu}) == "{'a': [1, (2.0, None)], 'b': relu}"
    assert describe(np.ones((2, 3))) == "array(2, 3)"
    assert describe((1,)) == "(1,)"
    assert describe(nn.Layer(_mask, _mask)) == "Layer(_mask, _mask)"


def test_a_factory_of_ones_own_may_be_marked():
    @recipe
    def scale(factor):
        return lambda x: factor * x

    double = scale(2.0)
    numbers, skeleton = split(nn.chain(double))
    assert numbers == [2.0]
    assert skeleton == split(nn.chain(scale(3.0)))[1]
    assert describe(double) == "scale(2.0)"
    assert recipe_of(double).args == (2.0,)


def test_a_recipe_counts_only_for_the_very_object_it_was_noted_on():
    made = nn.dense(3)
    other = made._replace(init=lambda key, x: ("given", ()))
    assert recipe_of(made) is not None
    assert recipe_of(other) is None
    _, skeleton = split(other)
    assert skeleton([]).init is other.init


def test_a_function_that_took_over_the_attributes_of_another_has_no_recipe():
    schedule = optim.schedules.constant(0.5)

    @functools.wraps(schedule)
    def halved(count):
        return schedule(count) / 2

    assert recipe_of(schedule) is not None
    assert recipe_of(halved) is None


def test_a_list_that_changes_afterwards_does_not_change_the_recipe():
    widths = [4, 1]
    made = nn.mlp(widths)
    widths[0] = 2
    assert describe(made) == "mlp([4, 1])"
