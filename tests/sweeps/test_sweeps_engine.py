"""A sweep is many fits: the same draws, one program a structure, and no lane knows of another."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import data, draws, errors, hp, losses, metrics, nn, optim
from fnnet.sweeps import packs
from fnnet.sweeps.lanes import choose_lanes
from fnnet.sweeps.planning import Build
from fnnet.sweeps.programs import group_programs
from fnnet.sweeps.work import SHARED, Keys, Roots
from fnnet.train.driving import drive
from fnnet.train.learner import Monitor

KEY = jax.random.key(2)
SCORES = ["train/loss", "validation/loss", "validation/accuracy"]


def states(swept):
    """The states of all runs in the order of the table, as NumPy arrays without the keys."""
    runs = [swept.run(row.trial, row.seed).state._replace(key=()) for row in swept.table.itertuples()]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *runs)


def test_a_run_of_a_sweep_is_the_fit_with_its_key_and_hyperparameters(swept, flowers, learner):
    for trial, seed in [(0, 0), (2, 1)]:
        run = swept.run(trial, seed)
        row = swept.table.query("trial == @trial and seed == @seed").iloc[0]
        alone = fnnet.fit(
            learner(row["learning_rate"], row["drop_rate"]), flowers[0], validation=flowers[1], epochs=3, batch_size=5,
            key=jax.random.fold_in(jax.random.fold_in(KEY, trial), seed), progress=False,
        )  # fmt: skip
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), run.params, alone.params)
        np.testing.assert_array_equal(jax.random.key_data(run.state.key), jax.random.key_data(alone.state.key))
        assert (run.status, int(run.state.best.step)) == ("finished", int(alone.state.best.step))
        assert list(run.history) == list(alone.history)
        for name, values in alone.history.items():
            np.testing.assert_allclose(run.history[name], values, rtol=1e-5)
        np.testing.assert_allclose(run.predict(flowers[1].inputs), alone.predict(flowers[1].inputs), rtol=1e-4)


@pytest.mark.parametrize("lanes", ["map", 2])
def test_of_runs_that_end_together_it_is_asked_three_times_whether_lanes_are_free(
    lanes, sweep_flowers, space, monkeypatch
):
    asked = []

    def driven(*arguments, steps, **named):
        asked.append(steps // named["period"])
        return drive(*arguments, steps=steps, **named)

    monkeypatch.setattr(packs, "drive", driven)
    sweep_flowers(space, trials=4, epochs=32, lanes=lanes)
    assert asked == [2, 10, 32]
    asked.clear()
    sweep_flowers(space, trials=4, epochs=32, lanes=lanes, early_stopping=40)
    assert asked == list(range(2, 33, 2))


def test_keys_are_known_without_beginning_runs(swept):
    work = swept._trained.work._replace(folds=2, share=("data",))
    runs = [(3, 1, 0), (0, 0, 1), (2, 1, 1)]

    def folded(*numbers):
        return np.asarray(jax.random.key_data(functools.reduce(jax.random.fold_in, numbers, KEY)))

    for run, words in zip(runs, Keys(work).words(runs), strict=True):
        own, common = folded(*run), folded(SHARED, *run[1:])
        expected = [
            common if purpose in (draws.ORDER, draws.AUGMENTATION) else own for purpose in range(draws.PURPOSES)
        ]
        np.testing.assert_array_equal(words, expected)
    known = Keys(work)
    known.learn(runs[:1], np.zeros((1, 5, 2), np.uint32))
    assert not known.words(runs)[0].any()
    np.testing.assert_array_equal(known.words(runs)[1:], Keys(work).words(runs)[1:])


def test_a_device_whose_runs_have_all_diverged_gets_others(sweep_flowers):
    rates = [0.1, 0.05, 0.02, 0.01, *[float("nan")] * 4]
    with pytest.warns(errors.DivergenceWarning):
        cut = sweep_flowers(
            [{"learning_rate": rate, "drop_rate": 0.2} for rate in rates], epochs=16, lanes="map",
            devices=jax.devices()[:2],
        )  # fmt: skip
    (cost,) = cut.cost.to_dict("records")
    assert cost["updates"] == 4 * 64
    assert cost["computed"] == 8 * 4 + 4 * 60  # all for the first sixteenth


def test_a_key_may_be_bound_to_any_device(swept, sweep_flowers, space, same):
    bound = sweep_flowers(space, trials=3, seeds=2, key=jax.device_put(KEY, jax.devices()[1]))
    same(states(bound), states(swept))


def test_the_number_of_devices_changes_no_bit(swept, sweep_flowers, space, same):
    assert len(jax.devices()) == 4
    two = sweep_flowers(space, trials=3, seeds=2, lanes="map", devices=jax.devices()[:2])
    same(states(two), states(swept))
    same(dict(two.history), dict(swept.history))


@pytest.mark.exhaustive
@pytest.mark.parametrize(("lanes", "devices"), [("map", 1), ("vmap", 4), (4, 1)])
def test_other_programs_give_the_same_up_to_rounding(lanes, devices, swept, sweep_flowers, space):
    """For one device XLA's simplifier runs without the partitioner and turns other divisions into products.

    Six runs fill neither eight lanes on four devices nor two parts of four.
    """
    other = sweep_flowers(space, trials=3, seeds=2, lanes=lanes, devices=jax.devices()[:devices])
    assert len(other.table) == 6
    for name in SCORES:
        np.testing.assert_allclose(other.history[name], swept.history[name], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), states(other), states(swept))


def test_more_trials_change_nothing_in_those_that_were_there(swept, sweep_flowers, same):
    """The same rows among others: eight runs instead of six, in the same program."""
    rows = [trial.values for trial in swept.trials]
    more = sweep_flowers([*rows, {"learning_rate": 0.02, "drop_rate": 0.3}], seeds=2)
    same(jax.tree.map(lambda leaf: leaf[:6], states(more)), states(swept))


ROWS = [{"learning_rate": rate, "drop_rate": 0.2} for rate in (0.1, 0.05, 0.02, 0.01, 0.005, 0.002)]


def test_law_7_a_nan_trial_leaves_the_others_bitwise_as_they_were(sweep_flowers, same):
    sound = sweep_flowers(ROWS)
    with pytest.warns(errors.DivergenceWarning) as caught:
        broken = sweep_flowers([*ROWS[:1], {"learning_rate": float("nan"), "drop_rate": 0.2}, *ROWS[2:]])
    assert str(caught[0].message) == (
        "sweep: 1 of 6 runs diverged: trial 1 (learning_rate=nan, drop_rate=0.2, seed 0) at step 0; "
        "the others are unaffected."
    )
    others = np.array([0, 2, 3, 4, 5])
    same(*(jax.tree.map(lambda leaf: leaf[others], states(s)) for s in (sound, broken)))
    same(*({name: values[others] for name, values in s.history.items()} for s in (sound, broken)))
    row = broken.table.iloc[1]
    assert (row["status"], row["epochs"]) == ("diverged", 0)
    assert row[SCORES].isna().all()
    assert (broken.table["status"].drop(1) == "finished").all()
    assert all(np.isnan(values[1]).all() for values in broken.history.values())
    assert broken.best["trial"] != 1
    assert broken.top(6)["trial"].iloc[-1] == 1
    assert broken.run(1).history.epochs == 0
    assert np.isfinite(broken.run(1).params[0]["kernel"]).all()


def test_many_diverged_runs_are_counted_and_three_of_them_named(sweep_flowers):
    rates = [0.3, *[float("nan")] * 4]
    with pytest.warns(errors.DivergenceWarning) as caught:
        swept = sweep_flowers([{"learning_rate": rate, "drop_rate": 0.2} for rate in rates])
    lanes = ", ".join(f"trial {t} (learning_rate=nan, drop_rate=0.2, seed 0) at step 0" for t in (1, 2, 3))
    assert str(caught[0].message) == f"sweep: 4 of 5 runs diverged: {lanes}, …; the others are unaffected."
    assert caught[0].filename.endswith("conftest.py")
    assert swept.best["trial"] == 0


def test_law_7_permuted_lanes_give_permuted_results(flowers, learner, same):
    """A trial's number is part of its key, so lanes are permuted here: hyperparameters together with keys."""
    policy = choose_lanes("map", None)
    programs = group_programs(Build(learner, ()), 5, Monitor("validation/accuracy", maximize=True), policy)
    train, validation = (jax.tree.map(jnp.asarray, data.Dataset(d.inputs, d.targets)) for d in flowers)
    train, validation = (policy.place(d, lanes=False) for d in (train, validation))

    def trained(order):
        columns = {"drop_rate": np.linspace(0.1, 0.5, 8), "learning_rate": np.geomspace(1e-3, 0.1, 8)}
        columns = {name: jnp.asarray(values[order], jnp.float32) for name, values in columns.items()}
        runs = jnp.stack([jnp.asarray(order, jnp.uint32), *jnp.zeros((2, 8), jnp.uint32)], axis=1)
        parts = policy.parts(8, 8)
        columns, runs, parts, ends = policy.place((columns, runs, parts, np.full(8, 8)), lanes=True)
        state = programs.init(Roots(), parts, columns, runs, KEY, train.inputs[:1])
        now = np.int32(0), np.int32(8), None
        state, rows = programs.advance(parts, columns, state, None, ends, None, train, validation, *now)
        state = state._replace(key=jax.random.key_data(state.key))
        return jax.tree.map(np.asarray, (state, rows))

    order = np.array([3, 7, 0, 1, 6, 2, 5, 4])
    same(trained(order), jax.tree.map(lambda leaf: leaf[order], trained(np.arange(8))))


