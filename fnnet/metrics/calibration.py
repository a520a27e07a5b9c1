"""Metrics of probabilities: whether a model is as sure as it is right."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from fnnet import losses
from fnnet.errors import check_size
from fnnet.metrics.base import Metric, averaged, metric, ratio
from fnnet.metrics.labels import are_labels, chosen_classes, true_classes
from fnnet.recipes import recipe
from fnnet.trees import wide
from fnnet.types import Array, PyTree


@metric(lambda f: averaged(f, higher_is_better=False))
def log_loss(predictions: Array, targets: Array) -> Array:
    """Mean negative logarithm of the probability that a model gives to what is true, in nats.

    Args:
        predictions: logits (batch, …, classes), or logits of labels (batch,) or (batch, labels).
        targets: class ids (batch, …), or labels 0 and 1 of the predictions' shape, whose mean is taken. For
            distributions use `losses.softmax_cross_entropy` as the metric.
        weights: (batch,) or None.

    Returns:
        Scalar ≥ 0.

    Raises:
        ShapeError: the shapes do not fit.

    Same as scikit-learn's ``log_loss`` of the probabilities.

    >>> import jax.numpy as jnp
    >>> print(log_loss(jnp.array([[0.0, 0.0]]), jnp.array([1])).round(4))
    0.6931
    """
    if are_labels("log_loss", predictions, targets):
        return losses.sigmoid_binary_cross_entropy(predictions, targets)
    return losses.softmax_cross_entropy(predictions, targets)


@recipe
def expected_calibration_error(bins: int = 15) -> Callable[..., Array]:
    """Expected calibration error: how far confidence and accuracy are apart.

    ECE = Σ_b |Σ_{i in b} wᵢ (rightᵢ − confidenceᵢ)| / Σ wᵢ

    over bins ((b−1)/B, b/B] of the confidence, which is the probability of the chosen class; right is 1 or 0.

    Args:
        bins: B, how many; part of the program, so it cannot be traced.

    Returns:
        Metric of logits (batch, …, classes) and class ids (batch, …), or of logits and labels 0 and 1 of one shape,
        (batch,) or (batch, labels); a scalar in [0, 1].

    Raises:
        HyperparameterError: ``bins`` is no positive integer.
        ShapeError: when called, if the shapes do not fit.

    Source: Naeini et al., 2015; Guo et al., 2017.

    >>> import jax.numpy as jnp
    >>> print(expected_calibration_error(10)(jnp.array([0.0, 0.0, 0.0, 0.0]), jnp.array([1, 1, 1, 0])))
    0.25
    """
    where = "expected_calibration_error"
    check_size(where, "bins", bins)

    def compute(sums: PyTree) -> Array:
        return ratio(jnp.abs(sums["gap"]).sum(), sums["weight"])

    @metric(lambda f: Metric(f, compute, higher_is_better=False))
    def calibration_error(predictions: Array, targets: Array, weights: Array) -> PyTree:
        dtype = wide(predictions.dtype)
        true, chosen = true_classes(where, predictions, targets), chosen_classes(where, predictions, targets)
        if are_labels(where, predictions, targets):
            right = true == chosen
            confidence = jax.nn.sigmoid(jnp.abs(predictions.astype(dtype)))
        else:
            right = (true & chosen).any(axis=-1)
            confidence = jax.nn.softmax(predictions.astype(dtype), axis=-1).max(axis=-1)
        w = weights.astype(dtype)[:, None]
        flat = (predictions.shape[0], math.prod(right.shape[1:]))
        right, confidence = right.reshape(flat).astype(dtype), confidence.reshape(flat)
        gap = jnp.where(w == 0, 0, w * (right - confidence))
        bin_ = jnp.clip(jnp.ceil(confidence * bins) - 1, 0, bins - 1)
        inside = bin_[..., None] == jnp.arange(bins, dtype=dtype).reshape(1, 1, bins)
        return {
            "gap": jnp.sum(jnp.where(inside, gap[..., None], 0), axis=(0, 1)),
            "weight": w.sum() * flat[1],
        }

    return calibration_error
