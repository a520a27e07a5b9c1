"""The lectures' claims about initialisation, as closed forms that the measured variances meet."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import losses, nn
from fnnet.analysis import Moments, SignalPropagation, signal_propagation
from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.nn import initializers

KEY = jax.random.key(0)
WIDTH, DEPTH, DRAWS = 64, 4, 40
X = np.random.default_rng(0).normal(size=(16, WIDTH)).astype(np.float32)


def scaled_identity(key, shape, dtype, scale):
    return jnp.asarray(scale, dtype) * jnp.eye(*shape, dtype=dtype)


def stack(activation, kernel_init):
    """DEPTH dense layers of equal width without biases, an activation between them."""
    parts = [nn.dense(WIDTH, bias=False, kernel_init=kernel_init) for _ in range(DEPTH)]
    between = [part for dense in parts[:-1] for part in (dense, activation)]
    return nn.chain(*between, parts[-1])


def mean_squares(found):
    """The mean square by draw and layer, forward and backward, in float64."""
    return [
        np.asarray(side.variance, np.float64) + np.asarray(side.mean, np.float64) ** 2
        for side in (found.activations, found.gradients)
    ]


def agree(measured, expected):
    """Whether the mean over draws is the expectation, as far as its standard error tells."""
    error = measured.std(axis=0, ddof=1) / np.sqrt(len(measured))
    assert (np.abs(measured.mean(axis=0) - expected) < 4 * error + 1e-6 * expected).all()
    assert (error < 0.15 * expected).all()  # or it would say nothing


def test_an_eigenvalue_to_the_power_of_the_depth_makes_signals_and_gradients_explode_or_vanish():
    model = nn.repeat(nn.dense(WIDTH, bias=False), DEPTH)  # all layers have the same matrix λI
    scales = jnp.array([0.5, 1.0, 1.5])
    found = jax.vmap(
        lambda scale: signal_propagation(
            model, X, KEY, draws=2, initializer=functools.partial(scaled_identity, scale=scale)
        )
    )(scales)
    assert found.layers == tuple(f"[{copy}]" for copy in range(DEPTH))
    powers = np.asarray(scales, np.float64)[:, None] ** (2 * np.arange(1, DEPTH + 1))
    for draw in range(2):
        variance = np.asarray(found.activations.variance)[:, draw]
        np.testing.assert_allclose(variance, powers * X.astype(np.float64).var(), rtol=1e-5)
        back = np.asarray(found.gradients.variance)[:, draw]
        np.testing.assert_allclose(back, back[:, -1:] * powers[:, ::-1] / powers[:, :1], rtol=1e-5)


def test_relu_nets_multiply_variances_by_half_of_n_times_that_of_the_kernel_and_he_keeps_them():
    """Var[h̃] ← n σ²/2 · Var[h̃], and the same on the way back; σ² = 2/n, 1/n (LeCun) and 0.05²."""
    deviations = np.sqrt([2 / WIDTH, 1 / WIDTH, 0.05**2])
    found = jax.vmap(
        lambda deviation: signal_propagation(stack(nn.relu, initializers.normal(deviation)), X, KEY, draws=DRAWS).of(
            "dense"
        )
    )(jnp.asarray(deviations, jnp.float32))
    forward, backward = mean_squares(found)
    for case, factor in enumerate(WIDTH * deviations**2 / 2):
        first = 2 * factor * np.square(X.astype(np.float64)).mean()
        agree(forward[case], first * factor ** np.arange(DEPTH))
        agree(backward[case], factor ** np.arange(DEPTH)[::-1])
    assert forward[0, :, -1].mean() == pytest.approx(forward[0, :, 0].mean(), rel=0.2)
    assert backward[1, :, 0].mean() < 1.2 * 0.5 ** (DEPTH - 1)


def test_variances_that_float32_does_not_hold_need_no_switch():
    """λ = 1e−9 for four layers: 1e−72. Inside of a transformation the precision is the caller's."""
    init = functools.partial(scaled_identity, scale=1e-9)
    model = nn.repeat(nn.dense(4, bias=False, kernel_init=init), DEPTH)
    x = X[:, :4]
    found = signal_propagation(model, x, KEY, draws=1)
    assert found.activations.variance.dtype == found.gradients.mean.dtype == np.float64
    expected = x.astype(np.float64).var() * 1e-18 ** np.arange(1.0, DEPTH + 1)
    np.testing.assert_allclose(found.activations.variance[0], expected, rtol=1e-6)
    for transformed in (jax.jit, jax.vmap):
        inside = transformed(lambda keys: signal_propagation(model, x, keys, draws=1))(
            KEY if transformed is jax.jit else KEY[None]
        )
        variance = inside.activations.variance.ravel()
        assert variance.dtype == np.float32
        np.testing.assert_allclose(variance[0], expected[0], rtol=1e-5)
        assert variance[-1] == 0


