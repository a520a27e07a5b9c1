"""What the runs of a trial have in common, and how two trials differ, with intervals."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fnnet.errors import check_number
from fnnet.stats import bootstrap_interval, interquartile_mean

AT_ONCE = 256
"""Trials that are resampled at once, which takes 2000 numbers of each."""


class Comparison(NamedTuple):
    """How much better a trial is than another: the mean of paired differences, positive where the first is better.

    ``low`` and ``high`` bound the mean, ``wins`` is the share of the pairs in which the first is better (ties count
    half), and ``pairs`` how many there are.
    """

    difference: float
    low: float
    high: float
    wins: float
    pairs: int


def summary(table: Any, hyperparameters: list[str], monitor: str, maximize: bool, confidence: float) -> Any:
    """A row a trial of a table of runs, the best mean first; see `Sweep.summary`."""
    import pandas as pd

    _check(confidence)
    trials, first, owner = np.unique(table["trial"], return_index=True, return_inverse=True)
    scores = table[monitor].to_numpy(dtype=float)
    finite = np.isfinite(scores)
    runs, scored = np.bincount(owner), np.bincount(owner, finite).astype(int)
    columns = {name: np.full(len(trials), np.nan) for name in ("mean", "std", "iqm", "low", "high")}
    # Trials with as many scores are one array; sorted by trial, each has its own in a row.
    order = np.argsort(owner, kind="stable")
    order = order[finite[order]]
    for count in np.unique(scored[scored > 0]):
        alike = np.flatnonzero(scored == count)
        for some in np.array_split(alike, -(-len(alike) // AT_ONCE)):
            stack = scores[order[np.isin(owner[order], some)]].reshape(len(some), count)
            found = {"mean": stack.mean(axis=-1), "iqm": interquartile_mean(stack)}
            if count > 1:
                low, high = bootstrap_interval(stack, np.mean, confidence=confidence)
                found |= {"std": stack.std(axis=-1, ddof=1), "low": low, "high": high}
            for name, values in found.items():
                columns[name][some] = values
    given = {name: table[name].iloc[first].array for name in hyperparameters}
    made = pd.DataFrame({"trial": trials, **given, "runs": runs, "diverged": runs - scored, **columns})
    return made.sort_values("mean", ascending=not maximize, kind="stable", ignore_index=True)


def compare(table: Any, first: int, second: int, monitor: str, maximize: bool, confidence: float) -> Comparison:
    """Two trials, paired by seed and fold; see `Sweep.compare`."""
    _check(confidence)
    by = [name for name in ("seed", "fold") if name in table]
    one, other = (table[table["trial"] == trial].set_index(by)[monitor].astype(float) for trial in (first, second))
    gains = ((one - other) * (1 if maximize else -1)).to_numpy()
    gains = gains[np.isfinite(gains)]
    low, high = interval(gains, confidence)
    wins = ((gains > 0).mean() + (gains >= 0).mean()) / 2 if gains.size else np.nan
    return Comparison(float(gains.mean()) if gains.size else np.nan, low, high, float(wins), int(gains.size))


def interval(scores: np.ndarray, confidence: float) -> tuple[float, float]:
    """Percentiles of the means of resamples with replacement; NaN for fewer than two scores."""
    if scores.size < 2:
        return float("nan"), float("nan")
    return bootstrap_interval(scores, np.mean, confidence=confidence)


def _check(confidence: Any) -> None:
    check_number("sweep", "confidence", confidence, low=0.0, high=1.0, low_open=True, high_open=True)
