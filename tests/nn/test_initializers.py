"""Initialisers: the variances that the lectures state, on kernels large enough to measure them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.errors import HyperparameterError
from fnnet.nn import initializers

KEY = jax.random.key(0)
INPUTS, OUTPUTS = 600, 300
VARIANCES = {
    "he_normal": lambda n, m: 2 / n,
    "he_uniform": lambda n, m: 2 / n,
    "glorot_normal": lambda n, m: 2 / (n + m),
    "glorot_uniform": lambda n, m: 2 / (n + m),
    "lecun_normal": lambda n, m: 1 / n,
    "lecun_uniform": lambda n, m: 1 / n,
}
OTHERS = {
    "constant", "normal", "ones", "orthogonal", "symmetric_uniform", "truncated_normal", "uniform",
    "variance_scaling", "zeros",
}  # fmt: skip


def test_every_initialiser_is_tested_here():
    assert set(initializers.__all__) == set(VARIANCES) | OTHERS


@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_the_one_of_the_lectures(name):
    kernel = np.asarray(getattr(initializers, name)()(KEY, (INPUTS, OUTPUTS)), np.float64)
    variance = VARIANCES[name](INPUTS, OUTPUTS)
    deviation = np.sqrt(variance)
    assert kernel.var() == pytest.approx(variance, rel=0.02)
    assert abs(kernel.mean()) < 4.5 * deviation / np.sqrt(kernel.size)
    # A normal is cut at two deviations (and rescaled by 0.8796); a uniform ends at √3 deviations.
    bound = 2 / 0.8796 if name.endswith("normal") else np.sqrt(3)
    assert np.abs(kernel).max() == pytest.approx(bound * deviation, rel=0.01)


@pytest.mark.parametrize("name", ["he_normal", "glorot_uniform", "lecun_normal"])
@pytest.mark.parametrize("groups", [1, 4])
def test_the_fan_of_a_convolution_counts_its_window_and_the_channels_of_a_group(name, groups):
    layer = nn.conv(128, (3, 5), groups=groups, kernel_init=getattr(initializers, name)())
    kernel = layer.init(KEY, jax.ShapeDtypeStruct((1, 8, 8, 64), jnp.float32))[0]["kernel"]
    assert kernel.shape == (3, 5, 64 // groups, 128)
    wanted = VARIANCES[name](15 * 64 // groups, 15 * 128)
    assert np.var(kernel) == pytest.approx(wanted, rel=0.03)


def test_a_convolution_with_he_kernels_keeps_the_mean_square_through_a_relu():
    """What the variance 2/n is for: E[y²]/2 = E[x²] where y is the sum over a window that has n inputs."""
    x = jax.random.normal(KEY, (8, 16, 16, 32))
    for groups in (1, 8):
        layer = nn.conv(256, 3, padding="VALID", groups=groups)
        y, _ = layer.apply(*layer.init(jax.random.key(1), x), x)
        assert float(jnp.square(nn.relu(y)).mean()) == pytest.approx(1, rel=0.05)


def test_the_plain_ones_do_what_their_names_say():
    shape = (100, 100)
    assert not initializers.zeros(KEY, shape).any()
    assert (initializers.ones(KEY, shape) == 1).all()
    assert (initializers.constant(0.3)(KEY, shape) == np.float32(0.3)).all()
    for name in ("normal", "truncated_normal"):
        drawn = getattr(initializers, name)(0.5)(KEY, shape)
        assert np.std(drawn) == pytest.approx(0.5 if name == "normal" else 0.5 * 0.8796, rel=0.03)
    for name, low in (("uniform", 0.0), ("symmetric_uniform", -0.5)):
        drawn = getattr(initializers, name)(0.5)(KEY, shape)
        assert low <= drawn.min() < low + 0.01
        assert 0.49 < drawn.max() < 0.5
    scaled = initializers.variance_scaling(3.0, "fan_out", "uniform")(KEY, shape)
    assert np.var(scaled) == pytest.approx(3 / 100, rel=0.03)


@pytest.mark.parametrize("shape", [(40, 30), (30, 40)])
def test_orthogonal_kernels_have_orthogonal_columns_or_rows(shape):
    kernel = np.asarray(initializers.orthogonal(2.0)(KEY, shape), np.float64)
    product = kernel.T @ kernel if shape[0] > shape[1] else kernel @ kernel.T
    np.testing.assert_allclose(product, 4 * np.eye(30), atol=1e-5)


@pytest.mark.parametrize("init", [initializers.zeros, initializers.constant(0.1)], ids=["zeros", "constant"])
def test_units_that_start_equal_stay_equal_as_the_lecture_says(init):
    x = jax.random.normal(KEY, (16, 3))
    model = nn.chain(nn.dense(4, kernel_init=init), nn.tanh, nn.dense(1, kernel_init=init))
    params, state = model.init(KEY, x)

    @jax.jit
    def descend(params):
        slopes = jax.grad(lambda p: jnp.square(model.apply(p, state, x)[0] - x[:, :1] - 1).mean())(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, slopes)

    for _ in range(5):
        params = descend(params)
    np.testing.assert_array_equal(params[0]["kernel"], params[0]["kernel"][:, :1].repeat(4, axis=1))
    assert (params[0]["kernel"].any(), params[2]["bias"].any()) == (init is not initializers.zeros, True)


def test_an_initialiser_has_the_dtype_that_it_is_asked_for_and_its_number_may_be_traced():
    for dtype in ("bfloat16", "float32"):
        assert initializers.symmetric_uniform(0.5)(KEY, (2,), dtype).dtype == dtype
    drawn = jax.vmap(lambda limit: initializers.symmetric_uniform(limit)(KEY, (3,)))(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(drawn[1], 2 * drawn[0])
    with pytest.raises(HyperparameterError, match="limit is -1, but it has to be more than 0"):
        initializers.symmetric_uniform(-1.0)
