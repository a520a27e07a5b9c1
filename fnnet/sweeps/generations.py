"""The scheduler's say: which trials go on, how far, and whose hyperparameters they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet.errors import StructureError
from fnnet.sweeps.book import Book, Part, RunId
from fnnet.sweeps.drawing import Trial, descend
from fnnet.sweeps.schedulers import Decisions
from fnnet.sweeps.work import SCHEDULING, Work
from fnnet.train.state import RUNNING, STOPPED_EARLY
from fnnet.types import Array

Scheduler = Callable[[np.ndarray, np.ndarray, Array], Decisions]


class Generation(NamedTuple):
    """What was decided once, and what came of it.

    ``epochs`` (trials,) is how far each trial was sent; ``sent`` which trials went on; ``parents`` (trials, 1 or 2)
    whose hyperparameters they took; ``scores`` (trials,) the mean score of their seeds and folds at the end, NaN for
    others.
    """

    epochs: np.ndarray
    sent: np.ndarray
    parents: np.ndarray
    scores: np.ndarray

    def facts(self, sign: int) -> dict[str, Any]:
        """As `Sweep.rungs` has it."""
        scores = self.scores[self.sent]
        return {
            "trials": np.flatnonzero(self.sent).tolist(),
            "epochs": self.epochs[self.sent].tolist(),
            "parents": self.parents[self.sent].tolist(),
            "scores": [float(sign * score) if np.isfinite(score) else None for score in scores],
        }


def together(scores: np.ndarray, epochs: np.ndarray, key: Array) -> Decisions:
    """Every trial to its end."""
    return Decisions(np.full(len(epochs), np.iinfo(np.int32).max))


def decide(
    scheduler: Scheduler, past: Sequence[Generation], key: Array, most: np.ndarray
) -> tuple[Decisions, np.ndarray]:  # fmt: skip
    """The next decisions, and the epochs until which each trial is to go on, no more than its ``most``."""
    trials = len(most)
    scores = np.stack([g.scores for g in past], axis=1) if past else np.zeros((trials, 0))
    epochs = np.max([g.epochs for g in past], axis=0, initial=0) if past else np.zeros(trials, int)
    key = jax.random.fold_in(jax.random.fold_in(key, SCHEDULING), len(past))
    decisions = scheduler(scores, epochs.copy(), key)
    _check(decisions, trials)
    return decisions, np.maximum(epochs, np.minimum(np.asarray(decisions.epochs, np.int64), most)).astype(int)


def _check(decisions: Any, trials: int) -> None:
    """Raises if this is not what a scheduler has to give."""
    if not isinstance(decisions, Decisions):
        raise _refusal(type(decisions).__name__, f"epochs of shape ({trials},)")
    epochs, parents, spread = map(np.asarray, decisions[:3])
    if epochs.shape != (trials,) or epochs.dtype.kind not in "iu":
        raise _refusal(f"epochs of shape {epochs.shape} and {epochs.dtype}", f"epochs of shape ({trials},) and int")
    if decisions.parents is not None and (
        parents.shape not in ((trials,), (trials, 2))
        or parents.dtype.kind not in "iu"
        or not ((parents >= 0) & (parents < trials)).all()
    ):
        raise _refusal(
            f"parents of shape {parents.shape} and {parents.dtype}"
            + (f" up to {parents.max()}" if parents.size else ""),
            f"parents of shape ({trials},) or ({trials}, 2), which are numbers of trials, 0 to {trials - 1},",
        )
    if decisions.spread is not None and not (
        spread.shape in ((), (trials,)) and spread.dtype.kind in "fiu" and (np.isfinite(spread) & (spread >= 0)).all()
    ):
        raise _refusal(f"a spread of shape {spread.shape}", f"a spread of shape ({trials},), nowhere negative,")


def _refusal(gave: str, needed: str) -> StructureError:
    return StructureError(
        "sweep", f"the scheduler gave {gave}, but fnnet.schedulers.Decisions with {needed} are needed."
    )


def inherit(
    decisions: Decisions, trials: list[Trial], space: Any, past: int, work: Work, book: Book
) -> tuple[list[Trial], np.ndarray, list[Part]]:
    """The trials after they have taken hyperparameters, their parents, and the copies of states that go with these.

    A copy that was made before (the sweep was killed after it) is not made again.
    """
    own = np.arange(len(trials))[:, None]
    parents = own if decisions.parents is None else np.reshape(decisions.parents, (len(trials), -1))
    changed = np.flatnonzero((parents != own).any(axis=1))
    spread = np.zeros(len(trials)) if decisions.spread is None else np.broadcast_to(decisions.spread, len(trials))
    after, copies = list(trials), []
    words = np.asarray(jax.random.key_data(work.key)).ravel().tolist()
    for trial in changed.tolist():
        rng = np.random.default_rng([*words, int(SCHEDULING), past, trial])
        after[trial] = descend(space, [trials[p] for p in parents[trial].tolist()], float(spread[trial]), rng)
        runs = work.runs([trial])
        if not decisions.warm:
            if any(run in book and book.generation(run) < past for run in runs):
                raise StructureError(
                    "sweep",
                    f"the scheduler gives trial {trial} another parent after it was trained. A trial is begun anew "
                    f"under another number; with warm=True it goes on from its parent's state.",
                )
            continue
        parent = int(parents[trial, 0])
        if after[trial].static != trials[trial].static:
            raise StructureError(
                "sweep",
                f"the scheduler lets trial {trial} go on from the parameters of trial {parent}, which has another "
                f"structure. Leave hp.static and functions out of the space.",
            )
        if any((parent, *run[1:]) not in book for run in runs):
            raise StructureError(
                "sweep",
                f"the scheduler lets trial {trial} go on from the state of trial {parent}, which was not begun. "
                f"With warm=False a trial takes hyperparameters alone.",
            )
        if any(book.generation(run) < past for run in runs):
            copies.append(_copied(book, [(parent, *run[1:]) for run in runs], runs, past))
    return after, parents, copies


def _copied(book: Book, parents: list[RunId], runs: list[RunId], generation: int) -> Part:
    """Runs that go on from others' states, and keep their own histories: these tell what they were."""
    states = book.stacked(parents)
    names, room = book.names(), max(book.evaluations(run) for run in runs)
    status = np.full(len(runs), RUNNING, np.int32)
    return Part(
        runs, status, states.step, np.array([book.seconds(run) for run in runs]), book.rows(runs, names, room),
        generation, states._replace(status=status),
    )  # fmt: skip


def scores_of(book: Book, work: Work, until: np.ndarray, sent: np.ndarray) -> np.ndarray:
    """The mean score of each trial that was sent, more being better: at the epoch to which it was sent.

    A run that has stopped early counts with its best score, one that has diverged with none, and so does its trial.
    """
    scores = np.full(len(until), np.nan)
    sign = 1 if work.monitor.maximize else -1
    for trial in np.flatnonzero(sent).tolist():
        found = [_score(book, work, run, work.steps_for(trial, int(until[trial]))) for run in work.runs([trial])]
        scores[trial] = sign * np.mean(found)
    return scores


def _score(book: Book, work: Work, run: RunId, step: int) -> float:
    curve = book.curve(run, work.monitor.name)
    evaluations = -(-step // work.period)
    if evaluations <= len(curve):
        return float(curve[evaluations - 1])
    if np.isfinite(curve).any() and book.status(run) == STOPPED_EARLY:
        return float(np.nanmax(curve) if work.monitor.maximize else np.nanmin(curve))
    return np.nan


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
