"""`fit`: histories, determinism, the best parameters, compiling once, and the line of progress."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import data, losses, metrics, nn, optim
from fnnet.errors import DivergenceWarning


def test_history_has_a_value_an_epoch_for_every_score(run):
    assert list(run.history) == [
        "train/loss",
        "validation/loss",
        "validation/accuracy",
        "gradient_norm",
        "learning_rate",
    ]
    assert all(values.shape == (4,) and np.isfinite(values).all() for values in run.history.values())
    assert run.history.epochs == 4
    assert (run.status, int(run.state.step)) == ("finished", 16)


def test_history_is_a_table_with_a_row_an_epoch(run):
    frame = run.history.to_frame()
    assert list(frame.columns) == list(run.history)
    assert frame.index.name == "epoch"
    assert frame.index.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(frame["train/loss"], run.history["train/loss"])


def test_a_score_that_was_not_recorded_is_named_with_those_that_were(run):
    with pytest.raises(KeyError, match="no score 'loss' was recorded; there are 'train/loss', 'validation/loss'"):
        run.history["loss"]


def test_the_recorded_scores_are_those_of_the_parameters(run, flowers):
    """The best epoch's row is what `evaluate` gives for the best parameters, and what NumPy gives for predictions."""
    best = int(run.state.best.step) // 4 - 1
    scores = run.evaluate(flowers[1])
    assert set(scores) == {"loss", "accuracy"}
    for name, value in scores.items():
        np.testing.assert_allclose(value, run.history[f"validation/{name}"][best], rtol=1e-5)
    right = run.predict(flowers[1].inputs).argmax(axis=1) == flowers[1].targets
    np.testing.assert_allclose(right.mean(), scores["accuracy"], rtol=1e-6)
    assert run.score == pytest.approx(scores["accuracy"])
    assert run.evaluate((flowers[1].inputs, flowers[1].targets)) == scores


def test_the_training_loss_of_an_epoch_is_the_mean_over_its_examples():
    """With a learning rate of 0 the parameters stay, so it is the loss of all examples, the short batch too."""
    rng = np.random.default_rng(0)
    table = data.from_arrays(rng.normal(size=(7, 2)).astype(np.float32), rng.normal(size=(7, 1)).astype(np.float32))
    learner = fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(0.0))
    run = fnnet.fit(learner, table, epochs=3, batch_size=3, key=jax.random.key(0), progress=False)
    expected = np.mean((run.predict(table.inputs) - table.targets) ** 2)
    np.testing.assert_allclose(run.history["train/loss"], [expected] * 3, rtol=1e-5)
    assert list(run.history) == ["train/loss", "gradient_norm", "learning_rate"]


def test_the_same_key_gives_the_same_run_and_another_key_another(run, fit_flowers, learner, same):
    again = fit_flowers(learner())
    same(again.state, run.state)
    same(dict(again.history), dict(run.history))
    other = fit_flowers(learner(), key=jax.random.key(1))
    assert not np.array_equal(other.history["train/loss"], run.history["train/loss"])


def test_a_pair_of_arrays_is_a_dataset(run, fit_flowers, flowers, learner, same):
    again = fit_flowers(learner(), validation=(flowers[1].inputs, flowers[1].targets))
    same(again.params, run.params)


def test_more_epochs_begin_like_fewer(run, fit_flowers, learner):
    longer = fit_flowers(learner(), epochs=70)
    assert longer.history.epochs == 70
    for name, values in run.history.items():
        np.testing.assert_array_equal(longer.history[name][:4], values)
        assert np.isfinite(longer.history[name]).all()


def test_a_batch_size_of_none_or_more_than_there_is_takes_all_examples(fit_flowers, learner, same):
    whole = fit_flowers(learner(), batch_size=None)
    assert int(whole.state.step) == 4
    same(fit_flowers(learner(), batch_size=1000).state, whole.state)


def test_a_second_fit_with_the_same_learner_function_compiles_nothing(run, fit_flowers, flowers, learner, compilations):
    run.predict(flowers[1].inputs)
    run.evaluate(flowers[1])
    jax.jit(lambda x: x + 17)(1.0)
    assert len(compilations) >= 1, "the counter does not count"
    compilations.clear()
    for changed in (
        fit_flowers(learner()),
        fit_flowers(learner(learning_rate=0.007, drop_rate=0.4), key=jax.random.key(5)),
        fit_flowers(learner(), epochs=9),
    ):
        changed.predict(flowers[1].inputs)
        changed.evaluate(flowers[1])
    assert compilations == []


GROWTH = {
    "init": lambda key, x: (jnp.zeros(()), ()),
    "apply": lambda p, s, x, *, key=None, train=False: (x[:, 0] * p, s),
}


def at_epoch(predictions, targets):
    """The parameter is the number of steps, here one an epoch, so that each epoch looks up its score."""
    epoch = jnp.round(predictions).astype(jnp.int32) - 1
    return jnp.take_along_axis(targets, epoch[:, None], axis=1)[:, 0]


