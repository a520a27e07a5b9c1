"""Learning curves of a whole sweep, as bands over its runs."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from fnnet.report.runs import Runs, circumstances, curves_of, epochs_of, finding, runs_of_history
from fnnet.report.scales import log_ticks
from fnnet.report.style import (
    BAND,
    BLUE,
    ORANGE,
    STAR,
    VERMILLION,
    house_style,
    new_figure,
    number,
    save_figure,
    sentence,
    words,
)

PANEL = 2.5  # inches: the height of a row of learning curves
_FEWEST_FOR_BANDS = 5  # quartiles of four runs are the runs themselves, so these are drawn as they are
SIDES = {"train": ORANGE, "validation": BLUE}


def plot_curves(
    history: Mapping[str, Any],
    *,
    monitor: str,
    maximize: bool,
    path: str | PathLike[str] | None = None,
    table: Any = None,
    best: int | None = None,
    epochs: Any = None,
) -> Any:
    """Learning curves of a sweep: the median run, bands over the runs, and the best run.

    One panel shows the losses, one the monitored score. The dark band holds half of the runs, the light one
    the middle 80 %; both cover the runs that are still going at an epoch. Diverged runs are counted in the
    subtitle and left out of the bands.

    Args:
        history: name to array (runs, evaluations), NaN where a run did not reach, such as ``sweep.history``.
        monitor: the name of the score that selects, such as "validation/accuracy".
        maximize: whether a larger score is better.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        table: the sweep's table, rows in the order of the runs; tells which runs diverged.
        best: the row of the best run; None takes the row with the best score.
        epochs: (evaluations,), the epochs that had been seen at each evaluation; None for one evaluation an epoch.

    Returns:
        The matplotlib Figure.

    Raises:
        DataError: the history has no such monitor, or not as many runs as the table.
        StructureError: an array of the history is not of shape (runs, evaluations), or ``epochs`` do not grow with it.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_curves"
    runs = runs_of_history(where, history, monitor, maximize, table, best)
    seen = epochs_of(where, epochs, curves_of(where, history, monitor).shape[1])
    with house_style(where):
        title = finding(runs)
        if runs.best is not None:
            title += f" at epoch {number(seen[best_evaluation(history, runs)])} of {number(seen[-1])}"
        panels = curve_panels(history, monitor)
        figure = new_figure(title, circumstances(runs, table), curve_handles(runs, panels), height=PANEL)
        for axes, names in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            draw_curves(where, axes, history, names, runs, seen)
        save_figure(where, figure, path)
    return figure


def best_evaluation(history: Mapping[str, Any], runs: Runs) -> int:
    """The evaluation, from 0, at which the best run had the score that it counts with."""
    curve = np.asarray(history[runs.monitor], dtype=float)[runs.best]
    distance = np.abs(np.where(np.isfinite(curve), curve, np.inf) - runs.scores[runs.best])
    return int(np.argmin(np.where(np.isfinite(distance), distance, np.inf)))


def curve_panels(history: Mapping[str, Any], monitor: str) -> list[list[str]]:
    """The names that each panel shows: the losses, and the monitored score or else another one."""
    losses = [name for name in ("train/loss", "validation/loss") if name in history]
    others = [name for name in history if name.startswith("validation/") and name not in losses]
    scores = [monitor] if monitor not in losses else others[:1]
    return [panel for panel in (losses, scores) if panel]


