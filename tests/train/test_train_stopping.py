"""Early stopping, and how often a run is evaluated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet.errors import HyperparameterError, StructureError
from fnnet.train.driving import ends
from fnnet.train.history import Record
from fnnet.train.learner import Monitor
from fnnet.train.state import RUNNING, STOPPED_EARLY, Stall
from fnnet.train.stopping import watched


def stops_at(scores, patience, min_change, maximize):
    """The number of evaluations seen when a run with these scores stops, as the rule says it."""
    reference, waited = -np.inf if maximize else np.inf, 0
    for index, score in enumerate(scores):
        better = score > reference + min_change if maximize else score < reference - min_change
        reference, waited = (score, 0) if better else (reference, waited + 1)
        if waited >= patience:
            return index + 1
    return None


SCORES = [5.0, 4.0, 3.9, 3.95, 3.5, np.nan, 3.4, 3.45, 3.41, 3.4]


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("min_change", [0.0, 0.2])
@pytest.mark.parametrize("patience", [1, 2, 3, 9])
def test_a_run_stops_after_so_many_evaluations_without_improvement(patience, min_change, maximize, learner, flowers):
    monitor = Monitor("validation/loss", maximize)
    scores = [-score for score in SCORES] if maximize else SCORES

    empty = dict.fromkeys(fnnet.TrainState._fields)
    state = fnnet.TrainState(**empty)._replace(
        status=jnp.int32(RUNNING), stall=Stall(jnp.float32(monitor.worst), jnp.int32(0))
    )
    seen = None
    for index, score in enumerate(scores):
        state = watched(state, jnp.float32(score), monitor, fnnet.EarlyStopping(patience, min_change))
        if int(state.status) == STOPPED_EARLY:
            seen = index + 1
            break
    assert seen == stops_at(scores, patience, min_change, maximize)


def test_a_fit_stops_when_the_rule_says_so_and_returns_its_best(fit_flowers, learner):
    whole = fit_flowers(learner(), epochs=60)
    scores = whole.history["validation/loss"]
    expected = stops_at(scores, 4, 0.0, maximize=False)
    assert expected is not None
    run = fit_flowers(learner(), epochs=60, monitor="validation/loss", early_stopping=4)
    assert (run.status, run.history.epochs, int(run.state.step)) == ("stopped_early", expected, 4 * expected)
    np.testing.assert_array_equal(run.history["validation/loss"], scores[:expected])
    assert run.score == scores[:expected].min()
    assert int(run.state.best.step) == 4 * (int(scores[:expected].argmin()) + 1)


def test_another_patience_compiles_nothing_new(fit_flowers, learner, compilations):
    for patience in (2, 3):
        fit_flowers(learner(), early_stopping=fnnet.EarlyStopping(patience, 0.1))
    compilations.clear()
    fit_flowers(learner(), early_stopping=fnnet.EarlyStopping(2, 0.3))
    assert compilations == []


@pytest.mark.parametrize(
    ("rule", "error", "sentence"),
    [
        (0, HyperparameterError, "early_stopping is 0, but it has to be at least 1"),
        (fnnet.EarlyStopping(3, -1.0), HyperparameterError, "min_change is -1"),
        ("soon", StructureError, "early_stopping is 'soon'"),
    ],
)
def test_a_wrong_rule_is_named(rule, error, sentence, fit_flowers, learner):
    with pytest.raises(error, match=sentence):
        fit_flowers(learner(), early_stopping=rule)


@pytest.mark.parametrize(("every", "steps"), [(2, [8, 16]), ("3 epochs", [12, 16]), ("5 steps", [5, 10, 15, 16])])
def test_evaluations_come_as_often_as_asked_and_once_more_at_the_end(every, steps, fit_flowers, learner, same):
    run = fit_flowers(learner(), evaluate_every=every)
    assert run.history.steps.tolist() == steps
    assert all(np.isfinite(values).all() and len(values) == len(steps) for values in run.history.values())
    same(run.state.params, fit_flowers(learner()).state.params)


def test_the_training_loss_of_a_period_is_the_mean_over_what_it_saw(run, fit_flowers, learner):
    every_two = fit_flowers(learner(), evaluate_every=2).history["train/loss"]
    np.testing.assert_allclose(every_two, run.history["train/loss"].reshape(2, 2).mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize("every", [0, "often", "3 minutes", 1.5])
def test_a_wrong_period_is_named(every, fit_flowers, learner):
    with pytest.raises(HyperparameterError, match=r"evaluate_every is .* '500 steps' or '3 epochs'"):
        fit_flowers(learner(), evaluate_every=every)


def test_ends_are_the_multiples_and_the_last_step():
    assert ends(0, 10, 4, last=False) == [4, 8]
    assert ends(0, 10, 4, last=True) == [4, 8, 10]
    assert ends(4, 8, 4, last=True) == [8]
    assert ends(5, 7, 4, last=False) == []


def test_history_has_the_rate_of_the_next_update_and_the_norm_of_the_last_gradient(flowers, learner):
    from fnnet import optim

    schedule = optim.schedules.linear_decay(0.1, 0.0, 8)
    built = learner()._replace(optimizer=optim.adam(schedule), model=fnnet.nn.dense(3))
    run = fnnet.fit(
        built, flowers[0], epochs=2, batch_size=None, key=jax.random.key(0), progress=False, evaluate_every="1 steps"
    )
    np.testing.assert_allclose(run.history["learning_rate"], [0.0875, 0.075], rtol=1e-6)
    training = fnnet.training(built)
    state = training.init(jax.random.key(0), flowers[0].inputs[:1])
    norms = []
    for _ in range(2):
        state, logs = training.step(state, flowers[0])
        norms.append(logs["gradient_norm"])
    np.testing.assert_allclose(run.history["gradient_norm"], norms, rtol=1e-5)


def test_an_optimizer_without_one_readable_rate_has_no_row_of_it(fit_flowers, learner):
    from fnnet import optim

    two = optim.partition({True: optim.adam(0.1), False: optim.sgd(0.1)}, optim.matrices)
    assert "learning_rate" not in fit_flowers(learner()._replace(optimizer=two)).history


def test_a_long_history_grows_by_doubling_and_what_was_handed_out_stays():
    record, copies = Record(), set()
    rows = {"a": np.arange(1.0, 65.0), "b": np.zeros((2, 64))}
    for step in range(1, 501):
        record.add({name: values + step for name, values in rows.items()}, [step])
        copies.add(id(record._rows["a"]))
        if step == 3:
            early = record.history(2)
    assert len(copies) < 12
    assert early["a"].tolist() == [2.0, 3.0]
    assert record.rows["a"].tolist() == [step + 1.0 for step in range(1, 501)]
    assert (record.rows["b"].shape, record.latest("a"), record.steps[-1]) == ((2, 500), 501.0, 500)