GROWING = fnnet.Learner(
    nn.Layer(**GROWTH),
    lambda f, y, *, weights=None: -f,
    optim.sgd(1.0),
    {"more": metrics.maximize(at_epoch), "less": metrics.minimize(at_epoch)},
)


@pytest.mark.parametrize(
    ("monitor", "scores", "best"),
    [
        ("validation/more", [0.1, 0.9, np.nan, 0.5], 2),
        ("more", [np.nan, 0.2, 0.9, 0.9], 3),
        ("validation/less", [0.5, np.nan, 0.2, 0.3], 3),
        ("less", [0.1, 0.2, 0.1, np.nan], 1),
        (None, [3, 1, 4, 2], 3),
    ],
)
def test_the_best_parameters_are_kept_and_nan_is_never_best(monitor, scores, best):
    ones = np.ones((2, 1), np.float32)
    table = data.Dataset(ones, np.tile(np.asarray(scores, np.float32), (2, 1)))
    learner = GROWING
    if np.isnan(scores).any():  # which fit would refuse as data, so the metric makes it of a number
        table = data.Dataset(ones, np.nan_to_num(table.targets, nan=-1))
        learner = MISSING
    run = fnnet.fit(
        learner,
        table,
        validation=table,
        epochs=4,
        batch_size=None,
        key=jax.random.key(0),
        monitor=monitor,
        progress=False,
    )
    np.testing.assert_array_equal(run.history[run.monitor.name], np.asarray(scores, np.float32))
    assert float(run.params) == best
    assert int(run.state.best.step) == best
    assert run.score == pytest.approx(scores[best - 1])
    assert float(run.state.params) == 4


def or_nan(predictions, targets):
    value = at_epoch(predictions, targets)
    return jnp.where(value < 0, jnp.nan, value)


MISSING = GROWING._replace(metrics={"more": metrics.maximize(or_nan), "less": metrics.minimize(or_nan)})


def test_without_validation_the_last_parameters_are_the_best(run, learner, flowers):
    last = fnnet.fit(learner(), flowers[0], epochs=3, batch_size=5, key=jax.random.key(0), progress=False)
    assert int(last.state.best.step) == 12
    np.testing.assert_array_equal(last.params[0]["kernel"], last.state.params[0]["kernel"])
    assert last.score == pytest.approx(last.history["train/loss"][-1])
    assert last.monitor.name == "train/loss"


def test_a_run_that_diverges_says_so_and_keeps_its_last_finite_state(flowers):
    def learning_rate(t):
        return jnp.where(t == 9, jnp.nan, 0.05)

    learner = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.adam(learning_rate))
    with pytest.warns(DivergenceWarning) as caught:
        run = fnnet.fit(
            learner, flowers[0], validation=flowers[1], epochs=4, batch_size=5, key=jax.random.key(0), progress=False
        )
    assert str(caught[0].message) == (
        "fit: the run diverged at step 9: stopped because the loss or the new parameters were not finite; the state is "
        "the last finite one. A smaller learning rate or optim.clip_by_global_norm may help."
    )
    assert caught[0].filename == __file__
    assert (run.status, int(run.state.step), run.history.epochs) == ("diverged", 9, 2)
    assert all(np.isfinite(values).all() for values in run.history.values())
    plain = run.state._replace(key=(), stall=())  # what early stopping waits for begins at infinity
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(plain))
    assert np.isfinite(run.predict(flowers[1].inputs)).all()


def test_a_run_is_written_as_its_score_and_its_end(run):
    assert re.fullmatch(
        r"Run\(validation/accuracy [\d.]+ at step \d+; finished at step 16: trained for as long as it was asked to\.\)",
        repr(run),
    )
    assert "optimizer=adam(" in repr(run.learner)


def test_the_line_of_progress_shows_epoch_loss_score_and_speed_and_compile_time_apart(fit_flowers, learner, capsys):
    fit_flowers(learner(), progress=True)
    out, err = capsys.readouterr()
    last = err.split("\r")[-1]
    assert out == ""
    assert re.search(r"^fit \(compiled in [\d.]+ s\)", last)
    assert "epoch 4/4" in last
    assert re.search(r"train/loss [\d.]+, validation/accuracy [\d.]+, [\d,]+ steps/s", last)
    fit_flowers(learner())
    assert capsys.readouterr().err == ""


def test_a_run_of_floats_of_64_bits_keeps_them(learner, flowers):
    with jax.enable_x64(True):
        wide = data.Dataset(flowers[0].inputs.astype(np.float64), flowers[0].targets)
        run = fnnet.fit(learner(), wide, epochs=1, batch_size=5, key=jax.random.key(0), progress=False)
        assert run.params[0]["kernel"].dtype == np.float64
        assert run.predict(wide.inputs).dtype == np.float64
