"""Metrics: numbers about predictions, exact however the examples are cut into batches.

A metric is a function ``metric(predictions, targets, *, weights=None) -> scalar``. Behind it stands a `Metric`:
sums over examples that add up over batches, and what is computed from the sums at the end. Any loss, or any
function that gives one value an example, serves as a metric too: it is averaged.

Metrics of classes take logits and either class ids, integers without the axis of classes, or labels 0 and 1 with one
logit each, of the predictions' shape.
"""

from fnnet.metrics.base import Metric, as_metric, averaged, maximize, minimize
from fnnet.metrics.calibration import expected_calibration_error, log_loss
from fnnet.metrics.classification import (
    accuracy,
    balanced_accuracy,
    binary_accuracy,
    f1,
    precision,
    recall,
    top_k_accuracy,
)
from fnnet.metrics.ranking import auroc
from fnnet.metrics.regression import mean_absolute_error, r2, root_mean_squared_error

__all__ = [
    "Metric",
    "accuracy",
    "as_metric",
    "auroc",
    "averaged",
    "balanced_accuracy",
    "binary_accuracy",
    "expected_calibration_error",
    "f1",
    "log_loss",
    "maximize",
    "mean_absolute_error",
    "minimize",
    "precision",
    "r2",
    "recall",
    "root_mean_squared_error",
    "top_k_accuracy",
]
