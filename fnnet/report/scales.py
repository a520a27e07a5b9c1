"""Where things stand on an axis: which scale, which part of it, which ticks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fnnet.report.runs import Runs
from fnnet.report.style import RULE, number, shortened

MISSING = "–"
"""The label of runs for which a hyperparameter does not exist."""

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


def show_view(axes: Any, view: View | None) -> None:
    """Sets scale, limits and ticks of the vertical axis to the scores in view; without ticks if there is none."""
    if view is None:
        axes.set_yticks([])
        return
    axes.set_yscale("log" if view.log else "linear")
    axes.set_ylim(view.low, view.high)
    if view.log:
        log_ticks(axes.yaxis, view.low, view.high)
    else:
        plain_ticks(axes.yaxis)


class Places(NamedTuple):
    """Where runs stand on an axis: ``at`` (runs,), ``missing`` those without a value, ``kind`` the axis."""

    at: np.ndarray
    missing: np.ndarray
    kind: str


def places_of(axes: Any, column: Any) -> Places:
    """Where the runs stand on the horizontal axis, whose scale and ticks it sets.

    Runs without a value, whose hyperparameter does not exist, stand to the left of those with one.
    """
    missing = np.asarray(column.isna(), dtype=bool)
    if is_categorical(column):
        labels, places = categories(column)
        labels = [shortened(label, 14) for label in labels]
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.6, len(labels) - 0.4)
        axes.grid(False, axis="x")
        if sum(len(label) for label in labels) > 18:
            axes.tick_params(axis="x", labelrotation=30)
        # Jitter from a fixed seed: the same table gives the same picture.
        width = 0.18 if len(places) > len(labels) else 0.0
        return Places(places + np.random.default_rng(0).uniform(-width, width, len(places)), missing, "strip")
    places = numbers_of(column)
    known = places[np.isfinite(places)]
    low, high = float(known.min()), float(known.max())
    log = spread_over_decades(known)
    axes.set_xscale("log" if log else "linear")
    room = (high / low) ** 0.05 if log else 0.05 * (high - low) or 0.5
    begin, end = (low / room, high * room) if log else (low - room, high + room)
    gap = room**2.5 if log else 2.5 * room
    aside = begin / gap if log else begin - gap
    if log:
        log_ticks(axes.xaxis, begin, end)
    else:
        plain_ticks(axes.xaxis)
    axes.set_xlim(begin, end)
    if missing.any():
        _tick_aside(axes, aside, begin, end, log)
        axes.set_xlim(aside / room**2 if log else aside - 2 * room, end)
    jitter = np.random.default_rng(0).uniform(-1, 1, len(places))
    beside = aside * room**jitter if log else aside + room * jitter
    return Places(np.where(missing, beside, places), missing, "log" if log else "linear")


def _tick_aside(axes: Any, aside: float, begin: float, end: float, log: bool) -> None:
    """Adds to the ticks the one of runs without a value, and a line between them and the others."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    ticks = ticks_of(begin, end, log)
    axes.xaxis.set_major_locator(FixedLocator([aside, *ticks]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: MISSING if value < begin else number(value)))
    axes.axvline(begin, color=RULE, linewidth=0.8)


def is_categorical(column: Any) -> bool:
    """Whether a column's values stand side by side: words, or few numbers that occur often."""
    if column.dtype.kind not in "iuf":
        return True
    values = column.nunique()
    return values <= 1 or (values <= _MOST_CATEGORIES and len(column) > 2 * values)


def numbers_of(column: Any) -> np.ndarray:
    """A column of numbers as floats, NaN where there is none."""
    return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))


def categories(column: Any) -> tuple[list[str], np.ndarray]:
    """The labels, numbers in their order and the rest by name, and for each run the position of its label.

    What is missing comes last.
    """
    missing = np.asarray(column.isna(), dtype=bool)
    values = [MISSING if gone else number(value) for value, gone in zip(column, missing, strict=True)]
    numeric = column.dtype.kind in "iuf"
    known = sorted(column.dropna().unique()) if numeric else []
    order = {number(value): index for index, value in enumerate(known)}
    labels = sorted(set(values), key=lambda label: (label == MISSING, order.get(label, len(order)), label))
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


def ticks_of(low: float, high: float, log: bool) -> list[float]:
    """Round numbers from low to high, three to seven of them."""
    from matplotlib.ticker import MaxNLocator

    if not log:
        ticks = MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(low, high)
        room = 1e-9 * (high - low)
        return [float(tick) for tick in ticks if low - room <= tick <= high + room]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for mantissas in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        found = [m * 10.0**p for p in powers for m in mantissas if low <= m * 10.0**p <= high]
        if len(found) >= 3:
            break
    return found[:: 1 + len(found) // 8]


def plain_ticks(axis: Any) -> None:
    """Sets a few round ticks on an axis that is not logarithmic."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def log_ticks(axis: Any, low: float, high: float) -> None:
    """Sets three to seven ticks on a logarithmic axis and writes them like the numbers in the title."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(ticks_of(low, high, log=True)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