@pytest.fixture(scope="module")
def widths(sweep_flowers):
    """Two structures with two trials each, alternating."""
    rows = [
        {"learning_rate": rate, "width": hp.static(width)}
        for rate, width in zip((0.1, 0.05, 0.02, 0.01), (3, 4, 3, 4), strict=True)
    ]
    return sweep_flowers(rows)


def test_law_7_the_lane_of_a_trial_changes_nothing(widths, sweep_flowers, same):
    """Trial 3 has the second lane of its group, and here the fourth of the only group."""
    rows = [{"learning_rate": rate, "width": hp.static(4)} for rate in (0.3, 0.05, 0.2, 0.01)]
    others = sweep_flowers(rows)
    for trial in (1, 3):
        same(*(s.run(trial).state._replace(key=()) for s in (widths, others)))


def test_structures_come_back_in_the_order_of_the_trials(widths, flowers):
    assert widths.table["trial"].tolist() == [0, 1, 2, 3]
    assert widths.table["width"].tolist() == [3, 4, 3, 4]
    assert [widths.run(trial).params[0]["bias"].shape for trial in range(4)] == [(3,), (4,), (3,), (4,)]
    predictions = widths.predict(flowers[1].inputs)
    for trial in range(4):
        run = widths.run(trial)
        np.testing.assert_allclose(predictions[trial], run.predict(flowers[1].inputs), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(widths.history["train/loss"][trial], run.history["train/loss"])


def counted():
    """A learner function, and the list that its loss extends by one whenever Python runs it."""
    calls = []

    def loss(predictions, targets, *, weights=None):
        calls.append(1)
        return losses.softmax_cross_entropy(predictions, targets, weights=weights)

    def learner(learning_rate, activation="tanh"):
        return fnnet.Learner(nn.chain(nn.dense(3), getattr(nn, activation)), loss, optim.sgd(learning_rate))

    return learner, calls


def test_the_step_is_traced_once_a_structure_whatever_the_number_of_trials(sweep_flowers):
    """Python runs the loss once more to check the shapes, which JAX remembers for other structures."""
    one_device = {"devices": jax.devices()[:1], "validation": None, "epochs": 1}
    rate = hp.log_uniform(1e-3, 1e-1)
    function, calls = counted()
    sweep_flowers({"learning_rate": rate}, function, trials=2, **one_device)
    assert len(calls) == 1 + 1
    function, calls = counted()
    sweep_flowers({"learning_rate": rate, "activation": hp.static("relu", "tanh")}, function, trials=18, **one_device)
    assert len(calls) == 1 + 2


def test_a_second_sweep_with_the_same_learner_function_compiles_nothing(swept, sweep_flowers, space, compilations):
    compilations.clear()
    again = sweep_flowers(space, trials=3, seeds=2)
    assert compilations == []
    sweep_flowers({name: hp.uniform(0.1, 0.2) for name in space}, trials=4, seeds=2, key=jax.random.key(9), epochs=5)
    assert compilations == []
    scores = [c for c in again.table.columns if c != "seconds"]
    assert again.table[scores].equals(swept.table[scores])


@pytest.mark.exhaustive  # compiles programs of its own
def test_without_validation_the_last_parameters_are_the_best(sweep_flowers, space):
    swept = sweep_flowers(space, trials=1, validation=None)
    assert list(swept.history) == ["train/loss", "gradient_norm", "learning_rate"]
    assert swept.monitor == "train/loss"
    assert swept.table["train/loss"].tolist() == swept.history["train/loss"][:, -1].tolist()
    assert int(swept.run(0).state.best.step) == 12


def test_the_line_of_progress_shows_the_best_score_and_how_many_diverged(sweep_flowers, capsys):
    with pytest.warns(errors.DivergenceWarning):
        sweep_flowers(
            [{"learning_rate": r, "drop_rate": 0.2} for r in (0.1, float("nan"), 0.1, 0.1, 0.1)], progress=True
        )
    last = capsys.readouterr().err.split("\r")[-1]
    assert re.search(r"^sweep \(compiled in [\d.]+ s\)", last)
    assert "epoch 3/3" in last
    assert re.search(r"best validation/accuracy [\d.]+, [\d,]+ steps/s, 1 of 5 diverged", last)


def test_an_epoch_whose_metric_is_undefined_is_still_an_epoch():
    def init(key, x):
        return jnp.zeros(()), ()

    def apply(params, state, x, *, key=None, train=False):
        return x[:, 0] * params, state

    @metrics.maximize
    def undefined_at_first(predictions, targets):
        return jnp.where(predictions > 1.5, predictions, jnp.nan)

    def learner(learning_rate):
        return fnnet.Learner(
            nn.Layer(init, apply), lambda f, y, *, weights=None: -f, optim.sgd(learning_rate), {"m": undefined_at_first}
        )

    table = data.from_arrays(np.ones((2, 1), np.float32), np.ones((2, 1), np.float32))
    swept = fnnet.sweep(
        learner, [{"learning_rate": 1.0}], table, validation=table, epochs=3, batch_size=None, key=KEY, progress=False
    )
    np.testing.assert_array_equal(swept.history["validation/m"], [[np.nan, 2, 3]])
    assert swept.table["epochs"].tolist() == [3]
    np.testing.assert_array_equal(swept.run(0).history["validation/m"], [np.nan, 2, 3])
