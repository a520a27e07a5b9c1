"""Spaces: what the dimensions give, how trials are drawn from them, and how trials are grouped."""

import collections
import math

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.stats

from fnnet import errors, hp, nn
from fnnet.sweeps.drawing import draw_trials
from fnnet.sweeps.planning import group_trials

KEY = jax.random.key(3)
QUANTILES = np.array([0.0, 0.25, 0.5, 0.75, 1 - 2**-53])


def drawn(space, trials=None, key=KEY, sampler="random"):
    """The trials as plain dicts."""
    return [trial.values for trial in draw_trials(space, trials, key, sampler)]


def column(dimension, trials, **changes):
    return np.array([row["x"] for row in drawn({"x": dimension}, trials, **changes)])


def test_quantiles_of_uniform():
    np.testing.assert_allclose(hp.uniform(-1.0, 3.0).at(QUANTILES), [-1, 0, 1, 2, 3])


def test_quantiles_of_log_uniform():
    np.testing.assert_allclose(hp.log_uniform(1e-4, 1.0).at(QUANTILES), [1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_quantiles_of_normal():
    values = hp.normal(2.0, 3.0).at(QUANTILES)
    np.testing.assert_allclose(values[1:4], scipy.stats.norm(2, 3).ppf(QUANTILES[1:4]))
    assert np.isfinite(values).all()


def test_integers_hold_both_ends_and_all_are_equally_likely():
    assert hp.integers(2, 5).at(QUANTILES).tolist() == [2, 3, 4, 5, 5]
    counts = collections.Counter(hp.integers(2, 5).at((np.arange(400) + 0.5) / 400).tolist())
    assert counts == {2: 100, 3: 100, 4: 100, 5: 100}
    assert column(hp.integers(7, 7), 5).tolist() == [7] * 5


@pytest.mark.parametrize("sampler", ["random", "sobol", "latin"])
def test_draws_have_their_distributions(sampler):
    """A p-value below 0.001 would be rare by chance; the key is fixed, so the test is not."""
    space = {"a": hp.log_uniform(1e-4, 1.0), "b": hp.normal(0.0, 1.0), "c": hp.uniform(2.0, 3.0)}
    rows = pd.DataFrame(drawn(space, 1000, sampler=sampler))
    assert scipy.stats.kstest(np.log10(rows["a"]), scipy.stats.uniform(-4, 4).cdf).pvalue > 1e-3
    assert scipy.stats.kstest(rows["b"], scipy.stats.norm.cdf).pvalue > 1e-3
    assert scipy.stats.kstest(rows["c"], scipy.stats.uniform(2, 1).cdf).pvalue > 1e-3
    assert abs(rows.corr(method="spearman").to_numpy()[np.triu_indices(3, 1)]).max() < 0.15


@pytest.mark.parametrize("sampler", ["sobol", "latin"])
def test_designs_put_one_trial_into_each_of_n_equal_parts(sampler):
    cells = np.sort(np.floor(column(hp.uniform(0.0, 1.0), 64, sampler=sampler) * 64).astype(int))
    np.testing.assert_array_equal(cells, np.arange(64))


@pytest.mark.parametrize("sampler", ["random", "sobol", "latin"])
@pytest.mark.parametrize("trials", [1, 5])
def test_any_number_of_trials_can_be_drawn_and_the_key_decides(sampler, trials):
    space = {"a": hp.uniform(0.0, 1.0), "b": hp.choice(0.1, 0.2, 0.3), "c": hp.integers(0, 1000)}
    first = drawn(space, trials, sampler=sampler)
    assert len(first) == trials
    assert drawn(space, trials, sampler=sampler) == first
    assert drawn(space, trials, key=jax.random.key(4), sampler=sampler) != first


def test_grids_are_crossed_in_order():
    rows = drawn({"a": hp.grid(0.1, 0.2), "b": hp.static(3, 4), "c": 0.5})
    assert rows == [{"a": a, "b": b, "c": 0.5} for a in (0.1, 0.2) for b in (3, 4)]


def test_statics_get_equal_shares_of_the_trials():
    rows = drawn({"a": hp.uniform(0.0, 1.0), "b": hp.static(3, 4, 5), "c": hp.grid(0.1, 0.2)}, 60)
    counts = collections.Counter((row["b"], row["c"]) for row in rows)
    assert set(counts.values()) == {10}
    some = collections.Counter(row["b"] for row in drawn({"a": hp.uniform(0.0, 1.0), "b": hp.static(3, 4, 5)}, 8))
    assert sorted(some.values()) == [2, 3, 3]


def test_fewer_trials_than_combinations_are_different_ones():
    rows = drawn({"a": hp.grid(*(float(i) for i in range(1, 9)))}, 5)
    assert len({row["a"] for row in rows}) == 5


def test_explicit_rows_are_taken_as_they_are_from_dicts_and_from_a_table():
    rows = [{"rate": 0.1, "width": 3}, {"rate": 0.2, "width": 4}]
    assert drawn(rows) == rows
    assert drawn(pd.DataFrame(rows)) == rows
    assert drawn(rows, 2) == rows
    trial = draw_trials([{"rate": 0.1, "width": hp.static(3), "kind": "tanh"}], None, KEY, "random")[0]
    assert (trial.traced, trial.static) == ({"rate": 0.1}, {"width": 3, "kind": "tanh"})


def test_numbers_are_traced_and_all_else_is_structure():
    assert hp.choice(0.1, 1).traced
    assert not hp.choice(nn.relu, nn.tanh).traced
    assert not hp.choice("a", 0.1).traced
    assert not hp.choice(True, False).traced
    assert not hp.static(0.1, 0.2).traced
    trial = draw_trials({"a": 0.5, "b": 3, "c": "x", "d": None}, None, KEY, "random")[0]
    assert (trial.traced, trial.static) == ({"a": 0.5}, {"b": 3, "c": "x", "d": None})


def anything(**hyperparameters):
    return hyperparameters


def test_trials_of_one_structure_are_a_group_in_the_order_of_their_first():
    rows = [{"rate": 0.1, "width": hp.static(w)} for w in (4, 3, 4, 4, 3)]
    groups = group_trials(anything, draw_trials(rows, None, KEY, "random"))
    assert [group.trials for group in groups] == [[0, 2, 3], [1, 4]]
    assert [dict(group.build.static) for group in groups] == [{"width": 4}, {"width": 3}]
    assert groups[0].hyperparameters["rate"].dtype == np.float32


def test_values_that_are_only_equal_to_python_are_different_structure():
    rows = [{"x": hp.static(value)} for value in (1, 1.0, True)]
    assert len(group_trials(anything, draw_trials(rows, None, KEY, "random"))) == 3


def test_integers_are_traced_as_integers():
    groups = group_trials(anything, draw_trials({"n": hp.integers(1, 9)}, 4, KEY, "random"))
    assert len(groups) == 1
    assert groups[0].hyperparameters["n"].dtype == np.int32


def refusal(kind, function, *arguments):
    with pytest.raises(errors.FnnetError) as caught:
        function(*arguments)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.inf), ("0", 1.0)])
