"""Convolution and pooling against sums over windows that are written out in NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.errors import HyperparameterError, ShapeError, StructureError

KEY = jax.random.key(0)


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape)


def windows(x, size, stride, pads, dilation, filling):
    """(batch, *outputs, *size, channels): what stands in each window."""
    padded = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=filling)
    spans = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    counts = [(n - span) // s + 1 for n, span, s in zip(padded.shape[1:-1], spans, stride, strict=True)]
    out = np.empty((len(x), *counts, *size, x.shape[-1]))
    for place in itertools.product(*map(range, counts)):
        cut = tuple(slice(p * s, p * s + span, d) for p, s, span, d in zip(place, stride, spans, dilation, strict=True))
        out[(slice(None), *place)] = padded[(slice(None), *cut)]
    return out


CONVOLUTIONS = {
    "1-D": ((2, 7, 3), {"kernel_size": 3, "padding": "VALID"}, (1,), ((0, 0),), (1,)),
    "1-D, strides and SAME": ((2, 7, 3), {"kernel_size": (4,), "stride": 2}, (2,), ((1, 2),), (1,)),
    "2-D": (
        (2, 6, 7, 4),
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, (0, 2)), "dilation": (1, 3), "groups": 2},
        (2, 1),
        ((1, 1), (0, 2)),
        (1, 3),
    ),
    "3-D": ((2, 3, 4, 5, 2), {"kernel_size": 2, "padding": 1, "dilation": 2}, (1,) * 3, ((1, 1),) * 3, (2,) * 3),
    "depthwise": ((2, 5, 3), {"kernel_size": 2, "groups": 3}, (1,), ((0, 1),), (1,)),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize(("shape", "options", "stride", "pads", "dilation"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_is_the_sum_over_its_window_of_inputs_times_kernel(shape, options, stride, pads, dilation):
    with jax.enable_x64(True):
        layer, x, groups = nn.conv(6, **options), normal(*shape), options.get("groups", 1)
        params, _ = layer.init(jax.random.key(0), x)
        params["bias"] = jnp.linspace(-1, 1, 6)
        kernel = np.asarray(params["kernel"])
        size, axes = kernel.shape[:-2], tuple(range(len(shape) - 1, 2 * len(shape) - 3))
        stacked = windows(x, size, stride, pads, dilation, 0.0)
        parts = [
            np.tensordot(inputs, weights, ((*axes, 2 * len(shape) - 3), tuple(range(len(size) + 1))))
            for inputs, weights in zip(np.split(stacked, groups, -1), np.split(kernel, groups, -1), strict=True)
        ]
        wanted = np.concatenate(parts, axis=-1) + np.linspace(-1, 1, 6)
        np.testing.assert_allclose(layer.apply(params, (), jnp.asarray(x))[0], wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["1-D, strides and SAME", "2-D", "depthwise"])
def test_every_derivative_of_a_convolution_is_the_one_of_a_bilinear_function(name):
    shape, options, stride, pads, dilation = CONVOLUTIONS[name]
    with jax.enable_x64(True):
        layer, x, groups = nn.conv(6, **options, bias=False), jnp.asarray(normal(*shape)), options.get("groups", 1)
        kernel = layer.init(jax.random.key(0), x)[0]["kernel"]
        space = "DHW"[3 - len(stride) :]

        def ours(x, kernel):
            return layer.apply({"kernel": kernel}, (), x)[0]

        def jaxs(x, kernel):
            names = (f"N{space}C", f"{space}IO", f"N{space}C")
            return jax.lax.conv_general_dilated(
                x, kernel, stride, pads, rhs_dilation=dilation, dimension_numbers=names, feature_group_count=groups
            )

        @jax.jit
        def derivatives(x, kernel):
            def of(f):
                y, back = jax.vjp(f, x, kernel)

                def cubed(x, kernel):
                    return (f(x, kernel) ** 3).sum()

                _, slope = jax.jvp(f, (x, kernel), (jnp.cos(x), jnp.cos(kernel)))
                # The second derivative along a direction, forwards over backwards.
                _, bent = jax.jvp(jax.grad(cubed, (0, 1)), (x, kernel), (jnp.cos(x), jnp.cos(kernel)))
                return back(jnp.sin(y)), slope, bent, jax.grad(cubed, 1)(x, kernel)

            return of(ours), of(jaxs)

        mine, theirs = derivatives(x, kernel)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11), mine, theirs)


def test_a_window_of_one_is_a_dense_layer_and_parameters_follow_the_inputs():
    x = jnp.asarray(normal(2, 4, 4, 3), jnp.bfloat16)
    params, _ = nn.conv(5, 1).init(KEY, x)
    assert jax.tree.map(jnp.shape, params) == {"kernel": (1, 1, 3, 5), "bias": (5,)}
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("bfloat16")}
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    flat = {"kernel": wide["kernel"][0, 0], "bias": wide["bias"]}
    x = x.astype(jnp.float32)
    dense = nn.dense(5).apply(flat, (), x)[0]
    np.testing.assert_allclose(nn.conv(5, 1).apply(wide, (), x)[0], dense, rtol=1e-5, atol=1e-6)
    assert nn.conv(5, 1).init(KEY, jnp.zeros((1, 2, 2, 3), jnp.uint8))[0]["kernel"].dtype == jnp.float32


POOLS = {
    "1-D": ((2, 7, 3), {"window": 3}, (3,), (3,), ((0, 0),)),
    "2-D": (
        (2, 6, 7, 2),
        {"window": (3, 2), "stride": (1, 2), "padding": (1, (0, 1))},
        (3, 2),
        (1, 2),
        ((1, 1), (0, 1)),
    ),
    "SAME": ((1, 5, 4, 2), {"window": 2, "padding": "SAME"}, (2, 2), (2, 2), ((0, 1), (0, 0))),
    "wide": ((1, 11, 2), {"window": 9, "padding": 1, "stride": 2}, (9,), (2,), ((1, 1),)),
    "3-D": ((1, 2, 3, 4, 2), {"window": 2, "stride": 1}, (2,) * 3, (1,) * 3, ((0, 0),) * 3),
}


@pytest.mark.parametrize(("shape", "options", "size", "stride", "pads"), POOLS.values(), ids=POOLS)
def test_pools_take_the_largest_and_the_mean_of_what_a_window_has_of_the_input(shape, options, size, stride, pads):
    x = normal(*shape)
    stacked = windows(x, size, stride, pads, (1,) * len(size), np.nan)
    axes = tuple(range(len(shape) - 1, 2 * len(shape) - 3))
    given = jnp.asarray(x, jnp.float32)
    for pool, reduce in ((nn.max_pool, np.nanmax), (nn.avg_pool, np.nanmean)):
        y, state = pool(**options).apply((), (), given)
        np.testing.assert_allclose(y, reduce(stacked, axis=axes), rtol=1e-5, atol=1e-6)
        assert state == ()


def test_pools_take_whole_numbers_and_keep_digits_that_a_narrow_dtype_would_lose():
    ids = jnp.array([[[-3], [2], [-5], [-4]]])
    assert nn.max_pool(2).apply((), (), ids)[0].ravel().tolist() == [2, -4]
    assert nn.avg_pool(2).apply((), (), ids)[0].ravel().tolist() == [-0.5, -4.5]
    ones = jnp.ones((1, 4096, 1), jnp.bfloat16)
    for y in (nn.avg_pool(4096).apply((), (), ones)[0], nn.global_avg_pool(ones)):
        assert (y.dtype, float(y.ravel()[0])) == (jnp.bfloat16, 1.0)


def test_the_derivative_of_a_largest_number_goes_to_it_alone_also_twice():
    x = jnp.array([[[1.0], [3.0], [2.0], [0.0]]])
    f = jax.jit(lambda x: jnp.square(nn.max_pool(2).apply((), (), x)[0]).sum())
    assert jax.grad(f)(x).ravel().tolist() == [0, 6, 4, 0]
    _, second = jax.jvp(jax.grad(f), (x,), (jnp.ones_like(x),))
    assert second.ravel().tolist() == [0, 2, 2, 0]
    assert jax.grad(lambda x: nn.global_avg_pool(x).sum())(x).ravel().tolist() == [0.25] * 4


@pytest.mark.parametrize("window", [(3, 2), (3, 9)], ids=["of slices", "wide"])
def test_of_equal_numbers_the_first_in_the_window_has_the_derivative(window):
    x = np.random.default_rng(0).integers(0, 3, (2, 6, 10, 1)).astype(np.float32)
    y, back = jax.vjp(lambda x: nn.max_pool(window, stride=1).apply((), (), x)[0], jnp.asarray(x))
    found = back(y)[0]
    wanted = np.zeros_like(x)
    for n, i, j, _ in np.ndindex(y.shape):
        seen = x[n, i : i + window[0], j : j + window[1], 0]
        row, column = np.unravel_index(seen.argmax(), seen.shape)  # the first of the largest, row by row
        wanted[n, i + row, j + column] += y[n, i, j, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_the_derivative_of_a_small_pool_is_no_scatter_which_is_slow_on_cpus():
    slope = jax.grad(lambda x: nn.max_pool(3, stride=2).apply((), (), x)[0].sum())
    assert "scatter" not in str(jax.make_jaxpr(slope)(jnp.ones((1, 7, 7, 1))))


def test_only_nan_gives_nan_in_a_pool_and_only_where_its_window_is():
    x = jnp.array([[[jnp.nan], [3.0], [2.0], [0.0]]])
    for pool in (nn.max_pool, nn.avg_pool):
        assert np.isnan(pool(2).apply((), (), x)[0].ravel()).tolist() == [True, False]


def test_reshape_gives_flattened_images_their_axes_back_for_a_convolution():
    x = jnp.asarray(normal(2, 64), jnp.float32)
    model = nn.chain(nn.reshape((8, 8, 1)), nn.conv(4, 3), nn.relu, nn.max_pool(2), nn.global_avg_pool, nn.dense(3))
    params, state = model.init(KEY, x)
    assert model.apply(params, state, x)[0].shape == (2, 3)
    np.testing.assert_array_equal(nn.reshape((4, -1)).apply((), (), x)[0], np.reshape(x, (2, 4, 16)))
    assert nn.reshape((2, -1)).apply((), (), x[:0])[0].shape == (0, 2, 32)


def apply(layer, made_for, given):
    def call():
        made = nn.as_layer(layer())
        return made.apply(*made.init(KEY, jnp.ones(made_for)), jnp.ones(given))

    return call


def init(layer, *shape):
    return lambda: layer().init(KEY, jnp.ones(shape))


MISTAKES = {
    "images without channels": (
        init(lambda: nn.conv(4, (3, 3)), 8, 28, 28),
        ShapeError,
        r"^conv: the input has shape \(8, 28, 28\), but kernel_size \(3, 3\) is for \(batch, height, width, channels\)"
        r"\. For inputs without an axis of channels pass x\[\.\.\., None\]",
    ),
    "flat images": (
        init(lambda: nn.chain(nn.relu, nn.conv(4, 3)), 8, 784),
        ShapeError,
        r"^conv: layer 1: the input has shape \(8, 784\), but \(batch, \*space, channels\) with one to three",
    ),
    "a stride of another rank": (
        init(lambda: nn.conv(4, 3, stride=(2, 2)), 8, 28, 1),
        ShapeError,
        r"^conv: .*\(8, 28, 1\), but stride \(2, 2\) is for \(batch, height, width, channels\)",
    ),
    "four spatial axes": (init(lambda: nn.conv(4, 1), 1, 2, 2, 2, 2, 1), ShapeError, "^conv: .*one to three"),
    "another rank than at first": (
        apply(lambda: nn.conv(4, 3), (2, 8, 8, 1), (2, 8, 1)),
        ShapeError,
        r"^conv: the input has shape \(2, 8, 1\), but the kernel has shape \(3, 3, 1, 4\).* 2 spatial axes and 1 ch",
    ),
    "other channels": (
        apply(lambda: nn.chain(conv=nn.conv(4, 3)), (2, 8, 3), (2, 8, 2)),
        ShapeError,
        r"^conv: layer conv: the input has shape \(2, 8, 2\), but the kernel has shape \(3, 3, 4\)",
    ),
    "groups that do not divide the inputs": (
        init(lambda: nn.conv(4, 3, groups=2), 2, 8, 3),
        ShapeError,
        r"^conv: .*its 3 channels cannot be divided into groups=2",
    ),
    "groups that do not divide the outputs": (
        lambda: nn.conv(4, 3, groups=3),
        HyperparameterError,
        "^conv: groups is 3, which does not divide the 4 channels",
    ),
    "a kernel that does not fit": (
        apply(lambda: nn.conv(4, 5, padding="VALID", dilation=2), (2, 8, 1), (2, 8, 1)),
        ShapeError,
        r"^conv: .*\(2, 8, 1\) and the window spans \(9,\): it does not fit into .* \(8,\) with the padding 'VALID'",
    ),
    "an unknown padding": (lambda: nn.conv(4, 5, padding="same"), HyperparameterError, "'same', but .*'SAME', 'VALID'"),
    "a window of another rank": (
        apply(lambda: nn.max_pool((2, 2)), (2, 8, 1), (2, 8, 1)),
        ShapeError,
        r"^max_pool: .*\(2, 8, 1\), but window \(2, 2\) is for",
    ),
    "a window on padding alone": (
        lambda: nn.avg_pool(2, padding=2),
        HyperparameterError,
        "^avg_pool: padding is 2, but it has to be less than the window 2",
    ),
    "nothing to average over": (
        lambda: nn.global_avg_pool(jnp.ones((2, 3))),
        ShapeError,
        r"^global_avg_pool: .*\(2, 3\), but \(batch, \*space, channels\)",
    ),
    "a shape of another size": (
        apply(lambda: nn.reshape((3, 5)), (2, 16), (2, 16)),
        ShapeError,
        r"^reshape: the input has shape \(2, 16\), 16 elements an example, which cannot take the shape \(3, 5\)",
    ),
    "a seed for a key": (
        lambda: nn.conv(4, 3).init(0, jnp.ones((2, 8, 1))),
        StructureError,
        r"^conv: key is 0, which is not a random key\. Make one with jax\.random\.key\(0\)\.",
    ),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
