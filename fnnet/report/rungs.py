"""The rungs of a halving: which trials went on, and which were pruned."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from fnnet.errors import DataError, StructureError
from fnnet.report.runs import Runs
from fnnet.report.scales import View, show_view, view_of
from fnnet.report.space import draw_marks, mark_handles
from fnnet.report.style import (
    BLUE,
    GREY,
    STAR,
    VERMILLION,
    house_style,
    new_figure,
    number,
    plural,
    save_figure,
    words,
)

_HEIGHT = 3.1  # inches
_NAMED = 9  # rungs with a label, at the most
_PRUNED: dict[str, Any] = {"marker": "o", "markerfacecolor": "none", "markeredgewidth": 0.8, "color": GREY}


class Rung(NamedTuple):
    """A generation: the epochs that its trials have seen, the trials and their scores, NaN for none."""

    epochs: int
    trials: np.ndarray
    scores: np.ndarray


class Halving(NamedTuple):
    """All rungs, the trials that diverged, the one that won (None if none has a score), and the scores in view."""

    rungs: list[Rung]
    diverged: set[int]
    winner: int | None
    view: View | None
    monitor: str
    maximize: bool


def plot_rungs(
    table: Any,
    rungs: Sequence[Mapping[str, Any]],
    *,
    monitor: str,
    maximize: bool,
    path: str | PathLike[str] | None = None,
) -> Any:
    """The rungs of a halving: the score of every trial at each, a line for each that went on, a mark where one ended.

    The title says which trial leads the last rung, where all scores are those of the same epoch (`Sweep.best` may be
    another, which was better on its way), and what share of the epochs was spent that all trials would have taken.

    Args:
        table: the sweep's table; its column ``status``, if there is one, tells which trials diverged.
        rungs: one dict a generation, in order: ``epochs``, how far its trials came, counted from the start;
            ``trials``, their numbers; ``scores``, one for each, NaN where a trial has none.
        monitor: the name of the score, such as "validation/accuracy".
        maximize: whether a larger score is better.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.

    Returns:
        The matplotlib Figure.

    Raises:
        DataError: there are no rungs, or a rung has no trials, not a score for each, no more epochs than the one
            before, or a trial that the one before does not have.
        StructureError: a rung is not such a dict.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_rungs"
    read = _read(where, rungs)
    scores = np.concatenate([rung.scores for rung in read])
    view = view_of(Runs(scores, np.isnan(scores), None, monitor, maximize))
    halving = Halving(read, _diverged(table, read), _winner(read[-1], maximize), view, monitor, maximize)
    with house_style(where):
        figure = new_figure(_finding(halving), _circumstances(halving), _handles(halving), height=_HEIGHT)
        _draw(figure.subplots(), halving)
        save_figure(where, figure, path)
    return figure


def _read(where: str, rungs: Sequence[Mapping[str, Any]]) -> list[Rung]:
    """The rungs as arrays, in the order of their trials."""
    if not len(rungs):
        raise DataError(where, "there are no rungs, so there is nothing to draw. Was the sweep a halving?")
    read: list[Rung] = []
    for index, rung in enumerate(rungs):
        if not isinstance(rung, Mapping) or not {"epochs", "trials", "scores"} <= set(rung):
            raise StructureError(where, f"rung {index} is {rung!r}, but a dict of epochs, trials and scores is needed.")
        trials, scores = np.asarray(rung["trials"], dtype=int), np.asarray(rung["scores"], dtype=float)
        if trials.ndim != 1 or trials.size == 0 or trials.shape != scores.shape:
            raise DataError(
                where,
                f"rung {index} has trials of shape {trials.shape} and scores of shape {scores.shape}, but it has to "
                f"have at least one trial and a score for each.",
            )
        if read and not set(trials) <= set(read[-1].trials):
            new = sorted(set(trials) - set(read[-1].trials))[0]
            raise DataError(where, f"rung {index} has trial {new}, which rung {index - 1} has not. Pass them in order.")
        if read and rung["epochs"] <= read[-1].epochs:
            raise DataError(
                where,
                f"rung {index} is at {rung['epochs']} epochs and rung {index - 1} at {read[-1].epochs}, but epochs are "
                f"counted from the start and grow.",
            )
        order = np.argsort(trials, kind="stable")
        finite = np.where(np.isfinite(scores), scores, np.nan)
        read.append(Rung(int(rung["epochs"]), trials[order], finite[order]))
    return read


def _diverged(table: Any, rungs: Sequence[Rung]) -> set[int]:
    """The trials that diverged: of which no run of the table did anything else, or whose last score is none."""
    if table is not None and {"status", "trial"} <= set(table.columns):
        alive = table.groupby("trial")["status"].apply(lambda status: (status != "diverged").any())
        return {int(trial) for trial in alive.index[~alive]}
    last = {int(t): score for rung in rungs for t, score in zip(rung.trials, rung.scores, strict=True)}
    return {trial for trial, score in last.items() if np.isnan(score)}


def _winner(last: Rung, maximize: bool) -> int | None:
    """The trial with the best score at the last rung."""
    if np.isnan(last.scores).all():
        return None
    return int(last.trials[np.nanargmax(last.scores) if maximize else np.nanargmin(last.scores)])