def test_intervals_are_two_finite_numbers_in_order(low, high):
    text = refusal(errors.HyperparameterError, hp.uniform, low, high)
    assert text == f"hp.uniform: low is {low!r} and high {high!r}; two finite numbers with low < high are needed."


def test_a_logarithm_needs_more_than_0():
    text = refusal(errors.HyperparameterError, hp.log_uniform, 0.0, 1.0)
    assert text == "hp.log_uniform: low is 0.0, but a logarithm needs more than 0. Use hp.uniform."


def test_integers_are_whole():
    for low, high in [(0.5, 2), (3, 2), (True, 2)]:
        assert "whole numbers with low ≤ high are needed." in refusal(
            errors.HyperparameterError, hp.integers, low, high
        )


def test_a_normal_has_a_positive_spread():
    assert "the latter is positive" in refusal(errors.HyperparameterError, hp.normal, 0.0, 0.0)


@pytest.mark.parametrize("kind", ["choice", "grid", "static"])
def test_finite_dimensions_take_hashable_values_one_by_one(kind):
    make = getattr(hp, kind)
    assert refusal(errors.HyperparameterError, make) == (
        f"hp.{kind}: there are no values. Pass them one by one: hp.{kind}(32, 64)."
    )
    assert refusal(errors.HyperparameterError, make, [32, 64]) == (
        f"hp.{kind}: the only value is [32, 64]. Pass values one by one: hp.{kind}(32, 64)."
    )
    assert refusal(errors.HyperparameterError, make, [32], [64]) == (
        f"hp.{kind}: [32] is a list, which can change and so cannot name a group. Use a tuple."
    )


def test_a_tuple_may_be_a_value_of_static():
    assert hp.static((8, 8), (16,)).values == ((8, 8), (16,))


def test_a_list_instead_of_a_dimension_proposes_the_dimension():
    assert refusal(errors.HyperparameterError, drawn, {"rate": [0.1, 0.2]}) == (
        "sweep: hyperparameter 'rate' is [0.1, 0.2]. Say what its values mean, for example hp.grid(0.1, 0.2)."
    )
    assert refusal(errors.HyperparameterError, drawn, {"width": [32, 64]}) == (
        "sweep: hyperparameter 'width' is [32, 64]. Say what its values mean, for example hp.static(32, 64)."
    )


def test_the_number_of_trials_is_said_where_it_is_not_known():
    space = {"rate": hp.uniform(0.0, 1.0)}
    assert refusal(errors.HyperparameterError, drawn, space) == (
        "sweep: 'rate' is drawn, so the number of trials has to be said: trials=64."
    )
    for trials in (0, -1, 2.5, True):
        assert refusal(errors.HyperparameterError, drawn, space, trials) == (
            f"sweep: trials is {trials!r}, but it has to be a positive integer."
        )


