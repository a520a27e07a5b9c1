"""How two hyperparameters at a time go together: a heat map for each pair."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from fnnet.errors import DataError
from fnnet.report.dimensions import Dimension, dimension_of, left_out, most_important
from fnnet.report.runs import Runs, circumstances, finding, runs_of_table
from fnnet.report.scales import MISSING, View, ticks_of, usable, view_of
from fnnet.report.space import varying
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

_MOST = 6  # hyperparameters: 15 heat maps
_CELL = 1.4  # inches: the height of a heat map
_FEWEST_IN_CELL = 3  # runs that a cell needs for the title to speak of it


class Cell(NamedTuple):
    """The cell of a pair whose median run is the best: what it is, its median score and how many runs it has."""

    text: str
    score: float
    runs: int


def plot_pairs(
    table: Any,
    hyperparameters: Sequence[str],
    *,
    monitor: str,
    maximize: bool,
    path: str | PathLike[str] | None = None,
    best: int | None = None,
) -> Any:
    """Heat maps of the median score for every pair of hyperparameters, with one scale of colours for all.

    Numbers are divided into bins, on a logarithmic scale if they spread over decades; categories stand side by side;
    a bin "–" holds the runs for which a hyperparameter does not exist (NaN or None in the table). The hyperparameters
    that tell most of the score come first. Cells without a run are white, and crossed where none of their runs has a
    score. The title names the best cell of at least three runs.

    Args:
        table: one row a run, such as ``sweep.table``; a column ``status`` tells which runs diverged.
        hyperparameters: the columns to draw; those that never change are left out, and of more than six the six of
            which the score depends most are drawn.
        monitor: the column of the score, such as "validation/accuracy".
        maximize: whether a larger score is better.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        best: the row of the best run, counted from 0; None takes the row with the best score.

    Returns:
        The matplotlib Figure.

    Raises:
        DataError: the table is empty or lacks one of the columns, or fewer than two hyperparameters change.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_pairs"
    runs = runs_of_table(where, table, monitor, maximize, best)
    shown = varying(where, table, hyperparameters)
    dimensions = [dimension_of(name, table[name]) for name in shown]
    _check_pairs(where, dimensions)
    dimensions = most_important(dimensions, runs, _MOST)
    with house_style(where):
        subtitle = circumstances(runs, table) + left_out(len(dimensions), len(shown))
        size = len(dimensions) - 1
        title = _best_cell_in_words(dimensions, runs) or finding(runs, table, shown)
        height = _CELL * size + 0.45 if size > 1 else 3.0
        figure = new_figure(title, subtitle, _handles(runs), height=height, width=9.0 if size > 1 else 6.0)
        _draw(figure, dimensions, runs)
        save_figure(where, figure, path)
    return figure


def _check_pairs(where: str, dimensions: Sequence[Dimension]) -> None:
    changing = [dimension.name for dimension in dimensions if _bins(dimension, 2)[1] > 1]
    if len(changing) < 2:
        raise DataError(
            where,
            f"a pair needs two hyperparameters that change, but {len(changing)} of those named "
            f"{'does' if len(changing) == 1 else 'do'}{': ' + changing[0] if changing else ''}. "
            f"For one hyperparameter use report.plot_space.",
        )


def _most_bins(runs: Runs) -> int:
    """Bins of an axis of numbers: a cell of a heat map has about four runs, if the design is even."""
    return int(np.clip(round(np.sqrt(len(runs.scores) / 4)), 3, 7))


def _bins(dimension: Dimension, most: int) -> tuple[np.ndarray, int]:
    """The bin of each run, and how many there are; runs without a value have the last."""
    bins, count = dimension.binned(most)
    missing = bins < 0
    return np.where(missing, count, bins), count + int(missing.any())


