"""Layers and activations against torch, forward and backward."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import RANDOM, compare, precisions

from fnnet import nn

X = 3 * RANDOM.normal(size=(6, 4))

ACTIVATIONS = {
    "celu": lambda f, x: f.celu(x),
    "cos": lambda f, x: x.cos(),
    "elu": lambda f, x: f.elu(x),
    "exp": lambda f, x: x.exp(),
    "gelu": lambda f, x: f.gelu(x, approximate="tanh"),
    "glu": lambda f, x: f.glu(x),
    "hard_sigmoid": lambda f, x: f.relu6(x + 3) / 6,  # torch's derivative is 1/6 in float32, for float64 too
    "hard_silu": lambda f, x: f.hardswish(x),
    "hard_tanh": lambda f, x: f.hardtanh(x),
    "identity": lambda f, x: 1 * x,
    "leaky_relu": lambda f, x: f.leaky_relu(x),
    "log_sigmoid": lambda f, x: f.logsigmoid(x),
    "log_softmax": lambda f, x: f.log_softmax(x, dim=-1),
    "logistic": lambda f, x: f.sigmoid(x),
    "mish": lambda f, x: f.mish(x),
    "relu": lambda f, x: f.relu(x),
    "relu6": lambda f, x: f.relu6(x),
    "selu": lambda f, x: f.selu(x),
    "sigmoid": lambda f, x: f.sigmoid(x),
    "silu": lambda f, x: f.silu(x),
    "sin": lambda f, x: x.sin(),
    "softmax": lambda f, x: f.softmax(x, dim=-1),
    "softplus": lambda f, x: f.softplus(x, threshold=1000.0),
    "step": lambda f, x: (x >= 0).to(x.dtype) + 0 * x,
    "tanh": lambda f, x: f.tanh(x),
}
TUNED = {
    # A power of two, as torch's derivative takes 1/α in float32, for float64 too.
    "celu": (functools.partial(nn.celu, alpha=0.25), lambda f, x: f.celu(x, 0.25)),
    "elu": (functools.partial(nn.elu, alpha=0.3), lambda f, x: f.elu(x, 0.3)),
    "gelu": (functools.partial(nn.gelu, approximate=False), lambda f, x: f.gelu(x)),
    "leaky_relu": (functools.partial(nn.leaky_relu, negative_slope=0.3), lambda f, x: f.leaky_relu(x, 0.3)),
    "softplus": (functools.partial(nn.softplus, beta=3.0), lambda f, x: f.softplus(x, 3.0, threshold=1000.0)),
}


def test_every_activation_has_a_peer():
    assert set(ACTIVATIONS) == set(nn.activations.__all__)


@precisions
@pytest.mark.parametrize("name", [*ACTIVATIONS, *(f"{name} tuned" for name in TUNED)])
def test_an_activation_agrees_with_torch(name, dtype, tolerance, torch, record_property):
    ours, theirs = TUNED[name.split()[0]] if " " in name else (getattr(nn, name), ACTIVATIONS[name])
    with jax.enable_x64(dtype == "float64"):
        compare(torch, ours, lambda x: theirs(torch.nn.functional, x), [X], tolerance, dtype, record_property)


@precisions
def test_a_dense_layer_agrees_with_torch(dtype, tolerance, torch, record_property):
    def ours(x, kernel, bias):
        return nn.dense(5).apply({"kernel": kernel, "bias": bias}, (), x)[0]

    def theirs(x, kernel, bias):
        return torch.nn.functional.linear(x, kernel.T, bias)

    inputs = [X, RANDOM.normal(size=(4, 5)), RANDOM.normal(size=5)]
    with jax.enable_x64(dtype == "float64"):
        compare(torch, ours, theirs, inputs, tolerance, dtype, record_property)


@precisions
def test_an_mlp_agrees_with_torch(dtype, tolerance, torch, record_property):
    weights = [RANDOM.normal(size=shape) for shape in [(4, 5), (5,), (5, 3), (3,), (3, 2), (2,)]]

    def ours(x, *w):
        pairs = [{"kernel": kernel, "bias": bias} for kernel, bias in zip(w[::2], w[1::2], strict=True)]
        params = (pairs[0], (), pairs[1], (), pairs[2])
        return nn.mlp([5, 3, 2], activation=nn.silu).apply(params, ((),) * 5, x)[0]

    def theirs(x, *w):
        linear, silu = torch.nn.functional.linear, torch.nn.functional.silu
        return linear(silu(linear(silu(linear(x, w[0].T, w[1])), w[2].T, w[3])), w[4].T, w[5])

    with jax.enable_x64(dtype == "float64"):
        compare(torch, ours, theirs, [X, *weights], tolerance, dtype, record_property)


def channels_second(x):
    """(batch, *space, channels) as torch has it, (batch, channels, *space)."""
    return x.movedim(-1, 1)


# The shape of the inputs; what ours is told; what torch is told, which pads alike on both sides.
CONVOLUTIONS = {
    "1-D": ((2, 7, 4), {"kernel_size": 3, "padding": "VALID"}, {}),
    "1-D SAME": ((2, 7, 4), {"kernel_size": 3}, {"padding": 1}),
    "2-D": (
        (2, 6, 7, 4),
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (2, 1), "dilation": (1, 3), "groups": 2},
        {"stride": (2, 1), "padding": (2, 1), "dilation": (1, 3), "groups": 2},
    ),
    "2-D depthwise": ((2, 5, 5, 6), {"kernel_size": 3, "padding": 1, "groups": 6}, {"padding": 1, "groups": 6}),
    "3-D": (
        (2, 3, 4, 5, 2),
        {"kernel_size": 2, "stride": 2, "padding": 1},
        {"stride": 2, "padding": 1},
    ),
}


@precisions
@pytest.mark.parametrize(("shape", "ours_is_told", "torch_is_told"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_agrees_with_torch(shape, ours_is_told, torch_is_told, dtype, tolerance, torch, record_property):
    layer, axes = nn.conv(6, **ours_is_told), len(shape) - 2
    kernel = jax.eval_shape(layer.init, jax.random.key(0), jnp.ones(shape))[0]["kernel"].shape

    def theirs(x, kernel, bias):
        convolve = getattr(torch.nn.functional, f"conv{axes}d")
        weight = kernel.movedim(-1, 0).movedim(-1, 1)
        return convolve(channels_second(x), weight, bias, **torch_is_told).movedim(1, -1)

    inputs = [RANDOM.normal(size=size) for size in (shape, kernel, (6,))]
    with jax.enable_x64(dtype == "float64"):
        ours = jax.jit(lambda x, kernel, bias: layer.apply({"kernel": kernel, "bias": bias}, (), x)[0])
        compare(torch, ours, theirs, inputs, tolerance, dtype, record_property)


POOLS = {
    "1-D": ((2, 7, 3), {"window": 3}, {"kernel_size": 3}),
    "2-D": (
        (2, 6, 7, 3),
        {"window": (3, 2), "stride": (1, 2), "padding": (1, 1)},
        {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 1)},
    ),
    "3-D": ((2, 4, 5, 4, 2), {"window": 2, "padding": 1}, {"kernel_size": 2, "padding": 1}),
}


@precisions
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(("shape", "ours_is_told", "torch_is_told"), POOLS.values(), ids=POOLS)
def test_a_pool_agrees_with_torch(kind, shape, ours_is_told, torch_is_told, dtype, tolerance, torch, record_property):
    layer = getattr(nn, f"{kind}_pool")(**ours_is_told)
    more = {"count_include_pad": False} if kind == "avg" else {}

    def theirs(x):
        pool = getattr(torch.nn.functional, f"{kind}_pool{len(shape) - 2}d")
        return pool(channels_second(x), **torch_is_told, **more).movedim(1, -1)

    with jax.enable_x64(dtype == "float64"):
        ours = jax.jit(lambda x: layer.apply((), (), x)[0])
        compare(torch, ours, theirs, [RANDOM.normal(size=shape)], tolerance, dtype, record_property)


SHAPES = {
    "global_avg_pool": (nn.global_avg_pool, lambda torch, x: x.mean(dim=(1, 2))),
    "flatten": (nn.flatten, lambda torch, x: torch.nn.Flatten()(x)),
    "reshape": (
        lambda x: nn.reshape((5, -1)).apply((), (), x)[0],
        lambda torch, x: torch.nn.Unflatten(1, (5, -1))(torch.nn.Flatten()(x)),
    ),
    "squeeze": (lambda x: nn.squeeze(x[..., :1]), lambda torch, x: x[..., :1].squeeze(-1)),
    "dropout": (
        lambda x: nn.dropout(0.5).apply((), (), x)[0],
        lambda torch, x: torch.nn.Dropout(0.5).eval()(x),
    ),
}


@precisions
@pytest.mark.parametrize("name", SHAPES)
def test_a_layer_without_parameters_agrees_with_torch(name, dtype, tolerance, torch, record_property):
    ours, theirs = SHAPES[name]
    x = RANDOM.normal(size=(2, 3, 5, 4))
    with jax.enable_x64(dtype == "float64"):
        compare(torch, ours, functools.partial(theirs, torch), [x], tolerance, dtype, record_property)


@precisions
def test_an_embedding_agrees_with_torch(dtype, tolerance, torch, record_property):
    ids = RANDOM.integers(0, 7, size=(3, 4))

    def ours(table):
        return nn.embedding(7, 5).apply({"embedding": table}, (), jnp.asarray(ids))[0]

    def theirs(table):
        return torch.nn.functional.embedding(torch.tensor(ids), table)

    with jax.enable_x64(dtype == "float64"):
        compare(torch, ours, theirs, [RANDOM.normal(size=(7, 5))], tolerance, dtype, record_property)


NORMS = {
    "layer_norm": (nn.layer_norm(), lambda f, x, g, b: f.layer_norm(x, (4,), g, b, 1e-5)),
    "rms_norm": (nn.rms_norm(), lambda f, x, g, b: f.rms_norm(x, (4,), g, 1e-5) + 0 * b),
    "group_norm": (
        nn.group_norm(2),
        lambda f, x, g, b: f.group_norm(channels_second(x), 2, g, b, 1e-5).movedim(1, -1),
    ),
}


@precisions
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", NORMS)
def test_a_norm_agrees_with_torch(name, train, dtype, tolerance, torch, record_property):
    layer, theirs = NORMS[name]

    def ours(x, scale, bias):
        params = {"scale": scale} if name == "rms_norm" else {"scale": scale, "bias": bias}
        return layer.apply(params, (), x, train=train)[0]

    inputs = [RANDOM.normal(1.0, 2.0, size=size) for size in ((3, 5, 2, 4), (4,), (4,))]
    with jax.enable_x64(dtype == "float64"):
        named = lambda x, g, b: theirs(torch.nn.functional, x, g, b)  # noqa: E731
        compare(torch, jax.jit(ours), named, inputs, tolerance, dtype, record_property)


@precisions
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("shape", [(6, 4), (3, 5, 2, 4)], ids=["rows", "images"])
def test_batch_normalisation_agrees_with_torch(shape, train, dtype, tolerance, torch, record_property):
    layer = nn.batch_norm()

    def theirs(x, scale, bias, mean, var):
        norm, running = torch.nn.functional.batch_norm, (mean.detach().clone(), var.detach().clone())
        y = norm(channels_second(x), *running, scale, bias, training=train, eps=1e-5).movedim(1, -1)
        return y + 0 * (mean + var) if train else (x - mean) / (var + 1e-5).sqrt() * scale + bias + 0 * y

    def ours(x, scale, bias, mean, var):
        state = {"mean": mean, "var": var, "count": jnp.int32(20)}
        return layer.apply({"scale": scale, "bias": bias}, state, x, train=train)[0]

    inputs = [RANDOM.normal(1.0, 2.0, size=shape), *(RANDOM.uniform(0.5, 2.0, size=4) for _ in range(4))]
    with jax.enable_x64(dtype == "float64"):
        compare(torch, jax.jit(ours), theirs, inputs, tolerance, dtype, record_property)


@precisions
def test_running_averages_agree_with_torch_once_the_memory_is_filled(dtype, tolerance, torch):
    batches = RANDOM.normal(1.0, 2.0, size=(5, 6, 4)).astype(dtype)
    theirs = torch.nn.BatchNorm1d(4, momentum=0.1, dtype=getattr(torch, dtype))
    with jax.enable_x64(dtype == "float64"):
        layer = nn.batch_norm(decay=0.9)
        params, state = layer.init(jax.random.key(0), batches[0])
        state = state | {"count": jnp.int32(20)}
        apply = jax.jit(lambda state, x: layer.apply(params, state, x, train=True)[1])
        for x in batches:
            state = apply(state, x)
            theirs(torch.tensor(x))
        np.testing.assert_allclose(state["mean"], theirs.running_mean.numpy(), rtol=tolerance, atol=tolerance)
        # torch keeps the variance over m − 1 = 5; its own start, 1, has shrunk to 0.9⁵.
        start = 0.9 ** len(batches)
        biased = start + (theirs.running_var.numpy() - start) * 5 / 6
        np.testing.assert_allclose(state["var"], biased, rtol=tolerance, atol=tolerance)
        assert int(theirs.num_batches_tracked) == len(batches)
        plain = torch.nn.BatchNorm1d(4, momentum=None, dtype=getattr(torch, dtype))
        _, state = layer.init(jax.random.key(0), batches[0])
        for x in batches:  # with momentum=None torch keeps plain means, as ours do at first
            state = apply(state, x)
            plain(torch.tensor(x))
        np.testing.assert_allclose(state["mean"], plain.running_mean.numpy(), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(state["var"], plain.running_var.numpy() * 5 / 6, rtol=tolerance, atol=tolerance)
