"""Schedulers that train all trials for a while and only the promising ones for long."""

from __future__ import annotations

import numpy as np

from fnnet.errors import check_number, check_size
from fnnet.recipes import recipe
from fnnet.sweeps.schedulers.decisions import Decisions, Scheduler, best, send
from fnnet.types import Array


@recipe
def successive_halving(epochs: int = 1, factor: int = 3) -> Scheduler:
    """All trials start, and of each rung the best 1/η go on to η times as many epochs.

    rung i: ⌊n / ηⁱ⌋ of n trials, at least one, go on to r ηⁱ epochs, until the sweep's epochs are reached

    Each rung costs about as much as the first, where training all costs n times the sweep's epochs. Of equal scores
    the lower trial goes on; a trial without a finite score never does.

    Args:
        epochs: r, epochs of the first rung, positive.
        factor: η, at least 2.

    Returns:
        Scheduler.

    Raises:
        HyperparameterError: ``epochs`` is not a positive integer or ``factor`` not an integer from 2.

    Source: Jamieson & Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS
    2016 (there η = 2); Karnin, Koren & Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013.

    >>> import jax
    >>> decide = successive_halving(epochs=1, factor=3)
    >>> scores = np.array([[0.1], [0.5], [0.9], [0.2], [np.nan], [0.8]])
    >>> decide(scores, np.ones(6, int), jax.random.key(0)).epochs.tolist()
    [1, 1, 3, 1, 1, 3]
    """
    check_size("successive_halving", "epochs", epochs)
    _check_factor("successive_halving", factor)

    def decide(scores: np.ndarray, seen: np.ndarray, key: Array) -> Decisions:
        trials, rung = scores.shape
        everyone = np.arange(trials)
        going = everyone if rung == 0 else best(scores[:, -1], everyone, max(1, trials // factor**rung))
        return Decisions(send(seen, going, epochs * factor**rung))

    return decide


@recipe
def hyperband(epochs: int, factor: int = 3) -> Scheduler:
    """Brackets of successive halving that start with ever fewer trials and ever more epochs.

    bracket s = S, …, 0 with S = ⌊log_η R⌋: n_s ∝ ⌈(S + 1) ηˢ / (s + 1)⌉ trials, of which ⌊n_s / ηⁱ⌋, at least one,
    go on to R ηⁱ⁻ˢ epochs, i = 0, …, s

    Halving can be wrong where curves cross; a bracket with a smaller s halves less often. The trials of the sweep are
    dealt out in the paper's proportions and in their order: the first to bracket S, the last to bracket 0, whose
    trials all have R epochs. The paper's own numbers need Σ n_s trials, 143 for R = 81 and η = 3. All brackets
    advance at once.

    Args:
        epochs: R, the most epochs of a run, positive; as a rule those of the sweep.
        factor: η, at least 2.

    Returns:
        Scheduler.

    Raises:
        HyperparameterError: ``epochs`` is not a positive integer or ``factor`` not an integer from 2.

    Source: Li, Jamieson, DeSalvo, Rostamizadeh & Talwalkar, "Hyperband: a novel bandit-based approach to
    hyperparameter optimization", JMLR 18 (2018), algorithm 1.

    >>> import jax
    >>> decide = hyperband(epochs=9, factor=3)
    >>> decide(np.empty((17, 0)), np.zeros(17, int), jax.random.key(0)).epochs.tolist()
    [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 9, 9, 9]
    """
    check_size("hyperband", "epochs", epochs)
    _check_factor("hyperband", factor)
    last = 0
    while factor ** (last + 1) <= epochs:
        last += 1
    halvings = np.arange(last, -1, -1)
    shares = np.array([-(-(last + 1) * factor**s // (s + 1)) for s in range(last, -1, -1)])

    def decide(scores: np.ndarray, seen: np.ndarray, key: Array) -> Decisions:
        trials, rung = scores.shape
        # A trial belongs where the middle of its n-th part of the whole falls.
        bracket = halvings[np.searchsorted(np.cumsum(shares) * trials, (np.arange(trials) + 0.5) * shares.sum())]
        sent = np.array(seen)
        for s in range(rung, last + 1):
            members = np.flatnonzero(bracket == s)
            going = members if rung == 0 else best(scores[:, -1], members, max(1, members.size // factor**rung))
            sent = send(sent, going, epochs // factor ** (s - rung))
        return Decisions(sent)

    return decide


@recipe
def median_stopping(every: int = 1, grace: int = 1) -> Scheduler:
    """A trial rests for good once its best score is worse than the median of the others' running averages.

    rests if maxᵢ≤ₜ sᵢ < median over the others of mean of their s₁, …, sₜ

    The paper compares with trials that are completed; here all run side by side, and a trial is compared with those
    that have got as far as it has. It takes no model of the curves. A trial that has diverged rests and is compared
    with no other.

    Args:
        every: epochs between two decisions, positive.
        grace: epochs before which no trial is stopped, positive.

    Returns:
        Scheduler.

    Raises:
        HyperparameterError: an argument is not a positive integer.

    Source: Golovin, Solnik, Moitra, Kochanski, Karro & Sculley, "Google Vizier: a service for black-box
    optimization", KDD 2017, section 3.2.2.

    >>> import jax
    >>> decide = median_stopping()
    >>> scores = np.array([[0.1, 0.2], [0.3, 0.6], [0.5, 0.7]])
    >>> decide(scores, np.full(3, 2), jax.random.key(0)).epochs.tolist()
    [2, 3, 3]
    """
    check_size("median_stopping", "every", every)
    check_size("median_stopping", "grace", grace)

    def decide(scores: np.ndarray, seen: np.ndarray, key: Array) -> Decisions:
        times = scores.shape[1]
        going = np.flatnonzero(np.isfinite(scores).all(axis=1))
        if going.size > 1 and times and every * times >= grace:
            tops, averages = scores[going].max(axis=1), scores[going].mean(axis=1)
            going = going[tops >= _medians_of_others(averages)]
        return Decisions(send(seen, going, every * (times + 1)))

    return decide


def _medians_of_others(values: np.ndarray) -> np.ndarray:
    """For each value the median of all others; of two or more."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(values.size)
    ordered, low, high = values[order], (values.size - 2) // 2, (values.size - 1) // 2
    # Without the value of a rank, those from this rank on stand one place further down.
    return (ordered[low + (ranks <= low)] + ordered[high + (ranks <= high)]) / 2


def _check_factor(where: str, factor: int) -> None:
    check_size(where, "factor", factor)
    check_number(where, "factor", factor, low=2)
