"""Importance of hyperparameters, against Sobol indices in closed form and sums over every cell of a tree."""

import itertools
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import qmc
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from fnnet import errors
from fnnet.sweeps.importance import Axis, importance, tree_variances


def shares(table, names, **changes):
    """Importances by name."""
    found = importance(table, names, "score", **changes)
    return dict(zip(found["hyperparameter"], found["importance"], strict=True))


def crossed(score, repeats=3, **values):
    """Every combination of the values, a few times each, so that every tree sees each and fits it exactly."""
    rows = [dict(zip(values, row, strict=True)) for row in itertools.product(*values.values())] * repeats
    return pd.DataFrame([row | {"score": score(**row)} for row in rows])


def cells(tree, axis, place):
    """Points on one axis, one for each part in which the tree is constant, and their weights."""
    if axis.interval is None:
        return axis.points, axis.weights
    thresholds = tree.threshold[tree.feature == place]
    low, high = axis.interval
    edges = np.unique([low, high, *thresholds[(low < thresholds) & (thresholds < high)]])
    inside = (1 - axis.weights.sum()) * np.diff(edges) / (high - low)
    return np.concatenate([axis.points, (edges[1:] + edges[:-1]) / 2]), np.concatenate([axis.weights, inside])


def test_variances_of_a_tree_are_the_sums_over_all_of_its_cells():
    rng = np.random.default_rng(0)
    columns = [rng.random(60), np.where(rng.random(60) < 0.3, -1.0, rng.random(60)), rng.integers(0, 4, 60) * 1.0]
    none, inside = np.empty(0), (0.0, 1.0)
    axes = [
        Axis(columns[0], none, none, inside),
        Axis(columns[1], np.array([-1.0]), np.array([0.3]), inside),
        Axis(columns[2], np.arange(4.0), np.full(4, 0.25)),
    ]
    fitted = DecisionTreeRegressor(random_state=0, min_samples_leaf=2).fit(np.stack(columns, axis=1), rng.random(60))
    found = tree_variances(fitted.tree_, axes, 2)

    points, weights = zip(*(cells(fitted.tree_, axis, place) for place, axis in enumerate(axes)), strict=True)
    grid = np.stack([part.ravel() for part in np.meshgrid(*points, indexing="ij")], axis=1)
    values = fitted.predict(grid).reshape([len(part) for part in points])
    mean = np.einsum("ijk,i,j,k", values, *weights)
    expected = {(): np.einsum("ijk,i,j,k", (values - mean) ** 2, *weights)}
    averages = {
        (0,): np.einsum("ijk,j,k->i", values, weights[1], weights[2]),
        (1,): np.einsum("ijk,i,k->j", values, weights[0], weights[2]),
        (2,): np.einsum("ijk,i,j->k", values, weights[0], weights[1]),
        (0, 1): np.einsum("ijk,k->ij", values, weights[2]),
        (0, 2): np.einsum("ijk,j->ik", values, weights[1]),
        (1, 2): np.einsum("ijk,i->jk", values, weights[0]),
    }
    for subset, average in averages.items():
        over = weights[subset[0]] if len(subset) == 1 else np.outer(*(weights[place] for place in subset))
        below = sum(expected[(place,)] for place in subset) if len(subset) == 2 else 0.0
        expected[subset] = (over * (average - mean) ** 2).sum() - below
    assert found.keys() == expected.keys()
    for subset, variance in expected.items():
        np.testing.assert_allclose(found[subset], variance, rtol=1e-6, atol=1e-9, err_msg=str(subset))


def standard(x):
    """A uniform number on [0, 1] as one of mean 0 and variance 1."""
    return (x - 0.5) * np.sqrt(12)


def additive(x):
    """f = 3 z₀ + 2 z₁ + z₂ and its effects."""
    z = standard(x)
    effects = {(place,): weight * z[:, place] for place, weight in enumerate((3.0, 2.0, 1.0, 0.0))}
    return sum(effects.values()), effects


