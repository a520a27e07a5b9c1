"""What once was wrong: lost states, scores of parameters that were gone, memory that was not there."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import fnnet
from fnnet import errors, hp, losses, nn, optim, schedulers
from fnnet.sweeps import campaign, packs, plans, timing
from fnnet.sweeps.lanes import Lanes


def plain(swept):
    """The table without what follows the clock."""
    return swept.table.drop(columns="seconds")


def test_states_are_let_go_only_of_runs_that_have_ended(sweep_flowers, space, monkeypatch, same):
    """Lanes are refilled while the memory of the host is full."""
    arguments = {"trials": 12, "epochs": hp.integers(1, 12), "devices": jax.devices()[:1]}
    whole = sweep_flowers(space, **arguments)
    monkeypatch.setattr(campaign, "machine_memory", lambda: 64)
    usual = packs.Packs.__init__
    monkeypatch.setattr(packs.Packs, "__init__", lambda self, group, work, lanes, at_once, host: usual(
        self, group, work, lanes, 4, host
    ))  # fmt: skip
    few = sweep_flowers(space, **arguments)
    assert plain(few).equals(plain(whole))
    assert not all(few._book.find(run)[0].kept for run in few._runs)
    same(few.run(3).state, whole.run(3).state)


def linear(learning_rate):
    """Least squares, which diverges step by step where the rate is too large."""
    return fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(learning_rate))


def test_a_diverged_run_that_was_let_go_diverges_again(flowers, same):
    numbers = fnnet.data.from_arrays(flowers[0].inputs, np.asarray(flowers[0].inputs)[:, :1])
    with pytest.warns(errors.DivergenceWarning):
        swept = fnnet.sweep(
            linear, {"learning_rate": hp.grid(0.1, 300.0, 0.01)}, numbers, epochs=6, batch_size=5, progress=False,
            key=jax.random.key(0), evaluate_every="3 steps", devices=jax.devices()[:1],
        )  # fmt: skip
    before = swept.run(1).state
    assert int(before.step) > 1
    assert int(before.step) % 3
    for part in swept._book.parts():
        part.states = None
    same(swept.run(1).state, before)
    same(swept.run(2).state.step, np.int32(24))


@pytest.fixture(scope="module")
def population(sweep_flowers, space):
    """A population in which runs stop early."""
    return {
        "trials": 8, "epochs": 12, "early_stopping": 1, "monitor": "validation/loss",
        "scheduler": schedulers.population_based(3, exploit=0.4),
    }  # fmt: skip


def test_a_population_that_stops_early_decides_the_same_again(population, sweep_flowers, space, tmp_path, same):
    first = sweep_flowers(space, **population, out=tmp_path)
    again = sweep_flowers(space, **population, out=tmp_path)
    assert again.rungs == first.rungs
    pd.testing.assert_frame_equal(again.table, first.table)
    same(dict(again.history), dict(first.history))


def test_the_score_in_the_table_is_that_of_the_parameters_that_are_there(population, sweep_flowers, space, flowers):
    swept = sweep_flowers(space, **population)
    assert any(parents != [[t] for t in rung["trials"]] for rung in swept.rungs for parents in [rung["parents"]])
    for row in swept.table.itertuples():
        run = swept.run(row.trial)
        assert swept.table["validation/loss"][row.Index] == run.score
        assert run.evaluate(flowers[1])["loss"] == pytest.approx(run.score, rel=1e-5)


def test_what_others_went_on_from_cannot_be_trained_again(population, sweep_flowers, space, tmp_path):
    sweep_flowers(space, **population, out=tmp_path)
    newest = max((tmp_path / "runs").iterdir())
    newest.write_bytes(newest.read_bytes()[:-9])
    with pytest.warns(errors.FnnetWarning, match="cannot be read"), pytest.raises(errors.FileError) as caught:
        sweep_flowers(space, **population, out=tmp_path)
    assert "lacks states of runs from which others went on, so that these cannot be trained again" in str(caught.value)


def test_what_a_halving_has_lost_is_trained_again(sweep_flowers, space, tmp_path, same):
    arguments = {"trials": 8, "epochs": 4, "scheduler": schedulers.successive_halving(1, factor=2)}
    whole = sweep_flowers(space, **arguments, out=tmp_path)
    for path in (tmp_path / "runs").iterdir():
        path.unlink()
    again = sweep_flowers(space, **arguments, out=tmp_path)
    assert plain(again).equals(plain(whole))
    assert again.rungs == whole.rungs


@pytest.mark.parametrize("timed", [False, True])
def test_ctrl_c_between_two_evaluations_loses_nothing(
    timed, sweep_flowers, space, tmp_path, monkeypatch, pressing, same
):
    """The first chunk is shorter than the period, and after it Ctrl-C is pressed: while a way is timed, too."""
    arguments = {"trials": 3, "epochs": 24, "evaluate_every": 12}
    if timed:
        monkeypatch.setattr(timing, "LEAST_PERIODS", 1)
    whole = sweep_flowers(space, **arguments)
    with pressing():
        cut = sweep_flowers(space, **arguments, out=tmp_path)
    steps = [int(cut.run(trial).state.step) for trial in range(3)]
    assert set(cut.table["status"]) == {"running"}
    assert all(0 < step < 48 for step in steps)
    resumed = sweep_flowers(space, **arguments, out=tmp_path)
    assert plain(resumed).equals(plain(whole))
    same(dict(resumed.history), dict(whole.history))
    same(resumed.run(2).state, whole.run(2).state)
    assert resumed.cost["updates"].tolist() == [3 * 96]


def test_an_interrupted_halving_has_runs_that_are_running(sweep_flowers, space, pressing):
    with pressing(at=2):
        cut = sweep_flowers(space, trials=4, epochs=8, scheduler=schedulers.successive_halving(4, factor=2))
    assert set(cut.table["status"]) == {"running"}


@pytest.mark.exhaustive  # compiles several programs of its own
def test_a_width_that_does_not_fit_is_made_smaller(sweep_flowers, space, monkeypatch):
    known = sweep_flowers(space, trials=4, devices=jax.devices()[:1])
    group, work, share = known.plan.groups[0].group, known._trained.work, known.plan.share
    limit = int(1.1 * plans.plan_group(group, work, Lanes(4, jax.devices()[:1]), share, True).memory.of(4))
    monkeypatch.setattr(plans, "device_memory", lambda device: 2 * limit)
    swept = sweep_flowers(space, trials=16, lanes=16, devices=jax.devices()[:1])
    assert swept.plan.groups[0].lanes.width < 16
    assert swept.plan.groups[0].bytes_at_once <= limit
    monkeypatch.setattr(plans, "device_memory", lambda device: 100)
    with pytest.raises(
        errors.HyperparameterError, match=r"a single run needs .* of a device, but only 50 B may be used"
    ):
        sweep_flowers(space, trials=16, lanes=16, devices=jax.devices()[:1])


@pytest.mark.exhaustive  # compiles several programs of its own
def test_a_device_without_memory_for_a_width_gets_a_smaller_one(sweep_flowers, space, monkeypatch):
    usual, widths = packs.drive, []

    def drive(advance, state, **arguments):
        widths.append(state.step.shape[0])
        if len(widths) < 4:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")
        return usual(advance, state, **arguments)

    monkeypatch.setattr(packs, "drive", drive)
    swept = sweep_flowers(space, trials=8, lanes=4, devices=jax.devices()[:1])
    assert (swept.table["status"] == "finished").all()
    assert swept.cost["lanes"].tolist() == ["one after another"]
    assert widths[-1] == 1


def two_outputs(learning_rate):
    """A mean and a log-variance."""
    model = nn.chain(nn.dense(2), lambda x: (x[:, :1], x[:, 1:]))
    return fnnet.Learner(model, lambda f, y: jnp.square(f[0] - y)[:, 0], optim.sgd(learning_rate))


def test_predictions_of_several_outputs_are_stacked_each(flowers):
    numbers = fnnet.data.from_arrays(flowers[0].inputs, np.asarray(flowers[0].inputs)[:, :1])
    swept = fnnet.sweep(
        two_outputs, {"learning_rate": hp.grid(0.1, 0.01, 0.001)}, numbers, epochs=1, key=jax.random.key(0),
        progress=False, devices=jax.devices()[:1],
    )  # fmt: skip
    mean, other = swept.predict(numbers.inputs)
    assert mean.shape == other.shape == (3, 17, 1)
    np.testing.assert_allclose(mean[2], swept.run(2).predict(numbers.inputs)[0], rtol=1e-5)


def test_a_history_on_disk_says_epochs_and_steps(sweep_flowers, space, tmp_path):
    sweep_flowers(space, trials=3, epochs=5, evaluate_every=2, out=tmp_path)
    tidy = pd.read_parquet(tmp_path / "history.parquet")
    assert tidy.query("trial == 0")[["epoch", "step"]].to_numpy().tolist() == [[2, 8], [4, 16], [5, 20]]


def test_a_kill_before_anything_was_asked_leaves_a_folder_that_serves(sweep_flowers, space, tmp_path):
    (tmp_path / ".asked.json.0123").write_text("{")
    sweep_flowers(space, trials=3, seeds=2, out=tmp_path)
    assert not list(tmp_path.glob(".asked*"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scheduler": "halving"}, "scheduler is 'halving', but a function of (scores, epochs, key) is needed"),
        ({"scheduler": schedulers.successive_halving}, "scheduler is successive_halving itself, which makes one."),
        ({"scheduler": lambda scores: scores}, "but a function of (scores, epochs, key) is needed"),
        ({"epochs": hp.when("drop_rate", 0.5, hp.integers(1, 2))}, "epochs is a dimension, but it is conditional"),
        ({"devices": "cpu"}, "devices is 'cpu', but a list such as jax.devices()[:2] is needed"),
        ({"devices": jax.devices()[0]}, "but a list such as jax.devices()[:2] is needed"),
        ({"share": 3}, "share names 3, but trials can share only"),
        ({"folds": 1, "validation": None}, "folds is 1, but it has to be a whole number from 2 to the 17 rows"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_compiled(changes, said, sweep_flowers, space, compilations):
    compilations.clear()
    with pytest.raises(errors.FnnetError) as caught:
        sweep_flowers(space, **({"trials": 2} | changes))
    assert said in str(caught.value)
    assert compilations == []


def test_a_population_of_several_structures_is_refused_before_anything_is_compiled(sweep_flowers, compilations):
    space = {"learning_rate": hp.log_uniform(1e-3, 1e-1), "width": hp.static(3, 4)}
    compilations.clear()
    with pytest.raises(errors.StructureError, match="copies parameters from trial to trial, but the space has 2"):
        sweep_flowers(space, trials=4, scheduler=schedulers.population_based(1))
    assert compilations == []


def test_rows_and_runs_that_are_none_are_refused(swept):
    for call in (
        lambda: swept.run("a"), lambda: swept.run(0, 9), lambda: swept.compare("0", 1), lambda: swept.compare(0, 1.5),
        lambda: swept.stacked([]), lambda: swept.stacked([99]), lambda: swept.stacked([-1]),
        lambda: swept.plot("x.png", "nothing"), lambda: swept.ensemble(top=0),
    ):  # fmt: skip
        with pytest.raises(errors.FnnetError):
            call()


@pytest.mark.exhaustive  # compiles several programs of its own
def test_floating_point_operations_count_loops(flowers):
    def deep(learning_rate, depth):
        return fnnet.Learner(
            nn.chain(nn.dense(8), nn.repeat(nn.dense(8), depth), nn.dense(3)), losses.softmax_cross_entropy,
            optim.sgd(learning_rate),
        )  # fmt: skip

    space = {"learning_rate": 0.1, "depth": hp.static(1, 11)}
    arguments = {"epochs": 1, "key": jax.random.key(0), "batch_size": 5, "devices": jax.devices()[:1]}
    table = fnnet.plan(deep, space, flowers[0], **arguments).table
    one, eleven = table["flops"]
    assert eleven - one > 10 * 2 * 3 * 5 * 8 * 8
