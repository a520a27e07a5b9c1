"""Learning curves of a single fit."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from fnnet.errors import DataError, StructureError
from fnnet.report.curves import PANEL, SIDES, finish_panel, side_of
from fnnet.report.runs import epochs_of
from fnnet.report.style import house_style, new_figure, number, save_figure, sentence, words


def plot_history(
    history: Mapping[str, Any],
    path: str | PathLike[str] | None = None,
    *,
    monitor: str | None = None,
    maximize: bool = False,
    epochs: Any = None,
) -> Any:
    """Learning curves of one fit: a panel for each quantity, training and validation in each.

    Args:
        history: name to array (evaluations,), such as ``run.history``.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        monitor: the score that chose the best epoch; None for the validation loss, else the training loss.
        maximize: whether a larger score is better.
        epochs: (evaluations,), the epochs that had been seen at each evaluation; None for one evaluation an epoch.

    Returns:
        The matplotlib Figure.

    Raises:
        DataError: the history has no curve under ``train/`` or ``validation/``, or no such monitor.
        StructureError: an array is not of shape (evaluations,), or ``epochs`` do not grow with it.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_history"
    curves = {name: np.asarray(history[name], dtype=float) for name in history if name.split("/")[0] in SIDES}
    if not curves:
        raise DataError(where, "the history has no curve whose name starts with 'train/' or 'validation/'.")
    for name, curve in curves.items():
        if curve.ndim != 1 or curve.size == 0:
            raise StructureError(
                where,
                f"the history's {name!r} has shape {curve.shape}, but (evaluations,) is needed. "
                f"For the history of a sweep use report.plot_curves.",
            )
    chosen = monitor or ("validation/loss" if "validation/loss" in curves else next(iter(curves)))
    if chosen not in curves:
        raise DataError(where, f"the history has no {chosen!r}. It has {', '.join(curves)}.")
    quantities = list(dict.fromkeys(name.split("/", 1)[1] for name in curves))
    seen = epochs_of(where, epochs, len(curves[chosen]))
    with house_style(where):
        columns = min(len(quantities), 3)
        rows = -(-len(quantities) // columns)
        title, at = _best(curves, chosen, maximize, seen)
        figure = new_figure(title, "", _history_handles(curves), height=PANEL * rows, width=max(5.5, 3.0 * columns))
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, quantity in zip(grid, quantities, strict=False):
            _draw_quantity(axes, quantity, curves, at, seen)
        for axes in grid[len(quantities) :]:
            axes.set_visible(False)
        save_figure(where, figure, path)
    return figure


def _best(curves: Mapping[str, np.ndarray], monitor: str, maximize: bool, epochs: np.ndarray) -> tuple[str, int | None]:
    """The title of a single fit, and the evaluation, from 0, that it speaks of."""
    curve = curves[monitor]
    finite = np.isfinite(curve)
    if not finite.any():
        return f"{sentence(words(monitor))} is nowhere finite", None
    sign = 1 if maximize else -1
    at = int(np.argmax(np.where(finite, sign * curve, -np.inf)))
    found = "Highest" if maximize else "Lowest"
    text = f"{found} {words(monitor)} {number(curve[at])} at epoch {number(epochs[at])} of {number(epochs[-1])}"
    others = [name for name in curves if name.startswith("validation/") and name != monitor][:2]
    there = ", ".join(f"{words(name.split('/', 1)[1])} {number(curves[name][at])}" for name in others)
    return (f"{text} ({there})" if there else text), at


def _history_handles(curves: Mapping[str, np.ndarray]) -> list[Any]:
    from matplotlib.lines import Line2D

    sides = [side for side in SIDES if any(side_of(name) == side for name in curves)]
    return [Line2D([], [], color=SIDES[side], label=side) for side in sides]


def _draw_quantity(
    axes: Any, quantity: str, curves: Mapping[str, np.ndarray], at: int | None, epochs: np.ndarray
) -> None:
    drawn = []
    for side, color in SIDES.items():
        curve = curves.get(f"{side}/{quantity}")
        if curve is None:
            continue
        curve = np.where(np.isfinite(curve), curve, np.nan)
        axes.plot(epochs, curve, color=color, zorder=3, marker="o" if len(epochs) == 1 else "", markersize=4)
        if side == "validation" and at is not None:
            axes.plot(epochs[at], curve[at], "o", color=color, markersize=5, zorder=5)
        drawn.append(curve)
    finish_panel(axes, words(quantity), epochs, np.stack(drawn), np.stack(drawn))
