"""Trials: those drawn first stay when more are drawn, conditions hold, and children are close to their parents."""

import collections
import itertools
import math

import jax
import numpy as np
import pytest
import scipy.stats

import fnnet
from fnnet import errors, hp, losses, nn, optim
from fnnet.sweeps.drawing import Trial, descend, draw_trials
from fnnet.sweeps.planning import group_trials

KEY = jax.random.key(5)
MIXED = {
    "rate": hp.log_uniform(1e-4, 1.0),
    "optimizer": hp.static("sgd", "adam", "lion"),
    "momentum": hp.when("optimizer", "sgd", hp.uniform(0.0, 0.99)),
    "decay": hp.normal(0.0, 1.0),
    "layers": hp.integers(1, 3),
    "drop": hp.when("layers", (2, 3), hp.choice(0.1, 0.2)),
    "scale": hp.grid(0.5, 1.0),
}


def draw(space, trials=None, key=KEY, sampler="random"):
    return draw_trials(space, trials, key, sampler)


def refusal(function, *arguments):
    with pytest.raises(errors.FnnetError) as caught:
        function(*arguments)
    return str(caught.value)


# Growth


@pytest.mark.parametrize("sampler", ["random", "sobol"])
def test_trials_do_not_depend_on_how_many_are_asked_for(sampler):
    most = draw(MIXED, 128, sampler=sampler)
    for trials in (1, 5, 6, 7, 64, 96):
        assert draw(MIXED, trials, sampler=sampler) == most[:trials]


@pytest.mark.parametrize("sampler", ["random", "sobol", "latin"])
@pytest.mark.parametrize("trials", [1, 5, 6, 7, 100])
def test_any_number_of_trials_has_each_combination_as_often_as_another_give_or_take_one(sampler, trials):
    counts = collections.Counter(
        (t.values["optimizer"], t.values["scale"]) for t in draw(MIXED, trials, sampler=sampler)
    )
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(counts) == min(trials, 6)


def test_a_grid_alone_is_in_order_and_grows_in_order():
    space = {"a": hp.grid(0.1, 0.2), "b": hp.static(3, 4, 5)}
    rows = [{"a": a, "b": b} for a, b in itertools.product((0.1, 0.2), (3, 4, 5))]
    for trials in (None, 6, 8, 12):
        assert [trial.values for trial in draw(space, trials)][:6] == rows
    assert draw(space, 5) == draw(space, 5)
    assert draw(space, 5) != draw(space, 5, key=jax.random.key(6))


def test_halves_of_a_sobol_sequence_are_not_tied_to_combinations():
    """Of neighbours one is in the lower half of each axis and one in the upper, and so would two statics be."""
    trials = draw({"x": hp.uniform(0.0, 1.0), "kind": hp.static("a", "b")}, 512, sampler="sobol")
    lower = sum(t.values["x"] < 0.5 for t in trials if t.values["kind"] == "a")
    assert scipy.stats.binomtest(lower, 256).pvalue > 1e-3


def test_places_are_positions_that_give_the_values():
    for trial in draw(MIXED, 20):
        drawn = {name for name in trial.values if not MIXED[name].enumerated}
        assert set(trial.places) == drawn
        for name, place in trial.places.items():
            assert MIXED[name].at(np.array([place]))[0] == trial.values[name]
    assert draw([{"rate": 0.1}])[0].places == Trial({"rate": 0.1}, {}).places == {}


# Conditions


def test_a_conditional_hyperparameter_exists_where_its_condition_holds_and_only_there():
    trials = [trial.values for trial in draw(MIXED, 60)]
    assert all(("momentum" in values) == (values["optimizer"] == "sgd") for values in trials)
    assert all(("drop" in values) == (values["layers"] > 1) for values in trials)
    assert 0 < sum("drop" in values for values in trials) < 60


