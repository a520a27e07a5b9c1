"""The bootstrap: intervals for any statistic of a sample, from its resamples. In NumPy, on the host, in float64."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fnnet.errors import (
    DataError,
    HyperparameterError,
    ShapeError,
    StructureError,
    check_number,
    check_size,
    is_concrete,
)
from fnnet.stats.samples import known

RESAMPLES = 2000
"""Resamples of a bootstrap: their quantiles are known to about a hundredth of the confidence."""

_AT_ONCE = 2**22  # numbers of resamples that are held at a time: 32 MiB


class Interval(NamedTuple):
    """``low`` and ``high``: numbers for one sample, arrays (…) for a stack of samples (…, n)."""

    low: Any
    high: Any


def bootstrap_interval(
    sample: Any,
    statistic: Callable[..., Any] = np.mean,
    *,
    confidence: float = 0.95,
    method: str = "percentile",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Interval for a statistic by the bootstrap: from its values on resamples, drawn with replacement.

    percentile: the quantiles (1 ∓ c)/2 of the values on resamples
    BCa: the quantiles Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z))), z = Φ⁻¹((1 ∓ c)/2)

    with the bias correction z₀ = Φ⁻¹(share of values below the statistic of the sample; ties count half) and the
    acceleration a = Σ dᵢ³ / (6 (Σ dᵢ²)^(3/2)), dᵢ how far the statistic without example i lies below their mean.
    BCa follows a skewed statistic, which the percentiles do not; for small n both are too narrow.

    Args:
        sample: numbers (…, n), n ≥ 2; the samples of a stack are resampled alike, each as it would be alone.
        statistic: from an array and ``axis`` to the array without that axis, such as np.median or
            `interquartile_mean`. A function without ``axis`` is called for one resample at a time, which is slow.
        confidence: c in (0, 1).
        method: "percentile" or "bca".
        resamples: how many, 2000 unless told.
        seed: of the resamples.

    Returns:
        `Interval`.

    Raises:
        ShapeError: fewer than two numbers, or the statistic does not return one a sample.
        DataError: the sample is not finite, or all resamples lie on one side of the statistic, which leaves BCa
            undefined.
        HyperparameterError: ``confidence``, ``method``, ``resamples`` or ``seed`` out of range.
        StructureError: the statistic is no function; the sample is no numbers, or traced.

    Source: Efron, "Better bootstrap confidence intervals", 1987; the same as ``scipy.stats.bootstrap`` with the same
    random generator.

    >>> import numpy as np
    >>> low, high = bootstrap_interval(np.arange(10.0), np.median)
    >>> print(low, high)
    2.0 7.0
    """
    where = "bootstrap_interval"
    if not callable(statistic):
        raise StructureError(where, f"the statistic is {statistic!r}, which is not a function of a sample.")
    values = _checked(where, sample, confidence, method, resamples, seed)
    random, n = np.random.default_rng(seed), values.shape[-1]
    drawn = _statistics(
        where, statistic, values, resamples, lambda first, last: random.integers(0, n, (last - first, n))
    )
    if method == "bca":
        low, high = _accelerated(where, statistic, values, drawn, confidence)
    else:
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=-1)
    return Interval(float(low), float(high)) if values.ndim == 1 else Interval(low, high)


def interquartile_mean(scores: np.ndarray, axis: int = -1) -> Any:
    """The mean of the middle half along an axis, in which scores at the edges count in part.

    Args:
        scores: (…, n) numbers.
        axis: along which to average.

    Returns:
        A float for one sample, else an array without the axis; NaN of no scores.

    >>> import numpy as np
    >>> interquartile_mean(np.array([0.0, 1.0, 3.0, 100.0]))
    2.0
    """
    scores = np.moveaxis(np.asarray(scores), axis, -1)
    size = scores.shape[-1]
    if size == 0:
        found = np.full(scores.shape[:-1], np.nan)
    else:
        places = np.arange(size)
        # How much of each score, a step of width 1/n, lies between the quartiles.
        inside = np.minimum((places + 1) / size, 0.75) - np.maximum(places / size, 0.25)
        found = np.average(np.sort(scores, axis=-1), axis=-1, weights=np.maximum(inside, 0))
    return float(found) if scores.ndim == 1 else found


