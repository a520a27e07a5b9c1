"""Losses ``loss(predictions, targets, *, weights=None) -> (batch,)``: one value an example.

Training takes their weighted mean. Shapes have to agree exactly, since ``(N, 1)`` against ``(N,)`` would
broadcast to N² differences and train something else in silence. Values are computed in at least float32.

``weights`` has the shape of the leading axes of the element-wise values: ``(batch,)`` weighs examples, and
``(batch, height, width)`` the pixels of a segmentation. An element of weight 0 counts nothing, whatever its
value. The value of an example is the mean of its elements, each times its weight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, ShapeError
from fnnet.trees import wide
from fnnet.types import Array, Float

Loss = TypeVar("Loss", bound=Callable[..., Any])


def _loss(check: Callable[[tuple[int, ...], Any], None] | None = None) -> Callable[[Loss], Loss]:
    """Marks a loss: less is better, and ``check`` looks at concrete targets before anything is compiled."""

    def mark(function: Loss) -> Loss:
        function.higher_is_better = False  # type: ignore[attr-defined]
        function.check_targets = check  # type: ignore[attr-defined]
        return function

    return mark


def require_equal_shapes(where: str, predictions: Array, targets: Array) -> None:
    """Raises a `ShapeError` that says what broadcasting would have done and how to mend it."""
    if predictions.shape == targets.shape:
        return
    p, t = predictions.shape, targets.shape
    try:
        problem = f"they would broadcast to {np.broadcast_shapes(p, t)}"
    except ValueError:
        problem = "they do not fit together"
    if p[:-1] == t and p[-1:] == (1,):
        fix = "Reshape the targets with y[:, None] or end the model with nn.squeeze."
    elif t[:-1] == p and t[-1:] == (1,):
        fix = "Reshape the targets with y[:, 0]."
    elif len(p) == len(t) and p[:-1] == t[:-1]:
        fix = f"End the model with {t[-1]} outputs, one a target."
    else:
        fix = "Give the model one output a target."
    raise ShapeError(where, f"predictions have shape {p} and targets {t}; {problem}. {fix}")


def _counted(weights: Any, *arrays: Array) -> tuple[Array, ...]:
    """Zeros where the weight is 0: a NaN there would pass 0 · NaN into the gradient, though not the value."""
    if weights is None:
        return arrays
    counts = jnp.asarray(weights) != 0

    def choose(x: Array) -> Array:
        if counts.shape != x.shape[: counts.ndim]:  # a mistake; `_per_example` says which
            return x
        return jnp.where(counts.reshape(counts.shape + (1,) * (x.ndim - counts.ndim)), x, jnp.zeros_like(x))

    return tuple(choose(x) for x in arrays)


def _per_example(where: str, values: Array, weights: Any) -> Array:
    """The mean over all axes but the first of values times weights."""
    if values.ndim == 0:
        raise ShapeError(where, "predictions are a single number; there has to be a batch axis. Use x[None].")
    if weights is not None:
        weights = jnp.asarray(weights)
        if weights.ndim == 0 or weights.shape != values.shape[: weights.ndim]:
            raise ShapeError(
                where,
                f"weights have shape {weights.shape}, but the values have shape {values.shape}: "
                f"weights have to have its leading axes, {values.shape[:1]} for one weight an example.",
            )
        weights = weights.astype(values.dtype).reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
        values = values * weights
    return values.mean(axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values


@_loss()
def squared_error(
    predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Squared error, whose mean over examples is the MSE (L2 loss).

    ℓ(f, y) = (f − y)², averaged over the outputs of an example.

    Args:
        predictions: (batch, …) floats.
        targets: numbers of exactly the same shape.
        weights: see the module.

    Returns:
        (batch,) values ≥ 0.

    Raises:
        ShapeError: the shapes differ.

    Source: lecture 000, "Loss functions"; lecture 003.

    >>> import jax.numpy as jnp
    >>> squared_error(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [2.5]
    """
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    require_equal_shapes("squared_error", predictions, targets)
    predictions, targets = _counted(weights, predictions, targets)
    dtype = wide(predictions.dtype)
    return _per_example("squared_error", jnp.square(predictions.astype(dtype) - targets.astype(dtype)), weights)


