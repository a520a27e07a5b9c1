"""Cross-validation, early stopping and sparser evaluation in a sweep; what runs of a trial have in common."""

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import fnnet
from fnnet import data, errors
from fnnet.sweeps import comparing


@pytest.fixture(scope="module")
def crossed(flowers, learner):
    """Two trials, two seeds, three folds of 17 rows: they differ by a row."""
    space = [{"learning_rate": rate, "drop_rate": 0.2} for rate in (0.05, 0.01)]
    return fnnet.sweep(
        learner, space, flowers[0], folds=3, seeds=2, epochs=3, batch_size=5, key=jax.random.key(4), progress=False
    )


def rows_of(dataset, count, fold):
    parts = data.folds(dataset, count, key=jax.random.key(4))
    return dataset[parts != fold], dataset[parts == fold]


@pytest.mark.parametrize(("rows", "count"), [(17, 2), (17, 5), (17, 17), (12, 4)])
def test_every_row_is_in_one_fold_and_folds_are_alike(rows, count, flowers):
    part = flowers[0][:rows]
    dealt = data.folds(part, count, key=jax.random.key(0))
    assert dealt.dtype == np.int32
    sizes = np.bincount(dealt, minlength=count)
    assert sizes.sum() == rows
    assert np.ptp(sizes) <= 1
    for label in range(3):
        assert np.ptp(np.bincount(dealt[part.targets == label], minlength=count)) <= 1
    np.testing.assert_array_equal(dealt, data.folds(part, count, key=jax.random.key(0)))
    assert count == rows or not np.array_equal(dealt, data.folds(part, count, key=jax.random.key(1)))


