"""Every public loss and metric."""

from __future__ import annotations

import numpy as np

from catalogue.cases import Scored
from fnnet import losses, metrics

_random = np.random.default_rng(0)
_numbers = _random.normal(size=(2, 6, 3)).astype(np.float32)
_ids = _random.integers(0, 3, size=6).astype(np.int32)
_yes = (_random.random((6, 3)) < 0.5).astype(np.float32)
_shares = np.exp(_numbers[1]) / np.exp(_numbers[1]).sum(axis=1, keepdims=True)


_signs = 2 * _yes - 1
_counts = _random.integers(1, 6, size=(6, 3)).astype(np.float32)
_right = np.eye(3, dtype=np.float32)[_ids]


def _of_numbers(loss, **numbers) -> list[Scored]:
    return [Scored(loss, _numbers[0], _numbers[1], _numbers[1], numbers)]


LOSSES: dict[str, list[Scored]] = {
    "squared_error": _of_numbers(losses.squared_error),
    "half_squared_error": _of_numbers(losses.half_squared_error),
    "sum_of_squares": _of_numbers(losses.sum_of_squares),
    "absolute_error": _of_numbers(losses.absolute_error),
    "huber": _of_numbers(losses.huber, delta=(0.5, 2.0)),
    "log_cosh": _of_numbers(losses.log_cosh),
    "cosine": _of_numbers(losses.cosine),
    "gaussian_nll": _of_numbers(losses.gaussian_nll, variance=(0.5, 2.0)),
    "laplace_nll": _of_numbers(losses.laplace_nll, scale=(0.5, 2.0)),
    "poisson_nll": [Scored(losses.poisson_nll, _numbers[0], _counts, np.log(_counts))],
    "softmax_cross_entropy": [
        Scored(losses.softmax_cross_entropy, _numbers[0], _ids, 1e4 * _right, {"label_smoothing": (0.1, 0.3)}),
        Scored(losses.softmax_cross_entropy, _numbers[0], _shares, np.log(_shares), {"label_smoothing": (0.1, 0.3)}),
    ],
    "categorical": [
        Scored(losses.categorical, _numbers[0], _ids, 1e4 * _right, {"label_smoothing": (0.1, 0.3)}),
    ],
    "kl_divergence": [Scored(losses.kl_divergence, _numbers[0], _shares, np.log(_shares))],
    "sigmoid_binary_cross_entropy": [Scored(losses.sigmoid_binary_cross_entropy, _numbers[0], _yes, 1e4 * _signs)],
    "focal": [Scored(losses.focal, _numbers[0], _yes, 1e4 * _signs, {"gamma": (1.0, 3.0), "alpha": (0.2, 0.7)})],
    "hinge": [
        Scored(losses.hinge, _numbers[0], _yes, 2 * _signs),
        Scored(losses.hinge, _numbers[0], _signs, 2 * _signs),
    ],
}
NOT_LOSSES = {"gaussian_prior": "a prior", "laplace_prior": "a prior"}


def _of_classes(metric) -> list[Scored]:
    """Class ids with a logit each, and labels with a logit each."""
    return [Scored(metric, _numbers[0], _ids, 1e4 * _right), Scored(metric, _numbers[0], _yes, 1e4 * _signs)]


METRICS: dict[str, list[Scored]] = {
    "accuracy": [Scored(metrics.accuracy, _numbers[0], _ids, _right)],
    "binary_accuracy": [Scored(metrics.binary_accuracy, _numbers[0], _yes, _signs)],
    "top_k_accuracy": [
        Scored(metrics.top_k_accuracy(1), _numbers[0], _ids, _right),
        Scored(metrics.top_k_accuracy(2), _numbers[0], _ids, _right),
    ],
    "balanced_accuracy": _of_classes(metrics.balanced_accuracy),
    "precision": _of_classes(metrics.precision),
    "recall": _of_classes(metrics.recall),
    "f1": _of_classes(metrics.f1),
    "auroc": _of_classes(metrics.auroc),
    "log_loss": _of_classes(metrics.log_loss),
    "expected_calibration_error": _of_classes(metrics.expected_calibration_error(bins=4)),
    "mean_absolute_error": [Scored(metrics.mean_absolute_error, _numbers[0], _numbers[1], _numbers[1])],
    "root_mean_squared_error": [Scored(metrics.root_mean_squared_error, _numbers[0], _numbers[1], _numbers[1])],
    "r2": [Scored(metrics.r2, _numbers[0], _numbers[1], _numbers[1])],
}
NOT_METRICS = {"Metric": "the type", "as_metric": "", "averaged": "", "maximize": "a mark", "minimize": "a mark"}
