"""Layers and activations against torch, forward and backward."""

import jax
import pytest
from comparing import RANDOM, compare, precisions

from fnnet import nn

X = 3 * RANDOM.normal(size=(6, 4))

ACTIVATIONS = {
    "elu": lambda f, x: f.elu(x),
    "gelu": lambda f, x: f.gelu(x, approximate="tanh"),
    "identity": lambda f, x: 1 * x,
    "leaky_relu": lambda f, x: f.leaky_relu(x),
    "logistic": lambda f, x: f.sigmoid(x),
    "relu": lambda f, x: f.relu(x),
    "silu": lambda f, x: f.silu(x),
    "softmax": lambda f, x: f.softmax(x, dim=-1),
    "softplus": lambda f, x: f.softplus(x, threshold=1000.0),
    "tanh": lambda f, x: f.tanh(x),
}


@precisions
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_agrees_with_torch(name, dtype, tolerance, torch, record_property):
    with jax.enable_x64(dtype == "float64"):
        theirs = lambda x: ACTIVATIONS[name](torch.nn.functional, x)  # noqa: E731
        compare(torch, getattr(nn, name), theirs, [X], tolerance, dtype, record_property)


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
