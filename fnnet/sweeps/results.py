"""What a sweep brings back: a row a run, and every run itself."""

from __future__ import annotations

import functools
import itertools
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import HyperparameterError, ShapeError
from fnnet.recipes import describe
from fnnet.report import plot_sweep
from fnnet.sweeps import comparing
from fnnet.sweeps.lanes import Lanes, pad
from fnnet.sweeps.planning import Group, Trial
from fnnet.sweeps.programs import group_programs
from fnnet.train.history import History
from fnnet.train.learner import Monitor
from fnnet.train.run import Run
from fnnet.train.state import DIVERGED, RUNNING, STATUS_NAMES, TrainState


class GroupResult(NamedTuple):
    """The runs of one group: trial by trial, seed by seed, fold by fold along the leading axis of each array.

    ``steps`` has the number of updates before each evaluation.
    """

    group: Group
    states: TrainState
    history: dict[str, np.ndarray]
    steps: np.ndarray
    per_epoch: int
    seconds: float
    compile_seconds: float
    lanes: Lanes

    @property
    def status(self) -> np.ndarray:
        """The status code of every run, on the host."""
        return np.asarray(self.states.status)

    @property
    def epochs(self) -> np.ndarray:
        """The epochs that every run has finished."""
        return np.asarray(self.states.step) // self.per_epoch

    def rows(self, lane: int) -> np.ndarray:
        """Which evaluations a run has seen."""
        return self.steps <= int(self.states.step[lane])


class Place(NamedTuple):
    """Where a run is: its group, or None if the group was not reached, and its lane there."""

    result: GroupResult | None
    lane: int


