"""What a sweep brings back: a row a run, and every run itself."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.report.runs import LOSSES, best_row
from fnnet.report.style import plural
from fnnet.sweeps.book import RunId
from fnnet.sweeps.drawing import Trial
from fnnet.sweeps.plans import Plan
from fnnet.sweeps.space import is_whole
from fnnet.sweeps.tables import divergence, run_table, scores_in_common
from fnnet.sweeps.trained import Trained, predicted, run_of, states
from fnnet.train.history import History
from fnnet.train.run import Run

if TYPE_CHECKING:
    from fnnet.sweeps.comparing import Comparison
    from fnnet.sweeps.ensembles import Ensemble


class Sweep:
    """Results of a sweep.

    Attributes:
        trials: hyperparameters of each trial.
        seeds: runs a trial, each with every fold.
        folds: of the cross-validation; None without one.
        share: what the trials have drawn in common.
        monitor: name of the score that chooses.
        maximize: whether more of it is better.
    """

    def __init__(self, trials: list[Trial], trained: Trained) -> None:
        work = trained.work
        self.trials, self.seeds, self.folds, self.share = trials, work.seeds, work.folds, work.share
        self.monitor, self.maximize = work.monitor.name, work.monitor.maximize
        self.hyperparameters = list(dict.fromkeys(name for trial in trials for name in trial.values))
        self._trained, self._book = trained, trained.book
        self._runs: list[RunId] = work.runs(range(len(trials)))

    @functools.cached_property
    def history(self) -> History:
        """Scores by name, arrays (runs, evaluations) in the order of the table; NaN where a run did not get to."""
        room = max(map(self._book.evaluations, self._runs), default=0)
        return History(self._book.rows(self._runs, self._book.names(), max(room, 1)))

    @functools.cached_property
    def table(self) -> Any:
        """A `pandas.DataFrame` with a row a run.

        Columns: trial, seed, fold if there are several, the hyperparameters (None where one does not exist), the
        scores of the run's best epoch, status, epochs, seconds (its share of the group's time, without compiling),
        and, if trials ``share`` draws, which.
        """
        return run_table(self._trained, self.trials, self._runs, self.hyperparameters, self.history)

    @property
    def begun(self) -> bool:
        """Whether any run was."""
        return any(run in self._book for run in self._runs)

    @property
    def over(self) -> bool:
        """Whether every trial has got to where it was sent, and none is sent any further."""
        return self._trained.over

    @property
    def updates_an_epoch(self) -> int:
        """How many updates an epoch has."""
        return self._trained.work.per_epoch

    def evaluation_steps(self) -> np.ndarray:
        """The updates before each evaluation, (runs, evaluations) like the arrays of ``history``."""
        ends = np.array([self._book.step(run) for run in self._runs])
        regular = np.arange(1, self.history.epochs + 1) * self._trained.work.period
        return np.minimum(regular[None], np.maximum(ends, 1)[:, None])

    @property
    def cost(self) -> Any:
        """A `pandas.DataFrame` with a row a structure: what it cost, and how much of it was of use.

        With ``out=`` it holds what earlier calls have spent too, but not what a killed one has.

        Columns: the structure's static hyperparameters, ``runs``, ``compile_seconds``, ``seconds`` in training,
        ``updates`` of runs that went on, those of lanes that had a run (``occupied``) and of all lanes (``computed``),
        ``seconds_a_step`` (of one run), ``seconds_a_run``, how ``lanes`` were computed, and the shares of the computed
        updates that were ``padding`` (lanes without a run) and for ``finished`` runs.
        """
        import pandas as pd

        return pd.DataFrame(list(self._trained.costs.values()))

    @property
    def rungs(self) -> list[dict[str, Any]]:
        """What a scheduler decided, each time it was asked.

        A dict with the ``trials`` that it sent on, and of each the ``epochs`` until which, its ``parents``, and the
        mean score that it came to (``scores``), None if it has none.
        """
        sign = 1 if self.maximize else -1
        return [g.facts(sign) for g in self._trained.past] if self._trained.scheduled else []

    def top(self, k: int = 10) -> Any:
        """The k best rows of the table, the best first; runs without a score come last.

        Among equal scores, of which accuracies on a few hundred examples have many, the smaller loss is better.
        """
        loss = next(name for name in LOSSES if name in self.history)
        return self.table.sort_values([self.monitor, loss], ascending=[not self.maximize, True], kind="stable").head(k)

    @property
    def best(self) -> Any:
        """The winning row of the table; with folds, the best one of the trial whose mean is the best.

        Each run counts with its best evaluation, so that the winner of a halving or of another scheduler may be a
        run that it let rest (``status`` "pruned"); the last of ``rungs`` has the trials that went on to the end.
        """
        return self.table.iloc[best_row(self.table, self.monitor, self.maximize) or 0]

    def summary(self, confidence: float = 0.95) -> Any:
        """A `pandas.DataFrame` with a row a trial, the best first: what its seeds and folds have in common.

        Columns: trial, the hyperparameters, ``runs``, ``diverged``, and of the monitored score its ``mean``, ``std``
        (of the runs, with n − 1), ``iqm`` (the mean of the middle half) and ``low`` and ``high``, a bootstrap interval
        of the mean. A run without a score counts as diverged and nowhere else.

        Args:
            confidence: of the interval, in (0, 1).

        Raises:
            HyperparameterError: ``confidence`` is out of range.
        """
        from fnnet.sweeps.comparing import summary

        return summary(self.table, self.hyperparameters, self.monitor, self.maximize, confidence)

    def compare(self, first: int, second: int, confidence: float = 0.95) -> Comparison:
        """How much better one trial is than another, run by run of the same seed and fold.

        Args:
            first: a trial.
            second: another.
            confidence: of the bootstrap interval, in (0, 1).

        Raises:
            HyperparameterError: there is no such trial, or ``confidence`` is out of range.
        """
        from fnnet.sweeps.comparing import compare

        for trial in (first, second):
            if not (is_whole(trial) and 0 <= trial < len(self.trials)):
                raise HyperparameterError(
                    "sweep.compare", f"there is no trial {trial!r}: the sweep has trials 0 to {len(self.trials) - 1}."
                )
        return compare(self.table, first, second, self.monitor, self.maximize, confidence)

    def run(self, trial: int, seed: int = 0, fold: int = 0) -> Run:
        """One run as `fit` would have returned it: as it was kept in memory or on disk, or else trained again.

        Raises:
            HyperparameterError: there is no such run, or it was not begun.
        """
        run = (trial, seed, fold)
        if not all(isinstance(part, int | np.integer) for part in run) or run not in self._book:
            within_fold = "" if self.folds is None else f", fold {fold}"
            raise HyperparameterError(
                "sweep.run", f"there is no run of trial {trial} and seed {seed}{within_fold}: {self._why_not(run)}."
            )
        return run_of(self._trained, self.trials, run)

    def _why_not(self, run: RunId) -> str:
        if run in self._runs:
            return (
                "the scheduler did not begin it"
                if self._trained.scheduled
                else "the sweep was interrupted before that run"
            )
        has = f"the sweep has trials 0 to {len(self.trials) - 1} and seeds 0 to {self.seeds - 1}"
        return has + ("" if self.folds is None else f", each with folds 0 to {self.folds - 1}")

    def ensemble(self, top: int = 10, *, combine: Any = None) -> Ensemble:
        """The mean of the best runs, with its own score on the validation data: steadier than any one run.

        With folds there is no score: no rows were for validation in all of the runs, and each row was seen by most.

        Args:
            top: how many.
            combine: makes one output of those of all runs, (runs, examples, …); a mean that suits the loss unless told.

        Raises:
            DataError: no run has a score.
        """
        from fnnet.sweeps.ensembles import ensemble

        best = self.top(top)
        best = best[best[self.monitor].notna()]
        work = self._trained.work
        validation = work.validation if work.split is None else None
        return ensemble([self._run_of(row) for _, row in best.iterrows()], validation=validation, combine=combine)

    def _run_of(self, row: Any) -> Run:
        return self.run(row["trial"], row["seed"], row.get("fold", 0))

    def stacked(self, rows: Any = None) -> tuple[Any, Any]:
        """The best parameters of several runs, and the states of their layers, for functions under `jax.vmap`.

        Args:
            rows: numbers of rows of the table, such as ``sweep.top(5).index``; all unless told.

        Returns:
            Pytrees like ``run.params`` and ``run.model_state``, each array with a leading axis of runs.

        Raises:
            HyperparameterError: ``rows`` are no numbers of rows.
            StructureError: the runs are of several structures, or some were not begun.
        """
        wanted = range(len(self._runs)) if rows is None else np.asarray(rows).ravel().tolist()
        if not len(wanted) or not all(is_whole(row) and 0 <= row < len(self._runs) for row in wanted):
            raise HyperparameterError(
                "sweep.stacked",
                f"rows is {rows!r}, but numbers of rows of the table, 0 to {len(self._runs) - 1}, are needed.",
            )
        runs = [self._runs[row] for row in wanted]
        structures = {self._trained.keys[run[0]] for run in runs}
        if len(structures) > 1 or not all(run in self._book for run in runs):
            raise StructureError(
                "sweep.stacked",
                f"the rows hold {len(structures)} structures and {sum(run not in self._book for run in runs)} runs "
                f"that were not begun, but only runs of one structure have parameters of one shape. Name some rows.",
            )
        best = jax.tree.map(jnp.asarray, states(self._trained, runs).best)
        return best.params, best.model_state

    def predict(self, inputs: Any) -> Any:
        """The outputs of every run with its best parameters.

        Args:
            inputs: array (examples, …) like the training inputs.

        Returns:
            Array (runs, examples, …) in the order of the table, NaN for runs that were not begun; or a tuple or dict of
            such, if the models have several outputs.

        Raises:
            ShapeError: an input has another shape than in training.
        """
        inputs, spec = jnp.asarray(inputs), self._trained.input_spec
        if inputs.shape[1:] != spec.shape:
            raise ShapeError(
                "sweep.predict",
                f"an input has shape {inputs.shape[1:]}, but the runs were trained on {spec.shape}.",
            )
        outputs = predicted(self._trained, self.trials, [run for run in self._runs if run in self._book], inputs)
        missing = jax.tree.map(lambda leaf: np.full(leaf.shape, np.nan, leaf.dtype), next(iter(outputs.values())))
        return jax.tree.map(lambda *leaves: np.stack(leaves), *(outputs.get(run, missing) for run in self._runs))

    def divergence(self) -> str:
        """A sentence on the runs that diverged; empty if none did."""
        return divergence(self._trained, self.trials, self._runs)

    @property
    def costs(self) -> dict[str, dict[str, Any]]:
        """The rows of ``cost``, by structure in words."""
        return self._trained.costs

    @property
    def plan(self) -> Plan:
        """What was planned."""
        return self._trained.plan

    def importance(self, *, pairs: bool = False) -> Any:
        """A `pandas.DataFrame` of how much of the score's variance each hyperparameter explains.

        If a scheduler has let trials rest, so that some saw more epochs than others, scores are the best up to the last
        evaluation that all of them have seen: else what was let rest would seem worse for its hyperparameters.

        Args:
            pairs: whether pairs of hyperparameters are looked at too.

        Raises:
            HyperparameterError: fewer than 6 different settings have a score.
            MissingPackageError: scikit-learn is not installed.

        Source: Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance", 2014.
        """
        from fnnet.sweeps.importance import importance

        scores = scores_in_common(self._trained, self._runs)
        table = self.table if scores is None else self.table.assign(**{self.monitor: scores})
        return importance(table, self.hyperparameters, self.monitor, pairs=pairs)

    def plot(self, path: str | os.PathLike[str], kind: str = "overview") -> None:
        """Draws a figure.

        Args:
            path: where to (.png, .svg or .pdf).
            kind: "overview" (learning curves, and the score against each hyperparameter), "curves" (with bands over
                the runs), "space" (the score against each hyperparameter), "parallel" (all hyperparameters as
                parallel axes), "pairs" (two at a time as heat maps), or "rungs" (who went on in a halving; of the
                brackets of a Hyperband, in that of the best run).

        Raises:
            HyperparameterError: there is no such kind.
            DataError: there is nothing to draw.
            MissingPackageError: matplotlib is not installed.
        """
        from fnnet.sweeps.figures import draw

        draw(self, path, kind)

    def __repr__(self) -> str:
        best = self.best
        fold = "" if self.folds is None else f", fold {best['fold']}"
        counts = {"trial": len(self.trials), "seed": self.seeds} | ({} if self.folds is None else {"fold": self.folds})
        counted = " × ".join(plural(count, noun) for noun, count in counts.items())
        return (
            f"Sweep({counted}; best {self.monitor} {best[self.monitor]:.4g} by trial {best['trial']}, "
            f"seed {best['seed']}{fold})"
        )
