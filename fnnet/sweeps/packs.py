"""Training the runs of one structure: as many at once as fit, the others as soon as there is room."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from fnnet.sweeps.book import Book, Part, RunId
from fnnet.sweeps.costs import Cost
from fnnet.sweeps.lanes import Lanes, Placement
from fnnet.sweeps.planning import Group
from fnnet.sweeps.programs import group_programs
from fnnet.sweeps.work import Keys, Work
from fnnet.train.driving import drive
from fnnet.train.history import Record
from fnnet.train.programs import Programs
from fnnet.train.state import RUNNING, TrainState

ROUNDS = 16
"""How often, over the longest run, it is asked whether lanes have become free: a fixed number of steps apart, and not
of seconds, so that it does not depend on the clock which runs fly together. Of runs that end together and are computed
in parts, after one of these, four more, and sixteen."""

FREE = 0.25
"""Share of the lanes in flight that have to be free before the others are packed anew, which moves all states."""


class Host(Protocol):
    """What the packs need of the sweep that they belong to."""

    book: Book

    def placed(self, lanes: Lanes) -> tuple[Any, Any, Any]:
        """Training and validation data and the rows of every fold, on the devices of these lanes."""

    def interrupted(self) -> bool:
        """Whether to stop."""

    def watch(self, runs: Sequence[RunId], state: TrainState, lanes: np.ndarray, pace: float) -> None:
        """Is told after each chunk of the runs in flight, the states of all lanes, and steps a second."""

    def compiled(self, seconds: float) -> None:
        """Is told how long compiling took."""

    def due(self) -> bool:
        """Whether runs in flight should be entered, so that little is lost."""

    def enter(self, part: Part) -> None:
        """Takes in what is newer."""


class Packs:
    """Trains the runs of one group of trials.

    Args:
        group: trials of one structure.
        work: what all runs have in common.
        lanes: how lanes are computed.
        at_once: the most runs in flight.
        host: the sweep.
    """

    def __init__(self, group: Group, work: Work, lanes: Lanes, at_once: int, host: Host) -> None:
        self.work, self.host, self._keys = work, host, Keys(work)
        self.cost = Cost()
        self.settled = not lanes.others
        self.assign(group)
        self.use(lanes, at_once)

    def assign(self, group: Group) -> None:
        """Other trials of the same structure, or other hyperparameters of the same ones."""
        self.group = group
        self._row = {trial: row for row, trial in enumerate(group.trials)}

    def use(self, lanes: Lanes, at_once: int) -> None:
        """Computes lanes in this way from now on."""
        build, work = self.group.build, self.work
        self.lanes, self.at_once = lanes, at_once
        self.programs: Programs = group_programs(build, work.batch_size, work.monitor, lanes, work.period)
        self._widest = 0
        self._pace: dict[int, float] = {}

    def train(self, until: Mapping[RunId, int], generation: int) -> None:
        """Trains each run, all of which can go on, until it has done so many updates, has stopped, or has diverged.

        Runs fly together that stand at the same place between two evaluations: what was interrupted somewhere else
        first goes to its next one. What lacks the evaluation alone stands before it.
        """
        book, period = self.host.book, self.work.period

        def phase_of(run: RunId) -> int:
            return period - 1 if book.waits(run, until[run]) else book.step(run) % period

        self._widest = max(self._widest, self.lanes.room(len(until), self.at_once))
        for phase in [*sorted({phase_of(run) for run in until} - {0}), 0]:
            waiting = [run for run in until if phase_of(run) == phase and book.goes_on(run, until[run])]
            flying: list[RunId] = []
            while (waiting or flying) and not self.host.interrupted():
                room = self.at_once - len(flying)
                flying, waiting = flying + waiting[:room], waiting[room:]
                try:
                    flying = self._fly(flying, until, generation, phase, bool(waiting))
                except jax.errors.JaxRuntimeError as error:
                    if "RESOURCE_EXHAUSTED" not in str(error) or not self._take_less(len(flying)):
                        raise
                    # All begin again where the book has them, which may be elsewhere between two evaluations than
                    # before; every draw comes from a key, so that they end the same.
                    going = {run: steps for run, steps in until.items() if book.goes_on(run, steps)}
                    return self.train(going, generation)
                if phase:
                    flying = []

    def _take_less(self, runs: int) -> bool:
        """Half of the runs at once, or half of the width; says whether there is less to take."""
        devices = self.lanes.mesh.size
        if runs > self.lanes.unit:
            self.at_once = self._widest = max(self.lanes.unit, runs // 2)
            return True
        if self.lanes.width > 1:
            self.use(self.lanes.of_width(self.lanes.width // 2), self.lanes.unit // 2)
            self._widest = self.at_once = max(self.lanes.unit, devices)
            return True
        return False

    def _fly(
        self, runs: list[RunId], until: Mapping[RunId, int], generation: int, phase: int, waiting: bool
    ) -> list[RunId]:  # fmt: skip
        """Trains these runs until enough of them have ended, and gives those that go on.

        ``phase`` is where they stand between two evaluations, ``waiting`` says whether others wait for room.
        """
        work, book, lanes = self.work, self.host.book, self.lanes
        placement = Placement(lanes, len(runs), self._widest)
        capacity, positions, parts = placement.capacity, placement.positions, placement.parts
        columns = self._columns(runs, placement)
        fold = placement.put(np.array(runs, np.int32)[:, 2]) if work.folds else None
        targets, before = np.array([until[run] for run in runs], np.int32), np.array([book.step(run) for run in runs])
        ends, (train, validation, tables) = placement.put(targets), self.host.placed(lanes)
        stretch = _Stretch(runs, book)

        def compiled(seconds: float) -> None:
            stretch.compile_seconds += seconds
            self.host.compiled(seconds)

        def call(state: Any, start: int, steps: int, last: bool) -> tuple[Any, ...]:
            now = np.int32(start % work.period), np.int32(steps)
            return placement.active, columns, state, fold, ends, tables, train, validation, *now, work.stopping

        def ahead(like: Any) -> None:
            self.programs.advance.ahead(*call(like, phase, 0, False))

        unknown = capacity not in self._pace  # is the program of so many lanes
        state = self._states(runs, columns, placement, ahead if unknown else None)
        if unknown:
            import pandas  # noqa: F401, which the tables need: beside XLA it costs little

            jax.block_until_ready(state.step)
            compiled(stretch.seconds)

        def enter(state: TrainState, record: Record, *, away: bool = False) -> np.ndarray:
            now = placement.get(state._replace(key=()), away=away)
            part = stretch.part(now, {name: values[positions] for name, values in record.rows.items()}, generation)
            going = now.status == RUNNING
            for some in (~going, going):  # what has ended stands apart, so that it alone is kept once the others go on
                if some.any():
                    self.host.enter(part if some.all() else part.at(np.flatnonzero(some)))
            return now.status

        at = flown = phase

        def report(step: int, record: Record, state: TrainState, pace: float) -> bool:
            nonlocal flown
            flown = step
            self.host.watch(runs, state, positions, pace)
            going = bool((np.asarray(state.status)[positions] == RUNNING).any())
            if going and self.host.due():
                enter(state, record)
            return not going

        record = Record()
        end = phase + int((targets - before).max()) if not phase else work.period
        end = -(-end // work.period) * work.period
        # Each time it is asked the devices wait. Where lanes are computed in parts, of which one costs nothing once its
        # runs have ended, and none ends before the others unless it diverges, little is to be gained: it is asked more
        # and more seldom.
        together = bool(lanes.width) and not waiting and work.stopping is None and len(set(targets - before)) == 1
        a_round = max(1, -(-work.steps // work.period) // ROUNDS)
        while True:
            stop, pace = min((at // work.period + a_round) * work.period, end), self._pace.get(capacity)
            driven = drive(
                lambda *given: self.programs.advance(*call(*given)), state, start=at, steps=stop, period=work.period,
                interrupted=self.host.interrupted, compiled=compiled, report=report, record=record,
                seconds_a_step=None if pace is None else pace * int(parts.max()),
            )  # fmt: skip
            state = driven.state
            if flown > at:
                self._pace[capacity] = driven.seconds / (flown - at) / int(parts.max())
            at, going = stop, int((np.asarray(state.status)[positions] == RUNNING).sum())
            if driven.interrupted or at == end or going == 0:
                break
            fewer = lanes.capacity(going, self._widest), int(lanes.parts(going, capacity).sum())
            gain = waiting or fewer[0] < capacity or (lanes.width and fewer[1] < parts.sum())
            if going <= (1 - FREE) * len(runs) and gain:
                break
            a_round *= 4 if together else 1
        status = enter(state, record, away=True)
        computed = int(parts.sum()) * (lanes.width or capacity // lanes.mesh.size)
        useful = sum(book.step(run) for run in runs) - int(before.sum())
        self.cost.add(stretch.seconds, stretch.compile_seconds, flown - phase, computed, len(runs), useful)
        return [run for run, code in zip(runs, status, strict=True) if code == RUNNING]

    def _columns(self, runs: list[RunId], placement: Placement) -> Any:
        """The traced hyperparameters of these runs on the devices."""
        rows = [self._row[trial] for trial, _, _ in runs]
        return placement.put({name: column[rows] for name, column in self.group.hyperparameters.items()})

    def _states(
        self, runs: list[RunId], columns: Any, placement: Placement, first: Callable[[Any], None] | None
    ) -> TrainState:  # fmt: skip
        """The states of these runs on the devices: new ones, or as the book has them; see `_new`."""
        book, keys = self.host.book, self._keys
        if not any(run in book for run in runs):
            return self._new(runs, columns, placement, first)
        self._begin([run for run in runs if run not in book])
        state = placement.put(book.stacked(runs))
        status, words = placement.put((np.full(len(runs), RUNNING, np.int32), keys.words(runs)))
        return state._replace(status=status, key=keys.made_of(words))

    def _new(
        self, runs: list[RunId], columns: Any, placement: Placement, first: Callable[[Any], None] | None = None
    ) -> TrainState:
        """New states; ``first`` is called with their shapes before the program that makes them is compiled."""
        keys, x = self._keys, self.work.train.inputs
        numbers, x = placement.put(np.array(runs, np.uint32)), np.zeros((1, *x.shape[1:]), x.dtype)
        root = keys.made_of(self.lanes.place(keys.root, lanes=False))
        begun = self.work.roots, placement.active, columns, numbers, root, x
        if first is not None:
            first(self.lanes.like(self.programs.init.eval_shape(*begun)))
        state = self.programs.init(*begun)
        keys.learn(runs, placement.get(jax.random.key_data(state.key)))
        return state

    def _begin(self, runs: list[RunId]) -> None:
        """Enters new runs at step 0."""
        if not runs:
            return
        placement = Placement(self.lanes, len(runs), self._widest)
        state = placement.get(self._new(runs, self._columns(runs, placement), placement)._replace(key=()), away=True)
        none = np.zeros(len(runs))
        self.host.book.add(Part(runs, state.status, state.step, none, {}, none.astype(int), -1, state))


class _Stretch:
    """The time that some runs spend together, and their histories before and after it."""

    def __init__(self, runs: list[RunId], book: Book) -> None:
        self._runs = runs
        self._before = np.array([book.step(run) for run in runs])
        self._seen = np.array([book.evaluations(run) for run in runs])
        self._spent = np.array([book.seconds(run) for run in runs])
        self._since = np.array([book.since(run) for run in runs])
        self._rows = book.rows(runs, book.names(), int(self._seen.max()))
        self._began = time.perf_counter()
        self.compile_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Since the beginning, without compiling."""
        return time.perf_counter() - self._began - self.compile_seconds

    def part(self, now: Any, rows: Mapping[str, np.ndarray], generation: int) -> Part:
        """The runs with these states, and these rows (runs, evaluations) since the beginning."""
        done = now.step - self._before
        seconds = self._spent + self.seconds * done / max(done.sum(), 1)
        return Part(self._runs, now.status, now.step, seconds, self._joined(rows), self._since, generation, now)

    def _joined(self, rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        joined = {}
        for name, new in rows.items():
            room = int(self._seen.max()) + new.shape[1]
            joined[name] = np.full((len(self._runs), room), np.nan, new.dtype)
            if name in self._rows:
                joined[name][:, : self._rows[name].shape[1]] = self._rows[name]
            for seen in np.unique(self._seen):
                lanes = self._seen == seen
                joined[name][lanes, seen : seen + new.shape[1]] = new[lanes]
        return joined