class Sweep:
    """Results of a sweep.

    Attributes:
        trials: hyperparameters of each trial.
        seeds: runs a trial, each with every fold.
        folds: of the cross-validation; None without one.
        monitor: name of the score that chooses.
        maximize: whether more of it is better.
    """

    def __init__(
        self, trials: list[Trial], seeds: int, folds: int | None, results: list[GroupResult], monitor: Monitor,
        input_spec: jax.ShapeDtypeStruct, batch_size: int | None,
    ) -> None:  # fmt: skip
        self.trials = trials
        self.seeds = seeds
        self.folds = folds
        self.monitor = monitor.name
        self.maximize = monitor.maximize
        self.hyperparameters = list(trials[0].values)
        self._monitor = monitor
        self._results = results
        self._spec = input_spec
        self._batch_size = batch_size
        runs = [range(seeds), range(folds or 1)]
        self._places = {place: Place(None, 0) for place in itertools.product(range(len(trials)), *runs)}
        for result in results:
            for lane, place in enumerate(itertools.product(result.group.trials, *runs)):
                self._places[place] = Place(result, lane)

    @functools.cached_property
    def history(self) -> History:
        """Scores by name, arrays (runs, epochs) in the order of the table; NaN where a run did not get to."""
        names = list(dict.fromkeys(name for result in self._results for name in result.history))
        epochs = max((h.shape[-1] for result in self._results for h in result.history.values()), default=0)
        dtype = np.result_type(np.float32, *(h.dtype for result in self._results for h in result.history.values()))
        scores = {name: np.full((len(self._places), epochs), np.nan, dtype) for name in names}
        for row, (result, lane) in enumerate(self._places.values()):
            for name, values in result.history.items() if result else ():
                scores[name][row, : values.shape[-1]] = values[lane]
        return History(scores)

    @functools.cached_property
    def table(self) -> Any:
        """A `pandas.DataFrame` with a row a run.

        Columns: trial, seed, fold if there are several, the hyperparameters, the scores of the run's best epoch,
        status, epochs, and seconds (its share of the group's time, without compiling).
        """
        import pandas as pd

        rows = []
        for row, ((trial, seed, fold), (result, lane)) in enumerate(self._places.items()):
            values = {name: _cell(value) for name, value in self.trials[trial].values.items()}
            curve = self.history[self.monitor][row]
            best = self._best_epoch(curve)
            # What has no slash is no score: a column learning_rate would be taken for the hyperparameter.
            named = {name: values for name, values in self.history.items() if "/" in name}
            scores = {name: np.nan if best is None else values[row, best] for name, values in named.items()}
            code, epochs = (result.status[lane], int(result.epochs[lane])) if result else (RUNNING, 0)
            facts = {
                "status": STATUS_NAMES[code],
                "epochs": epochs,
                "seconds": result.seconds if result else 0.0,
            }
            numbers = {"trial": trial, "seed": seed} | ({} if self.folds is None else {"fold": fold})
            rows.append({**numbers, **values, **scores, **facts})
        return pd.DataFrame(rows)

    def _best_epoch(self, curve: np.ndarray) -> int | None:
        seen = np.flatnonzero(np.isfinite(curve))
        if not seen.size:
            return None
        if self.monitor == "train/loss":
            return int(seen[-1])
        return int(np.nanargmax(curve) if self.maximize else np.nanargmin(curve))

    def top(self, k: int = 10) -> Any:
        """The k best rows of the table, the best first; runs without a score come last.

        Among equal scores, of which accuracies on a few hundred examples have many, the smaller loss is better.
        """
        loss = "validation/loss" if "validation/loss" in self.history else "train/loss"
        return self.table.sort_values([self.monitor, loss], ascending=[not self.maximize, True], kind="stable").head(k)

    @property
    def best(self) -> Any:
        """The winning row of the table; with folds, the best one of the trial whose mean is the best."""
        if self.folds is None:
            return self.top(1).iloc[0]
        ranked = self.top(len(self.table))
        return ranked[ranked["trial"] == self.summary()["trial"].iloc[0]].iloc[0]

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
        return comparing.summary(self.table, self.hyperparameters, self.monitor, self.maximize, confidence)

    def compare(self, first: int, second: int, confidence: float = 0.95) -> comparing.Comparison:
        """How much better one trial is than another, run by run of the same seed and fold.

        Args:
            first: a trial.
            second: another.
            confidence: of the bootstrap interval, in (0, 1).

        Raises:
            HyperparameterError: there is no such trial, or ``confidence`` is out of range.
        """
        for trial in (first, second):
            if not 0 <= trial < len(self.trials):
                raise HyperparameterError(
                    "sweep.compare", f"there is no trial {trial}: the sweep has trials 0 to {len(self.trials) - 1}."
                )
        return comparing.compare(self.table, first, second, self.monitor, self.maximize, confidence)

    def run(self, trial: int, seed: int = 0, fold: int = 0) -> Run:
        """One run as `fit` would have returned it.

        Raises:
            HyperparameterError: there is no such run, or the sweep was interrupted before it began.
        """
        place = self._places.get((int(trial), int(seed), int(fold)))
        result, lane = place or Place(None, 0)
        if result is None:
            has = f"has trials 0 to {len(self.trials) - 1} and seeds 0 to {self.seeds - 1}"
            has += "" if self.folds is None else f", each with folds 0 to {self.folds - 1}"
            within_fold = "" if self.folds is None else f", fold {fold}"
            reason = "was interrupted before that run" if place else has
            raise HyperparameterError(
                "sweep.run", f"there is no run of trial {trial} and seed {seed}{within_fold}: the sweep {reason}."
            )
        state = jax.tree.map(lambda leaf: jax.device_put(leaf[lane], jax.local_devices()[0]), result.states)
        curves = {name: values[lane] for name, values in result.history.items()}
        seen = result.rows(lane)
        return Run(
            build=result.group.build,
            hyperparameters=dict(self.trials[trial].traced),
            state=state,
            history=History({name: values[seen] for name, values in curves.items()}, result.steps[seen]),
            monitor=self._monitor,
            input_spec=self._spec,
            batch_size=self._batch_size,
            seconds=result.seconds,
            compile_seconds=result.compile_seconds,
        )

    def predict(self, inputs: Any) -> np.ndarray:
        """The outputs of every run with its best parameters, an ensemble.

        Args:
            inputs: array (examples, …) like the training inputs.

        Returns:
            Array (runs, examples, …) in the order of the table, NaN for runs that were not begun.

        Raises:
            ShapeError: an input has another shape than in training.
        """
        inputs = jnp.asarray(inputs)
        if inputs.shape[1:] != self._spec.shape:
            raise ShapeError(
                "sweep.predict",
                f"an input has shape {inputs.shape[1:]}, but the runs were trained on {self._spec.shape}.",
            )
        outputs: dict[int, np.ndarray] = {}
        for result in self._results:
            compiled = group_programs(result.group.build, self._batch_size, self._monitor, result.lanes)
            lanes = result.lanes.padded(result.states.step.shape[0])
            columns = {n: jnp.asarray(np.repeat(c, self.seeds)) for n, c in result.group.hyperparameters.items()}
            by_lane = (columns, result.states.best.params, result.states.best.model_state)
            by_lane = result.lanes.place(pad(by_lane, lanes), lanes=True)
            outputs[id(result)] = np.asarray(compiled.predict(*by_lane, result.lanes.place(inputs, lanes=False)))
        shape = next(iter(outputs.values())).shape[1:]
        missing = np.full(shape, np.nan, np.float32)
        return np.stack([outputs[id(r)][lane] if r else missing for r, lane in self._places.values()])

    def divergence(self) -> str:
        """A sentence on the runs that diverged; empty if none did."""
        found = []
        for (trial, seed, fold), (result, lane) in self._places.items():
            if result and result.status[lane] == DIVERGED:
                values = ", ".join(f"{name}={_short(value)}" for name, value in self.trials[trial].values.items())
                step = int(result.states.step[lane])
                place = f"seed {seed}" + ("" if self.folds is None else f", fold {fold}")
                found.append(f"trial {trial} ({', '.join(filter(None, [values, place]))}) at step {step}")
        if not found:
            return ""
        shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        return f"sweep: {len(found)} of {len(self._places)} runs diverged: {shown}; the others are unaffected."

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draws learning curves and the score against each hyperparameter into one PNG."""
        plot_sweep(
            self.table,
            self.history,
            self.hyperparameters,
            monitor=self.monitor,
            maximize=self.maximize,
            path=path,
        )

    def __repr__(self) -> str:
        best = self.best
        return (
            f"Sweep({len(self.trials)} trials × {self.seeds} seeds; best {self.monitor} {best[self.monitor]:.4g} "
            f"by trial {best['trial']}, seed {best['seed']})"
        )


def _cell(value: Any) -> Any:
    """A hyperparameter as a table holds it: numbers, strings and booleans as they are, anything else by name."""
    return value if isinstance(value, int | float | str | bool) else describe(value)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(_cell(value))
