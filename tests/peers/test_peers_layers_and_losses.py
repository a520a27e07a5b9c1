"""Layers, activations and losses against torch, forward and backward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import losses, nn

RANDOM = np.random.default_rng(0)
X = 3 * RANDOM.normal(size=(6, 4))
DIRECTION = RANDOM.normal(size=(6, 4))
IDS = RANDOM.integers(0, 4, size=6)
SHARES = np.exp(X[::-1]) / np.exp(X[::-1]).sum(axis=1, keepdims=True)
LABELS = (RANDOM.random((6, 4)) < 0.5).astype(float)
precisions = pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is a reference and not a dependency")


def compare(torch, ours, theirs, inputs, tolerance, dtype, record_property):
    """Values and gradients of Σ direction · f(inputs), ours against theirs."""
    arrays = [np.asarray(value, dtype) for value in inputs]
    value, pull = jax.vjp(ours, *(jnp.asarray(a) for a in arrays))
    direction = RANDOM.normal(size=value.shape).astype(dtype)
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    wanted = theirs(*tensors)
    wanted.backward(torch.tensor(direction))
    pairs = [(value, wanted.detach()), *zip(pull(jnp.asarray(direction)), (t.grad for t in tensors), strict=True)]
    gaps = []
    for got, reference in pairs:
        reference = reference.numpy()
        assert got.shape == reference.shape
        gaps.append(float((np.abs(np.asarray(got) - reference) / (1 + np.abs(reference))).max()))
    record_property("largest difference", float(max(gaps)))
    assert max(gaps) <= tolerance


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


LOSSES = {
    "squared_error": (losses.squared_error, LABELS, lambda f, p, t: f.mse_loss(p, t, reduction="none").mean(1)),
    "absolute_error": (losses.absolute_error, LABELS, lambda f, p, t: f.l1_loss(p, t, reduction="none").mean(1)),
    "absolute_error at zero": (losses.absolute_error, X, lambda f, p, t: f.l1_loss(p, t, reduction="none").mean(1)),
    "softmax_cross_entropy": (
        losses.softmax_cross_entropy,
        IDS,
        lambda f, p, t: f.cross_entropy(p, t, reduction="none"),
    ),
    "softmax_cross_entropy of shares": (
        losses.softmax_cross_entropy,
        SHARES,
        lambda f, p, t: f.cross_entropy(p, t, reduction="none"),
    ),
    "sigmoid_binary_cross_entropy": (
        losses.sigmoid_binary_cross_entropy,
        LABELS,
        lambda f, p, t: f.binary_cross_entropy_with_logits(p, t, reduction="none").mean(1),
    ),
}


@precisions
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_agrees_with_torch(name, dtype, tolerance, torch, record_property):
    loss, targets, reference = LOSSES[name]
    y = targets if targets.dtype.kind == "i" else targets.astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        compare(
            torch,
            lambda p: loss(p, jnp.asarray(y)),
            lambda p: reference(torch.nn.functional, p, torch.tensor(y)),
            [X],
            tolerance,
            dtype,
            record_property,
        )


@precisions
def test_a_cross_entropy_of_pixels_agrees_with_torch(dtype, tolerance, torch, record_property):
    ids = RANDOM.integers(0, 4, size=(2, 3, 5))
    with jax.enable_x64(dtype == "float64"):
        compare(
            torch,
            lambda p: losses.softmax_cross_entropy(p, jnp.asarray(ids)),
            lambda p: torch.nn.functional.cross_entropy(p.movedim(-1, 1), torch.tensor(ids), reduction="none").mean(
                (1, 2)
            ),
            [RANDOM.normal(size=(2, 3, 5, 4))],
            tolerance,
            dtype,
            record_property,
        )
