"""Every first-order method: it is its equation, it goes down, it arrives, and it stays finite."""

import inspect

import first_order_equations as equations
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.optim.driver import minimize

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


@pytest.mark.parametrize("name", METHODS)
def test_it_descends_on_a_convex_quadratic(name):
    scales = {"a": jnp.geomspace(0.1, 1, 6).reshape(2, 3), "b": jnp.ones(2)}

    def bowl(p):
        return sum((scales[k] * p[k] ** 2).sum() for k in p)

    start = {"a": jnp.linspace(-2, 2, 6).reshape(2, 3) + 0.1, "b": jnp.ones(2)}
    rate = {"adadelta": 1.0}.get(name, 0.01)
    result = jax.jit(lambda p: minimize(bowl, p, build(name, rate), steps=50, tol=0.0, trace=True))(start)
    trace = np.asarray(result.trace)
    assert (np.diff(trace) < 0).all()


def falling(rate):
    """A rate that falls like 1/t, without which steps of a fixed size never come to rest."""
    return lambda t: rate / (1 + t / 100)


def warming(rate):
    """A rate that rises over the first 1000 updates, before RAdam adapts to gradients of 200."""
    return lambda t: rate * jnp.minimum(1, (t + 1) / 1000)


ROSENBROCK = {  # what is reached in how many steps: the minimum is 0, the start 24.2
    "sgd": (optim.sgd(2e-3), 5000, 1e-3),
    "sgd, momentum": (optim.sgd(2e-3, 0.9), 1000, 1e-6),
    "sgd, Nesterov": (optim.sgd(1e-3, 0.9, nesterov=True), 2000, 1e-6),
    "sgd, dampening": (optim.sgd(2e-3, 0.9, dampening=0.5), 2000, 1e-6),
    "ema_momentum": (optim.ema_momentum(2e-2, 0.9), 1000, 1e-6),
    "normalized_gradient": (optim.normalized_gradient(2e-3, eps_root=1.0), 5000, 1e-3),
    "lion": (optim.lion(falling(1e-2), weight_decay=0.0), 5000, 1e-5),
    "adagrad": (optim.adagrad(1.0), 5000, 1e-3),
    "rmsprop": (optim.rmsprop(falling(1e-2)), 5000, 1e-4),
    "rmsprop, centred": (optim.rmsprop(falling(2e-3), centered=True), 5000, 1e-4),
    "rmsprop, momentum": (optim.rmsprop(falling(1e-2), momentum=0.9), 5000, 1e-8),
    "adadelta": (optim.adadelta(7e-3), 20000, 1e-3),
    "adam": (optim.adam(0.4), 1000, 1e-6),
    "adamw": (optim.adamw(0.4, weight_decay=0.0), 1000, 1e-6),
    "nadam": (optim.nadam(0.05), 2000, 1e-6),
    "amsgrad": (optim.amsgrad(1.0), 5000, 1e-6),
    "adamax": (optim.adamax(1.0), 2500, 1e-6),
    "radam": (optim.radam(warming(0.8)), 1200, 1e-6),
    "adan": (optim.adan(0.05), 2000, 1e-6),
    "muon": (optim.muon(falling(0.05)), 5000, 1e-4),
}


@pytest.mark.parametrize("name", ROSENBROCK)
def test_it_arrives_in_the_valley_of_rosenbrock_within_its_budget(name):
    optimizer, steps, reached = ROSENBROCK[name]
    matrix = name == "muon"  # the point is a matrix of one row, or the fallback alone would be tested
    with jax.enable_x64(True):
        start = jnp.array([-1.2, 1.0])
        result = minimize(
            (lambda p: equations.rosenbrock(p[0])) if matrix else equations.rosenbrock,
            start[None] if matrix else start,
            optimizer,
            steps=steps,
            tol=1e-4,
        )
    assert float(result.value) <= reached, result


def test_every_method_has_a_budget_on_rosenbrock():
    assert {name.split(",")[0] for name in ROSENBROCK} == set(METHODS)


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


@pytest.mark.parametrize(("name", "parameter"), FLOATS)
def test_its_derivative_with_respect_to_a_number_is_finite_at_zero_gradients_for_zero_constants_too(name, parameter):
    constants = {"eps": 0.0, "eps_root": 0.0, "initial_accumulator_value": 0.0, "b1": 0.0, "b2": 0.0, "b3": 0.0}
    taken = inspect.signature(getattr(optim, name)).parameters
    constants = {key: value for key, value in constants.items() if key in taken}
    if name == "adadelta":
        constants.pop("eps")  # it has to be positive
    usual = {"learning_rate": 0.1, "decay": 0.9, "rho": 0.9, "weight_decay": 0.1, "threshold": 5.0, "dampening": 0.5}
    start = constants.get(parameter, usual.get(parameter, 0.5))
    params = {"a": jnp.ones((2, 2)), "b": jnp.zeros(2)}

    @jax.jit
    @jax.grad
    def slope(number):
        numbers = {"learning_rate": 0.1, **constants, parameter: number}
        if name == "sgd" and parameter == "dampening":
            numbers["momentum"] = 0.9
        optimizer = getattr(optim, name)(**numbers)

        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.tree.map(jnp.zeros_like, params), state, params)
            return (optim.apply_updates(params, updates), state), None

        end, _ = jax.lax.scan(step, (params, optimizer.init(params)), length=3)[0]
        return sum(leaf.sum() for leaf in jax.tree.leaves(end))

    assert np.isfinite(slope(start))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", METHODS)
def test_in_half_precision_the_accumulators_keep_their_digits(name, dtype):
    """100 equal gradients in half precision leave the accumulators that float32 leaves."""
    optimizer = build(name)
    params = {"a": jnp.ones((2, 2), dtype), "b": jnp.ones(2, dtype)}
    grads = jax.tree.map(lambda p: jnp.full(p.shape, 0.125, dtype), params)

    def repeated(params, grads):
        def step(state, _):
            return optimizer.update(grads, state, params)[1], None

        return jax.lax.scan(step, optimizer.init(params), length=100)[0]

    low = jax.jit(repeated)(params, grads)
    high = jax.jit(repeated)(*(jax.tree.map(lambda x: x.astype(jnp.float32), tree) for tree in (params, grads)))
    for got, wanted in zip(jax.tree.leaves(low), jax.tree.leaves(high), strict=True):
        assert got.dtype == wanted.dtype
        # AdaDelta's and AdaGrad's, too, depend on gradients alone, which are the same numbers in every precision.
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
