"""What came of each run, row by row and in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fnnet.sweeps.book import RunId
from fnnet.sweeps.drawing import Trial
from fnnet.sweeps.planning import cell
from fnnet.sweeps.trained import Trained
from fnnet.train.learner import Monitor
from fnnet.train.state import DIVERGED, FINISHED, PRUNED, RUNNING, STATUS_NAMES


def run_table(
    trained: Trained, trials: Sequence[Trial], runs: Sequence[RunId], hyperparameters: Sequence[str],
    history: Mapping[str, np.ndarray],
) -> Any:  # fmt: skip
    """A row a run; see `Sweep.table`."""
    import pandas as pd

    work, book = trained.work, trained.book
    # What has no slash is no score: a column learning_rate would be taken for the hyperparameter.
    scores = {name: values for name, values in history.items() if "/" in name}
    rows = []
    for row, run in enumerate(runs):
        trial, seed, fold = run
        curve = history[work.monitor.name][row] if history else np.zeros(0)
        best = _best_evaluation(curve, book.since(run), work.monitor)
        rows.append(
            {"trial": trial, "seed": seed}
            | ({} if work.folds is None else {"fold": fold})
            | {name: cell(trials[trial].values.get(name)) for name in hyperparameters}
            | {name: np.nan if best is None else values[row, best] for name, values in scores.items()}
            | {
                "status": STATUS_NAMES[trained.status(run)],
                "epochs": book.step(run) // work.per_epoch,
                "seconds": book.seconds(run),
            }
            | ({"share": ", ".join(work.share)} if work.share else {})
        )
    return pd.DataFrame(rows)


def scores_in_common(trained: Trained, runs: Sequence[RunId]) -> np.ndarray | None:
    """The scores of runs, (runs,), after as many evaluations as all have seen that a scheduler let rest or go on.

    None if it let none rest, so that runs have the length that they were asked for.
    """
    book, monitor = trained.book, trained.work.monitor
    codes = {run: trained.status(run) for run in runs if run in book}
    if PRUNED not in codes.values():
        return None
    # What has diverged or stopped early would have gone no further.
    seen = min(book.evaluations(run) for run, code in codes.items() if code in (PRUNED, FINISHED, RUNNING))
    scores = np.full(len(runs), np.nan)
    for row, run in enumerate(runs):
        curve = book.curve(run, monitor.name)[:seen]
        best = _best_evaluation(curve, book.since(run), monitor)
        scores[row] = np.nan if best is None else curve[best]
    return scores


def _best_evaluation(curve: np.ndarray, since: int, monitor: Monitor) -> int | None:
    """The evaluation whose parameters a run has kept: the best one ``since`` they are its own, or the last."""
    own = np.where(np.arange(len(curve)) >= since, curve, np.nan)
    seen = np.flatnonzero(np.isfinite(own))
    if not seen.size:
        return None
    if monitor.name == "train/loss":
        return int(seen[-1])
    return int(np.nanargmax(own) if monitor.maximize else np.nanargmin(own))


def divergence(trained: Trained, trials: Sequence[Trial], runs: Sequence[RunId]) -> str:
    """A sentence on the runs that diverged; empty if none did."""
    found = []
    for run in runs:
        if run in trained.book and trained.book.status(run) == DIVERGED:
            trial, seed, fold = run
            values = ", ".join(f"{name}={_short(value)}" for name, value in trials[trial].values.items())
            place = f"seed {seed}" + ("" if trained.work.folds is None else f", fold {fold}")
            said = ", ".join(filter(None, [values, place]))
            found.append(f"trial {trial} ({said}) at step {trained.book.step(run)}")
    if not found:
        return ""
    shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
    others = "; the others are unaffected" if len(found) < len(runs) else ". Is the learning rate too large"
    return f"sweep: {len(found)} of {len(runs)} runs diverged: {shown}{others}{'.' if len(found) < len(runs) else '?'}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(cell(value))