@_loss()
def absolute_error(
    predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Absolute error, whose mean over examples is the MAE (L1 loss).

    ℓ(f, y) = |f − y|, averaged over the outputs of an example.

    Args:
        predictions: (batch, …) floats.
        targets: numbers of exactly the same shape.
        weights: see the module.

    Returns:
        (batch,) values ≥ 0.

    Raises:
        ShapeError: the shapes differ.

    Source: lecture 000, "Loss functions"; lecture 001.

    >>> import jax.numpy as jnp
    >>> absolute_error(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [1.5]
    """
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    require_equal_shapes("absolute_error", predictions, targets)
    predictions, targets = _counted(weights, predictions, targets)
    dtype = wide(predictions.dtype)
    difference = predictions.astype(dtype) - targets.astype(dtype)
    # |d| as d · sign d, whose derivative at 0 is 0; that of jnp.abs is 1.
    return _per_example("absolute_error", difference * jnp.sign(difference), weights)


def _first_row(wrong: np.ndarray) -> str:
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    return f"{len(rows)} example{'s' if len(rows) != 1 else ''}, first at row {rows[0]}"


def _check_labels(shape: tuple[int, ...], targets: Any) -> None:
    """Raises if concrete labels are not between 0 and 1."""
    targets = np.asarray(targets)
    wrong = (targets < 0) | (targets > 1)
    if wrong.any():
        raise DataError(
            "sigmoid_binary_cross_entropy",
            f"targets contain {targets[wrong][0]}, but labels lie between 0 and 1: {_first_row(wrong)}. For more than "
            f"two classes use losses.softmax_cross_entropy, for numbers losses.squared_error.",
        )


def _check_classes(shape: tuple[int, ...], targets: Any) -> None:
    """Raises if concrete class ids do not all name one of the outputs, or distributions are none."""
    targets = np.asarray(targets)
    classes = shape[-1]
    if classes == 1:
        raise DataError(
            "softmax_cross_entropy",
            "the model has one output, whose softmax is always 1. Give it one output a class, or use "
            "losses.sigmoid_binary_cross_entropy.",
        )
    if not np.issubdtype(targets.dtype, np.integer) or targets.shape == shape:
        wrong = (targets < 0).any(axis=-1) | (abs(targets.sum(axis=-1, dtype=np.float64) - 1) > 1e-3)
        if wrong.any():
            raise DataError(
                "softmax_cross_entropy",
                f"targets are floats, but not distributions, which are not negative and sum to 1: {_first_row(wrong)}. "
                f"Pass class ids as integers, or use losses.squared_error for numbers.",
            )
        return
    wrong = (targets < 0) | (targets >= classes)
    if wrong.any():
        value = targets[wrong].max() if (targets[wrong] >= classes).any() else targets[wrong].min()
        raise DataError(
            "softmax_cross_entropy",
            f"targets contain class {value} but the model has {classes} outputs (classes 0 to {classes - 1}): "
            f"{_first_row(wrong)}.",
        )


@_loss(check=_check_classes)
def softmax_cross_entropy(
    predictions: Float[Array, "batch ... classes"], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Softmax cross entropy, from logits.

    ℓ(f, y) = −Σ_c y_c log softmax(f)_c = log Σ_c exp f_c − Σ_c y_c f_c   (for Σ_c y_c = 1)

    computed from the logits, so that it is finite where the lecture's −log ŷ is not. Its derivative with
    respect to the logits is softmax(f) − y. Axes between the batch and the classes (pixels) are averaged.

    Args:
        predictions: logits (batch, …, classes).
        targets: class ids, integers (batch, …) in 0 … classes−1, or distributions of the predictions' shape.
            Ids out of range are an error in `fnnet.fit` and `fnnet.sweep`, which see them before compiling;
            here, where they may be traced, they count like an example without a class.
        weights: see the module.

    Returns:
        (batch,) values ≥ 0.

    Raises:
        ShapeError: targets are neither ids nor distributions for these predictions.

    Source: lecture 000, "Loss functions"; lecture 003; lecture 001 (pixel-wise).

    >>> import jax.numpy as jnp
    >>> print(softmax_cross_entropy(jnp.array([[0.0, 0.0]]), jnp.array([1])).round(4))
    [0.6931]
    """
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    predictions, targets = _counted(weights, predictions, targets)
    log_probabilities = jax.nn.log_softmax(predictions.astype(wide(predictions.dtype)), axis=-1)
    if targets.shape == predictions.shape and jnp.issubdtype(targets.dtype, jnp.floating):
        y = targets.astype(log_probabilities.dtype)
        terms = jnp.where(y == 0, 0, y * log_probabilities)  # 0·log 0 = 0
    elif targets.shape == predictions.shape[:-1] and jnp.issubdtype(targets.dtype, jnp.integer):
        # A choice by comparison: on CPUs the gradient of a gather is a scatter, one element after the other.
        if targets.dtype.itemsize < 4:
            targets = targets.astype(jnp.int32)  # 300 classes do not fit a uint8
        classes = jnp.arange(predictions.shape[-1], dtype=targets.dtype)
        classes = classes.reshape((1,) * targets.ndim + (-1,))
        terms = jnp.where(targets[..., None] == classes, log_probabilities, 0)
    else:
        raise ShapeError(
            "softmax_cross_entropy",
            f"predictions have shape {predictions.shape} and targets {targets.dtype}{targets.shape}; targets are "
            f"class ids, integers of shape {predictions.shape[:-1]}, or distributions, floats of shape "
            f"{predictions.shape}. Cast ids with y.astype(int) and distributions with y.astype(float), or drop a last "
            f"axis of length 1 with y[..., 0].",
        )
    return _per_example("softmax_cross_entropy", -terms.sum(axis=-1), weights)


@_loss(check=_check_labels)
def sigmoid_binary_cross_entropy(
    predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Binary cross entropy of independent labels, from logits.

    ℓ(z, y) = −y log σ(z) − (1 − y) log(1 − σ(z)) = softplus(z) − y·z, averaged over the labels of an example.

    Its derivative with respect to the logit is σ(z) − y.

    Args:
        predictions: logits (batch, …).
        targets: labels or probabilities in [0, 1] of exactly the same shape.
        weights: see the module.

    Returns:
        (batch,) values ≥ 0.

    Raises:
        ShapeError: the shapes differ.

    Source: lecture 000, "Loss functions"; lecture 003 (whose second term lacks the 1 −).

    >>> import jax.numpy as jnp
    >>> print(sigmoid_binary_cross_entropy(jnp.array([0.0, 100.0]), jnp.array([1, 1])).round(4))
    [0.6931 0.    ]
    """
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    require_equal_shapes("sigmoid_binary_cross_entropy", predictions, targets)
    predictions, targets = _counted(weights, predictions, targets)
    z = predictions.astype(wide(predictions.dtype))
    values = jax.nn.softplus(z) - targets.astype(z.dtype) * z
    return _per_example("sigmoid_binary_cross_entropy", values, weights)


__all__ = ["absolute_error", "sigmoid_binary_cross_entropy", "softmax_cross_entropy", "squared_error"]
