"""Schedulers at work in a sweep: who is trained how far, and that going on later changes nothing."""

import jax
import numpy as np
import pandas as pd
import pytest

from fnnet import errors, hp
from fnnet.sweeps import ledger
from fnnet.sweeps.schedulers import Decisions, hyperband, median_stopping, successive_halving

RUNGS = [1, 2, 4]
HALVING = successive_halving(epochs=1, factor=2)


def plain(table):
    return table.drop(columns="seconds")


def assert_same(one, other, same):
    pd.testing.assert_frame_equal(plain(one.table), plain(other.table))
    assert one.rungs == other.rungs
    same(dict(one.history), dict(other.history))


@pytest.fixture(scope="module")
def space():
    return {"learning_rate": hp.log_uniform(1e-3, 1e-1), "drop_rate": hp.uniform(0.1, 0.5)}


@pytest.fixture(scope="module")
def whole(sweep_flowers, space):
    """Eight trials, all to the end."""
    return sweep_flowers(space, trials=8, epochs=4)


@pytest.fixture(scope="module")
def halved(sweep_flowers, space):
    """The same eight, halved."""
    return sweep_flowers(space, trials=8, epochs=4, scheduler=HALVING)


def epochs_by_hand(scores, rungs):
    """How far each trial gets: of each rung the better half goes on, of equal ones the lower."""
    far, going = np.zeros(len(scores), int), list(range(len(scores)))
    for place, rung in enumerate(rungs):
        going = sorted(going, key=lambda trial: (-scores[trial, rungs[place - 1] - 1], trial)) if place else going
        going = going[: len(scores) // 2**place]
        far[going] = rung
    return far


def test_each_rung_is_the_better_half_of_the_one_before(halved, whole):
    far = epochs_by_hand(whole.history["validation/accuracy"], RUNGS)
    assert sorted(far) == [1] * 4 + [2] * 2 + [4] * 2
    assert halved.table["epochs"].tolist() == far.tolist()
    assert halved.table["status"].tolist() == ["finished" if epochs == 4 else "pruned" for epochs in far]
    assert [set(rung["epochs"]) for rung in halved.rungs] == [{epochs} for epochs in RUNGS]
    for rung in halved.rungs:
        epochs = rung["epochs"][0]
        assert rung["trials"] == np.flatnonzero(far >= epochs).tolist()
        scores = whole.history["validation/accuracy"][rung["trials"], epochs - 1]
        assert rung["scores"] == scores.tolist()
    updates = 4 * far.sum()
    assert halved.cost["updates"].tolist() == [updates]


def test_going_on_later_changes_no_bit(halved, whole, same):
    for trial in range(8):
        done = halved.table["epochs"][trial]
        for name, values in halved.history.items():
            same(values[trial, :done], whole.history[name][trial, :done])
            assert np.isnan(values[trial, done:]).all()
        if done == 4:
            same(halved.run(trial).state, whole.run(trial).state)
            assert halved.run(trial).status == "finished"
        else:
            assert halved.run(trial).status == "pruned"
            assert int(halved.run(trial).state.step) == 4 * done


def test_a_scheduler_is_a_function(sweep_flowers, space, whole, same):
    """One that has trials 5 and 2 take turns, and says where every other one stands."""
    asked = []

    def turns(scores, epochs, key):
        asked.append((scores.copy(), epochs.copy(), jax.random.key_data(key).tolist()))
        sent = np.zeros(8, int)
        sent[[5, 2, 5, 2][scores.shape[1]] if scores.shape[1] < 4 else []] = [1, 3, 99, 2][scores.shape[1] % 4]
        return Decisions(sent)

    swept = sweep_flowers(space, trials=8, epochs=4, scheduler=turns)
    assert swept.table["epochs"].tolist() == [0, 0, 3, 0, 0, 4, 0, 0]
    assert (
        swept.table["status"].tolist() == ["pruned"] * 2 + ["pruned"] + ["pruned"] * 2 + ["finished"] + ["pruned"] * 2
    )
    same(swept.run(5).state, whole.run(5).state)
    curve = whole.history["validation/accuracy"]
    np.testing.assert_array_equal(
        asked[3][0][[2, 5]], [[np.nan, curve[2, 2], np.nan], [curve[5, 0], np.nan, curve[5, 3]]]
    )
    assert asked[3][1].tolist() == [0, 0, 3, 0, 0, 4, 0, 0]
    # A trial that is sent less far than it is rests, and a sweep in which all rest has ended.
    assert len(asked) == 4
    assert len({tuple(key) for _, _, key in asked}) == 4
    with pytest.raises(
        errors.HyperparameterError, match=r"there is no run of trial 0 .* the scheduler did not begin it"
    ):
        swept.run(0)


ONE = np.ones(8, int)
REVERSED = np.arange(8)[::-1]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "gave NoneType, but fnnet.schedulers.Decisions with epochs of shape (8,) are needed."),
        (ONE, "gave ndarray, but"),
        (Decisions(np.ones(3, int)), "gave epochs of shape (3,) and int64, but"),
        (Decisions(np.full(8, np.nan)), "gave epochs of shape (8,) and float64, but"),
        (Decisions(np.full(8, "far")), "gave epochs of shape (8,) and <U3, but"),
        (Decisions(ONE, np.arange(5)), "gave parents of shape (5,) and int64 up to 4, but"),
        (Decisions(ONE, ONE * 8), "with parents of shape (8,) or (8, 2), which are numbers of trials, 0 to 7,"),
        (Decisions(ONE, -ONE), "gave parents of shape (8,) and int64 up to -1, but"),
        (Decisions(ONE, REVERSED, np.ones(3)), "gave a spread of shape (3,), but"),
        (Decisions(ONE, REVERSED, np.full(8, -0.1)), "with a spread of shape (8,), nowhere negative, are needed"),
        (Decisions(ONE, REVERSED), "lets trial 0 go on from the state of trial 7, which was not begun"),
    ],
)
def test_what_is_no_decision_is_refused_in_a_sentence(answer, said, sweep_flowers, space, compilations):
    compilations.clear()
    with pytest.raises(errors.StructureError) as caught:
        sweep_flowers(space, trials=8, epochs=4, scheduler=lambda scores, epochs, key: answer)
    assert said in str(caught.value)
    assert compilations == []


