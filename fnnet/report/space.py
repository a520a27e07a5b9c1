"""The score against each hyperparameter, a panel each."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from fnnet.errors import DataError
from fnnet.report.runs import Runs, circumstances, finding, runs_of_table
from fnnet.report.scales import View, outside_of, places_of, show_view, usable, view_of
from fnnet.report.style import (
    BLUE,
    GREY,
    INK,
    STAR,
    VERMILLION,
    house_style,
    new_figure,
    save_figure,
    words,
)

_PANEL = 2.35  # inches: the height of a row of panels
_COLUMNS = 4
_FEWEST_FOR_TREND = 24


def plot_space(
    table: Any,
    hyperparameters: Sequence[str],
    *,
    monitor: str,
    maximize: bool,
    path: str | PathLike[str] | None = None,
    best: int | None = None,
) -> Any:
    """The score of every run against each hyperparameter, a panel each, the best run marked.

    Numbers that spread over decades get a logarithmic axis; categories and numbers with few values are drawn
    side by side with a little jitter. Runs for which a hyperparameter does not exist (NaN or None in the table)
    stand apart, at "–". The line is the running median. The score's axis shows the range where
    the good runs are; runs below it and diverged runs are marks at its edge.

    Args:
        table: one row a run, such as ``sweep.table``; a column ``status`` tells which runs diverged.
        hyperparameters: the columns to draw; those that never change are left out if another one does.
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
    where = "plot_space"
    runs = runs_of_table(where, table, monitor, maximize, best)
    shown = varying(where, table, hyperparameters)
    with house_style(where):
        columns = min(_COLUMNS, len(shown))
        rows = space_rows(len(shown))
        figure = new_figure(
            finding(runs, table, hyperparameters),
            circumstances(runs, table),
            space_handles(runs),
            height=_PANEL * rows,
            width=9.0 if columns > 1 else 6.0,
        )
        draw_space(figure, figure.add_gridspec(rows, columns), table, shown, runs)
        save_figure(where, figure, path)
    return figure


def space_rows(count: int) -> int:
    """How many rows of panels so many hyperparameters need."""
    return -(-count // _COLUMNS)


def varying(where: str, table: Any, hyperparameters: Sequence[str]) -> list[str]:
    """The hyperparameters that take more than one value, or all of them if none does."""
    if not len(hyperparameters):
        raise DataError(where, "hyperparameters is empty, so there is nothing to draw. Name a column.")
    for name in hyperparameters:
        if name not in table:
            raise DataError(
                where,
                f"hyperparameters names {name!r}, but the table has no such column. "
                f"It has {', '.join(str(column) for column in table.columns)}.",
            )
    changing = [name for name in hyperparameters if table[name].nunique(dropna=False) > 1]
    return changing or list(hyperparameters)


def space_handles(runs: Runs) -> list[Any]:
    """The legend's entries for what `draw_space` draws."""
    from matplotlib.lines import Line2D

    dot: dict[str, Any] = {"marker": "o", "alpha": 0.6, "markersize": 4.5, "markeredgewidth": 0}
    handles = [Line2D([], [], linestyle="none", color=BLUE, label="run", **dot)]
    if usable(runs).sum() >= _FEWEST_FOR_TREND:
        handles.append(Line2D([], [], color=INK, linewidth=1.2, label="median"))
    if runs.best is not None:
        handles.append(Line2D([], [], linestyle="none", color=VERMILLION, label="best run", **STAR))
    return handles + edge_handles(runs)


def edge_handles(runs: Runs) -> list[Any]:
    """The legend's entries for the marks at the edge: diverged runs and those out of view."""
    return mark_handles(int(outside_of(runs, view_of(runs)).sum()), bool(runs.diverged.any()), runs.maximize)


def mark_handles(outside: int, diverged: bool, maximize: bool) -> list[Any]:
    """The legend's entries for what `draw_marks` draws: so many out of view, and whether some diverged."""
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"linestyle": "none", "markersize": 5}
    handles = []
    if outside:
        marker, side = ("v", "below") if maximize else ("^", "above")
        label = f"{side} the axis ({outside})"
        handles.append(Line2D([], [], marker=marker, color=GREY, markeredgewidth=0, label=label, **style))
    if diverged:
        handles.append(Line2D([], [], marker="x", color=INK, label="diverged", **style))
    return handles


