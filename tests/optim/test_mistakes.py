"""What an optimizer says to a wrong argument."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError

TREE = {"a": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}
SCHEDULES = optim.schedules


def update(optimizer, grads, *params):
    return lambda: optimizer.update(grads, optimizer.init(TREE), *params)


NUMBERS = {
    "sgd learning_rate": lambda v: optim.sgd(v),
    "sgd momentum": lambda v: optim.sgd(0.1, momentum=v),
    "adam learning_rate": lambda v: optim.adam(v),
    "adam b1": lambda v: optim.adam(0.1, b1=v),
    "adam b2": lambda v: optim.adam(0.1, b2=v),
    "adam eps": lambda v: optim.adam(0.1, eps=v),
    "adam eps_root": lambda v: optim.adam(0.1, eps_root=v),
    "adamw learning_rate": lambda v: optim.adamw(v),
    "adamw weight_decay": lambda v: optim.adamw(0.1, weight_decay=v),
    "clip_by_global_norm max_norm": lambda v: optim.clip_by_global_norm(v),
    "constant value": lambda v: SCHEDULES.constant(v),
    "linear_decay init_value": lambda v: SCHEDULES.linear_decay(v, 0.1, 10),
    "linear_decay end_value": lambda v: SCHEDULES.linear_decay(0.1, v, 10),
    "linear_decay transition_steps": lambda v: SCHEDULES.linear_decay(0.1, 0.1, v),
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-0.5, float("nan"), np.float32(-0.5), jnp.float32(-0.5)], ids=str)
def test_a_number_out_of_range_is_named_with_its_value_and_its_range(name, value):
    where, argument = name.split()
    with pytest.raises(
        HyperparameterError, match=f"^{where}: {argument} is (-0.5|nan), but it has to be (at least|more than) 0"
    ):
        NUMBERS[name](value)


@pytest.mark.parametrize("name", NUMBERS)
def test_several_numbers_at_once_are_an_error_that_names_vmap(name):
    where, argument = name.split()
    with pytest.raises(ShapeError, match=rf"^{where}: {argument} has shape \(2,\).*jax\.vmap or fnnet\.sweep"):
        NUMBERS[name](jnp.array([0.1, 0.2]))


@pytest.mark.parametrize("name", [name for name in NUMBERS if not name.endswith("learning_rate")])
def test_a_schedule_stands_only_where_a_learning_rate_does(name):
    where, argument = name.split()
    with pytest.raises(StructureError, match=f"^{where}: {argument} is <function .*, which is not a number"):
        NUMBERS[name](lambda count: 0.5)


@pytest.mark.parametrize("name", ["sgd momentum", "adam b1", "adam b2"])
def test_a_memory_of_one_never_forgets_and_is_an_error(name):
    with pytest.raises(HyperparameterError, match="is 1, but it has to be at least 0 and less than 1"):
        NUMBERS[name](1.0)


@pytest.mark.parametrize("name", ["clip_by_global_norm max_norm", "linear_decay transition_steps"])
def test_zero_is_an_error_where_it_would_divide(name):
    with pytest.raises(HyperparameterError, match="is 0, but it has to be more than 0"):
        NUMBERS[name](0.0)


MISSING = {"a": {"kernel": jnp.ones((2, 3))}}
TURNED = {"a": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(3)}}
MISTAKES = {
    "nesterov without momentum": (
        lambda: optim.sgd(0.1, nesterov=True),
        StructureError,
        r"^sgd: nesterov=True.*momentum=0\.9",
    ),
    "nothing to train": (lambda: optim.sgd(0.1).init({}), StructureError, "^sgd: the parameters are an empty tree"),
    "no parameter arrays": (lambda: optim.adam(0.1).init((None, [])), StructureError, "^adam: .*empty tree"),
    "whole numbers": (
        lambda: optim.sgd(0.1, 0.9).init({"a": [jnp.ones(2), jnp.ones(2, int)]}),
        StructureError,
        r"^sgd: parameter a/1 has dtype int32.*\.astype\(float\)",
    ),
    "a single whole number": (
        lambda: optim.adam(0.1).init(jnp.arange(3)),
        StructureError,
        r"parameter \(the only one\)",
    ),
    "a Python number": (
        lambda: optim.adam(0.1).init({"w": 1.0}),
        StructureError,
        r"parameter w is 1\.0.*jnp\.array\(1\.0\)",
    ),
    "a missing gradient": (
        update(optim.adam(0.1), MISSING),
        StructureError,
        "^adam: the gradients are not a tree like the parameters: the first difference is at a/bias",
    ),
    "a turned gradient": (
        update(optim.sgd(0.1, 0.9), TURNED),
        ShapeError,
        r"^sgd: the gradient at a/kernel has shape \(3, 2\), but the parameter has shape \(2, 3\)",
    ),
    "another container": (update(optim.adam(0.1), [TREE["a"]]), StructureError, "the first difference is at "),
    "adamw without parameters": (
        update(optim.adamw(0.1), TREE),
        StructureError,
        r"^adamw: needs the parameters\. Call update\(grads, state, params\)\.",
    ),
    "masked adamw without parameters": (
        update(optim.adamw(0.1, mask=lambda params: params), TREE),
        StructureError,
        "^adamw: needs the parameters",
    ),
    "adamw with other parameters": (update(optim.adamw(0.1), TREE, TURNED), ShapeError, r"^adamw: .*a/kernel"),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