def curve_handles(runs: Runs, panels: list[list[str]]) -> list[Any]:
    """The legend's entries for what `draw_curves` draws."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    count = int((~runs.diverged).sum())
    handles: list[Any] = []
    bands = count >= _FEWEST_FOR_BANDS
    sides = sorted({side_of(name) for names in panels for name in names})
    if count == 1:
        sides = ["train"] if "train" in sides else []  # its validation curve is the best run's
    for side in sides if count else []:
        handles.append(Line2D([], [], color=SIDES[side], label=f"{side} median" if bands else side))
    if bands:
        inner = 1 - (1 - BAND) ** 2
        handles.append(Patch(facecolor=BLUE, alpha=inner, linewidth=0, label="half of the runs"))
        handles.append(Patch(facecolor=BLUE, alpha=BAND, linewidth=0, label="80 % of the runs"))
    if runs.best is not None:
        handles.append(Line2D([], [], color=VERMILLION, label="best run", **STAR))
    return handles


def side_of(name: str) -> str:
    """Whether a curve is of training or of validation."""
    return "train" if name.startswith("train/") else "validation"


def draw_curves(
    where: str, axes: Any, history: Mapping[str, Any], names: list[str], runs: Runs, epochs: np.ndarray
) -> None:
    """Draws one panel: the median of every name, bands for the last one (validation), the best run."""
    drawn, core = [], []
    for name in names:
        curves = curves_of(where, history, name)
        curves = np.where(np.isfinite(curves), curves, np.nan)
        main = name == names[-1]
        shown = _draw_runs(axes, epochs, curves[~runs.diverged], SIDES[side_of(name)], bands=main)
        if runs.best is not None and main:
            shown = np.concatenate([shown, curves[runs.best : runs.best + 1]])
            axes.plot(epochs, curves[runs.best], color=VERMILLION, zorder=4)
        if runs.best is not None and name == runs.monitor:
            at = best_evaluation(history, runs)
            axes.plot(epochs[at], curves[runs.best, at], color=VERMILLION, zorder=5, clip_on=False, **STAR)
        drawn.append(shown)
        core.append(_core(shown, banded=main and (~runs.diverged).sum() >= _FEWEST_FOR_BANDS))
    label = words(names[0]) if len(names) == 1 else names[0].split("/")[-1]
    finish_panel(axes, label, epochs, np.concatenate(drawn), np.concatenate(core))


def _draw_runs(axes: Any, epochs: np.ndarray, curves: np.ndarray, color: str, *, bands: bool) -> np.ndarray:
    """Draws the median and bands, or the runs as they are if they are few; gives the curves that it drew."""
    if len(curves) < _FEWEST_FOR_BANDS:
        marker = "o" if len(epochs) == 1 else ""
        width = 1.6 if len(curves) == 1 else 1.0
        for curve in curves:
            axes.plot(epochs, curve, color=color, linewidth=width, marker=marker, markersize=4)
        return curves
    reached = np.isfinite(curves).any(axis=0)
    quantiles = np.full((5, curves.shape[1]), np.nan)
    quantiles[:, reached] = np.nanquantile(curves[:, reached], [0.1, 0.25, 0.5, 0.75, 0.9], axis=0)
    axes.plot(epochs, quantiles[2], color=color, zorder=3, marker="o" if len(epochs) == 1 else "")
    if not bands:
        return quantiles[2:3]
    for low, high in ((0, 4), (1, 3)):
        axes.fill_between(epochs, quantiles[low], quantiles[high], color=color, alpha=BAND, linewidth=0)
    return quantiles


def _core(drawn: np.ndarray, *, banded: bool) -> np.ndarray:
    """What has to be in view on a plain axis: everything at the end, less of the steep part before.

    The first fifth and the light band would otherwise take all the room from the differences that matter.
    """
    core = drawn.copy()
    core[:, : drawn.shape[1] // 5] = np.nan
    if banded:
        core[[0, 4], :-1] = np.nan
    return core


def finish_panel(axes: Any, label: str, epochs: np.ndarray, drawn: np.ndarray, core: np.ndarray) -> None:
    """Sets scales, limits, labels and ticks; losses that span a decade get a logarithmic axis.

    Args:
        axes: the panel.
        label: what the panel shows, in words.
        epochs: (evaluations,), seen at each evaluation.
        drawn: (any, evaluations), the curves in the panel; all of them are in view on a logarithmic axis.
        core: (any, evaluations), what is in view on a plain axis.
    """
    from matplotlib.ticker import MaxNLocator

    room = 0.5 if len(epochs) == 1 else 0.0
    whole = epochs.dtype.kind == "i"
    axes.set_title(sentence(label), loc="left")
    axes.set_xlabel("epoch")
    axes.set_xlim(epochs[0] - room, epochs[-1] + max(0.1 if whole else 0.0, 0.01 * epochs[-1], room))
    axes.xaxis.set_major_locator(MaxNLocator(integer=whole, nbins=7, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    values = drawn[np.isfinite(drawn)]
    if not len(values):
        axes.set_yticks([])
        return
    low, high = float(values.min()), float(values.max())
    if label.endswith("loss") and low > 0 and high > 10 * low:
        axes.set_yscale("log")
        room = (high / low) ** 0.05
        axes.set_ylim(low / room, high * room)
        log_ticks(axes.yaxis, low / room, high * room)
        return
    values = core[np.isfinite(core)] if np.isfinite(core).any() else values
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 0.04 * abs(high) or 0.1
    axes.set_ylim(low - room, high + room)
