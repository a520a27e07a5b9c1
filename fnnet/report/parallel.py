"""Parallel coordinates: every run as a line through its hyperparameters to its score."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from fnnet.report.dimensions import Dimension, dimension_of, left_out, most_important
from fnnet.report.runs import Runs, circumstances, finding, runs_of_table
from fnnet.report.scales import MISSING, View, outside_of, ticks_of, usable, view_of
from fnnet.report.space import edge_handles, varying
from fnnet.report.style import (
    GREY,
    INK,
    RULE,
    STAR,
    VERMILLION,
    house_style,
    new_figure,
    number,
    plural,
    save_figure,
    score_colors,
    shortened,
    words,
)

_HEIGHT = 3.3  # inches
_MOST = 10  # axes: more leave no room for their names
_FOOT = -0.13  # where runs pass for which a hyperparameter does not exist
_BEND = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 24))  # from one axis to the next, level at both
_TOP = 0.1  # the share of the runs that the title speaks of, and that are drawn strongly
_FEWEST_FOR_TOP = 40


def plot_parallel(
    table: Any,
    hyperparameters: Sequence[str],
    *,
    monitor: str,
    maximize: bool,
    path: str | PathLike[str] | None = None,
    best: int | None = None,
) -> Any:
    """Parallel coordinates of a sweep: an axis for each hyperparameter and one for the score, a line for each run.

    Lines have the colour of their score, which the last axis shows; the best tenth of the runs is drawn on top, and
    the title says where it lies. Numbers that spread over decades get a logarithmic axis. Where a hyperparameter does
    not exist for a run (NaN or None in the table) its line passes through "–" at the foot. Runs without a score,
    diverged ones among them, are faint and end before the last axis.

    Args:
        table: one row a run, such as ``sweep.table``; a column ``status`` tells which runs diverged.
        hyperparameters: the columns to draw; those that never change are left out if another one does, and of more
            than ten the ten of which the score depends most are drawn.
        monitor: the column of the score, such as "validation/accuracy".
        maximize: whether a larger score is better.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        best: the row of the best run, counted from 0; None takes the row with the best score.

    Returns:
        The matplotlib Figure.

    Raises:
        DataError: the table is empty or lacks one of the columns, or no hyperparameter was named.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_parallel"
    runs = runs_of_table(where, table, monitor, maximize, best)
    shown = varying(where, table, hyperparameters)
    with house_style(where):
        dimensions = [dimension_of(name, table[name]) for name in shown]
        if len(dimensions) > _MOST:
            kept = {dimension.name for dimension in most_important(dimensions, runs, _MOST)}
            dimensions = [dimension for dimension in dimensions if dimension.name in kept]
        subtitle = circumstances(runs, table) + left_out(len(dimensions), len(shown))
        title = _where_the_best_are(dimensions, runs) or finding(runs, table, hyperparameters)
        figure = new_figure(title, subtitle, _handles(runs), height=_HEIGHT)
        _draw(figure.subplots(), dimensions, runs)
        save_figure(where, figure, path)
    return figure


def _best_runs(runs: Runs) -> np.ndarray:
    """The rows of the best tenth, the best first."""
    known = np.flatnonzero(usable(runs))
    sign = -1.0 if runs.maximize else 1.0
    order = known[np.argsort(sign * runs.scores[known], kind="stable")]
    return order[: max(1, round(_TOP * len(order)))]


def _where_the_best_are(dimensions: Sequence[Dimension], runs: Runs) -> str:
    """The hyperparameters in which the best tenth keeps together; empty if there are few runs or none is."""
    if usable(runs).sum() < _FEWEST_FOR_TOP or runs.best is None:
        return ""
    top = _best_runs(runs)
    found = sorted((place for place in (_gathered(d, top, runs) for d in dimensions) if place), key=lambda p: p[0])
    if not found:
        return ""
    best = f"Best {words(runs.monitor)} {number(runs.scores[runs.best])}"
    where = ", ".join(text.replace(" ", "\u00a0") for _, text in found[:3])
    return f"{best}; the best {plural(len(top), 'run')} mostly at {where}" if len(top) > 1 else ""


