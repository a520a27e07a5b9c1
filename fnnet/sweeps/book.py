"""What is known of the runs of a sweep while they are not on a device: states and histories, on the host."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np

from fnnet.train.state import FINISHED, RUNNING, STOPPED_EARLY, TrainState
from fnnet.trees import nbytes

RunId: TypeAlias = tuple[int, int, int]
"""Trial, seed and fold."""


@dataclasses.dataclass(eq=False)
class Part:
    """Some runs of one structure, stacked: every array has an axis of runs.

    Attributes:
        runs: which.
        status: codes.
        step: updates done.
        seconds: in training, each run's share.
        rows: by score, (runs, evaluations); NaN where a run has not got to.
        since: evaluations before the run took over another's parameters, which are not its own any more; else 0.
        generation: the last decision of the scheduler that they have followed.
        states: without keys, which follow from the runs; or None, if they are in a file or were let go.
        read: gets the states from the file.
        path: of the file.
    """

    runs: list[RunId]
    status: np.ndarray
    step: np.ndarray
    seconds: np.ndarray
    rows: dict[str, np.ndarray]
    since: np.ndarray
    generation: int
    states: TrainState | None = None
    read: Callable[[], TrainState] | None = None
    path: Path | None = None

    @property
    def kept(self) -> bool:
        """Whether there are states, which a call that has gone on with the folder may have replaced."""
        return self.states is not None or (self.read is not None and (self.path is None or self.path.exists()))

    def load(self) -> TrainState | None:
        """The states, if there are any."""
        return self.read() if self.states is None and self.read is not None else self.states

    def at(self, lanes: Any) -> Part:
        """These of its runs alone."""
        return dataclasses.replace(
            self, runs=[self.runs[lane] for lane in lanes], status=self.status[lanes], step=self.step[lanes],
            seconds=self.seconds[lanes], rows={name: values[lanes] for name, values in self.rows.items()},
            since=self.since[lanes],
            states=None if self.states is None else jax.tree.map(lambda leaf: leaf[lanes], self.states),
            read=None, path=None,
        )  # fmt: skip


class Book:
    """The latest that is known of each run."""

    def __init__(self, period: int) -> None:
        self._period = period
        self._places: dict[RunId, tuple[Part, int]] = {}

    def add(self, part: Part) -> list[Part]:
        """Takes in what is newer; gives the parts in which nothing is the latest any more."""
        before = {id(found[0]): found[0] for run in part.runs if (found := self._places.get(run))}
        for lane, run in enumerate(part.runs):
            self._places[run] = part, lane
        return [old for old in before.values() if all(self._places[run][0] is not old for run in old.runs)]

    def __contains__(self, run: RunId) -> bool:
        return run in self._places

    def find(self, run: RunId) -> tuple[Part, int]:
        """The part that has the run, and where."""
        return self._places[run]

    def parts(self) -> list[Part]:
        """Every part once."""
        return list({id(part): part for part, _ in self._places.values()}.values())

    def status(self, run: RunId) -> int:
        """The code of a run that was begun."""
        part, lane = self._places[run]
        return int(part.status[lane])

    def step(self, run: RunId) -> int:
        """The updates that a run has done; 0 if it was not begun."""
        part, lane = self._places.get(run, (None, 0))
        return 0 if part is None else int(part.step[lane])

    def waits(self, run: RunId, until: int) -> bool:
        """Whether a run has done its last step, but was interrupted before the end of its period, an evaluation."""
        return run in self and self.status(run) == RUNNING and self.step(run) == until and until % self._period > 0

    def goes_on(self, run: RunId, until: int) -> bool:
        """Whether there is something to do for a run that is sent to this step."""
        if run not in self or self.waits(run, until):
            return True
        return self.status(run) in (RUNNING, FINISHED) and self.step(run) < until

    def generation(self, run: RunId) -> int:
        """The last decision of the scheduler that a run has followed; −1 if none."""
        return self._places[run][0].generation if run in self._places else -1

    def seconds(self, run: RunId) -> float:
        """How long a run has been trained."""
        part, lane = self._places.get(run, (None, 0))
        return 0.0 if part is None else float(part.seconds[lane])

    def since(self, run: RunId) -> int:
        """The evaluations before a run took over another's parameters."""
        part, lane = self._places.get(run, (None, 0))
        return 0 if part is None else int(part.since[lane])

    def names(self) -> list[str]:
        """The scores of which there are histories."""
        return list(dict.fromkeys(name for part in self.parts() for name in part.rows))

    def evaluations(self, run: RunId) -> int:
        """How many evaluations a run has seen: a step that ends a run ends a period too."""
        if run not in self._places:
            return 0
        ended = self.status(run) in (FINISHED, STOPPED_EARLY)
        return (self.step(run) + (self._period - 1 if ended else 0)) // self._period

    def curve(self, run: RunId, name: str) -> np.ndarray:
        """What a run has scored at each of its evaluations."""
        if run not in self._places:
            return np.zeros(0, np.float32)
        part, lane = self._places[run]
        values = part.rows.get(name)
        return np.zeros(0, np.float32) if values is None else values[lane, : self.evaluations(run)]

    def stacked(self, runs: Sequence[RunId]) -> Any:
        """The states of some runs of one structure, without keys; every one has to be kept."""
        return gathered([self._places[run] for run in runs])

    def rows(self, runs: Sequence[RunId], names: Iterable[str], room: int) -> dict[str, np.ndarray]:
        """The histories of some runs, (runs, room), NaN where there is nothing."""
        found: dict[str, np.ndarray] = {}
        for name in names:
            curves = [self.curve(run, name) for run in runs]
            dtype = np.result_type(np.float32, *{curve.dtype for curve in curves})
            found[name] = np.full((len(runs), room), np.nan, dtype)
            for values, curve in zip(found[name], curves, strict=True):
                values[: len(curve)] = curve
        return found

    def let_go(self, most: int, worth: Callable[[RunId], float | None]) -> None:
        """Keeps the states of the worthiest runs only, if those in memory take more than ``most`` bytes.

        Half of the room is freed at once, so that this is seldom to be done. A run without a worth has not ended, and
        is kept; what is let go can be trained again.
        """
        held = [part for part in self.parts() if part.states is not None]
        if sum(nbytes(part.states) for part in held) <= most:
            return
        size = {run: nbytes(part.states) / len(part.runs) for part in held for run in part.runs}
        latest = [run for part in held for run in part.runs if self._places[run][0] is part]
        values = {run: worth(run) for run in latest}
        kept, room = {run for run, value in values.items() if value is None}, most / 2
        for run in sorted(values.keys() - kept, key=lambda run: values[run] or 0.0, reverse=True):
            room -= size[run]
            if room < 0:
                break
            kept.add(run)
        for part in held:
            lanes = [lane for lane, run in enumerate(part.runs) if run in kept and self._places[run][0] is part]
            if len(lanes) == len(part.runs):
                continue
            if lanes:
                self.add(part.at(lanes))
            part.states = None


def gathered(places: Sequence[tuple[Part, int]]) -> TrainState:
    """The states at these places of parts, stacked."""
    parts = list({id(part): part for part, _ in places}.values())
    states = [part.load() for part in parts]
    if len(parts) == 1 and [lane for _, lane in places] == list(range(len(parts[0].runs))):
        assert states[0] is not None
        return states[0]
    chosen = [
        (np.array([i for i, (p, _) in enumerate(places) if p is part]), [lane for p, lane in places if p is part])
        for part in parts
    ]

    def gather(*leaves: np.ndarray) -> np.ndarray:
        joined = np.empty((len(places), *leaves[0].shape[1:]), leaves[0].dtype)
        for leaf, (positions, lanes) in zip(leaves, chosen, strict=True):
            joined[positions] = leaf[lanes]
        return joined

    return jax.tree.map(gather, *states)