def test_conditional_grids_multiply_only_the_combinations_where_they_exist():
    space = {
        "momentum": hp.when("optimizer", "sgd", hp.grid(0.8, 0.9)),
        "optimizer": hp.static("sgd", "adam"),
        "nesterov": hp.when("momentum", 0.9, hp.static(True, False)),
    }
    assert [trial.values for trial in draw(space)] == [
        {"momentum": 0.8, "optimizer": "sgd"},
        {"momentum": 0.9, "optimizer": "sgd", "nesterov": True},
        {"momentum": 0.9, "optimizer": "sgd", "nesterov": False},
        {"optimizer": "adam"},
    ]


def test_a_grid_that_hangs_on_a_draw_gets_each_value_about_equally_often():
    space = {"kind": hp.choice("a", "b"), "scale": hp.when("kind", "a", hp.grid(1.0, 2.0))}
    values = [trial.values for trial in draw(space, 400)]
    counts = collections.Counter(v["scale"] for v in values if v["kind"] == "a")
    assert scipy.stats.binomtest(counts[1.0], counts.total()).pvalue > 1e-3
    assert all("scale" not in v for v in values if v["kind"] == "b")


def test_conditions_in_one_another_all_have_to_hold():
    space = {
        "a": hp.static(1, 2),
        "b": hp.static(True, False),
        "c": hp.when("a", 1, hp.when("b", True, 0.5)),
    }
    assert [len(trial.values) for trial in draw(space)] == [3, 2, 2, 2]


def test_true_is_not_1_in_a_condition():
    space = {"a": hp.static(1, True), "b": hp.when("a", True, 0.5)}
    assert ["b" in trial.values for trial in draw(space)] == [False, True]


def test_trials_with_other_names_are_other_groups():
    trials = draw({"kind": hp.grid(1, 2), "rate": hp.when("kind", 1, hp.uniform(0.0, 1.0))}, 8)
    groups = group_trials(lambda kind, rate=0.1: None, trials)
    assert sorted(tuple(group.hyperparameters) for group in groups) == [("kind",), ("kind", "rate")]
    assert sorted(n for group in groups for n in group.trials) == list(range(8))
    for group in groups:
        assert ("rate" in group.hyperparameters) == bool((group.hyperparameters["kind"] == 1).all())


def test_every_set_of_names_is_checked_against_the_learner():
    space = {"kind": hp.static("a", "b"), "rate": hp.when("kind", "b", 0.1)}
    assert refusal(group_trials, lambda kind, rate: None, draw(space)) == (
        "sweep: the learner needs 'rate', which does not exist in trial 0 (kind='a'). Give it a default in the learner."
    )
    assert refusal(group_trials, lambda kind, rat=0.1: None, draw(space)) == (
        "sweep: the learner has no hyperparameter 'rate'; it has 'kind', 'rat'. Did you mean 'rat'?"
    )


def test_conditions_that_cannot_be_are_refused():
    kind = hp.static("a", "b")
    assert refusal(draw, {"kind": kind, "x": hp.when("knd", "a", 0.1)}) == (
        "sweep: hyperparameter 'x' exists where 'knd' is 'a', but the space has no 'knd'; it has 'kind', 'x'. "
        "Did you mean 'kind'?"
    )
    assert "'kind' never is 'c': it is static('a', 'b')." in refusal(
        draw, {"kind": kind, "x": hp.when("kind", ("a", "c"), 0.1)}
    )
    assert "never is 4: it is integers(1, 3)." in refusal(draw, {"n": hp.integers(1, 3), "x": hp.when("n", 4, 0.1)}, 2)
    assert "a draw from uniform(0.0, 1.0) hardly ever is a given number." in refusal(
        draw, {"u": hp.uniform(0.0, 1.0), "x": hp.when("u", 0.5, 0.1)}, 2
    )
    circle = {"a": hp.when("b", 1, hp.static(1)), "b": hp.when("a", 1, hp.static(1)), "c": 0.1}
    assert refusal(draw, circle).startswith("sweep: the conditions of 'a' and 'b' go in a circle")
    assert refusal(hp.when, "kind", "a", [0.1, 0.2]) == (
        "hp.when: the dimension is [0.1, 0.2]. Say what its values mean, for example hp.grid(0.1, 0.2)."
    )
    for name, value in ((kind, "a"), ("kind", ())):
        assert "the name and a value of another hyperparameter are needed." in refusal(hp.when, name, value, 0.1)