def test_what_is_drawn_in_float64_is_what_is_drawn_in_float32():
    model = nn.chain(nn.dense(8), nn.tanh, nn.dense(3))
    for initializer in (None, initializers.he_normal()):
        call = functools.partial(signal_propagation, model, X, draws=2, initializer=initializer)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
            call(KEY).activations,
            jax.jit(call)(KEY).activations,
        )


def test_glorot_keeps_variances_in_linear_nets_both_ways():
    found = signal_propagation(
        stack(nn.identity, initializers.he_normal()), X, KEY, draws=DRAWS, initializer=initializers.glorot_uniform()
    ).of("dense")
    forward, backward = mean_squares(found)
    agree(forward, np.full(DEPTH, np.square(X.astype(np.float64)).mean()))
    agree(backward, np.ones(DEPTH))


@pytest.mark.exhaustive  # a deep net that no other test compiles
def test_glorot_with_tanh_follows_the_mean_field_of_wide_nets():
    """q ← E[tanh²(√q z)] and, backwards, χ = E[(1 − tanh²(√q z))²], by Gauss and Hermite's quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    variances, slopes = [np.square(X.astype(np.float64)).mean()], []
    for _ in range(DEPTH - 1):
        active = np.tanh(np.sqrt(variances[-1]) * points)
        slopes.append(weights @ (1 - active**2) ** 2)
        variances.append(weights @ active**2)
    found = signal_propagation(stack(nn.tanh, initializers.glorot_normal()), X, KEY, draws=DRAWS).of("dense")
    forward, backward = mean_squares(found)
    agree(forward, np.array(variances))
    agree(backward, np.cumprod([1.0, *slopes[::-1]])[::-1])
    # They shrink as long as tanh bends, and less in each layer: it is nearly linear where they end.
    ratios = forward.mean(axis=0)[1:] / forward.mean(axis=0)[:-1]
    assert (np.diff(ratios) > 0).all()
    assert ratios[-1] > 0.7


def test_with_zeros_nothing_flows_and_with_constants_all_units_do_the_same():
    values = jnp.array([0.0, 0.02])
    model = stack(nn.relu, initializers.zeros)
    found = jax.vmap(
        lambda value: signal_propagation(model, X, KEY, draws=2, initializer=initializers.constant(value))
    )(values)
    zero, constant = (jax.tree.map(lambda leaf, row=row: leaf[row], found) for row in range(2))
    assert not np.asarray(zero.activations.variance).any()
    assert not np.asarray(zero.gradients.variance[:, :-1]).any()
    assert np.asarray(constant.activations.variance).all()
    assert np.asarray(constant.gradients.variance).all()
    assert not np.asarray(constant.activations.between_units).any()
    assert not np.asarray(constant.gradients.between_units[:, :-1]).any()


@pytest.mark.exhaustive  # one program for each number of draws
def test_a_draw_is_the_same_however_many_there_are_and_a_loss_may_be_given():
    targets = jnp.ones((16, 3))
    model = nn.chain(nn.dense(3), nn.batch_norm(), nn.dropout(0.2))

    def loss(y):
        return losses.squared_error(y, targets).mean()

    few, more = (signal_propagation(model, X, KEY, draws=draws, loss=loss) for draws in (2, 3))
    assert few.kinds == ("dense", "batch_norm", "dropout")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[:2], rtol=1e-5, atol=1e-9), few, more)
    normal = few.of("batch_norm").activations  # in training, statistics are those of the batch
    np.testing.assert_allclose(normal.variance, 1, rtol=1e-2)
    np.testing.assert_allclose(normal.mean, 0, atol=1e-5)


def test_mistakes_meet_a_sentence():
    model = nn.mlp([4, 2])
    with pytest.raises(HyperparameterError, match="draws is 0"):
        signal_propagation(model, X, KEY, draws=0)
    with pytest.raises(ShapeError, match="one number is needed"):
        signal_propagation(model, X, KEY, loss=lambda y: y)
    with pytest.raises(StructureError, match="neither a layer nor a function"):
        signal_propagation(3, X, KEY)
    moments = Moments(*[np.ones((1, 3))] * 3)
    with pytest.raises(StructureError, match="no layers of kind 'conv', but of dense, relu"):
        SignalPropagation(("0", "1", "2"), ("dense", "relu", "dense"), moments, moments).of("conv")
