"""A hyperparameter as an axis from 0 to 1, whatever it is: numbers, numbers over decades, words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fnnet.report.runs import Runs
from fnnet.report.scales import MISSING, categories, is_categorical, numbers_of, spread_over_decades, ticks_of
from fnnet.report.style import number, shortened


class Dimension(NamedTuple):
    """One axis.

    ``kind`` is "strip" for categories, "linear" or "log"; ``low`` and ``high`` are the values at 0 and at 1, for
    categories their indices; ``places`` (runs,) is from 0 to 1, NaN where the hyperparameter does not exist;
    ``ticks`` are places with labels.
    """

    name: str
    kind: str
    low: float
    high: float
    places: np.ndarray
    ticks: list[tuple[float, str]]

    def value(self, place: float) -> str:
        """What stands at a place, in words."""
        if self.kind == "strip":
            return min(self.ticks, key=lambda tick: abs(tick[0] - place))[1]
        if self.kind == "log":
            return number(self.low * (self.high / self.low) ** place, digits=2)
        return number(self.low + (self.high - self.low) * place, digits=2)

    def binned(self, most: int) -> tuple[np.ndarray, int]:
        """The bin of each run, −1 where the hyperparameter does not exist, and how many bins there are."""
        count = len(self.ticks) if self.kind == "strip" else most
        bins = np.floor(np.nan_to_num(self.places, nan=0.0) * count).clip(0, count - 1)
        if self.kind == "strip":
            bins = np.round(np.nan_to_num(self.places, nan=0.0) * max(1, count - 1))
        return np.where(np.isfinite(self.places), bins, -1).astype(int), count


def dimension_of(name: str, column: Any) -> Dimension:
    """Reads a column of a sweep's table."""
    if is_categorical(column):
        labels, indices = categories(column)
        missing = np.asarray(column.isna(), dtype=bool)
        labels = [label for label in labels if label != MISSING]  # it is sorted last, so no index changes
        top = max(1, len(labels) - 1)
        middle = 0.5 if len(labels) == 1 else 0.0  # one value alone stands in the middle
        places = np.where(missing, np.nan, indices / top + middle)
        ticks = [(index / top + middle, shortened(label)) for index, label in enumerate(labels)]
        return Dimension(name, "strip", 0.0, float(top), places, ticks)
    values = numbers_of(column)
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    log = spread_over_decades(known)
    if low == high:
        low, high = low - 0.5, high + 0.5
    if log:
        places = np.log(np.where(np.isfinite(values), values, low) / low) / math.log(high / low)
    else:
        places = (values - low) / (high - low)
    ticks = [(_place(tick, low, high, log), number(tick)) for tick in ticks_of(low, high, log)]
    kind = "log" if log else "linear"
    return Dimension(name, kind, low, high, np.where(np.isfinite(values), places, np.nan), ticks)


def _place(value: float, low: float, high: float, log: bool) -> float:
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def importance(dimension: Dimension, runs: Runs) -> float:
    """The share of the spread of the scores' ranks that a hyperparameter alone tells: ε², from 0 to 1.

    ε² = 1 − (within / (n − k)) / (total / (n − 1)), with squares of the ranks within each of k bins and in total.
    Ranks, so that one run that failed does not decide it; diverged runs are last.
    """
    worst = -np.inf if runs.maximize else np.inf
    scores = np.where(np.isfinite(runs.scores) & ~runs.diverged, runs.scores, worst)
    ranks = np.unique(scores, return_inverse=True)[1].astype(float)
    bins, _ = dimension.binned(6)
    groups = [ranks[bins == index] for index in np.unique(bins)]
    total, free = np.square(ranks - ranks.mean()).sum(), len(ranks) - len(groups)
    if total == 0 or free < 1:
        return 0.0
    within = sum(float(np.square(group - group.mean()).sum()) for group in groups)
    return max(0.0, 1 - float((within / free) / (total / (len(ranks) - 1))))


def left_out(shown: int, of: int) -> str:
    """What a subtitle adds where only the most important of some hyperparameters are shown."""
    return "" if shown == of else f"; the {shown} of {of} hyperparameters that tell most of the score"


def most_important(dimensions: Sequence[Dimension], runs: Runs, most: int) -> list[Dimension]:
    """Those of which the score depends most, the most important first."""
    return sorted(dimensions, key=lambda dimension: -importance(dimension, runs))[:most]
