"""Schedulers, on curves in closed form that a few lines of NumPy play to them in place of the engine."""

import itertools

import jax
import numpy as np
import pytest

from fnnet import errors
from fnnet.recipes import describe
from fnnet.sweeps.schedulers import (
    ALL,
    genetic,
    hyperband,
    median_stopping,
    population_based,
    successive_halving,
)

KEY = jax.random.key(0)
FACTORIES = {
    "halving": successive_halving(2, 3),
    "hyperband": hyperband(9, 3),
    "median": median_stopping(2, grace=4),
    "population": population_based(3, exploit=0.25),
    "genetic": genetic(4, tournament=3),
}


def curves(trials, seed=0):
    """s_i(e) = a_i − b_i exp(−e / τ_i) as a function of trials and epochs, and the limits a."""
    rng = np.random.default_rng(seed)
    a, b, tau = rng.random(trials), 0.5 + rng.random(trials), 1 + 9 * rng.random(trials)
    return (lambda i, e: a[i] - b[i] * np.exp(-e / tau[i])), a


def simulate(decide, trials, epochs, score, seed=0):
    """What the engine does, for ``score(trials, epochs seen) -> scores``: the table of scores, epochs at each call."""
    scores, seen, spent = np.full((trials, 0), np.nan), np.zeros(trials, int), [np.zeros(trials, int)]
    for call in range(200):
        decisions = decide(scores, seen, jax.random.fold_in(jax.random.key(seed), call))
        sent = np.minimum(decisions.epochs, epochs)
        going = np.flatnonzero(sent > seen)
        if going.size == 0:
            return scores, np.array(spent)
        seen = np.maximum(seen, sent)
        latest = np.full(trials, np.nan)
        latest[going] = score(going, seen[going])
        scores = np.column_stack([scores, latest])
        spent.append(seen)
    raise AssertionError("the scheduler does not end")


def rungs(spent, members=slice(None)):
    """How many trials went on at each call and how far, as (trials, epochs)."""
    parts = [(before[members], after[members]) for before, after in itertools.pairwise(spent)]
    return [
        (int((after > before).sum()), int(after[after > before].max()))
        for before, after in parts
        if any(after > before)
    ]


