"""What a scheduler is asked and what it answers, and what schedulers have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from fnnet.types import Array

ALL: int = np.iinfo(np.int32).max
"""Epochs to the end of the sweep, however many these are."""


class Decisions(NamedTuple):
    """What a scheduler decides for each trial.

    Attributes:
        epochs: (trials,) whole numbers: go on until so many epochs have been seen, at most those of the sweep. A
            trial that is not sent further than it is rests, and may be sent further by a later call.
        parents: (trials,) or (trials, 2) whole numbers: the trials whose hyperparameters each trial takes, itself
            where it stays as it is; None where all do. Of two parents, each hyperparameter comes from one or the other.
        spread: (trials,) at least 0: how far drawn hyperparameters move then, as a standard deviation in their unit
            interval; None for not at all.
        warm: whether a trial that has another parent goes on from a copy of this parent's state, its epochs
            included, or is a new run from the start.
    """

    epochs: np.ndarray
    parents: np.ndarray | None = None
    spread: np.ndarray | None = None
    warm: bool = True


Scheduler = Callable[[np.ndarray, np.ndarray, Array], Decisions]
"""``(scores, epochs, key) -> Decisions``.

``scores``, (trials, calls before), holds the mean score of each trial at the end of each time it was asked, more is
better; NaN where it rested then or diverged. ``epochs``, (trials,), holds how many epochs each has seen. ``key`` is
another random key at each call.
"""


def best(scores: np.ndarray, members: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the members with a finite score, the best first, of equal ones the lower first."""
    scored = members[np.isfinite(scores[members])]
    return scored[np.argsort(-scores[scored], kind="stable")][:count]


def send(seen: np.ndarray, going: np.ndarray, epochs: int) -> np.ndarray:
    """Epochs to which trials are sent: some so far, the others no further than they are."""
    sent = np.array(seen)
    sent[going] = min(epochs, ALL)
    return sent


def generator(key: Array) -> np.random.Generator:
    """NumPy's generator from a random key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
