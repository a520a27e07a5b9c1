"""Metrics of the order into which a model puts examples, whatever its scores are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import ShapeError
from fnnet.metrics.base import Metric, mean_where, metric, ratio
from fnnet.metrics.labels import are_labels, true_classes
from fnnet.trees import wide
from fnnet.types import Array, PyTree


def _scored(function: Callable[..., Any]) -> Metric:
    """Rows of scores, truths (batch, classes) and weights (batch,): an order is no sum over examples."""
    where = function.__name__

    def rows(predictions: Array, targets: Array, weights: Array) -> PyTree:
        scores = predictions.astype(wide(predictions.dtype))
        if not are_labels(where, predictions, targets):
            if targets.ndim != 1:
                raise ShapeError(
                    where, f"targets have shape {targets.shape}, but there has to be one class id an example, (batch,)."
                )
            scores = jax.nn.log_softmax(scores, axis=-1)  # which orders examples as their probabilities do
        true = true_classes(where, predictions, targets)[:, 0]
        scores = scores.reshape(true.shape)
        scores = jnp.where(weights[:, None] == 0, 0, scores)
        return {"score": scores, "true": true, "weight": weights.astype(scores.dtype)}

    return Metric(rows, lambda rows: function(**rows), higher_is_better=True, rows=True)


@metric(_scored)
def auroc(score: Array, true: Array, weight: Array) -> Array:
    """Area under the receiver operating characteristic: how probably a yes is scored above a no.

    AUROC = Σ_{i yes, j no} wᵢ wⱼ ([sᵢ > sⱼ] + ½ [sᵢ = sⱼ]) / (Σ_{yes} w · Σ_{no} w), exact, by one sort

    Args:
        predictions: logits of labels (batch,) or (batch, labels), or of classes (batch, classes).
        targets: labels 0 and 1 of the predictions' shape, or class ids (batch,).
        weights: (batch,) or None.

    Returns:
        Scalar in [0, 1]: for one label its own, else the mean over labels, or over classes by probability against
        the rest; without those of which all or none of the examples are, and NaN if no other is left.

    Raises:
        ShapeError: the shapes do not fit.

    Same as scikit-learn's ``roc_auc_score``, for class ids with ``multi_class="ovr"`` and softmax probabilities.

    >>> import jax.numpy as jnp
    >>> float(auroc(jnp.array([0.1, 0.4, 0.4, 0.8]), jnp.array([0, 0, 1, 1])))
    0.875
    """
    w = weight[:, None]
    yes, no = jnp.where(true, w, 0), jnp.where(true, 0, w)
    both = (yes.sum(axis=0) > 0) & (no.sum(axis=0) > 0)
    return mean_where(both, jax.vmap(_area, in_axes=1)(score, yes, no))


def _area(score: Array, yes: Array, no: Array) -> Array:
    """The share of pairs of yes and no that stand in the right order; equal scores are half right."""
    total = yes.sum() * no.sum()
    unordered = jnp.isnan(score).any()
    score, yes, no = lax.sort((score, yes, no), num_keys=1)
    differ = score[1:] != score[:-1]
    edge = jnp.ones(min(1, score.size), bool)
    upto = jnp.cumsum(no)
    # The weight of no below the first, and up to the last of the examples with the same score.
    below = lax.cummax(jnp.where(jnp.concatenate([edge, differ]), upto - no, 0))
    through = lax.cummin(jnp.where(jnp.concatenate([differ, edge]), upto, jnp.inf), reverse=True)
    return jnp.where(unordered, jnp.nan, ratio((yes * (below + through)).sum() / 2, total))