def multiplicative(x):
    """f = (1 + z₀)(1 + z₁/2)(1 + z₂/4), its effects and those of pairs."""
    factors = [weight * standard(x)[:, place] for place, weight in enumerate((1.0, 0.5, 0.25, 0.0))]
    effects = {(place,): factor for place, factor in enumerate(factors)}
    effects |= {(i, j): factors[i] * factors[j] for i, j in itertools.combinations(range(4), 2)}
    return np.prod([1 + factor for factor in factors], axis=0), effects


@pytest.mark.parametrize(
    ("function", "variances"),
    [
        (additive, {(0,): 9.0, (1,): 4.0, (2,): 1.0, (3,): 0.0}),
        (
            multiplicative,
            {
                (0,): 1.0,
                (1,): 1 / 4,
                (2,): 1 / 16,
                (3,): 0.0,
                (0, 1): 1 / 4,
                (0, 2): 1 / 16,
                (1, 2): 1 / 64,
                (0, 3): 0.0,
            },
        ),
    ],
)
def test_importances_are_sobol_indices_up_to_the_error_of_the_forest(function, variances):
    """For a tree t = f + r, Var[t_U] = Var[f_U] + 2 ⟨f_U, r⟩ + Var[r_U], of which only the last term is not known.

    It lies between 0 and Var[r]. The other terms are averages over n Sobol points, each known to better than four
    standard errors of a random sample, at most 4 σ_U σ_r / √n each.
    """
    points = qmc.Sobol(4, rng=np.random.default_rng(0)).random(2**10)
    points[0], points[1] = 0.0, 1.0
    names = ["a", "b", "c", "d"]
    scores = function(points)[0]
    found = shares(pd.DataFrame(points, columns=names).assign(score=scores), names, trees=8, pairs=True)

    order = np.lexsort((scores, *points.T))
    forest = RandomForestRegressor(8, random_state=0).fit(points[order], scores[order])
    sample = qmc.Sobol(4, rng=np.random.default_rng(1)).random(2**13)
    values, effects = function(sample)
    for subset, variance in variances.items():
        low, high = [], []
        for tree in forest.estimators_:
            fitted = tree.predict(sample)
            error = (fitted - values) - (fitted - values).mean()
            total = fitted.var()
            known = variance + 2 * np.mean(effects[subset] * error)
            slack = 2 * 4 * np.sqrt(variance * error.var() / len(sample))
            low.append((known - slack) / total)
            high.append((known + slack + error.var()) / total)
        share = found[" × ".join(names[place] for place in subset)]
        assert np.mean(low) <= share <= np.mean(high), subset
        assert np.mean(high) - np.mean(low) < 0.1
    assert found["d"] < 0.005


def test_an_interaction_without_main_effects_belongs_to_the_pair():
    found = shares(crossed(lambda a, b: (a + b) % 2, a=[0, 1, 2, 3], b=[0, 1], repeats=20), ["a", "b"], pairs=True)
    assert found.keys() == {"a", "b", "a × b"}
    np.testing.assert_allclose([found["a"], found["b"], found["a × b"]], [0, 0, 1], atol=1e-12)


def test_values_of_a_choice_weigh_the_same_however_often_they_were_tried():
    """Var over strings: {0, 0, 3} has 2; over booleans {0, 2} has 1; over unequal numbers {0, 1} has 1/4."""
    table = crossed(
        lambda kind, gate, width: 3 * (kind == "relu") + 2 * gate + (width == 128),
        repeats=20,
        kind=["gelu", "relu", "tanh"],
        gate=[False, True],
        width=[32, 128],
    )
    table = pd.concat([table, table[table["width"] == 32]])
    found = shares(table, ["kind", "gate", "width"])
    np.testing.assert_allclose([found["kind"], found["gate"], found["width"]], np.array([2, 1, 0.25]) / 3.25)


