"""One picture of a whole sweep: how the runs learned, and which hyperparameters made them good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from fnnet.report.curves import curve_handles, curve_panels, draw_curves
from fnnet.report.runs import circumstances, curves_of, epochs_of, finding, runs_of_history
from fnnet.report.space import draw_space, edge_handles, space_rows, varying
from fnnet.report.style import house_style, new_figure, save_figure

_CURVES, _SPACE = 2.3, 2.15  # inches: the heights of the rows


def plot_sweep(
    table: Any,
    history: Mapping[str, Any],
    hyperparameters: Sequence[str],
    *,
    monitor: str,
    maximize: bool,
    path: str | PathLike[str] | None = None,
    best: int | None = None,
    epochs: Any = None,
) -> Any:
    """One picture of a sweep: learning curves above, the score against each hyperparameter below.

    Args:
        table: one row a run, such as ``sweep.table``.
        history: name to array (runs, evaluations), rows in the table's order, such as ``sweep.history``.
        hyperparameters: the table's columns to draw.
        monitor: the name of the score that selects, such as "validation/accuracy".
        maximize: whether a larger score is better.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        best: the row of the best run, counted from 0; None takes the row with the best score.
        epochs: (evaluations,), the epochs that had been seen at each evaluation; None for one evaluation an epoch.

    Returns:
        The matplotlib Figure.

    Raises:
        DataError: the table or the history lacks a name, or they do not have the same runs.
        StructureError: an array of the history is not of shape (runs, evaluations), or ``epochs`` do not grow with it.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_sweep"
    runs = runs_of_history(where, history, monitor, maximize, table, best)
    shown = varying(where, table, hyperparameters)
    seen = epochs_of(where, epochs, curves_of(where, history, monitor).shape[1])
    with house_style(where):
        rows = space_rows(len(shown))
        panels = curve_panels(history, monitor)
        figure = new_figure(
            finding(runs, table, hyperparameters),
            circumstances(runs, table, seen[-1]),
            curve_handles(runs, panels) + edge_handles(runs),
            height=_CURVES + _SPACE * rows,
        )
        upper, lower = figure.add_gridspec(2, 1, height_ratios=(_CURVES, _SPACE * rows))
        cells = upper.subgridspec(1, len(panels))
        for index, names in enumerate(panels):
            draw_curves(where, figure.add_subplot(cells[0, index]), history, names, runs, seen)
        columns = -(-len(shown) // rows)
        draw_space(figure, lower.subgridspec(rows, columns), table, shown, runs)
        save_figure(where, figure, path)
    return figure