def test_a_run_of_a_fold_is_the_fit_on_its_rows(flowers, learner):
    even = flowers[0][:15]
    swept = fnnet.sweep(
        learner, [{"learning_rate": 0.05}], even, folds=3, epochs=3, batch_size=5, key=jax.random.key(4), progress=False
    )
    for fold in range(3):
        train, validation = rows_of(even, 3, fold)
        root = jax.random.key(4)
        for place in (0, 0, fold):
            root = jax.random.fold_in(root, place)
        alone = fnnet.fit(learner(0.05), train, validation=validation, epochs=3, batch_size=5, key=root, progress=False)
        run = swept.run(0, 0, fold)
        for name, values in alone.history.items():
            np.testing.assert_allclose(run.history[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_folds_that_differ_by_a_row_are_evaluated_on_exactly_their_rows(crossed, flowers):
    table = crossed.table
    assert table[["trial", "seed", "fold"]].to_numpy().tolist() == [
        [trial, seed, fold] for trial in range(2) for seed in range(2) for fold in range(3)
    ]
    sizes = []
    for fold in range(3):
        _, validation = rows_of(flowers[0], 3, fold)
        sizes.append(len(validation))
        run = crossed.run(1, 1, fold)
        scores = run.evaluate(validation)
        row = table[(table["trial"] == 1) & (table["seed"] == 1) & (table["fold"] == fold)].iloc[0]
        assert scores["accuracy"] == pytest.approx(row["validation/accuracy"], abs=1e-6)
        assert scores["loss"] == pytest.approx(row["validation/loss"], rel=1e-5)
    assert set(sizes) == {5, 6}


def test_the_summary_has_the_mean_over_seeds_and_folds_and_the_best_run_is_of_the_best_mean(crossed):
    summary = crossed.summary()
    assert list(summary.columns) == [
        "trial", "learning_rate", "drop_rate", "runs", "diverged", "mean", "std", "iqm", "low", "high",
    ]  # fmt: skip
    for row in summary.itertuples():
        scores = crossed.table.loc[crossed.table["trial"] == row.trial, "validation/accuracy"]
        assert (row.runs, row.diverged) == (6, 0)
        assert row.mean == pytest.approx(scores.mean())
        assert row.std == pytest.approx(scores.std())
        assert row.low <= row.mean <= row.high
    assert summary["mean"].is_monotonic_decreasing
    assert crossed.best["trial"] == summary["trial"].iloc[0]


def test_a_comparison_is_paired(crossed):
    table = crossed.table
    one, other = (table.loc[table["trial"] == t, "validation/accuracy"].to_numpy() for t in (0, 1))
    found = crossed.compare(0, 1)
    assert found.pairs == 6
    assert found.difference == pytest.approx((one - other).mean())
    assert found.low <= found.difference <= found.high
    assert crossed.compare(1, 0).difference == pytest.approx(-found.difference)
    assert crossed.compare(0, 0)[:4] == (0, 0, 0, 0.5)


def test_intervals_agree_with_scipy_and_the_middle_half_with_its_trimmed_mean():
    scores = np.random.default_rng(1).gamma(2.0, size=40)
    low, high = comparing.interval(scores, 0.9)
    theirs = scipy.stats.bootstrap((scores,), np.mean, confidence_level=0.9, method="percentile", rng=2)
    np.testing.assert_allclose((low, high), theirs.confidence_interval, rtol=0.02)
    assert comparing.interquartile_mean(scores) == pytest.approx(scipy.stats.trim_mean(scores, 0.25))
    assert np.isnan(comparing.interquartile_mean(np.zeros(0)))
    assert np.isnan(comparing.interval(scores[:1], 0.9)).all()


def test_a_run_without_a_score_is_counted_as_diverged_and_left_out():
    table = pd.DataFrame(
        {"trial": [0, 0, 0, 1], "seed": [0, 1, 2, 0], "r": [0.1] * 4, "loss": [1.0, 3.0, np.nan, np.nan]}
    )
    summary = comparing.summary(table, ["r"], "loss", False, 0.95)
    assert summary["diverged"].tolist() == [1, 1]
    assert summary["mean"].tolist()[0] == 2.0
    assert np.isnan(summary["mean"][1])


@pytest.mark.exhaustive  # compiles several programs of its own
def test_each_lane_stops_by_itself_as_its_fit_would(flowers, learner):
    space = [{"learning_rate": rate} for rate in (0.3, 0.001)]
    call = {
        "validation": flowers[1], "epochs": 20, "batch_size": 5, "progress": False, "early_stopping": 2,
        "evaluate_every": 2, "monitor": "validation/loss",
    }  # fmt: skip
    swept = fnnet.sweep(learner, space, flowers[0], key=jax.random.key(0), **call)
    seen = []
    for trial, row in enumerate(space):
        root = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), trial), 0)
        alone = fnnet.fit(learner(**row), flowers[0], key=root, **call)
        run = swept.run(trial)
        assert (run.status, int(run.state.step)) == (alone.status, int(alone.state.step))
        np.testing.assert_array_equal(run.history.steps, alone.history.steps)
        np.testing.assert_allclose(run.history["validation/loss"], alone.history["validation/loss"], rtol=1e-4)
        seen.append((run.status, run.history.epochs))
    assert "stopped_early" in dict(seen)
    assert len(set(seen)) == 2
    assert swept.table["epochs"].tolist() == [int(swept.run(t).state.step) // 4 for t in range(2)]


def test_mistakes_are_met_with_sentences(flowers, learner, crossed):
    call = {"epochs": 1, "batch_size": 5, "key": jax.random.key(0), "progress": False}
    space = [{"learning_rate": 0.1}]
    with pytest.raises(errors.StructureError, match="leave validation= out"):
        fnnet.sweep(learner, space, flowers[0], validation=flowers[1], folds=3, **call)
    with pytest.raises(errors.HyperparameterError, match=r"^sweep: folds is 1, but it has to be a whole number from 2"):
        fnnet.sweep(learner, space, flowers[0], folds=1, **call)
    with pytest.raises(errors.HyperparameterError, match="seeds 0 to 1, each with folds 0 to 2"):
        crossed.run(0, 0, 3)
    with pytest.raises(errors.HyperparameterError, match="there is no trial 2"):
        crossed.compare(0, 2)
    with pytest.raises(errors.HyperparameterError, match="confidence is 1"):
        crossed.summary(1.0)