def _spent(rungs: Sequence[Rung]) -> tuple[int, int]:
    """The epochs that all trials together have seen, and those that they would have seen without pruning."""
    before = [0, *(rung.epochs for rung in rungs[:-1])]
    spent = sum((rung.epochs - start) * len(rung.trials) for rung, start in zip(rungs, before, strict=True))
    return spent, rungs[-1].epochs * len(rungs[0].trials)


def _finding(halving: Halving) -> str:
    rungs, what = halving.rungs, words(halving.monitor)
    spent, full = _spent(rungs)
    cost = f"{number(100 * spent / full, digits=2)}\u00a0% of the full cost"
    if halving.winner is None:
        return f"No trial has a {what} at the last rung, at {cost}"
    score = rungs[-1].scores[rungs[-1].trials == halving.winner][0]
    return f"Trial {halving.winner} leads the last rung with {what} {number(score)}, at {cost}"


def _circumstances(halving: Halving) -> str:
    spent, full = _spent(halving.rungs)
    trials, diverged = plural(len(halving.rungs[0].trials), "trial"), len(halving.diverged)
    text = f"{trials}, {plural(len(halving.rungs), 'rung')}; {spent} of {plural(full, 'epoch')}"
    return text + (f"; {diverged} of {trials} diverged" if diverged else "")


def _handles(halving: Halving) -> list[Any]:
    from matplotlib.lines import Line2D

    plain: dict[str, Any] = {"linestyle": "none", "markersize": 4.5}
    handles = [Line2D([], [], color=BLUE, marker="o", markersize=4, linewidth=1, label="goes on")]
    if len(halving.rungs) > 1:
        handles.append(Line2D([], [], label="pruned", **plain, **_PRUNED))
    if halving.winner is not None:
        handles.append(Line2D([], [], color=VERMILLION, label="leads the last rung", **STAR))
    outside = sum(int(_outside(rung, halving.view).sum()) for rung in halving.rungs)
    return handles + mark_handles(outside, bool(halving.diverged), halving.maximize)


def _outside(rung: Rung, view: View | None) -> np.ndarray:
    """Which trials have a score that the view leaves out."""
    if view is None:
        return np.zeros(len(rung.scores), bool)
    return (rung.scores < view.low) | (rung.scores > view.high)


def _draw(axes: Any, halving: Halving) -> None:
    from matplotlib.collections import LineCollection

    rungs = halving.rungs
    _set_axes(axes, halving)
    places = [_draw_rung(axes, halving, index) for index in range(len(rungs))]
    lines = []
    for index, (before, after) in enumerate(itertools.pairwise(places)):
        went = before[np.isin(rungs[index].trials, rungs[index + 1].trials)]
        lines += [pair for pair in zip(went, after, strict=True) if np.isfinite(pair).all()]
    axes.add_collection(LineCollection(lines, colors=BLUE, linewidths=0.9, alpha=0.45, zorder=2))
    if halving.winner is not None:
        won = [xy[rung.trials == halving.winner][0] for xy, rung in zip(places, rungs, strict=True)]
        axes.plot(*np.stack(won).T, color=VERMILLION, linewidth=1.8, zorder=5)
        axes.plot(*won[-1], color=VERMILLION, zorder=6, clip_on=False, **STAR)


def _draw_rung(axes: Any, halving: Halving, index: int) -> np.ndarray:
    """Draws the trials of one rung; gives where they stand, (trials, 2)."""
    rung, view = halving.rungs[index], halving.view
    last = index + 1 == len(halving.rungs)
    goes_on = np.ones(len(rung.trials), bool) if last else np.isin(rung.trials, halving.rungs[index + 1].trials)
    lost = np.isnan(rung.scores) | (~goes_on & np.isin(rung.trials, list(halving.diverged)))
    outside = _outside(rung, view) & ~lost
    # Those that end here stand a little to the right, so that they do not hide those that go on.
    across = index + np.where(goes_on, 0.0, np.random.default_rng(index).uniform(0.03, 0.2, len(rung.trials)))
    heights = rung.scores if view is None else np.clip(rung.scores, view.low, view.high)
    pruned, inside = ~goes_on & ~lost & ~outside, goes_on & ~lost & ~outside
    plain: dict[str, Any] = {"linestyle": "none", "zorder": 4}
    axes.plot(across[pruned], heights[pruned], markersize=3.5, alpha=0.7, **plain, **_PRUNED)
    axes.plot(across[inside], heights[inside], marker="o", color=BLUE, markersize=3.5, **plain)
    draw_marks(axes, across[outside], across[lost], halving.maximize)
    return np.stack([across, heights], axis=-1)


def _set_axes(axes: Any, halving: Halving) -> None:
    """Scales, limits and ticks; rungs stand side by side, however many epochs lie between."""
    rungs = halving.rungs
    axes.grid(False, axis="x")
    axes.set_xlim(-0.15, len(rungs) - 0.7)
    # The last rung is named in any case, and as many before it as there is room for.
    named = range((len(rungs) - 1) % -(-len(rungs) // _NAMED), len(rungs), -(-len(rungs) // _NAMED))
    labels = [f"{plural(rungs[i].epochs, 'epoch')}\n{plural(len(rungs[i].trials), 'trial')}" for i in named]
    axes.set_xticks(list(named), labels)
    for index in range(len(rungs)):
        axes.axvline(index, color=GREY, linewidth=0.6, zorder=1)
    axes.set_ylabel(words(halving.monitor))
    show_view(axes, halving.view)
