"""Losses of labels that do not exclude each other, yes or no, from one logit a label."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError
from fnnet.losses.base import NOT_NEGATIVE, SHARE, loss, paired, per_example, rows_of
from fnnet.types import Array, Float, Scalar


def _check_labels(where: str) -> Any:
    """Raises if concrete labels are not between 0 and 1."""

    def check(shape: tuple[int, ...], targets: Any) -> None:
        targets = np.asarray(targets)
        wrong = (targets < 0) | (targets > 1)
        if wrong.any():
            raise DataError(
                where,
                f"targets contain {targets[wrong][0]}, but labels lie between 0 and 1: {rows_of(wrong)}. For more "
                f"than two classes use losses.softmax_cross_entropy, for numbers losses.squared_error.",
            )

    return check


def _check_signs(shape: tuple[int, ...], targets: Any) -> None:
    """Raises if concrete labels are neither all 0 and 1 nor all −1 and 1."""
    targets = np.asarray(targets)
    wrong = ~np.isin(targets, (-1, 0, 1))
    if wrong.any():
        raise DataError(
            "hinge",
            f"targets contain {targets[wrong][0]}, but labels are −1 and 1, or 0 and 1: {rows_of(wrong)}. For more "
            f"than two classes use losses.softmax_cross_entropy, for numbers losses.huber.",
        )
    if (targets == -1).any() and (targets == 0).any():
        raise DataError(
            "hinge",
            f"targets contain −1 and 0, which both mean no; labels are −1 and 1, or 0 and 1: {rows_of(targets == 0)}. "
            f"Leave out examples without a label, or give them weight 0.",
        )


@loss(check=_check_labels("sigmoid_binary_cross_entropy"))
def sigmoid_binary_cross_entropy(
    predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None
) -> Float[Array, " batch"]:
    """Binary cross entropy of independent labels, from logits.

    ℓ(z, y) = −y log σ(z) − (1 − y) log(1 − σ(z)) = softplus(z) − y·z, averaged over the labels of an example.

    Its derivative with respect to the logit is σ(z) − y.

    Args:
        predictions: logits (batch, …).
        targets: labels or probabilities in [0, 1] of exactly the same shape.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0: the negative log-likelihood of Bernoulli distributions.

    Raises:
        ShapeError: the shapes differ.

    Source: lecture 000, "Loss functions"; lecture 003 (whose second term lacks the 1 −).

    >>> import jax.numpy as jnp
    >>> print(sigmoid_binary_cross_entropy(jnp.array([0.0, 100.0]), jnp.array([1, 1])).round(4))
    [0.6931 0.    ]
    """
    z, y = paired("sigmoid_binary_cross_entropy", predictions, targets, weights)
    return per_example("sigmoid_binary_cross_entropy", jax.nn.softplus(z) - y * z, weights)


@loss(check=_check_labels("focal"), gamma=NOT_NEGATIVE, alpha=SHARE)
def focal(
    predictions: Float[Array, "batch ..."],
    targets: Any,
    *,
    gamma: Scalar = 2.0,
    alpha: Scalar | None = None,
    weights: Any = None,
) -> Float[Array, " batch"]:
    """Focal loss: binary cross entropy in which labels that are predicted well count little.

    ℓ(z, y) = −α y (1 − p)^γ log p − (1 − α) (1 − y) p^γ log(1 − p),  p = σ(z), averaged over the labels

    computed from the logits. γ = 0 without α is `sigmoid_binary_cross_entropy`.

    Args:
        predictions: logits (batch, …).
        targets: labels in [0, 1] of exactly the same shape.
        gamma: γ ≥ 0; the larger, the less the easy ones count.
        alpha: weight of the label 1 in [0, 1], against 1 − α for 0; None for weight 1 of both.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0.

    Raises:
        ShapeError: the shapes differ.
        HyperparameterError: ``gamma`` is negative or ``alpha`` not in [0, 1].

    Source: Lin et al., 2017 (there γ = 2, α = 0.25).

    >>> import jax.numpy as jnp
    >>> print(focal(jnp.array([0.0, 4.0]), jnp.array([1, 1])).round(4))
    [0.1733 0.    ]
    """
    z, y = paired("focal", predictions, targets, weights)
    gamma = jnp.asarray(gamma, z.dtype)
    yes, no = jax.nn.softplus(-z), jax.nn.softplus(z)  # −log p and −log(1 − p)
    if alpha is not None:
        alpha = jnp.asarray(alpha, z.dtype)
    if_yes = y if alpha is None else alpha * y
    if_no = 1 - y if alpha is None else (1 - alpha) * (1 - y)
    values = if_yes * jnp.exp(-gamma * no) * yes + if_no * jnp.exp(-gamma * yes) * no
    return per_example("focal", values, weights)


@loss(check=_check_signs)
def hinge(predictions: Float[Array, "batch ..."], targets: Any, *, weights: Any = None) -> Float[Array, " batch"]:
    """Hinge loss of a support vector machine: 0 for scores on the right side by a margin of 1.

    ℓ(z, y) = max(0, 1 − y z) for y = ±1, averaged over the labels of an example.

    Args:
        predictions: scores (batch, …), whose sign is the answer.
        targets: labels of exactly the same shape, −1 and 1, or 0 and 1: what is not positive means −1. `fnnet.fit`
            refuses other numbers, and a mixture of −1 and 0.
        weights: (batch,) or more leading axes; see `fnnet.losses`.

    Returns:
        (batch,) values ≥ 0; the derivative at the kink is 0.

    Raises:
        ShapeError: the shapes differ.

    >>> import jax.numpy as jnp
    >>> hinge(jnp.array([0.5, 3.0, 0.5]), jnp.array([1, 1, -1])).tolist()
    [0.5, 0.0, 1.5]
    """
    z, y = paired("hinge", predictions, targets, weights)
    return per_example("hinge", jax.nn.relu(1 - jnp.where(y > 0, z, -z)), weights)
