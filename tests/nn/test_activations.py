"""Activations against their formulas in NumPy float64, at the ends of the range, for NaN, and as trainable parts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import fnnet
from fnnet import losses, nn, optim
from fnnet.errors import HyperparameterError, ShapeError

SELU = 1.0507009873554805, 1.6732632423543772


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


FORMULAS = {
    "celu": elu,
    "cos": np.cos,
    "elu": elu,
    "exp": np.exp,
    "gelu": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "glu": lambda x: x[:, :3] * special.expit(x[:, 3:]),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "identity": lambda x: x,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "log_sigmoid": lambda x: -np.logaddexp(-x, 0),
    "log_softmax": lambda x: special.log_softmax(x, axis=-1),
    "logistic": special.expit,
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: SELU[0] * elu(x, SELU[1]),
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "sin": np.sin,
    "softmax": lambda x: special.softmax(x, axis=-1),
    "softplus": lambda x: np.logaddexp(x, 0),
    "step": lambda x: (x >= 0).astype(x.dtype),
    "tanh": np.tanh,
}
BOUNDED_BY_NO_ONE = {"exp"}
HUGE = np.array([[-1e4, 1e4, 0.0], [-0.0, 88.8, -88.8], [1e-30, 200.0, -200.0], [30.0, -30.0, 6.0]]).repeat(2, axis=1)


def every(function):
    """A program for all activations at once."""
    return jax.jit(lambda *arguments: {name: function(getattr(nn, name), *arguments) for name in FORMULAS})


values = every(lambda f, x: f(x))
slopes = every(lambda f, x, direction: jax.jvp(f, (x,), (direction,))[1])
gradients = every(lambda f, x: jax.grad(lambda x: f(x).astype(jnp.float32).sum())(x))


def test_every_activation_has_a_formula_here():
    assert set(FORMULAS) == set(nn.activations.__all__)
    assert set(FORMULAS) <= set(nn.__all__)
    assert nn.logistic is nn.sigmoid


def test_values_are_the_formula_and_derivatives_its_finite_differences():
    with jax.enable_x64(True):
        x = np.linspace(-4.1, 4.2, 24).reshape(4, 6)
        direction = np.cos(np.arange(24.0)).reshape(4, 6)
        found, slope = values(x), slopes(x, direction)
        for name, formula in FORMULAS.items():
            np.testing.assert_allclose(found[name], formula(x), rtol=1e-12, atol=1e-15, err_msg=name)
            ahead, behind = (formula(x + sign * 1e-6 * direction) for sign in (1, -1))
            np.testing.assert_allclose(slope[name], (ahead - behind) / 2e-6, rtol=1e-6, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_values_and_derivatives_are_finite_for_huge_inputs_and_values_are_the_formula_there(dtype):
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray(HUGE, dtype)
        exact, eps = np.asarray(x).astype(np.float64), float(jnp.finfo(dtype).eps)
        found, slope = values(x), gradients(x)
        for name in FORMULAS.keys() - BOUNDED_BY_NO_ONE:
            assert found[name].dtype == dtype
            assert np.isfinite(np.float64(found[name])).all(), name
            assert np.isfinite(np.float64(slope[name])).all(), name
            # A few units in the last place of numbers near 1, in which some formulas cancel.
            wanted = FORMULAS[name](exact)
            np.testing.assert_allclose(np.float64(found[name]), wanted, rtol=8 * eps, atol=4 * eps, err_msg=name)


def test_only_nan_gives_nan():
    rows = jnp.array([[jnp.nan, 1.0] * 3, [1.0, 2.0] * 3])
    for name, value in values(rows).items():
        assert np.isnan(value[0, 0]), name
        assert np.isfinite(value[1]).all(), name


def test_a_softmax_is_a_distribution_unmoved_by_an_offset():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5)), jnp.float32)
    np.testing.assert_allclose(nn.softmax(x).sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(nn.softmax(x + 1000), nn.softmax(x), rtol=1e-3)


def test_parameters_are_the_lectures_and_keep_the_dtype_of_the_inputs():
    x = np.linspace(-3, 3, 7)
    for dtype in ("bfloat16", "float32"):
        given, number = jnp.asarray(x, dtype), jnp.float32(0.25)
        for name, formula in {
            "leaky_relu": np.where(x > 0, x, 0.25 * x),
            "softplus": np.log1p(np.exp(0.25 * x)) / 0.25,
            "elu": elu(x, 0.25),
            "celu": np.where(x > 0, x, 0.25 * np.expm1(np.minimum(x, 0) / 0.25)),
        }.items():
            value = getattr(nn, name)(given, number)
            assert value.dtype == dtype
            np.testing.assert_allclose(np.float64(value), formula, rtol=8 * float(jnp.finfo(dtype).eps), err_msg=name)
    assert nn.softplus(3).dtype == jnp.float32
    assert nn.leaky_relu(jnp.array([-4]), 0.25).tolist() == [-1.0]


def test_derivatives_at_the_kinks_are_the_lectures_and_the_second_one_of_a_softplus_is_there():
    at = lambda f, order=1: float((jax.grad if order == 1 else lambda g: jax.grad(jax.grad(g)))(f)(0.0))  # noqa: E731
    assert at(nn.relu) == 0
    assert at(functools.partial(nn.leaky_relu, negative_slope=0.3)) == pytest.approx(0.3)
    assert at(nn.step) == 0
    assert at(nn.softplus) == 0.5
    assert at(functools.partial(nn.softplus, beta=2.0), 2) == pytest.approx(0.5)  # β/4


def test_neurons_with_a_threshold_are_and_or_and_in_two_layers_xor():
    x = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    model = nn.chain(nn.dense(2), nn.step, nn.dense(1), nn.step, nn.squeeze)
    # The lecture's weights: AND and OR in the first layer, from which the second makes XOR.
    params = (
        {"kernel": jnp.ones((2, 2)), "bias": jnp.array([-1.5, -0.5])},
        (),
        {"kernel": jnp.array([[-1.0], [1.0]]), "bias": jnp.array([-0.5])},
        (),
        (),
    )
    assert model.apply(params, ((),) * 5, x)[0].tolist() == [0, 1, 1, 0]
    hidden = nn.chain(nn.dense(2), nn.step).apply(params[:2], ((),) * 2, x)[0]
    assert hidden.T.tolist() == [[0, 0, 0, 1], [0, 1, 1, 1]]


def test_a_bound_parameter_may_be_tuned_by_a_sweep():
    x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]

    def learner(slope=0.1):
        model = nn.chain(nn.dense(2), functools.partial(nn.leaky_relu, negative_slope=slope), nn.dense(1))
        return fnnet.Learner(model, losses.squared_error, optim.sgd(0.1))

    swept = fnnet.sweep(
        learner,
        {"slope": fnnet.hp.grid(0.1, 0.9)},
        (x, x),
        validation=(x, x),
        epochs=1,
        key=jax.random.key(0),
        progress=False,
    )
    assert sorted(swept.table["slope"]) == pytest.approx([0.1, 0.9])
    assert swept.table["validation/loss"].nunique() == 2


MISTAKES = {
    "a beta of zero": (lambda: nn.softplus(1.0, 0.0), HyperparameterError, "^softplus: beta is 0, but .* more than 0"),
    "odd features": (lambda: nn.glu(jnp.ones((2, 3))), ShapeError, r"^glu: .* \(2, 3\), but an even number"),
    "in a chain": (
        lambda: nn.chain(nn.relu, nn.glu).init(jax.random.key(0), jnp.ones((2, 3))),
        ShapeError,
        "^glu: layer 1: ",
    ),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
