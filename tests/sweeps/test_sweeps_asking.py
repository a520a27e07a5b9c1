"""Optuna: what it is asked as, what comes back, and that batches of nets get better."""

import math
import types

import jax
import numpy as np
import pandas as pd
import pytest

import fnnet
from fnnet import data, errors, hp, losses, metrics, nn, optim
from fnnet.sweeps.asking import OptunaSearch
from fnnet.sweeps.drawing import draw_trials
from fnnet.sweeps.planning import group_trials

optuna = pytest.importorskip("optuna")
STATES = optuna.trial.TrialState
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def a_study(direction="minimize", sampler=None):
    return optuna.create_study(direction=direction, sampler=sampler or optuna.samplers.RandomSampler(seed=0))


def result(rows, score, seeds=1, maximize=False, status=None):
    """What a sweep over the rows would be whose score is known: ``score(values, seed)``."""
    trials = draw_trials(rows, None, KEY, "random")
    runs = [(number, seed) for number in range(len(trials)) for seed in range(seeds)]
    table = pd.DataFrame(runs, columns=["trial", "seed"])
    table["loss"] = [score(trials[trial].values, seed) for trial, seed in runs]
    table["status"] = status or "finished"
    table["epochs"] = 7
    return types.SimpleNamespace(trials=trials, table=table, monitor="loss", maximize=maximize)


def refusal(function, *arguments):
    with pytest.raises(errors.FnnetError) as caught:
        function(*arguments)
    return str(caught.value)


def test_dimensions_are_asked_as_the_distributions_of_optuna():
    space = {
        "a": hp.uniform(0.0, 0.5),
        "b": hp.log_uniform(1e-4, 1.0),
        "c": hp.integers(2, 9),
        "d": hp.normal(1.0, 2.0),
        "e": hp.choice(0.9, 0.99),
        "f": hp.static(nn.relu, nn.tanh),
        "g": hp.grid(1, 2),
        "h": hp.static((8, 8), (16,)),
        "i": hp.static(1, True),
        "j": 64,
    }
    study = a_study()
    row = OptunaSearch(space, study).ask(1)[0]
    of = optuna.distributions
    assert study.trials[0].distributions == {
        "a": of.FloatDistribution(0.0, 0.5),
        "b": of.FloatDistribution(1e-4, 1.0, log=True),
        "c": of.IntDistribution(2, 9),
        "d": of.FloatDistribution(0.0, 1.0),
        "e": of.CategoricalDistribution((0.9, 0.99)),
        "f": of.CategoricalDistribution(("relu", "tanh")),
        "g": of.CategoricalDistribution((1, 2)),
        "h": of.CategoricalDistribution(("(8, 8)", "(16,)")),
        "i": of.CategoricalDistribution((0, 1)),
    }
    assert row["d"] == hp.normal(1.0, 2.0).at(np.array([study.trials[0].params["d"]]))[0]
    assert list(row) == list(space)


def test_rows_are_a_space_in_which_structure_stays_structure_and_numbers_stay_traced():
    space = {"rate": hp.uniform(0.0, 1.0), "steps": hp.integers(5, 5), "width": 64, "sizes": hp.static((8,), (9,))}
    trial = draw_trials(OptunaSearch(space, a_study()).ask(1), None, KEY, "random")[0]
    assert set(trial.traced) == {"rate", "steps"}
    assert set(trial.static) == {"width", "sizes"}
    assert (trial.values["steps"], trial.values["width"]) == (5, 64)


def test_what_is_conditional_is_asked_only_where_it_exists():
    space = {
        "momentum": hp.when("optimizer", "sgd", hp.uniform(0.0, 0.99)),
        "optimizer": hp.static("sgd", "adam"),
    }
    study = a_study()
    search = OptunaSearch(space, study)
    rows = search.ask(20)
    kinds = [row["optimizer"].arguments[0] for row in rows]
    assert set(kinds) == {"sgd", "adam"}
    assert ["momentum" in row for row in rows] == [kind == "sgd" for kind in kinds]
    assert ["momentum" in trial.params for trial in study.trials] == [kind == "sgd" for kind in kinds]
    groups = group_trials(lambda optimizer, momentum=0.9: None, draw_trials(rows, None, KEY, "random"))
    assert len(groups) == 2
    search.tell(result(rows, lambda values, _: values.get("momentum", 0.0)))


def test_the_study_is_told_the_mean_over_seeds():
    study = a_study()
    search = OptunaSearch({"x": hp.uniform(0.0, 1.0)}, study)
    rows = search.ask(3)
    search.tell(result(rows, lambda values, seed: values["x"] + seed, seeds=3))
    np.testing.assert_allclose([trial.value for trial in study.trials], [row["x"] + 1 for row in rows])