def _gathered(dimension: Dimension, top: np.ndarray, runs: Runs) -> tuple[float, str] | None:
    """Which part of an axis the best runs take, if it is less than half, and in words where that is."""
    places = dimension.places
    if dimension.kind == "strip":
        values, counts = np.unique(np.where(np.isfinite(places[top]), places[top], -1), return_counts=True)
        value, count = values[counts.argmax()], int(counts.max())
        share = np.mean(np.where(np.isfinite(places), places, -1) == value)
        if count < 0.7 * len(top) or share > 0.6:
            return None
        text = f"no {dimension.name}" if value < 0 else f"{dimension.name} {dimension.value(float(value))}"
        return float(share * len(top) / count), f"{text} ({count})"
    there = places[top][np.isfinite(places[top])]
    if len(there) < 0.8 * len(top):
        return None
    low, high = np.quantile(there, [0.1, 0.9])
    if high - low > 0.4:
        return None
    ends = dimension.value(float(low)), dimension.value(float(high))
    return float(high - low) / 0.8, f"{dimension.name} {ends[0]}" + (f" to {ends[1]}" if ends[0] != ends[1] else "")


def _handles(runs: Runs) -> list[Any]:
    from matplotlib.lines import Line2D

    handles: list[Any] = []
    known = int(usable(runs).sum())
    top = len(_best_runs(runs)) if known else 0
    if top > 1:
        label = f"the best {plural(top, 'run')}"
        handles.append(Line2D([], [], color=score_colors(np.array([0.95]))[0], linewidth=2, label=label))
    if known:
        handles.append(Line2D([], [], color=score_colors(np.array([0.3]))[0], linewidth=1, label="other runs"))
    if runs.best is not None:
        handles.append(Line2D([], [], color=VERMILLION, linewidth=2, label="best run", **STAR))
    if (~usable(runs)).any():
        handles.append(Line2D([], [], color=GREY, linewidth=0.8, alpha=0.4, label="without a score"))
    return handles + [handle for handle in edge_handles(runs) if handle.get_marker() != "x"]


def _draw(axes: Any, dimensions: Sequence[Dimension], runs: Runs) -> None:
    from matplotlib.collections import LineCollection

    view = view_of(runs)
    heights = _heights(dimensions, runs)
    good = _goodness(runs, view)
    known = usable(runs)
    count = len(dimensions)
    across = np.concatenate([index + np.linspace(0, 1, len(_BEND)) for index in range(count)])

    def lines(rows: np.ndarray, upto: int = count) -> np.ndarray:
        between = heights[rows][:, :upto, None] * (1 - _BEND) + heights[rows][:, 1 : upto + 1, None] * _BEND
        down = between.reshape(len(rows), -1)
        return np.stack([np.broadcast_to(across[: down.shape[1]], down.shape), down], axis=-1)

    lost = np.flatnonzero(~known)
    if len(lost) and count > 1:
        axes.add_collection(LineCollection(list(lines(lost, count - 1)), colors=GREY, linewidths=0.8, alpha=0.25))
    order = np.flatnonzero(known)
    order = order[np.argsort(good[order], kind="stable")]  # the best on top
    top = np.isin(order, _best_runs(runs)) if len(order) else np.zeros(0, bool)
    faint = float(np.clip(60 / max(1, len(order)), 0.2, 0.7))
    for rows, alpha, width in ((order[~top], faint, 0.9), (order[top], 0.9, 1.5)):
        if len(rows):
            colors = score_colors(good[rows])
            axes.add_collection(LineCollection(list(lines(rows)), colors=colors, linewidths=width, alpha=alpha))
    if runs.best is not None:
        row = np.array([runs.best])
        axes.plot(*lines(row)[0].T, color=VERMILLION, linewidth=2, zorder=5)
        axes.plot(count, heights[runs.best, -1], color=VERMILLION, zorder=6, clip_on=False, **STAR)
    _draw_axes(axes, dimensions, runs, view)


