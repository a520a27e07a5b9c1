"""The scheduler's say: which trials go on, how far, and whose hyperparameters they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet.errors import StructureError
from fnnet.sweeps.book import Book, Part, RunId
from fnnet.sweeps.drawing import Trial, descend
from fnnet.sweeps.schedulers import ALL, Decisions, Scheduler
from fnnet.sweeps.work import SCHEDULING, Work
from fnnet.train.state import FINISHED, STOPPED_EARLY, Best, Stall
from fnnet.types import Array


class Generation(NamedTuple):
    """What was decided once, and what came of it.

    ``epochs`` (trials,) is how far each trial was sent; ``sent`` which trials went on; ``parents`` (trials, 1 or 2)
    whose hyperparameters they took, moved by ``spread`` (trials,), and if ``warm`` their states too; ``scores``
    (trials,) the mean score of their seeds and folds at the end, more being better, NaN for others.
    """

    epochs: np.ndarray
    sent: np.ndarray
    parents: np.ndarray
    scores: np.ndarray
    warm: bool
    spread: np.ndarray

    @property
    def copies(self) -> bool:
        """Whether trials have taken over the states of others."""
        return self.warm and bool((self.parents != np.arange(len(self.parents))[:, None]).any())

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Generation:
        """A generation as ``record`` has it."""
        scores = np.array([np.nan if score is None else score for score in facts["scores"]], float)
        return cls(
            np.array(facts["epochs"]), np.array(facts["sent"]), np.array(facts["parents"]), scores, facts["warm"],
            np.array(facts["spread"]),
        )  # fmt: skip

    def record(self) -> dict[str, Any]:
        """All of it, to make the same again."""
        scores = [float(score) if np.isfinite(score) else None for score in self.scores]
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in self._asdict().items()
        } | {"scores": scores}

    def facts(self, sign: int) -> dict[str, Any]:
        """As `Sweep.rungs` has it."""
        scores = self.scores[self.sent]
        return {
            "trials": np.flatnonzero(self.sent).tolist(),
            "epochs": self.epochs[self.sent].tolist(),
            "parents": self.parents[self.sent].tolist(),
            "scores": [float(sign * score) if np.isfinite(score) else None for score in scores],
        }


def decide(
    scheduler: Scheduler | None, past: Sequence[Generation], key: Array, most: np.ndarray
) -> tuple[Decisions, np.ndarray]:  # fmt: skip
    """The next decisions, and the epochs until which each trial is to go on, no more than its ``most``.

    Without a scheduler every trial goes to its end.
    """
    trials = len(most)
    scores = np.stack([g.scores for g in past], axis=1) if past else np.zeros((trials, 0))
    epochs = np.max([g.epochs for g in past], axis=0, initial=0) if past else np.zeros(trials, int)
    if scheduler is None:
        decisions = Decisions(np.full(trials, ALL))
    else:
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


def taken(decisions: Decisions, trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Whose hyperparameters each trial takes, (trials, 1 or 2), and how far they move, (trials,)."""
    parents = np.arange(trials) if decisions.parents is None else decisions.parents
    return np.reshape(parents, (trials, -1)), np.broadcast_to(
        0.0 if decisions.spread is None else decisions.spread, trials
    )


def inherit(
    trials: list[Trial], parents: np.ndarray, spread: np.ndarray, space: Any, past: int, key: Array
) -> list[Trial]:
    """The trials after they have taken hyperparameters: a matter of key, generation and trial alone."""
    after = list(trials)
    words = np.asarray(jax.random.key_data(key)).ravel().tolist()
    for trial in _changed(parents):
        rng = np.random.default_rng([*words, int(SCHEDULING), past, trial])
        after[trial] = descend(space, [trials[p] for p in parents[trial].tolist()], float(spread[trial]), rng)
    return after


def _changed(parents: np.ndarray) -> list[int]:
    return np.flatnonzero((parents != np.arange(len(parents))[:, None]).any(axis=1)).tolist()


def check_new(parents: np.ndarray, work: Work, book: Book, past: int) -> None:
    """Raises if a trial that was trained is to begin anew."""
    for trial in _changed(parents):
        if any(run in book and book.generation(run) < past for run in work.runs([trial])):
            raise StructureError(
                "sweep",
                f"the scheduler gives trial {trial} another parent after it was trained. A trial is begun anew under "
                f"another number; with warm=True it goes on from its parent's state.",
            )


def copies(parents: np.ndarray, keys: Mapping[int, Any], past: int, work: Work, book: Book) -> list[Part]:
    """The states that trials take over, one part for each structure.

    Copies that were made before (the sweep was killed after it) are not made again: those of one structure are on disk
    together, before any of its trials goes on.
    """
    pairs: dict[Any, list[tuple[RunId, RunId]]] = {}
    if work.limits is not None and _changed(parents):
        raise StructureError(
            "sweep",
            "the scheduler lets trials go on from others' states, but each trial has its own epochs=. Give one.",
        )
    for trial in _changed(parents):
        parent = int(parents[trial, 0])
        if keys[trial] != keys[parent]:
            raise StructureError(
                "sweep",
                f"the scheduler lets trial {trial} go on from the parameters of trial {parent}, which has another "
                f"structure. Leave hp.static and functions out of the space.",
            )
        for run in work.runs([trial]):
            source = (parent, *run[1:])
            if source not in book:
                raise StructureError(
                    "sweep",
                    f"the scheduler lets trial {trial} go on from the state of trial {parent}, which was not begun. "
                    f"With warm=False a trial takes hyperparameters alone.",
                )
            if book.generation(run) < past:
                pairs.setdefault(keys[trial], []).append((source, run))
    return [_copied(book, work, found, past) for found in pairs.values()]


def _copied(book: Book, work: Work, pairs: list[tuple[RunId, RunId]], generation: int) -> Part:
    """Runs that go on from others' states.

    They keep their own histories, which tell what they were; the best parameters are looked for anew, so that their
    score is one of the history.
    """
    sources, runs = map(list, zip(*pairs, strict=True))
    states, seen = book.stacked(sources), np.array([book.evaluations(run) for run in runs])
    worst: Any = np.full(len(runs), work.monitor.worst, states.best.score.dtype)
    status = np.full(len(runs), FINISHED, np.int32)  # where the others are, which have all been evaluated
    none: Any = np.zeros(len(runs), states.stall.evaluations.dtype)
    states = states._replace(
        status=status,
        best=Best(states.params, states.model_state, worst, states.step),
        stall=Stall(worst, none),
    )
    seconds = np.array([book.seconds(run) for run in runs])
    rows = book.rows(runs, book.names(), int(seen.max()))
    return Part(runs, status, states.step, seconds, rows, seen, generation, states)


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
