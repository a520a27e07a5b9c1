"""Trials that take others' hyperparameters: population-based training, genetic search."""

import jax
import numpy as np
import pytest

from fnnet import errors, hp, schedulers
from fnnet.sweeps import ledger

EPOCHS = 6


@pytest.fixture(scope="module")
def population(sweep_flowers, space):
    """Eight trials with two seeds, of which the worst half takes over the best every two epochs."""
    return sweep_flowers(
        space, trials=8, seeds=2, epochs=EPOCHS, scheduler=schedulers.population_based(2, exploit=0.5, spread=0.1)
    )


def test_every_trial_of_a_population_goes_to_the_end(population):
    assert (population.table["status"] == "finished").all()
    assert (population.table["epochs"] == EPOCHS).all()
    assert [rung["epochs"] for rung in population.rungs] == [[2] * 8, [4] * 8, [6] * 8]
    assert population.history.epochs == EPOCHS


def test_the_worse_take_hyperparameters_of_the_better_and_move_them(population, sweep_flowers, space):
    """The scores at each rung are those of the history, and the parents are the better half."""
    alone = sweep_flowers(space, trials=8, seeds=2, epochs=EPOCHS)
    scores = population.history["validation/accuracy"].reshape(8, 2, EPOCHS).mean(axis=1)
    moved = 0
    for rung, end in zip(population.rungs[1:], (2, 4), strict=True):
        before = scores[:, end - 1]
        for trial, (parent,) in enumerate(rung["parents"]):
            if parent != trial:
                moved += 1
                assert before[parent] > before[trial]
    assert moved > 0
    changed = [t for t in range(8) if population.trials[t].values != alone.trials[t].values]
    assert changed
    for trial in changed:
        rates = population.trials[trial].values
        assert 1e-3 <= rates["learning_rate"] < 1e-1
        assert 0.1 <= rates["drop_rate"] < 0.5
    same_until = population.rungs[1]["parents"]
    for trial, (parent,) in enumerate(same_until):
        ours, theirs = (s.history["train/loss"].reshape(8, 2, -1)[trial] for s in (population, alone))
        np.testing.assert_array_equal(ours[:, :2], theirs[:, :2])
        assert (ours[:, 2:] != theirs[:, 2:]).any() == any(
            rung["parents"][trial] != [trial] for rung in population.rungs[1:]
        )


@pytest.mark.exhaustive  # compiles programs of its own
def test_a_copy_goes_on_from_its_parents_state(sweep_flowers, space):
    """With no change of hyperparameters and all draws in common, it does what the parent would have done."""

    def copy_once(scores, epochs, key):
        parents = np.zeros(3, int) if scores.shape[1] == 1 else np.arange(3)
        return schedulers.Decisions(epochs + 2, parents=parents, spread=np.zeros(3))

    share = ("initialization", "data", "dropout")
    rows = {"learning_rate": hp.log_uniform(1e-3, 1e-1), "drop_rate": hp.uniform(0.1, 0.5)}
    swept = sweep_flowers(rows, trials=3, epochs=4, scheduler=copy_once, share=share)
    losses = swept.history["train/loss"]
    assert (losses[0, :2] != losses[1, :2]).any()
    np.testing.assert_array_equal(losses[0, 2:], losses[1, 2:])
    np.testing.assert_array_equal(losses[0, 2:], losses[2, 2:])
    jax.tree.map(np.testing.assert_array_equal, swept.run(0).state.params, swept.run(2).state.params)


class Killed(BaseException):
    """Stands for a signal that no one can catch."""


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_killed_population_ends_the_same(number, population, sweep_flowers, space, tmp_path, monkeypatch, same):
    written, usual = [], ledger.Ledger.write

    def write(self, part, replaced):
        usual(self, part, replaced)
        written.append(1)
        if len(written) == number:
            raise Killed

    monkeypatch.setattr(ledger.Ledger, "write", write)
    arguments = {
        "trials": 8, "seeds": 2, "epochs": EPOCHS, "out": tmp_path,
        "scheduler": schedulers.population_based(2, exploit=0.5, spread=0.1),
    }  # fmt: skip
    with pytest.raises(Killed):
        sweep_flowers(space, **arguments)
    again = sweep_flowers(space, **arguments)
    assert again.table.drop(columns="seconds").equals(population.table.drop(columns="seconds"))
    same(dict(again.history), dict(population.history))
    assert again.rungs == population.rungs


def test_parameters_cannot_be_copied_to_another_structure(sweep_flowers):
    space = {"learning_rate": hp.log_uniform(1e-4, 1e-1), "width": hp.static(3, 4)}

    def copy(scores, epochs, key):
        return schedulers.Decisions(epochs + 1, parents=np.zeros(2, int))

    with pytest.raises(errors.StructureError, match="lets trial 1 go on from the parameters of trial 0, which has"):
        sweep_flowers(space, trials=2, scheduler=copy, devices=jax.devices()[:1])


def test_rows_that_are_listed_have_no_descendants(sweep_flowers):
    rows = [{"learning_rate": rate, "drop_rate": 0.2} for rate in (0.1, 0.01, 0.001)]
    with pytest.raises(errors.FnnetError, match="needs dimensions"):
        sweep_flowers(rows, epochs=4, scheduler=schedulers.population_based(2, exploit=0.5))


def test_a_genetic_search_trains_generation_after_generation(sweep_flowers, space):
    swept = sweep_flowers(space, trials=12, epochs=3, scheduler=schedulers.genetic(4, spread=0.1))
    assert [len(rung["trials"]) for rung in swept.rungs] == [4, 4, 4]
    assert [rung["trials"][0] for rung in swept.rungs] == [0, 4, 8]
    assert (swept.table["status"] == "finished").all()
    for rung in swept.rungs[1:]:
        for child, parents in zip(rung["trials"], rung["parents"], strict=True):
            assert max(parents) < child
    # A child is a run like any other: from its own key, to the end.
    rows = [trial.values for trial in swept.trials]
    listed = sweep_flowers(rows, epochs=3)
    np.testing.assert_array_equal(listed.history["train/loss"], swept.history["train/loss"])


@pytest.mark.exhaustive  # compiles a program for each structure
def test_children_of_two_structures_may_have_either(sweep_flowers):
    space = {"learning_rate": hp.log_uniform(1e-3, 1e-1), "width": hp.static(3, 4)}
    swept = sweep_flowers(space, trials=9, epochs=1, scheduler=schedulers.genetic(3), devices=jax.devices()[:1])
    assert set(swept.table["width"]) <= {3, 4}
    assert swept.table["validation/accuracy"].notna().all()


def test_a_trained_trial_is_not_begun_anew(sweep_flowers, space):
    def anew(scores, epochs, key):
        parents = np.zeros(3, int) if scores.shape[1] else np.arange(3)
        return schedulers.Decisions(epochs + 1, parents=parents, warm=False)

    with pytest.raises(errors.StructureError, match="gives trial 1 another parent after it was trained"):
        sweep_flowers(space, trials=3, scheduler=anew)
