"""A sweep on its way: generation by generation, group by group."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np

from fnnet.errors import FileError
from fnnet.sweeps.book import Book, Part, RunId
from fnnet.sweeps.costs import Cost
from fnnet.sweeps.drawing import Trial
from fnnet.sweeps.generations import (
    Generation,
    check_new,
    copies,
    decide,
    inherit,
    scores_of,
    taken,
)
from fnnet.sweeps.lanes import Lanes
from fnnet.sweeps.ledger import Ledger, lost
from fnnet.sweeps.memory import machine_memory
from fnnet.sweeps.packs import Packs
from fnnet.sweeps.planning import Group, GroupKey, check_group, check_ranges, group_trials, labelled
from fnnet.sweeps.plans import GroupPlan, Plan, plan_group
from fnnet.sweeps.results import Sweep
from fnnet.sweeps.schedulers import Scheduler
from fnnet.sweeps.timing import remembered, settle
from fnnet.sweeps.trained import Trained
from fnnet.sweeps.watching import Watch
from fnnet.sweeps.work import Work
from fnnet.train.learner import Learner
from fnnet.train.progress import Progress
from fnnet.train.state import FINISHED, RUNNING, TrainState


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
        self.plan, self.lanes, self.scheduler, self.ledger = plan, lanes, scheduler, ledger
        self.interrupted = interrupted
        self.book = Book(work.period)
        self.past: list[Generation] = []
        self._packs: dict[GroupKey, Packs] = {}
        self._labels: dict[GroupKey, str] = {}
        self._placed: dict[Any, Any] = {}
        self._plans = {planned.group.key: planned for planned in plan.groups}
        self._regroup()
        self._runs = work.runs(range(len(trials)))
        self.over = False
        # A run that rests may be sent on by a scheduler, from its state.
        self.lets_go = scheduler is None
        self._costs = ledger.costs() if ledger else {}
        self._watch = Watch(bar, work, self._runs)

    def go(self) -> Sweep:
        """Trains until the scheduler sends no trial any further."""
        known: list[Generation] = []
        if self.ledger:
            for part in self.ledger.parts(self._like):
                self.book.add(part)
            known = self.ledger.past() if self.scheduler else []
        most = np.array([self.work.most_epochs(trial) for trial in range(len(self.trials))])
        while not self.interrupted():
            closed = len(self.past) < len(known)
            generation = known[len(self.past)] if closed else self._decided(most)
            self.over = generation is None
            if generation is None or not self._enacted(generation, closed):
                break
            if not closed:
                scores = scores_of(self.book, self.work, generation.epochs, generation.sent)
                generation = generation._replace(scores=scores)
            self.past.append(generation)
            if self.ledger and self.scheduler and not closed:
                self.ledger.note_past(self.past)
        swept = self._swept()
        # Nothing that is on a device is kept for the results.
        self._placed.clear()
        self._packs.clear()
        return swept

    def _decided(self, most: np.ndarray) -> Generation | None:
        """What the scheduler says now; None if it sends no trial any further."""
        decisions, until = decide(self.scheduler, self.past, self.work.key, most)
        sent = until > (self.past[-1].epochs if self.past else 0)
        parents, spread = taken(decisions, len(most))
        unknown = np.full(len(most), np.nan)
        return Generation(until, sent, parents, unknown, decisions.warm, spread) if sent.any() else None

    def _enacted(self, generation: Generation, closed: bool) -> bool:
        """Trains what has been decided, and says whether all of it was.

        Of a generation that is ``closed``, only what was lost is trained again, which can be done unless trials have
        taken over the states of others: these states are gone.
        """
        number, trials = len(self.past), np.flatnonzero(generation.sent).tolist()
        steps = {
            run: self.work.steps_for(trial, int(generation.epochs[trial]))
            for trial in trials
            for run in self.work.runs([trial])
        }
        if closed and any(g.copies for g in [*self.past, generation]) and self._missing(steps):
            raise lost(self.ledger)
        keys = {trial: group.key for group in self._groups for trial in group.trials}
        before, self.trials = (
            self.trials,
            inherit(self.trials, generation.parents, generation.spread, self.space, number, self.work.key),
        )
        if self.trials != before:
            self._regroup()
            check_ranges(self.learner, self.trials)
        if not closed and generation.warm:
            if any(self.book.generation(run) >= number for run in self._sources(generation)):
                raise lost(self.ledger)
            for part in copies(generation.parents, keys, number, self.work, self.book):
                self.enter(part)
        elif not closed:
            check_new(generation.parents, self.work, self.book, number)
        for group in self._groups:
            runs = [run for run in self.work.runs(group.trials) if run in steps and self.book.goes_on(run, steps[run])]
            if runs and not self.interrupted():
                self._train_group(group, {run: steps[run] for run in runs})
        return not self._missing(steps)

    def _missing(self, steps: dict[RunId, int]) -> bool:
        """Whether a run has not got to where it was sent."""
        return any(self.book.goes_on(run, step) for run, step in steps.items())

    def _sources(self, generation: Generation) -> list[RunId]:
        """The runs whose states are still to be copied."""
        number = len(self.past)
        return [
            (int(parent), *run[1:])
            for trial, (parent, *_) in enumerate(generation.parents.tolist())
            if parent != trial
            for run in self.work.runs([trial])
            if self.book.generation(run) < number
        ]

    def _train_group(self, group: Group, steps: dict[RunId, int]) -> None:
        packs, generation = self._packs_of(group), len(self.past)
        if not packs.settled:
            width = settle(packs, steps, generation, self._name(group), lambda lanes: self._planned(group, lanes))
            if width is not None and self.ledger is not None:
                self.ledger.note_width(self._labels[group.key], width)
            steps = {run: step for run, step in steps.items() if self.book.goes_on(run, step)}
        packs.train(steps, generation)

    def _regroup(self) -> None:
        """Divides the trials by structure, each of which has a label."""
        self._groups = group_trials(self.learner, self.trials)
        self._labels = labelled(self._groups, self._labels)

    def _name(self, group: Group) -> Hashable:
        """What a program is known by, for the width that was found for it."""
        work = self.work
        return group.key, work.batch_size, work.monitor, work.period, tuple(self.lanes.mesh.devices.flat)

    def _planned(self, group: Group, lanes: Lanes) -> GroupPlan:
        return plan_group(group, self.work, lanes, self.plan.share)

    def _plan_of(self, group: Group) -> GroupPlan:
        if group.key not in self._plans:  # the scheduler has combined what was not combined before
            check_group(group, self.space, self.work.train, self.work.validation, self.work.batch_size)
            self._plans[group.key] = self._planned(group, self.lanes)
        return self._plans[group.key]

    def _packs_of(self, group: Group) -> Packs:
        packs = self._packs.get(group.key)
        if packs is None:
            planned = self._plan_of(group)
            label = self._labels[group.key]
            width = self.ledger.width(label) if self.ledger else None
            width = remembered(self._name(group)) if width is None else width
            if self.lanes.others and width is not None:
                planned = self._planned(group, self.lanes.of_width(width))
            self._packs[group.key] = packs = Packs(group, self.work, planned.lanes, planned.at_once, self)
            if label in self._costs:
                packs.cost = Cost.of(self._costs[label])
        packs.assign(group)
        return packs

    def _group_of(self, trial: int) -> Group:
        return next(group for group in self._groups if trial in group.trials)

    def _like(self, run: RunId) -> TrainState:
        """The shapes of a run's state."""
        return self._plan_of(self._group_of(run[0])).lane

    def watch(self, runs: Sequence[RunId], state: TrainState, lanes: np.ndarray, pace: float) -> None:
        """Shows how far the sweep is."""
        self._watch.update(self.book, runs, state, lanes, pace)

    def compiled(self, seconds: float) -> None:
        """Shows how long compiling took."""
        self._watch.compiled(seconds)

    def placed(self, lanes: Lanes) -> tuple[Any, Any, Any]:
        """The data on the devices of these lanes, once for all structures."""
        where = tuple(lanes.mesh.devices.flat)
        if where not in self._placed:
            work = self.work
            split = None if work.split is None else tuple(work.split)
            self._placed[where] = tuple(lanes.place(part, lanes=False) for part in (work.train, work.validation, split))
        return self._placed[where]

    def due(self) -> bool:
        """Whether runs in flight should be entered."""
        return self.ledger is not None and self.ledger.due()

    def enter(self, part: Part) -> None:
        """Takes in what is newer, and writes it down."""
        replaced = self.book.add(part)
        if self.ledger is not None:
            self.ledger.write(part, replaced)
            if self.ledger.tables_due():
                self.ledger.write_tables(self._swept())
        elif self.lets_go:
            self.book.let_go(int(self.plan.share.of * machine_memory() / 4), self._worth)

    def _worth(self, run: RunId) -> float | None:
        """The best score of a run, more being better; None if it has not ended."""
        if self.book.goes_on(run, self.work.most_steps(run[0])):
            return None
        curve = self.book.curve(run, self.work.monitor.name)
        curve = curve[np.isfinite(curve)] * (1 if self.work.monitor.maximize else -1)
        return float(curve.max()) if curve.size else -np.inf

    def again(self, run: RunId) -> tuple[Part, int]:
        """Trains one run from the start as far as it has got."""
        group = self._group_of(run[0])
        alone = Campaign(
            self.learner, self.space, self.trials, self.work, self.plan, self.lanes, None, None, Progress.none(), never
        )
        alone.lets_go = False
        status = self.book.status(run)
        if status == RUNNING or any(generation.copies for generation in self.past):
            raise FileError(
                "sweep",
                f"{self.ledger.folder if self.ledger else 'the folder'} no longer has the state of trial {run[0]}, "
                f"since another call has gone on with it. Take what that call returned.",
            )
        # One that has diverged or stopped does so again.
        until = self.book.step(run) if status == FINISHED else self.work.most_steps(run[0])
        Packs(group, self.work, *self._ways[group.key], alone).train({run: until}, 0)
        return alone.book.find(run)

    def _swept(self) -> Sweep:
        keys = {trial: group.key for group in self._groups for trial in group.trials}
        self._ways = {key: (packs.lanes, packs.at_once) for key, packs in self._packs.items()}
        costs = dict(self._costs)
        for key, packs in self._packs.items():
            runs = sum(keys[run[0]] == key for run in self._runs if run in self.book)
            costs[self._labels[key]] = packs.group.build.shown | packs.cost.facts(runs) | {"lanes": str(packs.lanes)}
        one = self.work.train.inputs
        trained = Trained(
            work=self.work,
            book=self.book,
            plan=self.plan,
            keys=[keys[trial] for trial in range(len(self.trials))],
            lanes={key: lanes for key, (lanes, _) in self._ways.items()},
            costs=costs,
            past=self.past,
            scheduled=self.scheduler is not None,
            over=self.over,
            input_spec=jax.ShapeDtypeStruct(one.shape[1:], one.dtype),
            again=self.again,
        )
        return Sweep(self.trials, trained)


def never() -> bool:
    """Nothing interrupts."""
    return False
