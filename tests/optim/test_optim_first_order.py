"""Every first-order method: it is its equation, in any precision, and refuses what it cannot use."""

import inspect

import first_order_equations as equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError

START = {"wide": np.linspace(-1, 2, 6).reshape(2, 3), "tall": np.linspace(-2, 1, 6).reshape(3, 2), "bias": np.ones(3)}
GRADS = [
    jax.tree.map(lambda p, s=step: np.random.default_rng(s + p.size).normal(size=p.shape), START) for step in range(100)
]
METHODS = [
    "sgd", "ema_momentum", "normalized_gradient", "lion", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "nadam",
    "amsgrad", "adamax", "radam", "adan", "muon",
]  # fmt: skip


def test_every_method_has_an_equation():
    assert {name.split(",")[0] for name in equations.EQUATIONS} == set(METHODS)
    assert set(METHODS) <= set(optim.__all__)


@pytest.mark.parametrize(("optimizer", "equation"), equations.EQUATIONS.values(), ids=equations.EQUATIONS)
def test_a_hundred_steps_are_those_of_the_equation(optimizer, equation):
    params, state = equations.trajectory(optimizer, START, GRADS)
    for name, theta in START.items():
        expected = equation(theta, [g[name] for g in GRADS])
        np.testing.assert_allclose(params[name], expected, rtol=0, atol=1e-12)
    assert int(state.count) == 100


def build(name, learning_rate=0.01, **numbers):
    return getattr(optim, name)(learning_rate, **numbers)


FLOATS = [
    (name, parameter.name)
    for name in METHODS
    for parameter in inspect.signature(getattr(optim, name)).parameters.values()
    if "Scalar" in str(parameter.annotation)
]


def with_number(name, parameter, value):
    numbers = {"learning_rate": 0.1, parameter: value}
    if name == "sgd" and parameter == "dampening":
        numbers["momentum"] = 0.9
    return getattr(optim, name)(**numbers)


@pytest.mark.parametrize(("name", "parameter"), FLOATS)
def test_a_number_out_of_range_is_refused_and_named(name, parameter):
    for value in (-0.5, float("nan"), np.float32(-0.5), jnp.float32(jnp.nan)):
        with pytest.raises(HyperparameterError, match=f"^{name}: {parameter} is (-0.5|nan), but it has to be"):
            with_number(name, parameter, value)
    with pytest.raises(ShapeError, match=rf"^{name}: {parameter} has shape \(2,\).*jax\.vmap"):
        with_number(name, parameter, jnp.array([0.1, 0.2]))
    if parameter in ("b1", "b2", "b3", "decay", "rho", "momentum"):
        with pytest.raises(HyperparameterError, match=f"^{name}: {parameter} is 1, but .* less than 1"):
            with_number(name, parameter, 1.0)


@pytest.mark.parametrize("name", METHODS)
def test_in_half_precision_the_accumulators_keep_their_digits(name):
    """100 equal gradients in half precision leave the accumulators that float32 leaves."""
    optimizer = build(name)
    matrix = name == "muon"

    @jax.jit
    def repeated(grads):
        def step(state, _):
            return optimizer.update(grads, state, grads)[1], None

        return jax.lax.scan(step, optimizer.init(grads), length=100)[0]

    # Gradients stand for the parameters as well; 1/8 is the same number in every precision.
    grads = jnp.full((2, 2) if matrix else 2, 0.125, jnp.float32)
    high = repeated(grads)
    for dtype in ("bfloat16", "float16"):
        for got, wanted in zip(jax.tree.leaves(repeated(grads.astype(dtype))), jax.tree.leaves(high), strict=True):
            assert got.dtype == wanted.dtype
            np.testing.assert_allclose(got, wanted, rtol=1e-6)


WRONG = {
    "dampening without momentum": (lambda: optim.sgd(0.1, dampening=0.5), "^sgd: dampening belongs to momentum"),
    "dampening with Nesterov": (
        lambda: optim.sgd(0.1, 0.9, nesterov=True, dampening=0.5),
        "^sgd: nesterov=True is not defined with dampening",
    ),
    "rmsprop that looks ahead along nothing": (
        lambda: optim.rmsprop(0.1, nesterov=True),
        r"^rmsprop: nesterov=True.*momentum=0\.9",
    ),
    "a mask unlike the parameters": (
        lambda: optim.lion(0.1, mask={"b": True}).update(
            {"a": jnp.ones(2)}, optim.lion(0.1).init({"a": jnp.ones(2)}), {"a": jnp.ones(2)}
        ),
        "^lion: mask is not a tree like the parameters: the first difference is at a",
    ),
    "muon with a fallback that is none": (lambda: optim.muon(0.1, fallback=optim.adam), "^muon: .*optim.adam"),
    **{
        f"{name} without parameters": (
            lambda name=name: build(name).update(jnp.ones((2, 2)), build(name).init(jnp.ones((2, 2)))),
            rf"^{name}: needs the parameters\. Call update\(grads, state, params\)\.",
        )
        for name in ("lion", "adamw", "adan", "muon")
    },
}


@pytest.mark.parametrize(("call", "sentence"), WRONG.values(), ids=WRONG)
def test_a_mistake_raises_a_sentence(call, sentence):
    with pytest.raises(StructureError, match=sentence):
        call()


def test_states_of_two_optimizers_of_a_kind_have_one_structure_so_that_a_sweep_can_mix_them():
    params = jnp.ones((2, 2))
    for make in (lambda a: optim.rmsprop(a, centered=True), lambda a: optim.sgd(a, 0.9), optim.muon, optim.adan):
        structures = {jax.tree.structure(make(a).init(params)) for a in (0.1, 0.2)}
        assert len(structures) == 1


def test_the_state_holds_what_the_method_needs_and_no_more():
    params = jnp.ones(2)
    fields = {name: build(name).init(params)._fields[1:] for name in METHODS if name != "muon"}
    assert fields == {
        "sgd": (),
        "ema_momentum": ("mu",),
        "normalized_gradient": (),
        "lion": ("mu",),
        "adagrad": ("sum_of_squares",),
        "rmsprop": ("nu",),
        "adadelta": ("e_g", "e_x"),
        "adam": ("mu", "nu"),
        "adamw": ("mu", "nu"),
        "nadam": ("mu", "nu"),
        "amsgrad": ("mu", "nu", "nu_max"),
        "adamax": ("mu", "nu"),
        "radam": ("mu", "nu"),
        "adan": ("mu", "mu_diff", "nu", "previous"),
    }
    assert optim.sgd(0.1, 0.9).init(params)._fields == ("count", "trace")
    rich = optim.rmsprop(0.1, centered=True, momentum=0.9)
    assert rich.init(params)._fields == ("count", "nu", "mu", "trace")
