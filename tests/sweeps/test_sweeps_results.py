"""What a sweep brings back: table, winner, runs, ensemble, picture."""

import re

import jax
import numpy as np
import pytest

from fnnet import errors, hp, nn
from fnnet.nn import as_layer

SCORES = ["train/loss", "validation/loss", "validation/accuracy"]


def test_the_table_has_a_row_a_trial_and_seed(swept):
    table = swept.table
    assert list(table.columns) == [
        "trial", "seed", "learning_rate", "drop_rate", *SCORES, "status", "epochs", "seconds",
    ]  # fmt: skip
    assert list(zip(table["trial"], table["seed"], strict=True)) == [(t, s) for t in range(3) for s in range(2)]
    assert (table["status"] == "finished").all()
    assert (table["epochs"] == 3).all()
    assert (table["seconds"] > 0).all()
    assert (table.groupby("trial")["learning_rate"].nunique() == 1).all()
    assert table["learning_rate"].between(1e-3, 1e-1).all()
    assert table["drop_rate"].between(0.1, 0.5).all()


def test_the_scores_of_a_row_are_those_of_its_best_epoch(swept):
    for row, record in enumerate(swept.table.to_dict("records")):
        best = int(np.argmax(swept.history["validation/accuracy"][row]))
        assert [record[name] for name in SCORES] == [swept.history[name][row, best] for name in SCORES]
        run = swept.run(record["trial"], record["seed"])
        assert int(run.state.best.step) == 4 * (best + 1)
        assert run.score == pytest.approx(record["validation/accuracy"])


def test_the_histories_are_in_the_order_of_the_table(swept):
    assert list(swept.history) == [*SCORES, "gradient_norm", "learning_rate"]
    assert all(values.shape == (6, 3) for values in swept.history.values())
    for row, (trial, seed) in enumerate((t, s) for t in range(3) for s in range(2)):
        for name, values in swept.run(trial, seed).history.items():
            np.testing.assert_array_equal(values, swept.history[name][row])


def test_the_best_row_has_the_best_score_and_the_top_rows_are_sorted(swept):
    assert swept.best[swept.monitor] == swept.table[swept.monitor].max()
    top = swept.top(4)
    assert len(top) == 4
    assert top[swept.monitor].is_monotonic_decreasing
    assert top.iloc[0].equals(swept.best)
    assert swept.maximize


def test_a_loss_that_is_watched_is_minimised(sweep_flowers, space):
    swept = sweep_flowers(space, trials=3, seeds=2, monitor="loss")
    assert (swept.monitor, swept.maximize) == ("validation/loss", False)
    assert swept.best["validation/loss"] == swept.history["validation/loss"].min()


def test_a_run_that_is_not_there_is_named(swept):
    for trial, seed in [(3, 0), (0, 2), (-1, 0)]:
        with pytest.raises(errors.HyperparameterError) as caught:
            swept.run(trial, seed)
        assert str(caught.value) == (
            f"sweep.run: there is no run of trial {trial} and seed {seed}: "
            f"the sweep has trials 0 to 2 and seeds 0 to 1."
        )


def test_predictions_are_those_of_every_run(swept, flowers):
    outputs = swept.predict(flowers[1].inputs)
    assert outputs.shape == (6, 6, 3)
    for row, (trial, seed) in enumerate((t, s) for t in range(3) for s in range(2)):
        alone = swept.run(trial, seed).predict(flowers[1].inputs)
        np.testing.assert_allclose(outputs[row], alone, rtol=1e-5, atol=1e-6)


def test_the_scores_are_those_of_the_predictions(swept, flowers):
    outputs = swept.predict(flowers[1].inputs)
    accuracy = (outputs.argmax(axis=-1) == flowers[1].targets).mean(axis=1)
    np.testing.assert_allclose(accuracy, swept.table["validation/accuracy"], rtol=1e-6)


def test_an_input_of_another_shape_is_refused(swept):
    with pytest.raises(errors.ShapeError) as caught:
        swept.predict(np.ones((5, 2), np.float32))
    assert str(caught.value) == ("sweep.predict: an input has shape (2,), but the runs were trained on (3,).")


def test_the_plot_is_a_picture(swept, tmp_path):
    swept.plot(tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_is_written_as_its_winner(swept):
    assert re.fullmatch(
        r"Sweep\(3 trials × 2 seeds; best validation/accuracy [\d.]+ by trial \d, seed \d\)", repr(swept)
    )


def refusal(kind, sweep, *arguments, **changes):
    with pytest.raises(errors.FnnetError) as caught:
        sweep(*arguments, **changes)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (hp.choice(32, 64, 128), "32, 64, 128"),
        (hp.grid(32, 64, 128), "32, 64, 128"),
        (hp.integers(32, 34), "32, 33, 34"),
    ],
)
def test_a_width_that_is_not_static(dimension, values, sweep_flowers, space, compilations):
    text = refusal(errors.HyperparameterError, sweep_flowers, {**space, "width": dimension}, trials=3)
    assert text == (
        f"sweep: hyperparameter 'width' fixes a shape, so it cannot be traced. Declare it hp.static({values})."
    )
    assert compilations == []


