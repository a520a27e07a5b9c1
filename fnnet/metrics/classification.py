"""Metrics of decisions: how often, and for which classes, the chosen one is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from fnnet.errors import HyperparameterError, ShapeError, check_size
from fnnet.losses.base import require_equal_shapes
from fnnet.metrics.base import Metric, averaged, mean_where, metric, ratio
from fnnet.metrics.labels import are_labels, chosen_classes, one_hot, true_classes
from fnnet.recipes import recipe
from fnnet.trees import safe_divide, wide
from fnnet.types import Array, PyTree


@metric(lambda f: averaged(f, higher_is_better=True))
def accuracy(predictions: Array, targets: Array) -> Array:
    """Share of examples whose largest output is the right class.

    Args:
        predictions: logits or probabilities (batch, …, classes).
        targets: class ids (batch, …), or distributions of the predictions' shape.
        weights: (batch,) or None.

    Returns:
        Scalar in [0, 1]; axes between batch and classes are averaged.

    Raises:
        ShapeError: the shapes do not fit.

    >>> import jax.numpy as jnp
    >>> float(accuracy(jnp.array([[0.1, 0.9], [0.8, 0.2]]), jnp.array([1, 1])))
    0.5
    """
    if targets.shape == predictions.shape and targets.shape[-1] > 1 and not jnp.issubdtype(targets.dtype, jnp.integer):
        targets = jnp.argmax(targets, axis=-1)
    if targets.shape != predictions.shape[:-1] or predictions.shape[-1] == 1:
        raise ShapeError(
            "accuracy",
            f"predictions have shape {predictions.shape} and targets {targets.shape}; targets are class ids of "
            f"shape {predictions.shape[:-1]}. For logits of yes-or-no labels use metrics.binary_accuracy.",
        )
    chosen = jnp.argmax(predictions, axis=-1)
    right = (chosen == targets.astype(chosen.dtype)).astype(wide(predictions.dtype))
    return right.mean(axis=tuple(range(1, right.ndim)))


@metric(lambda f: averaged(f, higher_is_better=True))
def binary_accuracy(predictions: Array, targets: Array) -> Array:
    """Share of labels whose logit has the right sign.

    Args:
        predictions: logits (batch, …).
        targets: labels 0 or 1 of the same shape.
        weights: (batch,) or None.

    Returns:
        Scalar in [0, 1].

    Raises:
        ShapeError: the shapes differ.

    >>> import jax.numpy as jnp
    >>> float(binary_accuracy(jnp.array([-2.0, 3.0]), jnp.array([0, 0])))
    0.5
    """
    require_equal_shapes("binary_accuracy", predictions, targets)
    right = ((predictions > 0) == (targets.astype(wide(predictions.dtype)) > 0.5)).astype(wide(predictions.dtype))
    return right.mean(axis=tuple(range(1, right.ndim)))


@recipe
def top_k_accuracy(k: int) -> Callable[..., Array]:
    """Share of examples whose class is among the k largest outputs.

    Of equal outputs the first classes count as the larger ones, as in `accuracy`, which is the case k = 1.

    Args:
        k: how many, at most as many as classes; it is part of the program and cannot be traced.

    Returns:
        Metric of logits or probabilities (batch, …, classes) and class ids (batch, …).

    Raises:
        HyperparameterError: ``k`` is no positive integer; when called, if there are fewer classes.
        ShapeError: when called, if the shapes do not fit.

    >>> import jax.numpy as jnp
    >>> float(top_k_accuracy(2)(jnp.array([[0.1, 0.9, 0.5], [0.8, 0.2, 0.3]]), jnp.array([2, 1])))
    0.5
    """
    where = "top_k_accuracy"
    check_size(where, "k", k)

    def top_k(predictions: Array, targets: Array) -> Array:
        if are_labels(where, predictions, targets):
            raise ShapeError(
                where,
                f"predictions and targets have shape {targets.shape}, but targets are class ids of shape "
                f"{predictions.shape[:-1]}.",
            )
        classes = predictions.shape[-1]
        if k > classes:
            raise HyperparameterError(where, f"k is {k}, but there are {classes} classes to choose from.")
        true = one_hot(targets, classes)
        mine = jnp.where(true, predictions, 0).sum(axis=-1, keepdims=True)
        index = jnp.arange(classes, dtype=jnp.int32).reshape((1,) * targets.ndim + (-1,))
        earlier = index < targets.astype(jnp.int32)[..., None]
        # Not "larger" but "not at most", so that NaN is never right.
        ahead = ~(predictions <= mine) | ((predictions == mine) & earlier)
        right = (true.any(axis=-1) & (ahead.sum(axis=-1) < k)).astype(wide(predictions.dtype))
        return right.mean(axis=tuple(range(1, right.ndim)))

    return metric(lambda f: averaged(f, higher_is_better=True))(top_k)


def _counter(predictions: Array, weights: Array) -> Callable[[Array], Array]:
    """Function from booleans (batch, positions, classes) to the weight, for each class, of those that are true."""
    dtype = wide(predictions.dtype)
    w = weights.astype(dtype)[:, None, None]
    return lambda those: jnp.sum(w * those.astype(dtype), axis=(0, 1))


def _recalls(function: Callable[..., Any]) -> Metric:
    """Arrays (answers, questions): the weight of the examples of each answer, and of those that are recognised.

    Class ids answer one question, and each label is one of its own, to be answered by yes or no.
    """
    where = "balanced_accuracy"

    def sums(predictions: Array, targets: Array, weights: Array) -> PyTree:
        true, chosen = true_classes(where, predictions, targets), chosen_classes(where, predictions, targets)
        count = _counter(predictions, weights)
        if are_labels(where, predictions, targets):
            return {
                "right": jnp.stack([count(true & chosen), count(~true & ~chosen)]),
                "weight": jnp.stack([count(true), count(~true)]),
            }
        return {"right": count(true & chosen)[:, None], "weight": count(true)[:, None]}

    return Metric(sums, lambda s: function(s["right"], s["weight"]), higher_is_better=True)


@metric(_recalls)
def balanced_accuracy(right: Array, weight: Array) -> Array:
    """Mean over the classes of the share of their examples that are recognised (the recall).

    Args:
        predictions: logits (batch, …, classes), or logits of labels (batch,) or (batch, labels).
        targets: class ids (batch, …), or labels 0 and 1 of the predictions' shape.
        weights: (batch,) or None.

    Returns:
        Scalar in [0, 1]: the mean over classes that occur; for labels over yes and no, then over the labels.

    Raises:
        ShapeError: the shapes do not fit.

    Same as scikit-learn's ``balanced_accuracy_score``.

    >>> import jax.numpy as jnp
    >>> float(balanced_accuracy(jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([1, 1, 1, 0])))
    0.5
    """
    occurs = weight > 0
    balanced = mean_where(occurs, ratio(right, weight), axis=0)
    return mean_where(occurs.any(axis=0), balanced)


def _confusion(function: Callable[..., Any]) -> Metric:
    """For each class the weight of the examples that are rightly, wrongly and not chosen for it."""
    where = function.__name__

    def sums(predictions: Array, targets: Array, weights: Array) -> PyTree:
        true, chosen = true_classes(where, predictions, targets), chosen_classes(where, predictions, targets)
        count = _counter(predictions, weights)
        return {"right": count(true & chosen), "wrong": count(~true & chosen), "missed": count(true & ~chosen)}

    def compute(sums: PyTree) -> Array:
        present = sums["right"] + sums["wrong"] + sums["missed"] > 0
        return mean_where(present, function(**sums))

    return Metric(sums, compute, higher_is_better=True)


@metric(_confusion)
def precision(right: Array, wrong: Array, missed: Array) -> Array:
    """Share of the examples chosen for a class that are of it, averaged over the classes.

    Args:
        predictions: logits (batch, …, classes), or logits of labels (batch,) or (batch, labels).
        targets: class ids (batch, …), or labels 0 and 1 of the predictions' shape.
        weights: (batch,) or None.

    Returns:
        Scalar in [0, 1]: for one label that of yes alone, else the mean over classes or labels, without those that
        neither occur nor are chosen (NaN if no other is left). A class that occurs and is never chosen counts 0.

    Raises:
        ShapeError: the shapes do not fit.

    Same as scikit-learn's ``precision_score``: for one label with ``average="binary"``, for class ids with
    ``average="macro"``, both with ``zero_division=0``.

    >>> import jax.numpy as jnp
    >>> float(precision(jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([1, 1, 0, 0])))
    0.5
    """
    return safe_divide(right, right + wrong)


@metric(_confusion)
def recall(right: Array, wrong: Array, missed: Array) -> Array:
    """Share of the examples of a class that are chosen for it, averaged over the classes (sensitivity).

    Args:
        predictions: logits (batch, …, classes), or logits of labels (batch,) or (batch, labels).
        targets: class ids (batch, …), or labels 0 and 1 of the predictions' shape.
        weights: (batch,) or None.

    Returns:
        Scalar in [0, 1], averaged as `precision` is. A class that is chosen and never occurs counts 0.

    Raises:
        ShapeError: the shapes do not fit.

    Same as scikit-learn's ``recall_score`` with the arguments named at `precision`.

    >>> import jax.numpy as jnp
    >>> float(recall(jnp.array([1.0, -1.0]), jnp.array([1, 1])))
    0.5
    """
    return safe_divide(right, right + missed)


@metric(_confusion)
def f1(right: Array, wrong: Array, missed: Array) -> Array:
    """Harmonic mean of the precision and the recall of a class, averaged over the classes.

    F₁ = 2 · precision · recall / (precision + recall) = 2 right / (2 right + wrong + missed)

    Args:
        predictions: logits (batch, …, classes), or logits of labels (batch,) or (batch, labels).
        targets: class ids (batch, …), or labels 0 and 1 of the predictions' shape.
        weights: (batch,) or None.

    Returns:
        Scalar in [0, 1], averaged as `precision` is.

    Raises:
        ShapeError: the shapes do not fit.

    Same as scikit-learn's ``f1_score`` with the arguments named at `precision`.

    >>> import jax.numpy as jnp
    >>> float(f1(jnp.array([1.0, 2.0, -1.0]), jnp.array([1, 0, 1])))
    0.5
    """
    return safe_divide(2 * right, 2 * right + wrong + missed)
