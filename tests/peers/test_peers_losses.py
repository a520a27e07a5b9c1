"""Losses against torch, forward and backward."""

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
