"""Sweeps whose trials Optuna chooses: each batch is asked for, trained as one sweep, and told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fnnet.errors import HyperparameterError, StructureError, check_size, require, within
from fnnet.recipes import describe
from fnnet.sweeps.conditions import as_dimensions, exists
from fnnet.sweeps.drawing import plain
from fnnet.sweeps.results import Sweep
from fnnet.sweeps.space import Dimension, constant

_WHERE = "OptunaSearch"


class OptunaSearch:
    """A search of a space by an Optuna study, a batch of trials at a time.

    Optuna knows each hyperparameter by its name: uniform, log_uniform and integers as intervals, listed values as
    categories (grids too: nothing is crossed here), a normal by its position in [0, 1). What is conditional is asked
    for only where it exists. Batches of one size compile once, unless the space has structure.

    Args:
        space: a mapping from names to dimensions of `fnnet.hp` or constants.
        study: an `optuna.Study` of one objective, whose direction is that of the sweeps' monitor.

    Raises:
        StructureError: ``space`` is no mapping, or ``study`` no study of one objective.
        HyperparameterError: a condition of the space cannot be.
        MissingPackageError: optuna is not installed.

    >>> import optuna
    >>> from fnnet import hp
    >>> study = optuna.create_study(direction="maximize")
    >>> search = OptunaSearch({"learning_rate": hp.log_uniform(1e-4, 1e-1), "width": 64}, study)
    >>> rows = search.ask(3)  # then result = fnnet.sweep(learner, rows, train, …) and search.tell(result)
    >>> len(rows), rows[0]["width"]
    (3, static(64))
    """

    def __init__(self, space: Mapping[str, Any], study: Any) -> None:
        optuna = require(_WHERE, "optuna", "optuna")
        if not isinstance(space, Mapping):
            raise StructureError(
                _WHERE, f"the space is a {type(space).__name__}, but a search needs a dict of hp dimensions."
            )
        if not isinstance(study, optuna.Study):
            raise StructureError(_WHERE, f"study is {study!r}. Make one with optuna.create_study(direction=…).")
        if len(study.directions) != 1:
            raise StructureError(_WHERE, f"the study has {len(study.directions)} objectives, but a sweep has one.")
        with within(_WHERE):
            self._dimensions = as_dimensions(space)
        self._states = optuna.trial.TrialState
        self._maximizes = study.direction == optuna.study.StudyDirection.MAXIMIZE
        self._open: list[tuple[list[dict[str, Any]], list[Any]]] = []
        self.study = study

    def ask(self, trials: int) -> list[dict[str, Any]]:
        """The rows of a batch: explicit trials, which `fnnet.sweep` takes as its space.

        Args:
            trials: how many, at least 1.

        Raises:
            HyperparameterError: ``trials`` is no positive integer.
        """
        check_size(f"{_WHERE}.ask", "trials", trials)
        asked = [self.study.ask() for _ in range(trials)]
        drawn = [self._values(trial) for trial in asked]
        self._open.append((drawn, asked))
        return [{name: _cell(self._dimensions[name], value) for name, value in row.items()} for row in drawn]

    def tell(self, sweep: Sweep) -> None:
        """Reports a sweep over rows that were asked for: each trial's mean of the monitor over its seeds and folds.

        A trial of which a run diverged or has no score failed; one of which a run was pruned or interrupted counts as
        pruned, with the mean so far.

        Args:
            sweep: whose trials are those of one `ask`, in its order.

        Raises:
            HyperparameterError: the study minimizes what the sweep maximizes or the reverse, or the trials of the
                sweep are not those of an `ask` that is still open.
        """
        if sweep.maximize != self._maximizes:
            has, needs = ("maximize", "minimize")[:: 1 if self._maximizes else -1]
            raise HyperparameterError(
                f"{_WHERE}.tell",
                f"the study's direction is {has!r}, but {sweep.monitor!r} is to be {needs}d. Make the study with "
                f"direction={needs!r}, or sweep with another monitor=….",
            )
        rows = [trial.values for trial in sweep.trials]
        found = [at for at, (drawn, _) in enumerate(self._open) if drawn == rows]
        if not found:
            raise HyperparameterError(
                f"{_WHERE}.tell",
                f"the {len(rows)} trials of the sweep are not those of an ask() that is still open. Sweep over all "
                f"rows that ask() returned, in their order, and tell once.",
            )
        _, asked = self._open.pop(found[0])
        for number, runs in sweep.table.groupby("trial", sort=True):
            self._report(asked[number], runs[sweep.monitor].to_numpy(dtype=float), set(runs["status"]), runs["epochs"])

    def _report(self, trial: Any, scores: np.ndarray, status: set[str], epochs: Any) -> None:
        if not np.isfinite(scores).all() or {"diverged", "failed"} & status:
            self.study.tell(trial, state=self._states.FAIL)
        elif {"pruned", "running"} & status:
            trial.report(float(scores.mean()), int(epochs.max()))
            self.study.tell(trial, state=self._states.PRUNED)
        else:
            self.study.tell(trial, float(scores.mean()))

    def _values(self, trial: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, dimension in self._dimensions.items():
            if exists(dimension, values):
                values[name] = _suggested(trial, name, dimension)
        return values


def _suggested(trial: Any, name: str, dimension: Dimension) -> Any:
    if dimension.values is not None:
        if len(dimension.values) == 1:
            return dimension.values[0]
        labels = _labels(dimension.values)
        return dimension.values[labels.index(trial.suggest_categorical(name, labels))]
    low, high = dimension.arguments
    if dimension.kind == "integers":
        return trial.suggest_int(name, int(low), int(high))
    if dimension.kind == "normal":
        return float(dimension.at(np.array([trial.suggest_float(name, 0.0, 1.0)]))[0])
    return trial.suggest_float(name, float(low), float(high), log=dimension.kind == "log_uniform")


def _labels(values: tuple[Any, ...]) -> list[Any]:
    """The values as Optuna stores them: what it cannot, by its description, or by number where that is ambiguous."""
    known = bool | int | float | str | None
    labels = [value if isinstance(value, known) else describe(value) for value in map(plain, values)]
    return labels if len(set(labels)) == len(labels) else list(range(len(labels)))


def _cell(dimension: Dimension, value: Any) -> Any:
    """A value that says itself what it means, whatever the other rows have."""
    return value if isinstance(value, float) and dimension.traced else constant(value, traced=dimension.traced)
