"""Losses against torch, forward and backward."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import RANDOM, compare, precisions

from fnnet import losses

X = 3 * RANDOM.normal(size=(6, 4))
IDS = RANDOM.integers(0, 4, size=6)
SHARES = np.exp(X[::-1]) / np.exp(X[::-1]).sum(axis=1, keepdims=True)
LABELS = (RANDOM.random((6, 4)) < 0.5).astype(float)
COUNTS = RANDOM.integers(0, 6, size=(6, 4)).astype(float)


def torch_focal(f, p, t, gamma, alpha):
    """The printed formula, by the cross entropy of torch."""
    entropy = f.binary_cross_entropy_with_logits(p, t, reduction="none")
    wrong = 1 - (-entropy).exp()
    return ((alpha * t + (1 - alpha) * (1 - t)) * wrong**gamma * entropy).mean(1)


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
    "half_squared_error": (
        losses.half_squared_error,
        LABELS,
        lambda f, p, t: f.mse_loss(p, t, reduction="none").mean(1) / 2,
    ),
    "sum_of_squares": (losses.sum_of_squares, LABELS, lambda f, p, t: f.mse_loss(p, t, reduction="none").sum(1)),
    "huber": (
        partial(losses.huber, delta=1.5),
        LABELS,
        lambda f, p, t: f.huber_loss(p, t, reduction="none", delta=1.5).mean(1),
    ),
    "log_cosh": (losses.log_cosh, LABELS, lambda f, p, t: (p - t).cosh().log().mean(1)),
    "cosine": (losses.cosine, SHARES, lambda f, p, t: 1 - f.cosine_similarity(p, t, dim=1)),
    "kl_divergence": (
        losses.kl_divergence,
        SHARES,
        lambda f, p, t: f.kl_div(f.log_softmax(p, 1), t, reduction="none").sum(1),
    ),
    "label smoothing": (
        partial(losses.softmax_cross_entropy, label_smoothing=0.1),
        IDS,
        lambda f, p, t: f.cross_entropy(p, t, reduction="none", label_smoothing=0.1),
    ),
    "label smoothing of shares": (
        partial(losses.categorical, label_smoothing=0.1),
        SHARES,
        lambda f, p, t: f.cross_entropy(p, t, reduction="none", label_smoothing=0.1),
    ),
    "focal": (
        partial(losses.focal, gamma=2.0, alpha=0.25),
        LABELS,
        lambda f, p, t: torch_focal(f, p, t, 2.0, 0.25),
    ),
    "hinge": (losses.hinge, LABELS, lambda f, p, t: f.relu(1 - (2 * t - 1) * p).mean(1)),
    "gaussian_nll": (
        partial(losses.gaussian_nll, variance=0.7),
        LABELS,
        lambda f, p, t: f.gaussian_nll_loss(p, t, t.new_full(t.shape, 0.7), full=True, reduction="none").mean(1),
    ),
    "gaussian_nll of a predicted variance": (
        lambda p, t: losses.gaussian_nll((p[:, :2], p[:, 2:]), t),
        LABELS[:, :2],
        lambda f, p, t: f.gaussian_nll_loss(p[:, :2], t, p[:, 2:].exp(), full=True, reduction="none").mean(1),
    ),
    "poisson_nll": (
        losses.poisson_nll,
        COUNTS,
        lambda f, p, t: (f.poisson_nll_loss(p, t, log_input=True, reduction="none") + (t + 1).lgamma()).mean(1),
    ),
}
BY_DISTRIBUTION = {
    "gaussian_nll": (partial(losses.gaussian_nll, variance=0.49), lambda d, p: d.Normal(p, 0.7), LABELS),
    "laplace_nll": (partial(losses.laplace_nll, scale=0.7), lambda d, p: d.Laplace(p, 0.7), LABELS),
    "poisson_nll": (losses.poisson_nll, lambda d, p: d.Poisson(p.exp()), COUNTS),
    "categorical": (losses.categorical, lambda d, p: d.Categorical(logits=p), IDS),
    "bernoulli": (losses.sigmoid_binary_cross_entropy, lambda d, p: d.Bernoulli(logits=p), LABELS),
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
@pytest.mark.parametrize("name", BY_DISTRIBUTION)
def test_a_likelihood_agrees_with_the_distribution_of_torch(name, dtype, tolerance, torch, record_property):
    loss, distribution, targets = BY_DISTRIBUTION[name]
    y = targets if targets.dtype.kind == "i" else targets.astype(dtype)

    def reference(p):
        values = -distribution(torch.distributions, p).log_prob(torch.tensor(y))
        return values if values.ndim == 1 else values.mean(1)

    with jax.enable_x64(dtype == "float64"):
        compare(torch, lambda p: loss(p, jnp.asarray(y)), reference, [X], tolerance, dtype, record_property)


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