def _heights(dimensions: Sequence[Dimension], runs: Runs) -> np.ndarray:
    """(runs, axes): where each line meets each axis, the score's last; categories with a little jitter."""
    draws = np.random.default_rng(0)
    columns = []
    for dimension in dimensions:
        places = np.where(np.isfinite(dimension.places), dimension.places, _FOOT)
        room = 0.03 if dimension.kind == "strip" else 0.0
        jitter = draws.uniform(-1, 1, len(places)) * np.where(np.isfinite(dimension.places), room, 0.015)
        columns.append(places + (jitter if len(places) > 10 else 0.0))
    view = view_of(runs)
    scores = np.full(len(runs.scores), np.nan) if view is None else _scaled(runs.scores, view)
    # Scores that are out of view end where the axis does.
    return np.stack([*columns, np.clip(scores, 0.0, 1.0)], axis=1)


def _scaled(scores: np.ndarray, view: View) -> np.ndarray:
    """Scores on the axis of the view, 0 at its foot and 1 at its top."""
    if view.log:
        safe = np.where(scores > 0, scores, view.low)
        return np.asarray(np.log(safe / view.low) / np.log(view.high / view.low))
    return np.asarray((scores - view.low) / (view.high - view.low))


def _goodness(runs: Runs, view: View | None) -> np.ndarray:
    """(runs,) from 0, the worst in view, to 1, the best."""
    if view is None:
        return np.zeros(len(runs.scores))
    places = np.clip(np.nan_to_num(_scaled(runs.scores, view)), 0, 1)
    return places if runs.maximize else 1 - places


def _draw_axes(axes: Any, dimensions: Sequence[Dimension], runs: Runs, view: View | None) -> None:
    """The axes with their ticks and names, and the colours of the scores along the last one."""
    count = len(dimensions)
    absent = any(not np.isfinite(dimension.places).all() for dimension in dimensions)
    letters = 9 if count >= 7 else 14
    axes.set_axis_off()
    axes.set_xlim(-0.25, count + 0.3)
    axes.set_ylim((_FOOT - 0.04) if absent else -0.05, 1.1)
    halo = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6}
    text: dict[str, Any] = {"fontsize": 8, "va": "center", "ha": "right", "zorder": 7, "bbox": halo}
    for index, dimension in enumerate(dimensions):
        axes.plot([index, index], [-0.02, 1.02], color=INK, linewidth=0.9, zorder=4)
        _name(axes, index, dimension.name, count)
        missing = not np.isfinite(dimension.places).all()
        for place, label in [*dimension.ticks, *([(_FOOT, MISSING)] if missing else [])]:
            axes.plot([index - 0.02, index + 0.02], [place, place], color=INK, linewidth=0.9, zorder=4)
            axes.text(index - 0.04, place, shortened(label, letters), **text)
    _name(axes, count, words(runs.monitor), count)
    if view is None:
        axes.plot([count, count], [-0.02, 1.02], color=RULE, linewidth=0.9)
        return
    shades = np.linspace(0, 1, 128)[:, None]
    colors = score_colors((shades if runs.maximize else 1 - shades).ravel())[:, None, :]
    axes.imshow(colors, extent=(count, count + 0.05, 0, 1), origin="lower", aspect="auto", zorder=4)
    axes.set_xlim(-0.25, count + 0.3)
    for tick in ticks_of(view.low, view.high, view.log):
        place = float(_scaled(np.array([tick]), view)[0])
        axes.text(count + 0.08, place, number(tick), **(text | {"ha": "left"}))
    outside = outside_of(runs, view)
    if outside.any():
        marker, foot = ("v", 0.0) if runs.maximize else ("^", 1.0)
        axes.plot(count, foot, marker=marker, color=GREY, markersize=5, markeredgewidth=0, zorder=6, clip_on=False)


def _name(axes: Any, index: int, name: str, count: int) -> None:
    """The name above an axis, in lines that do not meet those of its neighbours."""
    letters = max(10, int(110 / (count + 1)))
    label = name if len(name) <= letters else name.replace("_", "_\n").replace(" ", "\n")
    label = "\n".join(shortened(line, letters) for line in label.split("\n"))
    axes.text(index, 1.06, label, ha="center", va="bottom", fontsize=9)