def _statistics(where: str, statistic: Any, sample: np.ndarray, count: int, rows: Any) -> np.ndarray:
    """(…, count) values of a statistic, on the examples whose numbers ``rows(first, last)`` gives, a part at a time."""
    part = max(1, _AT_ONCE // sample.size)
    found = []
    for first in range(0, count, part):
        last = min(first + part, count)
        resampled = sample[..., rows(first, last)]
        values = np.asarray(_along_the_last_axis(statistic, resampled), dtype=np.float64)
        if values.shape != resampled.shape[:-1]:
            raise ShapeError(
                where,
                f"the statistic made shape {values.shape} of samples of shape {resampled.shape}, but it has to take "
                f"the last axis away.",
            )
        found.append(values)
    return np.concatenate(found, axis=-1)


def _along_the_last_axis(statistic: Any, samples: np.ndarray) -> Any:
    try:
        takes_axis = "axis" in inspect.signature(statistic).parameters
    except ValueError:  # builtins need not have a signature
        takes_axis = False
    return statistic(samples, axis=-1) if takes_axis else np.apply_along_axis(statistic, -1, samples)


def _accelerated(where: str, statistic: Any, sample: np.ndarray, drawn: np.ndarray, confidence: float) -> Any:
    """The two quantiles of BCa for each sample of a stack."""
    from scipy.special import ndtr, ndtri

    n = sample.shape[-1]
    others = np.arange(n - 1)
    without = _statistics(
        where, statistic, sample, n, lambda first, last: others + (others >= np.arange(first, last)[:, None])
    )
    here = np.asarray(_along_the_last_axis(statistic, sample[..., None, :]), dtype=np.float64)
    below = ((drawn < here).mean(axis=-1) + (drawn <= here).mean(axis=-1)) / 2
    if ((below == 0) | (below == 1)).any():
        raise DataError(
            where,
            "all resamples lie on one side of the statistic of the sample, which leaves BCa undefined, as for the "
            "number of different values. Use method='percentile'.",
        )
    d = without.mean(axis=-1, keepdims=True) - without
    spread = np.sum(d**2, axis=-1) ** 1.5
    a = np.sum(d**3, axis=-1) / np.where(spread > 0, 6 * spread, 1)
    z0 = ndtri(below)
    ends = []
    for share in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = z0 + ndtri(share)
        ends.append(_quantile(drawn, ndtr(z0 + z / (1 - a * z))))
    return ends


def _quantile(drawn: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """A quantile a row, each at its own share."""
    rows = drawn.reshape(-1, drawn.shape[-1])
    found = [np.quantile(row, share) for row, share in zip(rows, np.ravel(shares), strict=True)]
    return np.reshape(found, drawn.shape[:-1])


def _checked(where: str, sample: Any, confidence: Any, method: Any, resamples: Any, seed: Any) -> np.ndarray:
    check_number(where, "confidence", confidence, low=0.0, high=1.0, low_open=True, high_open=True)
    check_size(where, "resamples", resamples)
    if method not in ("percentile", "bca"):
        raise HyperparameterError(where, f"method is {method!r}, but it has to be 'percentile' or 'bca'.")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise HyperparameterError(where, f"seed is {seed!r}, but it has to be an integer of at least 0.")
    if not is_concrete(sample):
        raise StructureError(
            where, "the sample is traced, but it is resampled on the host. Call it outside of jax.jit."
        )
    values = known(where, "the sample", sample)
    if values.ndim == 0 or values.shape[-1] < 2 or values.size == 0:
        raise ShapeError(
            where, f"the sample has shape {values.shape}, but at least two numbers are needed to resample."
        )
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise DataError(
            where, f"the sample holds {values[wrong][0]}: {wrong.sum()} of {wrong.size} numbers. Leave them out."
        )
    return values
