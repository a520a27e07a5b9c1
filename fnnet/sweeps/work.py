"""What the runs of a sweep have in common: data, lengths, keys."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import draws
from fnnet.data import Dataset
from fnnet.data import folds as deal
from fnnet.data.folding import row_tables
from fnnet.errors import HyperparameterError, StructureError, within
from fnnet.sweeps.space import is_whole
from fnnet.train import options
from fnnet.train.learner import Monitor
from fnnet.train.stopping import EarlyStopping
from fnnet.types import Array

SHARED, SCHEDULING = np.uint32(2**32 - 1), np.uint32(2**32 - 2)
"""Folded into the root key where a trial's number would be, for draws that all trials share and for the scheduler."""

SHAREABLE = {
    "initialization": (draws.INITIALISATION,),
    "data": (draws.ORDER, draws.AUGMENTATION),
    "dropout": (draws.NOISE,),
}
"""What runs may draw in common, and the purposes of `fnnet.draws` that it means."""


class Split(NamedTuple):
    """The rows of each fold, (folds, n), and which of them count, None for all; see `data.folding.Selection`."""

    train: tuple[np.ndarray, np.ndarray | None]
    validation: tuple[np.ndarray, np.ndarray | None]


class Work(NamedTuple):
    """What the runs of a sweep have in common.

    ``steps`` is the most updates of a run; ``limits`` has the most epochs of each trial, if these differ.
    """

    train: Dataset
    validation: Dataset | None
    split: Split | None
    batch_size: int | None
    monitor: Monitor
    seeds: int
    folds: int | None
    steps: int
    limits: tuple[int, ...] | None
    per_epoch: int
    period: int
    stopping: EarlyStopping | None
    share: tuple[str, ...]
    key: Array

    def runs(self, trials: Iterable[int]) -> list[tuple[int, int, int]]:
        """Trial, seed and fold of each run of these trials, in the order of the table."""
        return list(itertools.product(trials, range(self.seeds), range(self.folds or 1)))

    def most_epochs(self, trial: int) -> int:
        """How far a trial may go."""
        return self.steps // self.per_epoch if self.limits is None else self.limits[trial]

    def most_steps(self, trial: int) -> int:
        """The updates of a run that goes to its end."""
        return self.most_epochs(trial) * self.per_epoch

    def steps_for(self, trial: int, epochs: int) -> int:
        """The updates of so many epochs, up to the next evaluation."""
        steps = -(-epochs * self.per_epoch // self.period) * self.period
        return min(steps, self.most_steps(trial))

    @property
    def roots(self) -> Roots:
        """How the runs come by their root keys."""
        return Roots(self.folds is not None, self.share)

    def keys(self, runs: Any) -> Array:
        """The root keys of runs, (runs, 3) whole numbers."""
        return _jitted(self.roots, jax.default_backend())(self.key, np.asarray(runs, np.uint32))


class Keys:
    """The root keys of runs as words of NumPy: as the program made them that began a run, or worked out on demand.

    Words, as a key may be bound to a device; ``root`` has those of the sweep's.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.root = np.asarray(jax.random.key_data(work.key))
        self._words: dict[tuple[int, int, int], np.ndarray] = {}

    def learn(self, runs: Sequence[tuple[int, int, int]], words: np.ndarray) -> None:
        """Keeps what is known of these runs, so that no program for their keys has to be compiled."""
        self._words.update(zip(runs, words, strict=True))

    def made_of(self, words: Any) -> Array:
        """Keys of the sweep's kind from words on devices."""
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(self._work.key))

    def words(self, runs: Sequence[tuple[int, int, int]]) -> np.ndarray:
        """The words of each run's keys, (runs, …)."""
        missing = [run for run in runs if run not in self._words]
        if missing:
            # Of few lengths, each of which is a program.
            padded = np.resize(missing, (2 ** (len(missing) - 1).bit_length(), 3))
            self.learn(missing, np.asarray(jax.random.key_data(self._work.keys(padded)))[: len(missing)])
        return np.stack([self._words[run] for run in runs])


class Roots(NamedTuple):
    """The root key of a run: ``fold_in(fold_in(key, trial), seed)``, and the fold folded in last if there are some.

    With ``share``, what the trials draw in common, a run has a key for each purpose of `fnnet.draws`, (purposes,), and
    those that are shared do not know the trial.
    """

    folded: bool = False
    share: tuple[str, ...] = ()

    def key(self, root: Array, run: Array) -> Array:
        """From the key of the sweep and a run: the numbers of trial, seed and fold, (3,) uint32."""
        trial, *rest = run
        own = self._of(root, trial, *rest)
        if not self.share:
            return own
        common, shared = self._of(root, SHARED, *rest), {p for name in self.share for p in SHAREABLE[name]}
        return jnp.stack([common if purpose in shared else own for purpose in range(draws.PURPOSES)])

    def _of(self, root: Array, trial: Any, seed: Any, fold: Any) -> Array:
        own = jax.random.fold_in(jax.random.fold_in(root, trial), seed)
        return jax.random.fold_in(own, fold) if self.folded else own


@functools.lru_cache(maxsize=64)
def _jitted(roots: Roots, platform: str) -> Any:
    def keys(root: Array, runs: Array) -> Array:
        # One after the other, as lanes are: keys of JAX's unsafe_rbg are others under `jax.vmap`.
        return jax.lax.map(lambda run: roots.key(root, run), runs)

    # Whole numbers come out the same at any level.
    return jax.jit(keys, compiler_options=options.once(platform, level=0))


def check_share(share: Any) -> tuple[str, ...]:
    """What runs draw in common, in a fixed order."""
    names = (share,) if isinstance(share, str) or not isinstance(share, Iterable) else tuple(share)
    for name in names:
        if name not in SHAREABLE:
            raise HyperparameterError(
                "sweep", f"share names {name!r}, but trials can share only {', '.join(map(repr, SHAREABLE))}."
            )
    return tuple(name for name in SHAREABLE if name in names)


def check_folds(train: Dataset, validation: Any, folds: Any, key: Array) -> Split | None:
    """The rows of each fold, or None without folds."""
    if folds is None:
        return None
    if validation is not None:
        raise StructureError("sweep", "folds= takes validation data from the training data, so leave validation= out.")
    if not is_whole(folds) or not 2 <= folds <= len(train):
        raise HyperparameterError(
            "sweep", f"folds is {folds!r}, but it has to be a whole number from 2 to the {len(train)} rows."
        )
    with within("sweep"):
        return Split(*row_tables(deal(train, int(folds), key=key)))