def _medians(x: Dimension, y: Dimension, runs: Runs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(bins of y, bins of x): the median score, how many runs have one, and how many runs have none."""
    most = _most_bins(runs)
    (columns, width), (rows, height) = _bins(x, most), _bins(y, most)
    known = usable(runs)
    medians = np.full((height, width), np.nan)
    counts, lost = np.zeros((height, width), int), np.zeros((height, width), int)
    for row, column in itertools.product(range(height), range(width)):
        here = (rows == row) & (columns == column)
        counts[row, column], lost[row, column] = (here & known).sum(), (here & ~known).sum()
        if counts[row, column]:
            medians[row, column] = np.median(runs.scores[here & known])
    return medians, counts, lost


def _best_cell(dimensions: Sequence[Dimension], runs: Runs) -> Cell | None:
    """The cell of all pairs with the best median of enough runs."""
    sign = -1.0 if runs.maximize else 1.0
    found = None
    for x, y in itertools.combinations(dimensions, 2):
        medians, counts, _ = _medians(x, y, runs)
        scores = np.where(counts >= _FEWEST_IN_CELL, sign * medians, np.inf)
        row, column = np.unravel_index(np.argmin(scores), scores.shape)
        if np.isfinite(scores[row, column]) and (found is None or scores[row, column] < sign * found.score):
            text = f"{_stretch(x, int(column), runs)} with {_stretch(y, int(row), runs)}"
            found = Cell(text, float(medians[row, column]), int(counts[row, column]))
    return found


def _best_cell_in_words(dimensions: Sequence[Dimension], runs: Runs) -> str:
    cell = _best_cell(dimensions, runs)
    if cell is None:
        return ""
    side = "highest" if runs.maximize else "lowest"
    what, runs_there = words(runs.monitor), plural(cell.runs, "run").replace(" ", "\u00a0")
    return f"Median {what} is {side} at {cell.text}: {number(cell.score)} in\u00a0{runs_there}"


def _stretch(dimension: Dimension, index: int, runs: Runs) -> str:
    """What a bin holds, in words, on one line."""
    count = dimension.binned(_most_bins(runs))[1]
    if index == count:
        return f"no\u00a0{dimension.name}"
    if dimension.kind == "strip":
        text = dimension.ticks[index][1]
    else:
        text = f"{dimension.value(index / count)} to {dimension.value((index + 1) / count)}"
    return f"{dimension.name} {text}".replace(" ", "\u00a0")


def _handles(runs: Runs) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = []
    if runs.best is not None:
        handles.append(Line2D([], [], linestyle="none", color=VERMILLION, label="best run", **STAR))
    if (~usable(runs)).any():
        handles.append(Line2D([], [], linestyle="none", marker="x", color=INK, markersize=5, label="none has a score"))
    square: dict[str, Any] = {"linestyle": "none", "marker": "s", "markersize": 8, "markeredgecolor": GREY}
    handles.append(Line2D([], [], color="white", markeredgewidth=0.6, label="no run", **square))
    return handles


def _draw(figure: Any, dimensions: Sequence[Dimension], runs: Runs) -> None:
    """The lower triangle of pairs, and the scale in the upper one or else beside the only heat map."""
    size = len(dimensions) - 1
    view = _view(dimensions, runs)
    alone = size == 1
    grid = figure.add_gridspec(1, 2, width_ratios=(1, 0.06)) if alone else figure.add_gridspec(size, size)
    for row, column in itertools.product(range(size), repeat=2):
        if column > row:
            continue
        axes = figure.add_subplot(grid[row, column])
        x, y = dimensions[column], dimensions[row + 1]
        _draw_pair(axes, x, y, runs, view)
        _label(axes.xaxis, x if row == size - 1 else None, runs)
        _label(axes.yaxis, y if column == 0 else None, runs)
    figure.align_labels()
    if view is not None and alone:
        _draw_scale(figure.add_subplot(grid[0, 1]), view, runs, upright=True)
    elif view is not None:
        corner = figure.add_subplot(grid[0, max(1, size - 2) :])
        corner.set_axis_off()
        _draw_scale(corner.inset_axes((0.1, 0.55, 0.85, 0.13)), view, runs, upright=False)


def _view(dimensions: Sequence[Dimension], runs: Runs) -> View | None:
    """The scale of the medians of all cells: from the best one to where the bulk of them lies."""
    medians = [_medians(x, y, runs)[0].ravel() for x, y in itertools.combinations(dimensions, 2)]
    scores = np.concatenate(medians)
    known = scores[np.isfinite(scores)]
    if not len(known):
        return None
    seen = Runs(known, np.zeros(len(known), bool), None, runs.monitor, runs.maximize)
    view = view_of(seen)
    if view is None:
        return None
    # Colours need no room for marks at the edge.
    low, high = max(view.low, float(known.min())), min(view.high, float(known.max()))
    return View(low, high, view.log) if high > low else view


def _shades(scores: np.ndarray, view: View, maximize: bool) -> np.ndarray:
    """Colours of scores, transparent where there is none."""
    low, high = (np.log(view.low), np.log(view.high)) if view.log else (view.low, view.high)
    filled = np.where(np.isfinite(scores), scores, view.low)
    places = np.clip(((np.log(filled) if view.log else filled) - low) / (high - low), 0, 1)
    colors = np.array(score_colors(places if maximize else 1 - places))
    colors[~np.isfinite(scores)] = (1, 1, 1, 0)
    return colors


def _draw_pair(axes: Any, x: Dimension, y: Dimension, runs: Runs, view: View | None) -> None:
    medians, counts, lost = _medians(x, y, runs)
    height, width = medians.shape
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(-0.5, height - 0.5)
    shades = np.zeros((height, width, 4)) if view is None else _shades(medians, view, runs.maximize)
    axes.pcolormesh(np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5, shades, edgecolors=RULE, linewidth=0.6)
    for row, column in itertools.product(range(height), range(width)):
        if counts[row, column] == 0 and lost[row, column]:
            axes.plot(column, row, marker="x", color=INK, markersize=4, markeredgewidth=0.8)
    if runs.best is not None:
        most = _most_bins(runs)
        axes.plot(_bins(x, most)[0][runs.best], _bins(y, most)[0][runs.best], color=VERMILLION, zorder=5, **STAR)


def _label(axis: Any, dimension: Dimension | None, runs: Runs) -> None:
    """Ticks and name of an axis of cells, or neither if another panel has them."""
    if dimension is None:
        axis.set_ticks([])
        return
    bins, count = dimension.binned(_most_bins(runs))
    if dimension.kind == "strip":
        ticks = [(float(index), shortened(label, 9)) for index, (_, label) in enumerate(dimension.ticks)]
    else:
        ticks = [(place * count - 0.5, label) for place, label in dimension.ticks]
        ticks = ticks[:: 1 + len(ticks) // 5]
    if (bins < 0).any():
        ticks.append((float(count), MISSING))
    axis.set_ticks([place for place, _ in ticks], [label for _, label in ticks], fontsize=7.5)
    axis.set_tick_params(length=2.5)
    if axis.axis_name == "x" and sum(len(label) for _, label in ticks) > 16:
        axis.set_tick_params(labelrotation=45)
    axis.set_label_text(dimension.name)


def _draw_scale(axes: Any, view: View, runs: Runs, *, upright: bool) -> None:
    """The scale of colours, with the scores that they stand for."""
    steps = np.linspace(0, 1, 128)
    between = np.geomspace if view.log else np.linspace
    edges = between(view.low, view.high, len(steps) + 1)
    colors = score_colors(steps if runs.maximize else 1 - steps)
    across = np.array([0.0, 1.0])
    if upright:
        axes.pcolormesh(across, edges, colors[:, None], rasterized=True)
    else:
        axes.pcolormesh(edges, across, colors[None, :], rasterized=True)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    other, axis = (axes.xaxis, axes.yaxis) if upright else (axes.yaxis, axes.xaxis)
    other.set_ticks([])
    (axes.set_yscale if upright else axes.set_xscale)("log" if view.log else "linear")
    ticks = ticks_of(view.low, view.high, view.log)
    axis.set_ticks(ticks, [number(tick) for tick in ticks])
    axis.set_ticks([], minor=True)
    (axes.yaxis.tick_right if upright else axes.xaxis.tick_bottom)()
    # A word a line over the narrow bar, so that a long name is not cut off at the figure's edge.
    name = f"median {words(runs.monitor)}"
    axes.set_title(name.replace(" ", "\n") if upright else name, fontsize=9)