def test_a_conditional_number_that_fixes_a_shape_is_named(sweep_flowers, learner):
    space = {"activation": hp.static("tanh", "relu"), "width": hp.when("activation", "relu", hp.integers(3, 4))}
    text = refusal(lambda: sweep_flowers(space, trials=4))
    assert text.endswith("Declare it hp.static(3, 4) inside of hp.when.")


# Descent


def generator(seed=0):
    return np.random.default_rng(seed)


def test_one_parent_and_no_spread_is_a_copy():
    for number, parent in enumerate(draw(MIXED, 20, sampler="sobol")):
        assert descend(MIXED, [parent], 0.0, generator(number)) == parent


def test_no_spread_takes_every_hyperparameter_from_one_of_the_parents():
    parents = draw(MIXED, 2)
    seen = collections.Counter()
    for seed in range(200):
        child = descend(MIXED, parents, 0.0, generator(seed)).values
        assert all(child[name] in [p.values.get(name) for p in parents] for name in ("rate", "decay", "optimizer"))
        seen[child["rate"] == parents[0].values["rate"], child["decay"] == parents[0].values["decay"]] += 1
    assert scipy.stats.chisquare(list(seen.values())).pvalue > 1e-3
    assert len(seen) == 4


def test_a_log_uniform_moves_by_factors_that_are_symmetric_and_normal():
    space = {"rate": hp.log_uniform(1e-4, 1.0)}
    parent = Trial({"rate": 1e-2}, {}, {"rate": 0.5})
    rng = generator()
    rates = np.array([descend(space, [parent], 0.05, rng).values["rate"] for _ in range(1000)])
    steps = np.log10(rates / 1e-2) / 4
    assert scipy.stats.kstest(steps, scipy.stats.norm(0, 0.05).cdf).pvalue > 1e-3
    assert scipy.stats.ks_2samp(steps[:500], -steps[500:]).pvalue > 1e-3


def test_positions_are_reflected_at_the_ends_and_stay_uniform():
    """Between mirrors a walk keeps the uniform distribution, however far its steps."""
    space = {"x": hp.uniform(0.0, 1.0), "n": hp.integers(1, 4), "kind": hp.choice("a", "b"), "z": hp.normal(0.0, 1.0)}
    for spread in (0.1, 3.0):
        rng = generator(1)
        children = [descend(space, [parent, parent], spread, rng) for parent in draw(space, 500)]
        values = {name: [child.values[name] for child in children] for name in space}
        assert all(0 <= place < 1 for child in children for place in child.places.values())
        assert scipy.stats.kstest(values["x"], "uniform").pvalue > 1e-3
        assert scipy.stats.kstest(values["z"], "norm").pvalue > 1e-3
        for name, many in (("n", 4), ("kind", 2)):
            counts = collections.Counter(values[name])
            assert len(counts) == many
            assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3
    parent = Trial({"x": 0.01}, {}, {"x": 0.01})
    near = [descend({"x": space["x"]}, [parent], 0.1, generator(seed)).values["x"] for seed in range(500)]
    assert (
        scipy.stats.kstest(
            near, lambda x: scipy.stats.norm(0.01, 0.1).cdf(x) - scipy.stats.norm(0.01, 0.1).cdf(-x)
        ).pvalue
        > 1e-3
    )


def test_listed_values_become_others_with_the_probability_of_the_spread():
    space = {"kind": hp.static("a", "b", "c"), "x": hp.choice(0.1, 0.2), "g": hp.grid(1, 2), "one": 0.5}
    parent = draw(space, 1)[0]
    rng = generator()
    children = [descend(space, [parent, parent], 0.3, rng).values for _ in range(1000)]
    for name in ("kind", "x", "g"):
        changed = sum(child[name] != parent.values[name] for child in children)
        assert scipy.stats.binomtest(changed, 1000, 0.3).pvalue > 1e-3
    others = collections.Counter(child["kind"] for child in children)
    assert len(others) == 3
    assert {child["one"] for child in children} == {0.5}
    for seed in range(20):  # a probability is at most 1
        assert descend(space, [parent, parent], 5.0, generator(seed)).values["g"] == 3 - parent.values["g"]


