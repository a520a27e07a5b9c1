"""Schedulers that give trials the hyperparameters of better ones."""

from __future__ import annotations

import numpy as np

from fnnet.errors import check_number, check_size
from fnnet.recipes import recipe
from fnnet.sweeps.schedulers.decisions import ALL, Decisions, Scheduler, best, generator, send
from fnnet.types import Array


@recipe
def population_based(every: int, exploit: float = 0.2, spread: float = 0.1) -> Scheduler:
    """Population based training: the worst trials go on as copies of the best, with hyperparameters moved a little.

    every few epochs: a trial of the worst share takes parameters, optimizer and hyperparameters of one drawn from
    the best share (exploit), and its hyperparameters take a step (explore)

    So hyperparameters become schedules, at the cost of one sweep. The paper multiplies by 0.8 or 1.2; here a step is
    a normal number in the unit interval of a dimension, which for ``hp.log_uniform(low, high)`` multiplies by
    (high / low) to the power of spread × that number. A trial that has diverged is among the worst, and none copies
    a trial that is not better than itself.

    Args:
        every: epochs between two decisions, positive.
        exploit: the share of the trials that are replaced, and of those that are copied, in (0, 0.5]; at least one
            trial, where there are two.
        spread: the standard deviation of a step in the unit interval, at least 0.

    Returns:
        Scheduler.

    Raises:
        HyperparameterError: a number out of range.

    Source: Jaderberg et al., "Population based training of neural networks", arXiv:1711.09846 (2017), truncation
    selection.

    >>> import jax
    >>> decide = population_based(every=5, exploit=0.4)
    >>> scores = np.array([[0.9], [0.1], [0.8], [np.nan], [0.5]])
    >>> decisions = decide(scores, np.full(5, 5), jax.random.key(0))
    >>> decisions.epochs.tolist(), [i for i in range(5) if decisions.parents[i] != i]
    ([10, 10, 10, 10, 10], [1, 3])
    """
    check_size("population_based", "every", every)
    check_number("population_based", "exploit", exploit, low=0.0, high=0.5, low_open=True)
    check_number("population_based", "spread", spread, low=0.0)

    def decide(scores: np.ndarray, seen: np.ndarray, key: Array) -> Decisions:
        trials, times = scores.shape
        everyone = np.arange(trials)
        if times == 0:
            return Decisions(send(seen, everyone, every))
        # All are short of where they were sent: here the sweep ends.
        if seen.max() < every * times:
            return Decisions(np.array(seen))
        share = min(max(1, int(exploit * trials)), trials // 2)
        ranked = best(scores[:, -1], everyone, trials)
        copied = ranked[:share]
        if copied.size == 0:
            return Decisions(send(seen, ranked, every * (times + 1)))
        lost = np.setdiff1d(everyone, ranked)
        worst = np.concatenate([ranked[max(0, trials - share) :], lost])
        drawn = generator(key).choice(copied, worst.size)
        latest = np.where(np.isfinite(scores[:, -1]), scores[:, -1], -np.inf)
        better = latest[drawn] > latest[worst]
        parents = everyone.copy()
        parents[worst[better]] = drawn[better]
        moves = np.where(parents == everyone, 0.0, spread)
        return Decisions(send(seen, everyone, every * (times + 1)), parents, moves)

    decide.copies_states = True  # type: ignore[attr-defined]
    return decide


@recipe
def genetic(population: int, tournament: int = 2, spread: float = 0.1) -> Scheduler:
    """A genetic algorithm: trials are generations, and each later one is bred from the best so far.

    a child has two parents, each the best of τ drawn from the best μ trials of all generations before (tournament
    selection with elitism); it takes each hyperparameter of one or the other (crossover), moved a little (mutation)

    The first μ trials are as they were drawn, the next μ the second generation, and so on; each is trained from the
    start to the end. Until some trial has a finite score, trials stay as they were drawn.

    Args:
        population: μ, trials a generation, positive; as a rule a tenth to a third of the trials of the sweep.
        tournament: τ, positive; 1 draws parents without regard to their rank among the best μ.
        spread: the standard deviation of a mutation in the unit interval of a dimension, at least 0.

    Returns:
        Scheduler.

    Raises:
        HyperparameterError: a number out of range.

    Source: Goldberg & Deb, "A comparative analysis of selection schemes used in genetic algorithms", Foundations of
    Genetic Algorithms 1 (1991), for tournaments; Beyer & Schwefel, "Evolution strategies: a comprehensive
    introduction", Natural Computing 1 (2002), for selection among parents and children, (μ + λ) with λ = μ.

    >>> import jax
    >>> decide = genetic(population=2)
    >>> scores = np.array([[0.1], [0.9], [np.nan], [np.nan]])
    >>> decisions = decide(scores, np.array([20, 20, 0, 0]), jax.random.key(0))
    >>> (decisions.epochs == ALL).tolist(), decisions.parents.shape
    ([False, False, True, True], (4, 2))
    """
    check_size("genetic", "population", population)
    check_size("genetic", "tournament", tournament)
    check_number("genetic", "spread", spread, low=0.0)

    def decide(scores: np.ndarray, seen: np.ndarray, key: Array) -> Decisions:
        trials, generation = scores.shape
        born = np.arange(trials)[generation * population : (generation + 1) * population]
        sent = send(seen, born, ALL)
        before = np.arange(min(generation * population, trials))
        # Each was trained once, so that one column holds its score.
        parents = best(np.fmax.reduce(scores, axis=1, initial=np.nan), before, population)
        if parents.size == 0 or born.size == 0:
            return Decisions(sent)
        # Parents are in the order of their rank, so that the least place wins its tournament.
        winners = generator(key).integers(parents.size, size=(born.size, 2, tournament)).min(axis=-1)
        chosen = np.stack([np.arange(trials)] * 2, axis=1)
        chosen[born] = parents[winners]
        moves = np.zeros(trials)
        moves[born] = spread
        return Decisions(sent, chosen, moves, warm=False)

    return decide
