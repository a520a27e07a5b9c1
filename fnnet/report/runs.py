"""What a figure needs to know of a sweep: scores, the best run, the runs that diverged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fnnet.errors import DataError, StructureError
from fnnet.report.style import number, plural, words

LOSSES = ("validation/loss", "train/loss")
"""By which equal scores are told apart: the first that there is."""


class Runs(NamedTuple):
    """The runs of a sweep, in the rows' order.

    ``scores`` (runs,) is NaN where a run has none; ``diverged`` (runs,) is a mask; ``best`` is a row, or None
    if no run has a score.
    """

    scores: np.ndarray
    diverged: np.ndarray
    best: int | None
    monitor: str
    maximize: bool


def runs_of_table(where: str, table: Any, monitor: str, maximize: bool, best: int | None = None) -> Runs:
    """Reads a sweep's table.

    Raises:
        DataError: the table has no rows or no column with the monitor's name.
    """
    if len(table) == 0:
        raise DataError(where, "the table has no rows, so there is nothing to draw.")
    if monitor not in table:
        raise DataError(
            where,
            f"monitor is {monitor!r}, but the table has no such column. "
            f"It has {', '.join(str(name) for name in table.columns)}.",
        )
    scores = np.asarray(table[monitor], dtype=float)
    diverged = ~np.isfinite(scores)
    if "status" in table:
        diverged = np.asarray(table["status"] == "diverged", dtype=bool)
    chosen = best_row(table, monitor, maximize) if best is None else best
    return _runs(scores, diverged, monitor, maximize, chosen)


def best_row(table: Any, monitor: str, maximize: bool) -> int | None:
    """The row of the best run of a sweep's table, counted from 0; None if no run has a score.

    With folds it is one of the trial whose mean score is the best, since the scores of a fold are those of other rows
    than another's. Among equal scores, of which accuracies on a few hundred examples have many, the smaller loss is
    better.
    """
    scores = np.asarray(table[monitor], dtype=float) * (1 if maximize else -1)
    scores = np.where(np.isfinite(scores), scores, -np.inf)
    if "fold" in table and {"trial", "seed"} <= set(table):
        means = {trial: _mean(scores[rows]) for trial, rows in table.groupby("trial").indices.items()}
        scores = np.where(table["trial"] == max(means, key=lambda trial: means[trial]), scores, -np.inf)
    if not np.isfinite(scores).any():
        return None
    loss = next((np.asarray(table[name], float) for name in LOSSES if name in table), np.zeros(len(table)))
    return int(np.lexsort((np.where(np.isfinite(loss), loss, np.inf), -scores))[0])


def _mean(scores: np.ndarray) -> float:
    finite = scores[np.isfinite(scores)]
    return float(finite.mean()) if finite.size else -np.inf


def runs_of_history(
    where: str,
    history: Mapping[str, Any],
    monitor: str,
    maximize: bool,
    table: Any = None,
    best: int | None = None,
) -> Runs:
    """Reads a sweep's histories, arrays of shape (runs, evaluations), and its table if there is one.

    Without a table a run counts as diverged if its last evaluation has no finite score.

    Raises:
        DataError: the history has no such monitor, or it and the table do not have as many runs.
        StructureError: an array is not of shape (runs, evaluations).
    """
    curves = curves_of(where, history, monitor)
    if table is not None:
        if len(table) != len(curves):
            raise DataError(
                where,
                f"the table has {plural(len(table), 'row')} and the history {plural(len(curves), 'run')}, "
                f"but they have to describe the same runs in the same order.",
            )
        if monitor in table:
            return runs_of_table(where, table, monitor, maximize, best)
    finite = np.isfinite(curves)
    filled = np.where(finite, curves, -np.inf if maximize else np.inf)
    scores = filled.max(axis=1) if maximize else filled.min(axis=1)
    scores = np.where(finite.any(axis=1), scores, np.nan)
    diverged = ~finite.any(axis=1) | np.isinf(curves).any(axis=1)
    if table is not None and "status" in table:
        diverged = np.asarray(table["status"] == "diverged", dtype=bool)
    return _runs(scores, diverged, monitor, maximize, best)


def _runs(scores: np.ndarray, diverged: np.ndarray, monitor: str, maximize: bool, best: int | None) -> Runs:
    # A run that diverged later may still hold the best parameters, those from before.
    finite = np.isfinite(scores)
    if best is None and finite.any():
        best = int(np.argmax(np.where(finite, scores if maximize else -scores, -np.inf)))
    return Runs(np.where(finite, scores, np.nan), diverged, best, monitor, maximize)


def curves_of(where: str, history: Mapping[str, Any], name: str) -> np.ndarray:
    """The curves of one name as floats of shape (runs, evaluations)."""
    if name not in history:
        raise DataError(where, f"the history has no {name!r}. It has {', '.join(str(known) for known in history)}.")
    curves = np.asarray(history[name], dtype=float)
    if curves.ndim != 2 or curves.size == 0:
        raise StructureError(
            where,
            f"the history's {name!r} has shape {curves.shape}, but (runs, evaluations) is needed. "
            f"For the history of one fit use report.plot_history.",
        )
    return curves


def epochs_of(where: str, epochs: Any, evaluations: int) -> np.ndarray:
    """The epochs that have been seen at each evaluation, (evaluations,); 1, 2, … unless told."""
    if epochs is None:
        return np.arange(1, evaluations + 1)
    seen = np.asarray(epochs, dtype=float)
    if seen.shape != (evaluations,) or not (np.diff(seen, prepend=0.0) > 0).all():
        raise StructureError(
            where,
            f"epochs is {epochs!r}, but growing numbers are needed: the epochs seen at {evaluations} evaluations.",
        )
    return seen.astype(int) if (seen % 1 == 0).all() else seen


def finding(runs: Runs, table: Any = None, hyperparameters: Sequence[str] = ()) -> str:
    """The title: the best score, and where it was reached."""
    if runs.best is None:
        count = len(runs.scores)
        return f"All {plural(count, 'run')} diverged" if runs.diverged.all() else f"No run has a {words(runs.monitor)}"
    title = f"Best {words(runs.monitor)} {number(runs.scores[runs.best])}"
    if table is not None and "fold" in table and table["fold"].nunique() > 1:
        # One fold of many is good by luck; a trial is chosen by the mean over all of its runs.
        own = runs.scores[np.asarray(table["trial"] == table["trial"].iloc[runs.best])]
        title = f"Best mean {words(runs.monitor)} {number(np.nanmean(own))} over {_repeats(table)}"
    if table is not None and len(hyperparameters):
        row, gone = table.iloc[runs.best], table[list(hyperparameters)].isna().iloc[runs.best]
        # Spaces that do not break keep a name and its value on one line.
        there = [name for name in hyperparameters if not gone[name]]
        values = [f"{name}\u00a0{number(row[name], digits=2)}".replace(" ", "\u00a0") for name in there]
        title += f" at {', '.join(values)}" if values else ""
    return title


def _repeats(table: Any) -> str:
    """How often each trial is trained: ``2 seeds × 5 folds``."""
    counts = {noun: table[noun].nunique() for noun in ("seed", "fold") if noun in table}
    return " × ".join(plural(count, noun) for noun, count in counts.items() if count > 1)


def circumstances(runs: Runs, table: Any = None, epochs: float | None = None) -> str:
    """The subtitle: how many runs there were, and what became of those that are not shown."""
    count, diverged = len(runs.scores), int(runs.diverged.sum())
    text = plural(count, "run")
    if table is not None and {"trial", "seed"} <= set(table.columns):
        trials, repeats = table["trial"].nunique(), _repeats(table)
        if repeats and len(table[["trial", "seed", *table.columns.intersection(["fold"])]].drop_duplicates()) == count:
            text = f"{plural(trials, 'trial')} × {repeats}"
    if epochs is not None:
        text += f", {number(epochs)} epoch{'' if epochs == 1 else 's'}"
    if diverged:
        text += f"; {diverged} of {plural(count, 'run')} diverged"
    lost = int((~np.isfinite(runs.scores) & ~runs.diverged).sum())
    if lost:
        text += f"; {lost} without a {words(runs.monitor)}"
    return text