def test_batches_may_be_told_in_any_order_and_each_once():
    study = a_study()
    search = OptunaSearch({"x": hp.uniform(0.0, 1.0)}, study)
    first, second = search.ask(2), search.ask(3)

    def score(values, seed):
        return values["x"]

    search.tell(result(second, score))
    assert [trial.state for trial in study.trials] == [STATES.RUNNING] * 2 + [STATES.COMPLETE] * 3
    search.tell(result(first, score))
    assert [trial.value for trial in study.trials] == [row["x"] for row in first + second]
    for rows in (first, search.ask(2)[:1], [{"x": 0.5}]):
        assert "are not those of an ask() that is still open." in refusal(search.tell, result(rows, score))


def test_trials_that_diverged_failed_and_pruned_ones_are_told_what_they_reached():
    study = a_study()
    search = OptunaSearch({"x": hp.uniform(0.0, 1.0)}, study)
    rows = search.ask(6)
    scores = iter([0.1, math.nan, 0.3, 0.4, 0.5, 0.6])
    status = ["finished", "finished", "diverged", "pruned", "stopped_early", "running"]
    search.tell(result(rows, lambda values, seed: next(scores), status=status))
    complete, failed, pruned = STATES.COMPLETE, STATES.FAIL, STATES.PRUNED
    assert [trial.state for trial in study.trials] == [complete, failed, failed, pruned, complete, pruned]
    assert [trial.value for trial in study.trials] == [0.1, None, None, 0.4, 0.5, 0.6]
    assert study.trials[3].intermediate_values == {7: 0.4}


def test_the_minimum_of_a_bowl_is_found():
    pytest.importorskip("cmaes")
    study = a_study(sampler=optuna.samplers.CmaEsSampler(seed=0, warn_independent_sampling=False))
    search = OptunaSearch({"x": hp.uniform(-5.0, 5.0), "y": hp.log_uniform(1e-4, 1.0)}, study)
    for _ in range(20):
        told = result(search.ask(8), lambda values, _: (values["x"] - 1) ** 2 + (math.log10(values["y"]) + 2) ** 2)
        search.tell(told)
    assert told.table["loss"].median() < 0.01
    np.testing.assert_allclose([study.best_params["x"], math.log10(study.best_params["y"])], [1, -2], atol=0.05)


def test_a_direction_that_is_not_the_monitors_is_refused():
    for direction, other in (("minimize", "maximize"), ("maximize", "minimize")):
        search = OptunaSearch({"x": hp.uniform(0.0, 1.0)}, a_study(direction))
        told = result(search.ask(1), lambda values, _: 0.0, maximize=direction == "minimize")
        assert refusal(search.tell, told) == (
            f"OptunaSearch.tell: the study's direction is {direction!r}, but 'loss' is to be {other}d. Make the study "
            f"with direction={other!r}, or sweep with another monitor=…."
        )


def test_what_is_no_space_study_or_number_is_refused():
    space = {"x": hp.uniform(0.0, 1.0)}
    assert "a search needs a dict of hp dimensions." in refusal(OptunaSearch, [{"x": 0.1}], a_study())
    assert "Make one with optuna.create_study" in refusal(OptunaSearch, space, "study")
    assert "the study has 2 objectives" in refusal(
        OptunaSearch, space, optuna.create_study(directions=["minimize", "maximize"])
    )
    assert refusal(OptunaSearch, {"x": [0.1]}, a_study()).startswith("OptunaSearch: hyperparameter 'x' is [0.1].")
    for trials in (0, 2.5, True):
        assert "it has to be a positive integer." in refusal(OptunaSearch(space, a_study()).ask, trials)


def test_a_missing_optuna_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert refusal(OptunaSearch, {}, None) == (
        "OptunaSearch: needs the package optuna. Install it with: pip install 'fnnet[optuna]'"
    )


def net(learning_rate, b1):
    model = nn.chain(nn.dense(8), nn.relu, nn.dense(10))
    return fnnet.Learner(
        model, losses.softmax_cross_entropy, optim.adam(learning_rate, b1), {"accuracy": metrics.accuracy}
    )


def test_batches_of_nets_get_better_and_compile_once(compilations):
    pytest.importorskip("cmaes")
    digits = data.load("digits")
    train, validation = digits[:300], digits[300:500]
    space = {"learning_rate": hp.log_uniform(1e-4, 1.0), "b1": hp.uniform(0.1, 0.999)}
    # Of five seeds each, both samplers have done so with every one; after three batches with four of them.
    samplers = [
        optuna.samplers.TPESampler(seed=0, n_startup_trials=8),
        optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=8, warn_independent_sampling=False),
    ]
    counts = []
    for sampler in samplers:
        search = OptunaSearch(space, a_study("maximize", sampler))
        accuracies = []
        for _ in range(5):
            swept = fnnet.sweep(
                net, search.ask(8), train, validation=validation, epochs=5, batch_size=20, key=KEY, progress=False
            )
            search.tell(swept)
            counts.append(len(compilations))
            accuracies.append(swept.table["validation/accuracy"])
        assert accuracies[-1].median() > accuracies[0].median()
        assert search.study.best_value == max(map(max, accuracies))
    assert len(set(counts)) == 1