def test_an_unknown_sampler_is_named_with_the_known():
    assert refusal(errors.HyperparameterError, drawn, {"rate": hp.uniform(0.0, 1.0)}, 4, KEY, "halton") == (
        "sweep: sampler is 'halton', but it has to be one of random, sobol, latin."
    )


def test_explicit_rows_have_the_right_number_and_one_value_a_cell():
    assert refusal(errors.HyperparameterError, drawn, [{"rate": 0.1}], 4) == (
        "sweep: trials is 4, but the space lists 1 trials. Leave trials out."
    )
    for nothing in ([], "rate", 3):
        assert "pass a dict of hp dimensions, a list of dicts or a DataFrame." in refusal(
            errors.StructureError, drawn, nothing
        )
    for cell in (hp.static(3, 4), hp.uniform(0.0, 1.0), hp.when("kind", "a", hp.static(3))):
        assert refusal(errors.HyperparameterError, drawn, [{"width": cell}]) == (
            f"sweep: hyperparameter 'width' is {cell!r} in a row, but a row has one value of each: hp.static(64)."
        )


def test_what_an_explicit_row_lacks_does_not_exist_there():
    rows = [{"rate": 0.1}, {"width": 3, "rate": 0.2}, {"rate": 0.3, "width": 4}]
    assert drawn(rows) == rows
    table = pd.DataFrame({"rate": [0.1, 0.2, None], "kind": ["a", None, "b"], "sizes": [(8, 8), None, (16,)]})
    assert drawn(table) == [{"rate": 0.1, "kind": "a", "sizes": (8, 8)}, {"rate": 0.2}, {"kind": "b", "sizes": (16,)}]
    trials = draw_trials([{"a": 0.1, "b": hp.static(1)}, {"b": hp.static(1), "a": 0.2}], None, KEY, "random")
    assert len(group_trials(anything, trials)) == 1


def test_in_a_list_of_dicts_none_and_nan_are_values():
    first, second = drawn([{"rate": math.nan, "kind": None}, {"rate": 0.1, "kind": "a"}])
    assert math.isnan(first["rate"])
    assert (first["kind"], second) == (None, {"rate": 0.1, "kind": "a"})


def test_a_cell_may_say_that_a_whole_number_is_traced():
    trial = draw_trials([{"steps": hp.grid(3)}, {"steps": hp.grid(3)}], None, KEY, "random")[0]
    assert (trial.traced, trial.static) == ({"steps": 3}, {})


def test_numbers_of_both_kinds_are_all_floats():
    assert list(map(type, hp.choice(1, 0.5).values)) == [float, float]
    assert list(map(type, hp.choice(1, 5).values)) == [int, int]
    assert list(map(type, hp.static(1, 0.5).values)) == [int, float]


def test_a_name_that_the_learner_does_not_know_proposes_the_close_one(learner):
    trials = draw_trials({"learning_rat": hp.grid(0.1)}, None, KEY, "random")
    assert refusal(errors.HyperparameterError, group_trials, learner, trials) == (
        "sweep: the learner has no hyperparameter 'learning_rat'; it has 'learning_rate', 'drop_rate', 'width', "
        "'activation'. Did you mean 'learning_rate'?"
    )


def test_a_hyperparameter_without_value_is_named():
    trials = draw_trials({"b": hp.grid(0.1)}, None, KEY, "random")
    assert refusal(errors.HyperparameterError, group_trials, lambda a, b: a, trials) == (
        "sweep: the learner needs 'a', which is neither in the space nor has a default."
    )


def test_a_learner_instead_of_the_learner_function(learner):
    trials = draw_trials({"learning_rate": hp.grid(0.1)}, None, KEY, "random")
    text = refusal(errors.StructureError, group_trials, learner(), trials)
    assert text.endswith("a sweep needs the function that makes one from hyperparameters. Pass learner, not learner().")


def test_dimensions_are_written_as_the_calls_that_make_them():
    dimensions = [hp.uniform(0.0, 0.5), hp.log_uniform(1e-4, 0.1), hp.normal(0.0, 1.0), hp.integers(1, 4)]
    dimensions += [hp.choice(nn.relu, nn.tanh), hp.grid(0.1, 0.2), hp.static((8, 8), (16,))]
    dimensions += [hp.when("a", 1, hp.when("b", ("x", "y"), 0.5)), hp.when("sizes", ((8, 8),), hp.grid(0.1))]
    assert [repr(dimension) for dimension in dimensions] == [
        "uniform(0.0, 0.5)",
        "log_uniform(0.0001, 0.1)",
        "normal(0.0, 1.0)",
        "integers(1, 4)",
        "choice(relu, tanh)",
        "grid(0.1, 0.2)",
        "static((8, 8), (16,))",
        "when('a', 1, when('b', ('x', 'y'), grid(0.5)))",
        "when('sizes', ((8, 8),), grid(0.1))",
    ]
