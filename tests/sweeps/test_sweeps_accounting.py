"""What a sweep says of itself afterwards: costs, and comparisons of runs that are not equally long."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import fnnet
from fnnet import hp, losses, nn, optim, report, schedulers, stats
from fnnet.errors import FileError, FnnetWarning, HyperparameterError
from fnnet.sweeps import comparing, ledger


def activated(learning_rate, function):
    return fnnet.Learner(nn.chain(nn.dense(2), function, nn.dense(3)), losses.softmax_cross_entropy, optim.sgd(0.1))


def test_structures_of_the_same_words_have_each_a_row_of_costs(sweep_flowers, tmp_path):
    functions = [lambda x, factor=factor: jnp.tanh(factor * x) for factor in (1.0, 2.0)]
    space = {"learning_rate": hp.grid(0.1, 0.2, 0.3), "function": hp.static(*functions)}
    swept = sweep_flowers(space, activated, epochs=1, out=tmp_path)
    assert swept.cost["runs"].tolist() == [3, 3]
    updates = swept.cost["updates"].tolist()
    assert updates[0] == updates[1] > 0
    grown = sweep_flowers(space, activated, epochs=2, out=tmp_path)
    assert grown.cost["updates"].tolist() == [2 * count for count in updates]


def test_runs_whose_files_a_later_call_has_replaced_are_trained_again(sweep_flowers, space, tmp_path, same):
    alone = sweep_flowers(space, trials=3)
    first = sweep_flowers(space, trials=3, out=tmp_path)
    sweep_flowers(space, trials=3, epochs=4, out=tmp_path)
    same(first.run(1).state, alone.run(1).state)
    np.testing.assert_array_equal(first.predict(np.ones((2, 3))), alone.predict(np.ones((2, 3))))


def test_what_a_later_call_has_replaced_and_cannot_be_trained_again_is_named(sweep_flowers, space, tmp_path):
    swept = sweep_flowers(space, trials=4, scheduler=schedulers.population_based(1, exploit=0.5), out=tmp_path)
    for path in (tmp_path / "runs").iterdir():
        path.unlink()
    with pytest.raises(FileError, match="no longer has the state of trial 0, since another call has gone on with it"):
        swept.run(0)


def test_a_full_disk_costs_a_warning_and_not_the_halving(sweep_flowers, space, tmp_path, monkeypatch):
    def full(path, content):
        if not path.name.startswith("asked"):
            raise OSError(28, "No space left on device")

    halving = {"trials": 4, "scheduler": schedulers.successive_halving(1, factor=2)}
    monkeypatch.setattr(ledger, "write_atomically", full)
    with pytest.warns(FnnetWarning, match="could not be written: .*No space left"):
        swept = sweep_flowers(space, **halving, out=tmp_path)
    assert swept.rungs == sweep_flowers(space, **halving).rungs


def test_a_folder_that_cannot_be_is_named_before_anything_is_computed(sweep_flowers, space, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be written: Not a directory"):
        sweep_flowers(space, trials=1, out=tmp_path / "file" / "folder")


def test_a_mask_is_not_taken_for_numbers_of_rows(swept):
    with pytest.raises(HyperparameterError, match="numbers of rows of the table, 0 to 5, are needed"):
        swept.stacked(swept.table["trial"] == 1)


def test_importance_after_a_halving_is_that_of_trials_that_are_equally_long(sweep_flowers, space):
    halved = sweep_flowers(space, trials=12, epochs=4, scheduler=schedulers.successive_halving(1, factor=2))
    assert set(halved.table["status"]) == {"finished", "pruned"}
    pd.testing.assert_frame_equal(halved.importance(), sweep_flowers(space, trials=12, epochs=1).importance())


def test_a_summary_of_trials_with_unequal_numbers_of_scores():
    scores = [0.5, 0.7, 0.9, np.nan, np.nan, 0.2, 0.4, 0.1, 0.3]
    table = pd.DataFrame({"trial": [1, 0, 1, 0, 2, 1, 3, 3, 1], "rate": list("badbcbeeb"), "score": scores})
    found = comparing.summary(table, ["rate"], "score", True, 0.95).set_index("trial")
    grouped = table.groupby("trial")["score"]
    assert found.index.tolist() == [0, 1, 3, 2]
    pd.testing.assert_series_equal(found["mean"].sort_index(), grouped.mean(), check_names=False)
    pd.testing.assert_series_equal(found["std"].sort_index(), grouped.std(), check_names=False)
    assert found["diverged"].sort_index().tolist() == [1, 0, 1, 0]
    assert found["rate"].sort_index().tolist() == ["a", "b", "c", "e"]
    for trial in (1, 3):
        sample = table.query("trial == @trial")["score"].to_numpy()
        assert tuple(found.loc[trial, ["low", "high"]]) == tuple(stats.bootstrap_interval(sample))


def test_figures_of_a_sweep_count_its_epochs(sweep_flowers, space, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(report, "plot_curves", lambda *arguments, epochs, **named: drawn.append(epochs.tolist()))
    sweep_flowers(space, trials=3, epochs=5, evaluate_every=2).plot(tmp_path / "curves.png", "curves")
    assert drawn == [[2.0, 4.0, 5.0]]
