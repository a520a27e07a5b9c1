"""What is shown of a sweep while it runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fnnet.sweeps.book import Book, RunId
from fnnet.sweeps.work import Work
from fnnet.train.progress import Progress
from fnnet.train.state import DIVERGED, RUNNING, STOPPED_EARLY, TrainState

ENDED = {DIVERGED: "diverged", STOPPED_EARLY: "stopped early"}
"""Runs that have ended before their end, which are counted."""


class Watch:
    """Tells a line of progress how far all runs are, those in flight and those in the book.

    Args:
        bar: the line.
        work: what all runs have in common.
        runs: all of them.
    """

    def __init__(self, bar: Progress, work: Work, runs: Sequence[RunId]) -> None:
        self._bar, self._work, self._runs = bar, work, runs
        self._best: float | None = None

    def compiled(self, seconds: float) -> None:
        """Adds to the time in compiling, of all structures so far."""
        self._bar.compiled(seconds)

    def update(self, book: Book, runs: Sequence[RunId], state: TrainState, lanes: np.ndarray, pace: float) -> None:
        """Shows the mean epoch of all runs, the best score so far, and how many runs have ended early.

        Args:
            book: has the runs that are not in flight.
            runs: in flight.
            state: of all lanes.
            lanes: (runs,), the lane of each.
            pace: steps a second.
        """
        status, scores = np.asarray(state.status)[lanes], np.asarray(state.best.score)[lanes]
        flying, monitor = dict(zip(runs, np.asarray(state.step)[lanes].tolist(), strict=True)), self._work.monitor
        codes = dict.fromkeys(self._runs, RUNNING)
        codes |= {run: book.status(run) for run in self._runs if run in book}
        codes |= dict(zip(runs, status.tolist(), strict=True))
        # A run that has ended is as far as it will get.
        done = sum(
            self._work.steps if code in ENDED else flying.get(run, book.step(run)) for run, code in codes.items()
        )
        known = [*scores[np.isfinite(scores)].tolist(), *([] if self._best is None else [self._best])]
        self._best = None if not known else max(known) if monitor.maximize else min(known)
        best = {} if self._best is None else {f"best {monitor.name}": self._best}
        counts = {said: list(codes.values()).count(code) for code, said in ENDED.items()}
        note = ", ".join(f"{count} of {len(self._runs)} {said}" for said, count in counts.items() if count)
        self._bar.update(done // (len(self._runs) * self._work.per_epoch), best, pace * len(runs), note)