def test_with_one_parent_the_program_stays_the_same():
    space = MIXED | {"kind": hp.choice("a", "b"), "depth": hp.static(1, 2), "again": hp.choice(0.3, 0.4)}
    rng = generator()
    for parent in draw(space, 30):
        child = descend(space, [parent], 2.0, rng)
        assert child.static == parent.static
        assert list(child.traced) == list(parent.traced)
        assert child.values["layers"] == parent.values["layers"]
        assert child.values["again"] != parent.values["again"]
        assert child.values["rate"] != parent.values["rate"]


def test_what_exists_in_a_child_exists_by_its_values():
    parents = draw(MIXED, 6)
    rng = generator()
    names = set()
    for _ in range(300):
        child = descend(MIXED, [parents[i] for i in rng.choice(6, 2)], 0.3, rng)
        assert ("momentum" in child.values) == (child.values["optimizer"] == "sgd")
        assert ("drop" in child.values) == (child.values["layers"] > 1)
        assert ("momentum" in child.places) == ("momentum" in child.values)
        names.add(tuple(child.values))
    assert len(names) == 4


def test_a_value_that_no_parent_has_is_drawn():
    space = {"kind": hp.static("a", "b"), "x": hp.when("kind", "b", hp.uniform(0.0, 1.0))}
    parent = next(trial for trial in draw(space, 4) if trial.values["kind"] == "a")
    rng = generator()
    drawn = [descend(space, [parent, parent], 1.0, rng).values["x"] for _ in range(300)]
    assert scipy.stats.kstest(drawn, "uniform").pvalue > 1e-3


def test_descent_needs_dimensions_and_a_spread():
    rows = [{"rate": 0.1}]
    assert refusal(descend, rows, draw(rows), 0.1, generator()) == (
        "sweep: the space lists its trials, but a search that changes hyperparameters needs dimensions: "
        "pass a dict such as {'learning_rate': hp.log_uniform(1e-4, 1e-1)}."
    )
    for spread in (-0.1, math.nan):
        assert "spread is" in refusal(descend, MIXED, draw(MIXED, 1), spread, generator())


# Through the engine


def scheduled(steps, learning_rate=0.1):
    optimizer = optim.sgd(optim.schedules.cosine(learning_rate, steps))
    return fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optimizer)


def test_a_sweep_over_a_conditional_space_gives_the_learner_what_exists(sweep_flowers):
    def function(kind, learning_rate=0.1):
        return scheduled(5, learning_rate)

    space = {"kind": hp.grid(1, 2), "learning_rate": hp.when("kind", 1, hp.uniform(0.1, 0.5))}
    swept = sweep_flowers(space, function, trials=4, epochs=1, validation=None, batch_size=17)
    assert (swept.table["learning_rate"].isna() == (swept.table["kind"] == 2)).all()
    assert (swept.table["status"] == "finished").all()
    assert [("learning_rate" in swept.run(trial).hyperparameters) for trial in range(4)] == [
        trial.values["kind"] == 1 for trial in swept.trials
    ]


@pytest.mark.exhaustive  # compiles programs of its own
def test_the_length_of_a_schedule_may_be_traced(sweep_flowers, flowers):
    """Law 1, mapped = looped, for whole numbers."""
    swept = sweep_flowers({"steps": hp.integers(2, 9)}, scheduled, trials=2)
    assert swept.trials[0].traced["steps"] != swept.trials[1].traced["steps"]
    for trial in range(2):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(2), trial), 0)
        alone = fnnet.fit(
            scheduled(swept.trials[trial].traced["steps"]), flowers[0], validation=flowers[1], epochs=3, batch_size=5,
            key=key, progress=False,
        )  # fmt: skip
        np.testing.assert_allclose(swept.history["validation/loss"][trial], alone.history["validation/loss"], rtol=1e-5)
