"""What a sweep says of itself afterwards: costs, and comparisons of runs that are not equally long."""

import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import hp, losses, nn, optim, schedulers
from fnnet.errors import FileError, FnnetWarning, HyperparameterError
from fnnet.sweeps import ledger


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