def draw_marks(axes: Any, outside: np.ndarray, diverged: np.ndarray, maximize: bool) -> None:
    """Marks at the edge where the worst scores are: at these places, scores out of view and runs that diverged."""
    # They stand on the axis whatever the score's scale is.
    edge: dict[str, Any] = {
        "transform": axes.get_xaxis_transform(), "markersize": 4.5, "linestyle": "none", "zorder": 4,
    }  # fmt: skip
    height, arrow = (0.035, "v") if maximize else (0.965, "^")
    faint = {**edge, "color": GREY, "alpha": 0.7, "markeredgewidth": 0}
    axes.plot(outside, np.full(len(outside), height), marker=arrow, **faint)
    axes.plot(diverged, np.full(len(diverged), height), marker="x", color=INK, **edge)


def draw_space(figure: Any, grid: Any, table: Any, hyperparameters: Sequence[str], runs: Runs) -> list[Any]:
    """Draws the panels into the cells of a grid, row by row, with one axis for the score."""
    columns = grid.ncols
    view = view_of(runs)
    panels: list[Any] = []
    for index, name in enumerate(hyperparameters):
        axes = figure.add_subplot(grid[index // columns, index % columns])
        panels.append(axes)
        show_view(axes, view)
        if index % columns == 0:
            axes.set_ylabel(words(runs.monitor))
        else:
            axes.tick_params(left=False, labelleft=False)
        axes.set_xlabel(name)
        _draw_hyperparameter(axes, table[name], runs, view)
    return panels


def _draw_hyperparameter(axes: Any, column: Any, runs: Runs, view: View | None) -> None:
    places, missing, kind = places_of(axes, column)
    plain: dict[str, Any] = {"linestyle": "none", "zorder": 4}
    if view is not None:
        inside = usable(runs) & ~outside_of(runs, view)
        dots = {**plain, "marker": "o", "color": BLUE, "alpha": 0.45, "markersize": 4, "markeredgewidth": 0}
        axes.plot(places[inside], runs.scores[inside], **dots)
        there = missing & (kind != "strip")
        _draw_trend(axes, np.where(there, np.nan, places), runs, kind)
        known = usable(runs) & there
        if known.any() and usable(runs).sum() >= _FEWEST_FOR_TREND:
            ends = places[there].min(), places[there].max()
            axes.hlines(np.median(runs.scores[known]), *ends, color=INK, linewidth=1.4, zorder=5)
    draw_marks(axes, places[outside_of(runs, view)], places[runs.diverged], runs.maximize)
    if runs.best is not None:
        star = {**STAR, "color": VERMILLION, "zorder": 6, "clip_on": False}
        axes.plot(places[runs.best], runs.scores[runs.best], **star)


def _draw_trend(axes: Any, places: np.ndarray, runs: Runs, kind: str) -> None:
    """The median of the score in a tenth or so of the runs at a time; a bar for each category."""
    known = usable(runs) & np.isfinite(places)
    if known.sum() < _FEWEST_FOR_TREND:
        return
    if kind == "strip":
        for position in np.unique(np.round(places[known])):
            scores = runs.scores[known & (np.round(places) == position)]
            axes.hlines(np.median(scores), position - 0.3, position + 0.3, color=INK, linewidth=1.4, zorder=5)
        return
    order = np.argsort(places[known], kind="stable")
    parts = np.array_split(order, min(10, len(order) // 6))
    middles = [np.median(places[known][part]) for part in parts]
    medians = [np.median(runs.scores[known][part]) for part in parts]
    axes.plot(middles, medians, color=INK, linewidth=1.2, zorder=5)
