"""Losses of classes that exclude each other, from one logit a class."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, ShapeError
from fnnet.losses.base import SHARE, counted, loss, per_example, rows_of
from fnnet.trees import wide
from fnnet.types import Array, Float, Scalar


def _check_distributions(where: str, targets: np.ndarray) -> None:
    """Raises if concrete floats along the last axis are negative or do not sum to 1."""
    wrong = (targets < 0).any(axis=-1) | (abs(targets.sum(axis=-1, dtype=np.float64) - 1) > 1e-3)
    if wrong.any():
        raise DataError(
            where,
            f"targets are floats, but not distributions, which are not negative and sum to 1: {rows_of(wrong)}. "
            f"Pass class ids as integers, or use losses.squared_error for numbers.",
        )


def _check_outputs(where: str, shape: tuple[int, ...]) -> None:
    if shape[-1] == 1:
        raise DataError(
            where,
            "the model has one output, whose softmax is always 1. Give it one output a class, or use "
            "losses.sigmoid_binary_cross_entropy.",
        )


def _check_classes(shape: tuple[int, ...], targets: Any) -> None:
    """Raises if concrete class ids do not all name one of the outputs, or distributions are none."""
    where, targets, classes = "softmax_cross_entropy", np.asarray(targets), shape[-1]
    _check_outputs(where, shape)
    if not np.issubdtype(targets.dtype, np.integer) or targets.shape == shape:
        _check_distributions(where, targets)
        return
    wrong = (targets < 0) | (targets >= classes)
    if wrong.any():
        value = targets[wrong].max() if (targets[wrong] >= classes).any() else targets[wrong].min()
        raise DataError(
            where,
            f"targets contain class {value} but the model has {classes} outputs (classes 0 to {classes - 1}): "
            f"{rows_of(wrong)}.",
        )


def _check_shares(shape: tuple[int, ...], targets: Any) -> None:
    _check_outputs("kl_divergence", shape)
    _check_distributions("kl_divergence", np.asarray(targets))


def _log_probabilities(predictions: Array) -> Array:
    return jax.nn.log_softmax(predictions.astype(wide(predictions.dtype)), axis=-1)


@loss(check=_check_classes, label_smoothing=SHARE)
def softmax_cross_entropy(
    predictions: Float[Array, "batch ... classes"],
    targets: Any,
    *,
    label_smoothing: Scalar = 0.0,
    weights: Any = None,
) -> Float[Array, " batch"]:
    """Softmax cross entropy, from logits.

    ℓ(f, y) = −Σ_c y_c log softmax(f)_c = log Σ_c exp f_c − Σ_c y_c f_c   (for Σ_c y_c = 1)

    computed from the logits, so that it is finite where the lecture's −log ŷ is not. Its derivative with
    respect to the logits is softmax(f) − y. Axes between the batch and the classes (pixels) are averaged.
    Label smoothing s puts (1 − s) y_c + s / classes in the place of y_c.

    Args:
        predictions: logits (batch, …, classes).
        targets: class ids, integers (batch, …) in 0 … classes−1, or distributions of the predictions' shape.
            Ids out of range are an error in `fnnet.fit` and `fnnet.sweep`, which see them before compiling;
            here, where they may be traced, they count like an example without a class.
        label_smoothing: s in [0, 1]; bind it with ``partial(losses.softmax_cross_entropy, label_smoothing=0.1)``.
        weights: (batch,) or more leading axes, such as pixels; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0: the negative log-likelihood of a categorical distribution.

    Raises:
        ShapeError: targets are neither ids nor distributions for these predictions.
        HyperparameterError: ``label_smoothing`` is not in [0, 1].

    Source: lecture 000, "Loss functions"; lecture 003; lecture 001 (pixel-wise). Label smoothing: Szegedy et al., 2016.

    >>> import jax.numpy as jnp
    >>> print(softmax_cross_entropy(jnp.array([[0.0, 0.0]]), jnp.array([1])).round(4))
    [0.6931]
    """
    where = "softmax_cross_entropy"
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    predictions, targets = counted(weights, predictions, targets)
    log_probabilities = _log_probabilities(predictions)
    dtype = log_probabilities.dtype
    if targets.shape == predictions.shape and jnp.issubdtype(targets.dtype, jnp.floating):
        y = targets.astype(dtype)
        terms = jnp.where(y == 0, 0, y * log_probabilities)  # 0·log 0 = 0
        total = y.sum(axis=-1)
    elif targets.shape == predictions.shape[:-1] and jnp.issubdtype(targets.dtype, jnp.integer):
        # A choice by comparison: on CPUs the gradient of a gather is a scatter, one element after the other.
        if targets.dtype.itemsize < 4:
            targets = targets.astype(jnp.int32)  # 300 classes do not fit a uint8
        classes = jnp.arange(predictions.shape[-1], dtype=targets.dtype)
        chosen = targets[..., None] == classes.reshape((1,) * targets.ndim + (-1,))
        terms = jnp.where(chosen, log_probabilities, 0)
        total = chosen.any(axis=-1).astype(dtype)
    else:
        raise ShapeError(
            where,
            f"predictions have shape {predictions.shape} and targets {targets.dtype}{targets.shape}; targets are "
            f"class ids, integers of shape {predictions.shape[:-1]}, or distributions, floats of shape "
            f"{predictions.shape}. Cast ids with y.astype(int) and distributions with y.astype(float), or drop a last "
            f"axis of length 1 with y[..., 0].",
        )
    values = -terms.sum(axis=-1)
    if not (isinstance(label_smoothing, float | int) and label_smoothing == 0):
        s = jnp.asarray(label_smoothing, dtype)
        values = (1 - s) * values - s * total * log_probabilities.mean(axis=-1)
    return per_example(where, values, weights)


@loss(check=_check_shares)
def kl_divergence(
    predictions: Float[Array, "batch ... classes"], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Kullback-Leibler divergence of the softmax of logits from target distributions.

    ℓ(f, y) = KL(y ‖ softmax f) = Σ_c y_c (log y_c − log softmax(f)_c) = cross entropy − entropy of y

    Its derivative with respect to the logits is that of the cross entropy, softmax(f) − y. Log-probabilities are
    logits too: their softmax gives the probabilities back. 0·log 0 = 0.

    Args:
        predictions: logits or log-probabilities (batch, …, classes).
        targets: distributions, floats of exactly the same shape.
        weights: (batch,) or more leading axes without the last; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0 up to rounding, in nats; 0 where the distributions are equal.

    Raises:
        ShapeError: targets are no floats of the predictions' shape.

    Source: lecture 001 (information theory).

    >>> import jax.numpy as jnp
    >>> print(kl_divergence(jnp.array([[0.0, 0.0]]), jnp.array([[1.0, 0.0]])).round(4))
    [0.6931]
    """
    where = "kl_divergence"
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    if targets.shape != predictions.shape or not jnp.issubdtype(targets.dtype, jnp.floating):
        raise ShapeError(
            where,
            f"predictions have shape {predictions.shape} and targets {targets.dtype}{targets.shape}; targets are "
            f"distributions, floats of the predictions' shape. For class ids use losses.softmax_cross_entropy.",
        )
    predictions, targets = counted(weights, predictions, targets)
    log_probabilities = _log_probabilities(predictions)
    y = targets.astype(log_probabilities.dtype)
    none = y == 0
    values = jnp.where(none, 0, y * (jnp.log(jnp.where(none, 1, y)) - log_probabilities))
    return per_example(where, values.sum(axis=-1), weights)