@pytest.mark.parametrize("missing", [np.nan, None])
def test_a_missing_cell_is_a_value_of_its_own_with_its_share_of_the_rows(missing):
    """A fifth of the rows has no decay: Var = 4 · 1/5 · 4/5, beside a fair choice of 0 or 1, Var = 1/4."""
    decays = [missing] * 5 + list(np.linspace(0.2, 0.8, 20))
    table = crossed(lambda decay, gate: 2.0 * (pd.isna(decay)) + gate, repeats=8, decay=decays, gate=[0, 1])
    found = shares(table.astype({"decay": object}), ["decay", "gate"])
    np.testing.assert_allclose([found["decay"], found["gate"]], np.array([0.64, 0.25]) / 0.89)
    table = crossed(lambda decay, gate: 1.0 * pd.isna(decay) + gate, repeats=20, decay=[missing, 0.1, 0.2], gate=[0, 1])
    assert shares(table, ["decay", "gate"])["decay"] == pytest.approx((2 / 9) / (2 / 9 + 1 / 4))


@pytest.mark.parametrize(("values", "middle"), [(np.geomspace(1e-4, 1, 40), 1e-2), (np.linspace(1e-3, 1, 40), 0.5)])
def test_numbers_are_uniform_on_the_scale_on_which_they_were_drawn(values, middle):
    """Half of a column on its own scale is above the middle, so that both halve the variance."""
    table = crossed(lambda rate, gate: (rate > middle) + gate, repeats=6, rate=values, gate=[0, 1])
    found = shares(table, ["rate", "gate"])
    assert found["rate"] == pytest.approx(0.5, abs=1e-3)


def test_the_order_of_rows_and_rows_without_a_score_change_nothing():
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.random((50, 2)), columns=["a", "b"]).assign(kind=rng.choice(["x", "y"], 50))
    table["score"] = table["a"] + (table["kind"] == "x")
    names = ["a", "b", "kind"]
    first = importance(table, names, "score", pairs=True)
    pd.testing.assert_frame_equal(first, importance(table.sample(frac=1, random_state=1), names, "score", pairs=True))
    lost = table.assign(score=[np.nan, np.inf] * 25, a=100.0, kind="z")
    pd.testing.assert_frame_equal(first, importance(pd.concat([lost, table]), names, "score", pairs=True))


def test_the_most_important_comes_first_and_a_constant_has_none():
    table = crossed(lambda a, b: a + 3 * b, a=[0, 1, 2], b=[0, 1, 2]).assign(fixed="sgd")
    found = importance(table, ["fixed", "a", "b"], "score", pairs=True)
    assert list(found.columns) == ["hyperparameter", "importance", "std"]
    assert found["hyperparameter"].tolist()[:2] == ["b", "a"]
    assert (np.diff(found["importance"]) <= 0).all()
    fixed = found[found["hyperparameter"].str.contains("fixed")]
    assert len(fixed) == 3
    assert (fixed[["importance", "std"]] == 0).all(axis=None)
    assert found["importance"].sum() == pytest.approx(1.0)


def test_scores_that_are_all_the_same_leave_nothing_to_explain():
    table = crossed(lambda a, b: 0.5, a=[0, 1, 2], b=[0, 1, 2])
    assert set(shares(table, ["a", "b"]).values()) == {0.0}


@pytest.mark.parametrize(
    ("changes", "names", "error", "text"),
    [
        ({}, ["a", "c"], errors.HyperparameterError, "the table has no column 'c'; it has 'a', 'b', 'score'"),
        ({"score": np.nan}, ["a", "b"], errors.HyperparameterError, "0 different settings have a finite 'score', of 9"),
        ({}, ["a"], errors.HyperparameterError, "3 different settings .* at least 6 are needed"),
        ({}, [], errors.HyperparameterError, "0 different settings"),
        ({"score": "good"}, ["a"], errors.StructureError, "'score' does not hold numbers"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_a_sentence(changes, names, error, text):
    table = crossed(lambda a, b: 1.0 * a + b, a=[0, 1, 2], b=[0, 1, 2], repeats=1).assign(**changes)
    with pytest.raises(error, match=text):
        importance(table, names, "score")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    table = crossed(lambda a, b: 1.0 * a + b, a=[0, 1, 2], b=[0, 1, 2])
    with pytest.raises(errors.MissingPackageError, match="fnnet\\[experiments\\]"):
        importance(table, ["a", "b"], "score")
