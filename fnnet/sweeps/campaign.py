"""A sweep on its way: generation by generation, group by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from fnnet.recipes import describe
from fnnet.sweeps.book import Book, Part, RunId
from fnnet.sweeps.drawing import Trial
from fnnet.sweeps.generations import Generation, Scheduler, decide, inherit, scores_of, together
from fnnet.sweeps.lanes import Lanes
from fnnet.sweeps.ledger import Ledger
from fnnet.sweeps.packs import Packs
from fnnet.sweeps.planning import Build, Group, check_group, check_ranges, group_trials
from fnnet.sweeps.results import Sweep, Trained
from fnnet.sweeps.work import Work
from fnnet.train.core import functions
from fnnet.train.learner import Learner
from fnnet.train.progress import Progress
from fnnet.train.state import DIVERGED, RUNNING, STOPPED_EARLY, TrainState


EVERYTHING = 2**31
"""More runs than there are."""


class Campaign:
    """What a sweep knows while it runs; it is the host of the packs.

    Args:
        learner: the function from hyperparameters to a learner.
        space: from which trials descend.
        trials: as they were drawn.
        work: what all runs have in common.
        scheduler: who decides; None trains every trial to its end.
        lanes: how lanes are computed.
        ledger: the folder, if there is one.
        bar: shows progress.
        interrupted: whether to stop.
    """

    def __init__(
        self, learner: Callable[..., Learner], space: Any, trials: list[Trial], work: Work,
        scheduler: Scheduler | None, lanes: Lanes, ledger: Ledger | None, bar: Progress,
        interrupted: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.learner, self.space, self.trials, self.work = learner, space, trials, work
        self.scheduler, self.lanes, self.ledger, self.bar = scheduler, lanes, ledger, bar
        self.interrupted = interrupted
        self.checked: set[Build] = set()
        self.book = Book(work.period)
        self.past: list[Generation] = []
        self._packs: dict[Build, Packs] = {}
        self._runs = work.runs(range(len(trials)))
        self._best: float | None = None
        self._compiling = 0.0

    def go(self) -> Sweep:
        """Trains until the scheduler sends no trial any further."""
        for part in self.ledger.parts(self._like) if self.ledger else ():
            self.book.add(part)
        while not self.interrupted():
            decisions, until = decide(
                self.scheduler or together, self.past, len(self.trials), self.work.key, self._most_epochs
            )
            sent = until > (self.past[-1].epochs if self.past else 0)
            if not sent.any():
                break
            self.trials, parents, copies = inherit(
                decisions, self.trials, self.space, len(self.past), self.work, self.book
            )
            for part in copies:
                self.enter(part)
            steps = {
                run: self.work.steps_for(int(until[trial]))
                for trial in np.flatnonzero(sent).tolist()
                for run in self.work.runs([trial])
            }
            self._train(steps, parents)
            if any(self.book.goes_on(run, step) for run, step in steps.items()):  # it was interrupted
                break
            scores = scores_of(self.book, self.work, until, sent)
            self.past.append(Generation(until, sent, parents, scores))
        return self._swept()

    @property
    def _most_epochs(self) -> int:
        return self.work.steps // self.work.per_epoch

    def _train(self, steps: dict[RunId, int], parents: np.ndarray) -> None:
        """Trains runs until their steps, structure by structure."""
        if (parents[:, 0] != np.arange(len(parents))).any():
            check_ranges(self.learner, self.trials)
        for group in group_trials(self.learner, self.trials):
            runs = [run for run in self.work.runs(group.trials) if run in steps and self.book.goes_on(run, steps[run])]
            if runs and not self.interrupted():
                self._packs_of(group, len(runs)).train({run: steps[run] for run in runs}, len(self.past))

    def _packs_of(self, group: Group, runs: int) -> Packs:
        packs = self._packs.get(group.build)
        if packs is None:
            if group.build not in self.checked:
                check_group(group, self.space, self.work.train, self.work.validation, self.work.batch_size)
            lanes = self.lanes.fitted(runs)
            self._packs[group.build] = packs = Packs(group, self.work, lanes, EVERYTHING, self)
        packs.assign(group)
        return packs

    def _like(self, run: RunId) -> TrainState:
        """The structure of a run's state, without its key."""
        group = next(group for group in group_trials(self.learner, self.trials) if run[0] in group.trials)
        work, row = self.work, group.trials.index(run[0])

        def init(hyperparameters: Any, key: Any, x: Any) -> TrainState:
            training = functions(group.build(hyperparameters), batch_size=work.batch_size, monitor=work.monitor)
            return training.init(key, x)

        columns = {name: column[row] for name, column in group.hyperparameters.items()}
        inputs = work.train.inputs
        one = jax.ShapeDtypeStruct((1, *inputs.shape[1:]), inputs.dtype)
        return jax.eval_shape(init, columns, work.key, one)._replace(key=())

    def watch(self, runs: Sequence[RunId], state: TrainState, lanes: np.ndarray, pace: float) -> None:
        """Shows how far the sweep is."""
        status, scores = np.asarray(state.status)[lanes], np.asarray(state.best.score)[lanes]
        flying, monitor = dict(zip(runs, np.asarray(state.step)[lanes].tolist(), strict=True)), self.work.monitor
        codes = dict.fromkeys(self._runs, RUNNING)
        codes |= {run: self.book.status(run) for run in self._runs if run in self.book}
        codes |= dict(zip(runs, status.tolist(), strict=True))
        named = {DIVERGED: "diverged", STOPPED_EARLY: "stopped early"}
        # A run that has ended is as far as it will get.
        done = sum(
            self.work.steps if code in named else flying.get(run, self.book.step(run)) for run, code in codes.items()
        )
        known = [*scores[np.isfinite(scores)].tolist(), *([] if self._best is None else [self._best])]
        self._best = None if not known else max(known) if monitor.maximize else min(known)
        best = {} if self._best is None else {f"best {monitor.name}": self._best}
        counts = {said: list(codes.values()).count(code) for code, said in named.items()}
        note = ", ".join(f"{count} of {len(self._runs)} {said}" for said, count in counts.items() if count)
        self.bar.update(done // (len(self._runs) * self.work.per_epoch), best, pace * len(runs), note)

    def compiled(self, seconds: float) -> None:
        """Shows how long compiling took, for all structures so far."""
        self._compiling += seconds
        self.bar.compiled(self._compiling)

    def due(self) -> bool:
        """Whether runs in flight should be entered."""
        return self.ledger is not None and self.ledger.due()

    def enter(self, part: Part) -> None:
        """Takes in what is newer, and writes it down."""
        replaced = self.book.add(part)
        if self.ledger is not None:
            self.ledger.write(part, replaced)

    def again(self, run: RunId) -> tuple[Part, int]:
        """Trains one run from the start as far as it has got."""
        group = next(group for group in group_trials(self.learner, self.trials) if run[0] in group.trials)
        alone = Campaign(
            self.learner, self.space, self.trials, self.work, None, self.lanes, None, Progress.none(), never
        )
        Packs(group, self.work, self._packs[group.build].lanes, EVERYTHING, alone).train({run: self.book.step(run)}, 0)
        return alone.book.find(run)

    def _swept(self) -> Sweep:
        groups = group_trials(self.learner, self.trials)
        builds = {trial: group.build for group in groups for trial in group.trials}
        costs = []
        for build, packs in self._packs.items():
            static = {
                name: value if isinstance(value, int | float | str) else describe(value) for name, value in build.static
            }
            runs = sum(build is builds[run[0]] or build == builds[run[0]] for run in self._runs if run in self.book)
            costs.append(static | packs.cost.facts(runs) | {"lanes": str(packs.lanes)})
        one = self.work.train.inputs
        trained = Trained(
            work=self.work,
            book=self.book,
            builds=[builds[trial] for trial in range(len(self.trials))],
            lanes={build: packs.lanes for build, packs in self._packs.items()},
            costs=costs,
            past=self.past,
            scheduled=self.scheduler is not None,
            input_spec=jax.ShapeDtypeStruct(one.shape[1:], one.dtype),
            again=self.again,
        )
        return Sweep(self.trials, trained)


def never() -> bool:
    """Nothing interrupts."""
    return False
