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


LOSSES: dict[str, list[Scored]] = {
    "squared_error": [Scored(losses.squared_error, _numbers[0], _numbers[1], _numbers[1])],
    "absolute_error": [Scored(losses.absolute_error, _numbers[0], _numbers[1], _numbers[1])],
    "softmax_cross_entropy": [
        Scored(losses.softmax_cross_entropy, _numbers[0], _ids, 1e4 * np.eye(3, dtype=np.float32)[_ids]),
        Scored(losses.softmax_cross_entropy, _numbers[0], _shares, np.log(_shares)),
    ],
    "sigmoid_binary_cross_entropy": [
        Scored(losses.sigmoid_binary_cross_entropy, _numbers[0], _yes, 1e4 * (2 * _yes - 1))
    ],
}

METRICS: dict[str, list[Scored]] = {
    "accuracy": [Scored(metrics.accuracy, _numbers[0], _ids, np.eye(3, dtype=np.float32)[_ids])],
    "binary_accuracy": [Scored(metrics.binary_accuracy, _numbers[0], _yes, 2 * _yes - 1)],
    "mean_absolute_error": [Scored(metrics.mean_absolute_error, _numbers[0], _numbers[1], _numbers[1])],
    "root_mean_squared_error": [Scored(metrics.root_mean_squared_error, _numbers[0], _numbers[1], _numbers[1])],
    "r2": [Scored(metrics.r2, _numbers[0], _numbers[1], _numbers[1])],
}
NOT_METRICS = {"Metric": "the type", "as_metric": "", "averaged": "", "maximize": "a mark", "minimize": "a mark"}