def test_halving_of_27_trials_gives_27_9_3_1_trials_1_3_9_27_epochs():
    score, _ = curves(27)
    scores, spent = simulate(successive_halving(1, 3), 27, 27, score)
    assert rungs(spent) == [(27, 1), (9, 3), (3, 9), (1, 27)]
    assert spent[-1].sum() == 18 * 1 + 6 * 3 + 2 * 9 + 27 < 27 * 27
    for rung in range(3):
        best = np.argsort(-scores[:, rung])[: 9 // 3**rung]
        np.testing.assert_array_equal(np.flatnonzero(np.isfinite(scores[:, rung + 1])), np.sort(best))


def test_halving_ends_with_the_epochs_of_the_sweep_and_keeps_at_least_one():
    score, _ = curves(5)
    assert rungs(simulate(successive_halving(2, 2), 5, 11, score)[1]) == [(5, 2), (2, 4), (1, 8), (1, 11)]
    assert rungs(simulate(successive_halving(4, 3), 5, 3, score)[1]) == [(5, 3)]
    assert successive_halving(10**6, 9)(np.zeros((1, 5)), np.ones(1, int), KEY).epochs.tolist() == [ALL]


def test_halving_finds_the_best_where_curves_do_not_cross():
    for seed in range(10):
        limits = np.random.default_rng(seed).random(40)
        scores, _ = simulate(successive_halving(1, 3), 40, 50, lambda i, e, a=limits: a[i] - np.exp(-e / 5))
        assert np.flatnonzero(np.isfinite(scores[:, -1])).tolist() == [np.argmax(limits)]


def test_of_equal_scores_the_lower_trial_goes_on():
    decided = successive_halving(1, 3)(np.array([[0.1], [0.7], [0.7], [0.7], [0.7], [0.2]]), np.ones(6, int), KEY)
    assert decided.epochs.tolist() == [1, 3, 3, 1, 1, 1]


def test_hyperband_is_the_table_of_the_paper_for_81_epochs_and_a_factor_of_3():
    """Li et al. (2018), table 1: trials and epochs of each bracket."""
    table = [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]
    _, spent = simulate(hyperband(81, 3), 143, 81, curves(143)[0])
    ends = np.cumsum([0, *(bracket[0][0] for bracket in table)])
    assert [rungs(spent, slice(start, end)) for start, end in itertools.pairwise(ends)] == table
    assert len(spent) == 6


def test_hyperband_deals_out_any_number_of_trials_in_the_proportions_of_the_paper():
    first = hyperband(81, 3)(np.empty((286, 0)), np.zeros(286, int), KEY).epochs
    assert np.unique(first, return_counts=True)[1].tolist() == [162, 68, 30, 16, 10]
    for trials in range(1, 100):
        first = hyperband(81, 3)(np.empty((trials, 0)), np.zeros(trials, int), KEY).epochs
        counts = np.array([(first == 3**s).sum() for s in range(5)])
        assert counts.sum() == trials
        assert abs(counts - np.array([81, 34, 15, 8, 5]) * trials / 143).max() < 1


def test_hyperband_with_few_trials_or_epochs():
    score, _ = curves(3)
    assert rungs(simulate(hyperband(1), 3, 10, score)[1]) == [(3, 1)]
    for trials in (1, 2, 3):
        _, spent = simulate(hyperband(81), trials, 81, score)
        assert spent[-1].max() == 81
        assert (spent[1] > 0).all()
    # 20 = R is no power of 3: rungs at ⌊20/9⌋, ⌊20/3⌋ and 20.
    assert {e for _, e in rungs(simulate(hyperband(20), 3, 20, score)[1], slice(0, 2))} == {2, 6, 20}


def median_by_hand(curve, epochs, every, grace):
    """Epochs of each trial under median stopping, in loops over plain lists."""
    reports, ended = [[] for _ in curve], [None] * len(curve)
    for epoch in range(every, epochs + 1, every):
        for i, row in enumerate(curve):
            if ended[i] is None:
                reports[i].append(row[epoch])
        stopped = []
        for i in range(len(curve)):
            others = [sum(r) / len(r) for j, r in enumerate(reports) if j != i and ended[j] is None]
            if ended[i] is None and epoch >= grace and others and max(reports[i]) < np.median(others):
                stopped.append(i)
        for i in stopped:
            ended[i] = epoch
    return [epochs if end is None else end for end in ended]


@pytest.mark.parametrize(("every", "grace"), [(1, 1), (2, 6), (3, 1)])
def test_median_stopping_is_the_loop_by_hand(every, grace):
    for seed in range(5):
        score, _ = curves(13, seed)
        _, spent = simulate(median_stopping(every, grace), 13, 12, score)
        by_hand = median_by_hand([[score(i, e) for e in range(13)] for i in range(13)], 12, every, grace)
        assert spent[-1].tolist() == by_hand
        assert min(by_hand) >= min(grace, 12)
        assert min(by_hand) < 12


def test_median_stopping_remembers_the_best_and_forgives_a_bad_epoch():
    scores = np.array([[0.9, 0.0], [0.5, 0.6], [0.5, 0.7], [0.1, 0.2]])
    assert median_stopping()(scores, np.full(4, 2), KEY).epochs.tolist() == [3, 3, 3, 2]


def test_a_population_copies_only_from_better_ones_among_the_best_and_only_the_worst_copy():
    decide = population_based(4, exploit=0.25, spread=0.2)
    for seed in range(20):
        scores = np.random.default_rng(seed).random((12, 3))
        decisions = decide(scores, np.full(12, 12), jax.random.key(seed))
        order = np.argsort(-scores[:, -1])
        copying = np.flatnonzero(decisions.parents != np.arange(12))
        assert set(copying) == set(order[-3:])
        assert set(decisions.parents[copying]) <= set(order[:3])
        assert (scores[decisions.parents[copying], -1] > scores[copying, -1]).all()
        np.testing.assert_array_equal(decisions.spread > 0, decisions.parents != np.arange(12))
        assert decisions.warm
        assert (decisions.epochs == 16).all()


def test_a_population_of_equals_copies_nobody_and_of_one_goes_on():
    decisions = population_based(1)(np.full((6, 1), 0.5), np.ones(6, int), KEY)
    assert decisions.parents.tolist() == list(range(6))
    assert population_based(2)(np.array([[0.3]]), np.array([2]), KEY).epochs.tolist() == [4]
    assert population_based(1)(np.array([[0.3], [0.4]]), np.ones(2, int), KEY).parents.tolist() == [1, 1]


def test_every_diverged_trial_of_a_population_takes_the_place_of_a_good_one():
    scores = np.array([[np.nan], [0.1], [np.nan], [0.9], [np.inf], [0.5]])
    decisions = population_based(1)(scores, np.ones(6, int), KEY)
    assert decisions.parents.tolist() == [3, 1, 3, 3, 3, 5]
    assert population_based(1)(np.full((6, 1), np.nan), np.ones(6, int), KEY).epochs.tolist() == [1] * 6


def test_a_population_ends_with_the_sweep_though_a_trial_diverged_on_the_way_there():
    _, spent = simulate(population_based(4), 8, 10, lambda i, e: i * 1.0)
    assert [row.max() for row in spent] == [0, 4, 8, 10]
    scores = np.column_stack([np.zeros((8, 2)), [np.nan, 1, 2, 3, 4, 5, 6, 7]])
    decisions = population_based(4)(scores, np.array([9, *[10] * 7]), KEY)
    assert decisions.epochs.tolist() == [9, *[10] * 7]
    assert decisions.parents is None


def bred(seed, trials=60, population=10, spread=0.1):
    """The best score of a quadratic on the unit square by a genetic sweep, and by its first draws alone."""
    rng = np.random.default_rng(seed)
    points, target = rng.random((trials, 2)), rng.random(2)
    drawn = points.copy()

    def value(x):
        return -np.sum((x - target) ** 2, axis=-1)

    decide, scores, seen = genetic(population, spread=spread), np.full((trials, 0), np.nan), np.zeros(trials, int)
    while True:
        decisions = decide(scores, seen, jax.random.fold_in(jax.random.key(seed), scores.shape[1]))
        going = np.flatnonzero(np.minimum(decisions.epochs, 5) > seen)
        if going.size == 0:
            return value(points).max(), value(drawn).max()
        if decisions.parents is not None:
            from_first = rng.random((going.size, 2)) < 0.5
            first, second = (points[decisions.parents[going, side]] for side in (0, 1))
            moved = (
                np.where(from_first, first, second) + rng.normal(size=(going.size, 2)) * decisions.spread[going, None]
            )
            points[going] = np.clip(moved, 0, 1)
            assert not decisions.warm
        seen[going] = 5
        latest = np.full(trials, np.nan)
        latest[going] = value(points[going])
        scores = np.column_stack([scores, latest])


def test_generations_beat_as_many_draws_on_a_quadratic():
    """The distance of the best of 60 draws is beaten in most seeds; a coin would win 22 of 30 in 1 of 120 tests."""
    wins = [genetic_best > drawn_best for genetic_best, drawn_best in map(bred, range(30))]
    assert sum(wins) >= 22


def test_generations_are_trained_once_each_and_bred_from_trials_before_them():
    scores, spent = simulate(genetic(4), 10, 7, curves(10)[0])
    assert rungs(spent) == [(4, 7), (4, 7), (2, 7)]
    assert np.isfinite(scores).sum(axis=1).tolist() == [1] * 10
    decisions = genetic(4, tournament=2, spread=0.3)(scores[:, :2], spent[2], KEY)
    elite = np.argsort(-np.nanmax(scores[:8], axis=1))[:4]
    assert set(decisions.parents[8:].ravel()) <= set(elite)
    assert decisions.parents[:8].tolist() == [[i, i] for i in range(8)]
    assert decisions.spread.tolist() == [0.0] * 8 + [0.3] * 2


def test_a_large_tournament_is_won_by_the_best():
    decisions = genetic(5, tournament=200)(np.arange(10.0)[:, None] % 5, np.zeros(10, int), KEY)
    assert (decisions.parents[5:] == 4).all()


@pytest.mark.parametrize("name", FACTORIES)
def test_a_trial_that_diverges_never_wins_and_never_blocks(name):
    _, limits = curves(12)
    lost = np.array([0, 3, 4, 11])
    decide = FACTORIES[name]

    def score(i, e):
        return np.where(np.isin(i, lost), np.nan, limits[i] - np.exp(-e / 5))

    _, spent = simulate(decide, 12, 9, score)
    well = np.setdiff1d(np.arange(12), lost)
    assert spent[-1][well].max() == 9
    if name not in ("population", "genetic"):
        first = np.array([row[lost] for row in spent[1:]])
        np.testing.assert_array_equal(first, np.broadcast_to(first[0], first.shape))
    if name == "genetic":
        bad = np.full((12, 1), np.nan)
        assert decide(bad, np.zeros(12, int), KEY).parents is None
        bad[1] = -3.0
        assert (decide(bad, np.zeros(12, int), KEY).parents[4:8] == 1).all()
    _, spent = simulate(decide, 12, 9, lambda i, e: np.full(len(i), np.nan))
    assert len(spent) <= 4


@pytest.mark.parametrize("name", FACTORIES)
def test_a_scheduler_is_a_pure_function(name):
    rng = np.random.default_rng(1)
    for times in range(4):
        scores, seen = rng.random((12, times)), np.full(12, 3 * times)
        copies = scores.copy(), seen.copy()
        first, second = (FACTORIES[name](scores, seen, jax.random.key(5)) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(scores, copies[0])
        np.testing.assert_array_equal(seen, copies[1])
        assert not np.shares_memory(first.epochs, seen)
        assert np.issubdtype(first.epochs.dtype, np.integer)


def test_a_scheduler_can_be_written_down():
    assert describe(FACTORIES["genetic"]) == "genetic(4, tournament=3)"
    assert describe(hyperband(81)) == "hyperband(81)"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: successive_halving(0), "epochs is 0, but it has to be a positive integer"),
        (lambda: successive_halving(1, 1), "factor is 1, but it has to be at least 2"),
        (lambda: hyperband(9.5), "epochs is 9.5, but it has to be a positive integer"),
        (lambda: hyperband(9, 2.5), "factor is 2.5, but it has to be a positive integer"),
        (lambda: median_stopping(-1), "every is -1"),
        (lambda: median_stopping(grace=0), "grace is 0"),
        (lambda: population_based(1, exploit=0.6), "exploit is 0.6, but it has to be more than 0 and at most 0.5"),
        (lambda: population_based(1, spread=-0.1), "spread is -0.1, but it has to be at least 0"),
        (lambda: population_based(True), "every is True"),
        (lambda: genetic(0), "population is 0"),
        (lambda: genetic(4, tournament=0), "tournament is 0"),
        (lambda: genetic(4, spread=float("nan")), "spread is nan"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(make, text):
    with pytest.raises(errors.HyperparameterError, match=text):
        make()