def test_a_number_that_decides_a_branch_is_not_static(sweep_flowers, learner):
    def branching(depth, learning_rate=0.1):
        return learner(learning_rate, activation="relu" if depth > 1 else "tanh")

    text = refusal(errors.HyperparameterError, sweep_flowers, {"depth": hp.grid(1, 2)}, branching)
    assert text == (
        "sweep: hyperparameter 'depth' decides a Python branch, so it cannot be traced. Declare it hp.static(1, 2)."
    )


def test_a_mistake_that_is_not_of_tracing_is_told_as_it_is(sweep_flowers, learner):
    def wrong(learning_rate):
        return learner(learning_rate)._replace(model=nn.dense(2))

    text = refusal(errors.DataError, sweep_flowers, {"learning_rate": hp.grid(0.1)}, wrong)
    assert text.startswith("sweep: targets contain class 2 but the model has 2 outputs (classes 0 to 1): ")


@pytest.mark.parametrize("lanes", [0, -1, 2.5, "pmap", True])
def test_lanes_that_are_none(lanes, sweep_flowers, space):
    text = refusal(errors.HyperparameterError, sweep_flowers, space, trials=2, lanes=lanes)
    assert text == f"sweep: lanes is {lanes!r}, but it has to be 'auto', 'map', 'vmap' or a positive integer."


@pytest.mark.parametrize("name", ["seeds", "epochs", "batch_size"])
@pytest.mark.parametrize("value", [0, -2, 1.5, True])
def test_counts_that_are_not_positive_integers(name, value, sweep_flowers, space):
    text = refusal(errors.HyperparameterError, sweep_flowers, space, trials=2, **{name: value})
    assert text == f"sweep: {name} is {value!r}, but it has to be a positive integer."


def test_other_mistakes_of_a_call(sweep_flowers, space, learner):
    assert "'learning_rate' is drawn, so the number of trials" in refusal(
        errors.HyperparameterError, sweep_flowers, space
    )
    assert "Did you mean 'drop_rate'?" in refusal(errors.HyperparameterError, sweep_flowers, {"droprate": 0.5})
    assert "Pass learner, not learner()." in refusal(errors.StructureError, sweep_flowers, {}, learner())
    assert "key is 0, which is not a random key" in refusal(
        errors.StructureError, sweep_flowers, space, trials=2, key=0
    )
    assert "key has shape (2,)" in refusal(
        errors.ShapeError, sweep_flowers, space, trials=2, key=jax.random.split(jax.random.key(0))
    )
    assert "the scores are validation/loss, validation/accuracy" in refusal(
        errors.HyperparameterError, sweep_flowers, space, trials=2, monitor="f1"
    )


def test_a_function_that_returns_no_learner(sweep_flowers):
    text = refusal(errors.StructureError, sweep_flowers, {"learning_rate": 0.1}, lambda learning_rate: None)
    assert text.startswith("sweep: learner is None, which is not a fnnet.Learner.")


def test_parameters_are_stacked_for_vmap(swept, sweep_flowers, flowers):
    params, model_state = swept.stacked()
    model = as_layer(swept.run(0).learner.model)
    outputs = jax.vmap(lambda p, s: model.apply(p, s, flowers[1].inputs)[0])(params, model_state)
    np.testing.assert_allclose(outputs, swept.predict(flowers[1].inputs), rtol=1e-5, atol=1e-6)
    rows = [{"learning_rate": 0.1, "width": hp.static(width)} for width in (3, 4, 3, 4)]
    two = sweep_flowers(rows, epochs=1, devices=jax.devices()[:1])
    params, _ = two.stacked([0, 2])
    assert params[0]["kernel"].shape == (2, 3, 3)
    with pytest.raises(errors.StructureError, match="the rows hold 2 structures and 0 runs that were not begun"):
        two.stacked()


def test_an_ensemble_of_the_best_has_a_score_of_its_own(swept, flowers):
    together = swept.ensemble(top=3)
    assert len(together.runs) == 3
    assert together.score == together.evaluate(flowers[1])["accuracy"]
    assert swept.ensemble(top=1).score == pytest.approx(swept.best["validation/accuracy"])


def test_importance_has_a_row_a_hyperparameter(sweep_flowers, space):
    found = sweep_flowers(space, trials=8, seeds=1).importance(pairs=True)
    assert sorted(found["hyperparameter"], key=len)[:2] == sorted(space, key=len)
    assert len(found) == 3
    assert found["importance"].between(0, 1).all()