def test_a_sweep_can_be_looked_at_while_it_runs(sweep_flowers, space, tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "SECONDS", 0.0)
    monkeypatch.setattr(ledger.Ledger, "tables_due", lambda self: True)
    seen = []

    def looks(scores, epochs, key):
        if scores.shape[1]:
            seen.append(pd.read_parquet(tmp_path / "o" / "table.parquet"))
        return HALVING(scores, epochs, key)

    swept = sweep_flowers(space, trials=8, epochs=4, scheduler=looks, out=tmp_path / "o")
    assert [(table["epochs"] >= rung).sum() for table, rung in zip(seen, RUNGS, strict=True)] == [8, 4, 2]
    assert set(seen[0]["status"]) == {"running"}
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "o" / "table.parquet"), swept.table)


def test_a_scheduler_that_sends_no_trial_anywhere_is_refused(sweep_flowers, space):
    with pytest.raises(errors.StructureError, match="sent no trial anywhere when it was first asked"):
        sweep_flowers(space, trials=8, epochs=4, scheduler=lambda scores, epochs, key: Decisions(np.zeros(8, int)))


def test_rungs_between_two_evaluations_end_with_the_next_one(sweep_flowers, space, same):
    whole = sweep_flowers(space, trials=8, epochs=5, evaluate_every=2)
    swept = sweep_flowers(space, trials=8, epochs=5, evaluate_every=2, scheduler=successive_halving(1, factor=2))
    # Rungs of 1, 2, 4 and 5 epochs are evaluated after 2, 2, 4 and 5, where the sweep ends.
    assert [rung["epochs"][0] for rung in swept.rungs] == [1, 2, 4, 5]
    assert [len(rung["trials"]) for rung in swept.rungs] == [8, 4, 2, 1]
    assert sorted(swept.table["epochs"]) == [2] * 6 + [4, 5]
    assert sorted(swept.table["status"]) == ["finished"] + ["pruned"] * 7
    survivor = int(swept.table["epochs"].idxmax())
    same(swept.run(survivor).state, whole.run(survivor).state)
    assert swept.run(survivor).history.steps.tolist() == [8, 16, 20]
    scores = whole.history["validation/accuracy"]
    assert swept.rungs[1]["scores"] == scores[swept.rungs[1]["trials"], 0].tolist()


def test_a_trial_is_judged_by_the_mean_of_its_seeds_and_folds(sweep_flowers, space, same):
    arguments = {"trials": 4, "seeds": 2, "epochs": 4, "folds": 3, "validation": None}
    whole = sweep_flowers(space, **arguments)
    swept = sweep_flowers(space, **arguments, scheduler=HALVING)
    means = whole.history["validation/accuracy"].reshape(4, 6, 4).mean(axis=1)
    far = epochs_by_hand(means, RUNGS)
    assert swept.table["epochs"].tolist() == np.repeat(far, 6).tolist()
    np.testing.assert_allclose(swept.rungs[0]["scores"], means[:, 0], rtol=1e-6)
    survivor = int(far.argmax())
    for seed, fold in ((0, 2), (1, 0)):
        same(swept.run(survivor, seed, fold).state, whole.run(survivor, seed, fold).state)


