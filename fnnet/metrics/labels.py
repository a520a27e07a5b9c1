"""Class ids and labels as one thing: which classes are true of an example, and which a model chooses."""

from __future__ import annotations

import math

import jax.numpy as jnp

from fnnet.errors import ShapeError
from fnnet.trees import wide
from fnnet.types import Array


def are_labels(where: str, predictions: Array, targets: Array) -> bool:
    """Whether targets are labels, yes or no, of the predictions' shape; else they are class ids.

    Raises:
        ShapeError: they are neither.
    """
    if targets.shape == predictions.shape and targets.ndim in (1, 2):
        return True
    if (
        targets.shape == predictions.shape[:-1]
        and targets.ndim >= 1
        and predictions.shape[-1] > 1
        and jnp.issubdtype(targets.dtype, jnp.integer)
    ):
        return False
    raise ShapeError(
        where,
        f"predictions have shape {predictions.shape} and targets {targets.dtype}{targets.shape}; targets are class "
        f"ids, integers of shape {predictions.shape[:-1]} for more than one logit, or labels 0 and 1 of the "
        f"predictions' shape, (batch,) or (batch, labels). Cast ids with y.astype(int), or drop a last axis of "
        f"length 1 with y[..., 0].",
    )


def one_hot(targets: Array, classes: int) -> Array:
    """Which class an id names: booleans with an axis of classes at the end."""
    if targets.dtype.itemsize < 4:
        targets = targets.astype(jnp.int32)  # 300 classes do not fit a uint8
    return targets[..., None] == jnp.arange(classes, dtype=targets.dtype).reshape((1,) * targets.ndim + (-1,))


def true_classes(where: str, predictions: Array, targets: Array) -> Array:
    """Which classes are true: booleans (batch, positions, classes), where pixels are positions."""
    if are_labels(where, predictions, targets):
        true, positions = targets.astype(wide(predictions.dtype)) > 0.5, 1
    else:
        true, positions = one_hot(targets, predictions.shape[-1]), math.prod(targets.shape[1:])
    return true.reshape(true.shape[0], positions, true.shape[-1] if true.ndim > 1 else 1)


def chosen_classes(where: str, predictions: Array, targets: Array) -> Array:
    """Which classes a model chooses, of the shape of `true_classes`: the largest logit, or the labels above 0."""
    if are_labels(where, predictions, targets):
        chosen, positions = predictions > 0, 1
    else:
        chosen = one_hot(jnp.argmax(predictions, axis=-1), predictions.shape[-1])
        positions = math.prod(targets.shape[1:])
    return chosen.reshape(chosen.shape[0], positions, chosen.shape[-1] if chosen.ndim > 1 else 1)
