"""A sweep on its way: generation by generation, group by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from fnnet.sweeps.book import Book, Part, RunId
from fnnet.sweeps.drawing import Trial
from fnnet.sweeps.generations import Generation, Scheduler, decide, inherit, scores_of, together
from fnnet.sweeps.lanes import Lanes
from fnnet.sweeps.ledger import Ledger
from fnnet.sweeps.memory import machine_memory, one_lane
from fnnet.sweeps.packs import Packs
from fnnet.sweeps.planning import Group, GroupKey, check_group, check_ranges, group_trials
from fnnet.sweeps.plans import Plan, plan_group
from fnnet.sweeps.results import Sweep
from fnnet.sweeps.trained import Trained
from fnnet.sweeps.work import Work
from fnnet.train.learner import Learner
from fnnet.train.progress import Progress
from fnnet.train.state import DIVERGED, RUNNING, STOPPED_EARLY, TrainState


class Campaign:
    """What a sweep knows while it runs; it is the host of the packs.

    Args:
        learner: the function from hyperparameters to a learner.
        space: from which trials descend.
        trials: as they were drawn.
        work: what all runs have in common.
        plan: how the runs of each structure that is known are computed.
        lanes: how lanes are computed where a structure is new.
        scheduler: who decides; None trains every trial to its end.
        ledger: the folder, if there is one.
        bar: shows progress.
        interrupted: whether to stop.
    """

    def __init__(
        self, learner: Callable[..., Learner], space: Any, trials: list[Trial], work: Work, plan: Plan, lanes: Lanes,
        scheduler: Scheduler | None, ledger: Ledger | None, bar: Progress, interrupted: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.learner, self.space, self.trials, self.work = learner, space, trials, work
        self.plan, self.lanes, self.scheduler, self.ledger, self.bar = plan, lanes, scheduler, ledger, bar
        self.interrupted = interrupted
        self.book = Book(work.period)
        self.past: list[Generation] = []
        self._packs: dict[GroupKey, Packs] = {}
        self._plans = {planned.group.key: planned for planned in plan.groups}
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
                self._packs_of(group).train({run: steps[run] for run in runs}, len(self.past))

    def _packs_of(self, group: Group) -> Packs:
        packs = self._packs.get(group.key)
        if packs is None:
            planned = self._plans.get(group.key)
            if planned is None:  # the scheduler has combined what was not combined before
                check_group(group, self.space, self.work.train, self.work.validation, self.work.batch_size)
                planned = plan_group(group, self.work, self.lanes, self.plan.share)
            self._packs[group.key] = packs = Packs(group, self.work, planned.lanes, planned.at_once, self)
        packs.assign(group)
        return packs

    def _group_of(self, trial: int) -> Group:
        return next(group for group in group_trials(self.learner, self.trials) if trial in group.trials)

    def _like(self, run: RunId) -> TrainState:
        return one_lane(self._group_of(run[0]), self.work)

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
        elif self.scheduler is None:  # by which a run that rests may be sent on, from its state
            self.book.let_go(int(self.plan.share.of * machine_memory() / 4), self._worth)

    def _worth(self, run: RunId) -> float:
        """The best score of a run, more being better."""
        curve = self.book.curve(run, self.work.monitor.name)
        curve = curve[np.isfinite(curve)] * (1 if self.work.monitor.maximize else -1)
        return float(curve.max()) if curve.size else -np.inf

    def again(self, run: RunId) -> tuple[Part, int]:
        """Trains one run from the start as far as it has got."""
        group = self._group_of(run[0])
        alone = Campaign(
            self.learner, self.space, self.trials, self.work, self.plan, self.lanes, None, None, Progress.none(), never
        )
        before = self._packs[group.key]
        Packs(group, self.work, before.lanes, before.at_once, alone).train({run: self.book.step(run)}, 0)
        return alone.book.find(run)

    def _swept(self) -> Sweep:
        groups = group_trials(self.learner, self.trials)
        keys = {trial: group.key for group in groups for trial in group.trials}
        costs = []
        for (build, names), packs in self._packs.items():
            runs = sum(keys[run[0]] == (build, names) for run in self._runs if run in self.book)
            costs.append(build.shown | packs.cost.facts(runs) | {"lanes": str(packs.lanes)})
        one = self.work.train.inputs
        trained = Trained(
            work=self.work,
            book=self.book,
            plan=self.plan,
            keys=[keys[trial] for trial in range(len(self.trials))],
            lanes={key: packs.lanes for key, packs in self._packs.items()},
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
