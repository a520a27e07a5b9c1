"""Where things stand on an axis: which scale, which part of it, which ticks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fnnet.report.runs import Runs
from fnnet.report.style import number

_MOST_CATEGORIES = 8


class View(NamedTuple):
    """The part of the score's axis that is worth the room: limits, and whether it is logarithmic."""

    low: float
    high: float
    log: bool


def view_of(runs: Runs) -> View | None:
    """Which scores to show: from the best to where the bulk of the runs lies, not to the last straggler."""
    scores = runs.scores[usable(runs)]
    if not len(scores):
        return None
    log = not runs.maximize and bool(scores.min() > 0) and bool(np.median(scores) > 3 * scores.min())
    if log:
        scores = np.log10(scores)
    sign = 1.0 if runs.maximize else -1.0
    losses = sign * (scores.max() if runs.maximize else scores.min()) - sign * scores  # how far from the best
    bulk = min(float(losses.max()), 2.5 * float(np.quantile(losses, 0.75)))
    bulk = bulk or float(losses.max()) or 0.05 * abs(float(scores[0])) or 0.1
    top = sign * float(np.max(sign * scores))
    # The bottom gets room for the marks of runs that are not in view.
    low, high = sorted((top + sign * 0.07 * bulk, top - sign * 1.12 * bulk))
    return View(10**low, 10**high, True) if log else View(low, high, False)


def usable(runs: Runs) -> np.ndarray:
    """Which runs have a score and did not diverge; the best run is among them if it has a score."""
    mask = np.isfinite(runs.scores) & ~runs.diverged
    if runs.best is not None:
        mask[runs.best] = np.isfinite(runs.scores[runs.best])
    return mask


def outside_of(runs: Runs, view: View | None) -> np.ndarray:
    """Which runs have a score that the view leaves out."""
    if view is None:
        return np.zeros_like(runs.diverged)
    scores = np.where(np.isfinite(runs.scores), runs.scores, view.low)
    return ((scores < view.low) | (scores > view.high)) & ~runs.diverged


def places_of(axes: Any, column: Any) -> tuple[np.ndarray, str]:
    """Where the runs stand on the horizontal axis, whose scale and ticks it sets."""
    from matplotlib.ticker import MaxNLocator

    if _is_categorical(column):
        labels, places = _categories(column)
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.6, len(labels) - 0.4)
        axes.grid(False, axis="x")
        if sum(len(label) for label in labels) > 18:
            axes.tick_params(axis="x", labelrotation=30)
        # Jitter from a fixed seed: the same table gives the same picture.
        width = 0.18 if len(places) > len(labels) else 0.0
        return places + np.random.default_rng(0).uniform(-width, width, len(places)), "strip"
    places = np.asarray(column, dtype=float)
    known = places[np.isfinite(places)]
    low, high = float(known.min()), float(known.max())
    if spread_over_decades(known):
        axes.set_xscale("log")
        room = (high / low) ** 0.05
        axes.set_xlim(low / room, high * room)
        log_ticks(axes.xaxis, low / room, high * room)
        return places, "log"
    room = 0.05 * (high - low) or 0.5
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    return places, "linear"


def _is_categorical(column: Any) -> bool:
    if column.dtype.kind not in "iuf":
        return True
    values = column.nunique()
    return values == 1 or (values <= _MOST_CATEGORIES and len(column) > 2 * values)


def _categories(column: Any) -> tuple[list[str], np.ndarray]:
    """The labels, numbers in their order and the rest by name, and for each run the position of its label."""
    values = [number(value) for value in column]
    numeric = column.dtype.kind in "iuf"
    known = sorted(column.dropna().unique()) if numeric else []
    order = {number(value): index for index, value in enumerate(known)}
    labels = sorted(set(values), key=lambda label: (order.get(label, len(order)), label))
    return labels, np.array([labels.index(value) for value in values], dtype=float)


def spread_over_decades(values: np.ndarray) -> bool:
    """Whether positive values are spread more evenly on a logarithmic axis than on a plain one."""
    low, high = float(values.min()), float(values.max())
    if low <= 0 or high < 10 * low:
        return False
    middle = float(np.median(values))
    plain = (middle - low) / (high - low)
    logarithmic = np.log(middle / low) / np.log(high / low)
    return bool(abs(logarithmic - 0.5) < abs(plain - 0.5))


def log_ticks(axis: Any, low: float, high: float) -> None:
    """Sets three to seven ticks on a logarithmic axis and writes them like the numbers in the title."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for mantissas in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        ticks = [m * 10.0**p for p in powers for m in mantissas if low <= m * 10.0**p <= high]
        if len(ticks) >= 3:
            break
    ticks = ticks[:: 1 + len(ticks) // 8]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