def test_a_trial_that_diverges_goes_no_further(sweep_flowers, same):
    rows = [{"learning_rate": rate, "drop_rate": 0.2} for rate in (0.1, float("nan"), 0.02, 0.01)]
    with pytest.warns(errors.DivergenceWarning, match="1 of 4 runs diverged"):
        swept = sweep_flowers(rows, epochs=4, scheduler=HALVING)
    assert swept.table["status"][1] == "diverged"
    assert swept.rungs[0]["scores"][1] is None
    assert all(1 not in rung["trials"] for rung in swept.rungs[1:])
    assert [len(rung["trials"]) for rung in swept.rungs] == [4, 2, 1]
    nothing = [{**row, "learning_rate": float("nan")} for row in rows]
    with pytest.warns(errors.DivergenceWarning, match="4 of 4 runs diverged"):
        swept = sweep_flowers(nothing, epochs=4, scheduler=HALVING)
    assert len(swept.rungs) == 1


def test_a_run_that_has_stopped_early_counts_with_its_best_score(sweep_flowers, space, same):
    arguments = {"trials": 8, "epochs": 16, "early_stopping": 2, "monitor": "validation/loss"}
    whole = sweep_flowers(space, **arguments)
    swept = sweep_flowers(space, **arguments, scheduler=successive_halving(4, factor=2))
    assert (swept.table["status"] == "stopped_early").any()
    assert set(swept.table["status"]) <= {"stopped_early", "pruned", "finished"}
    for rung in swept.rungs:
        for trial, score in zip(rung["trials"], rung["scores"], strict=True):
            curve = whole.history["validation/loss"][trial]
            seen = np.isfinite(curve).sum()
            epochs = rung["epochs"][0]
            expected = curve[epochs - 1] if seen >= epochs else np.nanmin(curve)
            assert score == expected
    for trial in swept.rungs[-1]["trials"]:
        same(swept.run(trial).state, whole.run(trial).state)
    with_less = swept.table["epochs"] < whole.table["epochs"]
    assert (swept.table["status"][with_less] == "pruned").all()


@pytest.mark.parametrize("scheduler", [hyperband(4, factor=2), median_stopping()])
def test_other_schedulers_change_no_bit_either(scheduler, sweep_flowers, space, whole, same):
    swept = sweep_flowers(space, trials=8, epochs=4, scheduler=scheduler)
    for trial, done in enumerate(swept.table["epochs"]):
        same(swept.history["validation/loss"][trial, :done], whole.history["validation/loss"][trial, :done])
    assert swept.table["epochs"].max() == 4
    assert swept.table["epochs"].min() < 4


class Killed(BaseException):
    """Stands for a signal that no one can catch."""


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_law_10_a_halving_that_is_killed_anywhere_decides_as_it_had(
    seconds, sweep_flowers, space, tmp_path, monkeypatch, same
):
    """Killed after each writing of runs: at the ends of rungs, and where runs in flight are written, within them."""
    monkeypatch.setattr(ledger, "SECONDS", seconds)
    arguments = {"trials": 6, "epochs": 12, "scheduler": successive_halving(3, factor=2)}
    whole = sweep_flowers(space, **arguments)
    usual, written = ledger.Ledger.write, []

    def write(self, part, replaced):
        usual(self, part, replaced)
        written.append(1)
        if len(written) == last:
            self.close()
            raise Killed

    monkeypatch.setattr(ledger.Ledger, "write", write)
    last = 0
    sweep_flowers(space, **arguments, out=tmp_path / "counted")
    times = len(written)
    assert times >= len(whole.rungs) if seconds else times > len(whole.rungs)
    for last in range(1, times + 1):
        written.clear()
        with pytest.raises(Killed):
            sweep_flowers(space, **arguments, out=tmp_path / str(last))
        written.clear()
        killed_at, last = last, 0
        assert_same(sweep_flowers(space, **arguments, out=tmp_path / str(killed_at)), whole, same)
    again = sweep_flowers(space, **arguments, out=tmp_path / "counted")
    assert_same(again, whole, same)
    assert (again.cost["seconds"] > 0).all()


@pytest.mark.parametrize("change", [{"trials": 5}, {"seeds": 2}, {"epochs": 8}, {"scheduler": None}])
def test_a_sweep_with_a_scheduler_does_not_grow(change, sweep_flowers, space, tmp_path):
    before = {"trials": 4, "epochs": 4, "scheduler": HALVING, "out": tmp_path}
    sweep_flowers(space, **before)
    with pytest.raises(errors.FileError, match=r"by which its scheduler decides otherwise|its scheduler was"):
        sweep_flowers(space, **(before | change))


def test_structures_are_halved_together(sweep_flowers, same):
    """The better half of all, whatever their structure; a structure of which none goes on is left alone."""
    rows = [
        {"learning_rate": rate, "width": hp.static(width)}
        for rate, width in zip((0.1, 0.05, 0.02, 1e-6), (3, 4, 3, 4), strict=True)
    ]
    whole = sweep_flowers(rows, epochs=4)
    swept = sweep_flowers(rows, epochs=4, scheduler=HALVING)
    far = epochs_by_hand(whole.history["validation/accuracy"], RUNGS)
    assert swept.table["epochs"].tolist() == far.tolist()
    survivor = int(far.argmax())
    same(swept.run(survivor).state, whole.run(survivor).state)
