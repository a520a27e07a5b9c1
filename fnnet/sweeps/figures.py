"""Which figures of `fnnet.report` show a sweep, and what each is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fnnet import report
from fnnet.errors import HyperparameterError

if TYPE_CHECKING:
    from fnnet.sweeps.results import Sweep


def draw(sweep: Sweep, path: str | os.PathLike[str], kind: str) -> None:
    """Draws a figure of one of these kinds; see `Sweep.plot`."""
    table, history, names = sweep.table, sweep.history, sweep.hyperparameters
    shown: dict[str, Any] = {"monitor": sweep.monitor, "maximize": sweep.maximize, "path": path}
    # Runs may end between two evaluations; an axis has room for the longest.
    epochs = sweep.evaluation_steps().max(axis=0) / sweep.updates_an_epoch
    kinds: dict[str, Callable[[], Any]] = {
        "overview": lambda: report.plot_sweep(table, history, names, epochs=epochs, **shown),
        "curves": lambda: report.plot_curves(history, table=table, epochs=epochs, **shown),
        "space": lambda: report.plot_space(table, names, **shown),
        "parallel": lambda: report.plot_parallel(table, names, **shown),
        "pairs": lambda: report.plot_pairs(table, names, **shown),
        "rungs": lambda: report.plot_rungs(table, bracket(sweep.rungs, sweep.best["trial"]), **shown),
    }
    if kind not in kinds:
        raise HyperparameterError("sweep.plot", f"kind is {kind!r}, but it has to be one of {', '.join(kinds)}.")
    kinds[kind]()


def bracket(rungs: Sequence[dict[str, Any]], trial: int) -> list[dict[str, Any]]:
    """Of what a scheduler decided, what concerns the trials that began as this one did, as `plot_rungs` takes it."""
    first = dict(zip(rungs[0]["trials"], rungs[0]["epochs"], strict=True)) if rungs else {}
    mine = {other for other, epochs in first.items() if epochs == first.get(trial)}
    found = []
    for rung in rungs:
        rows = [row for row, other in enumerate(rung["trials"]) if other in mine]
        if rows:
            parts = {name: [rung[name][row] for row in rows] for name in ("trials", "scores")}
            found.append({"epochs": max(rung["epochs"][row] for row in rows)} | parts)
    return found
