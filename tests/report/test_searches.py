"""Figures of a search: parallel coordinates, heat maps of pairs, rungs, and tables with empty cells."""

import warnings

import numpy as np
import pandas as pd
import pytest

from fnnet import report
from fnnet.errors import DataError, StructureError
from fnnet.report.dimensions import dimension_of, importance
from fnnet.report.runs import runs_of_table

pytest.importorskip("matplotlib")

HYPERPARAMETERS = ["learning_rate", "drop_rate", "width", "optimizer", "momentum", "normalization"]
ACCURACY = {"monitor": "validation/accuracy", "maximize": True}
LOSS = {"monitor": "validation/loss", "maximize": False}


def synthetic_search(runs=120, diverged=(5, 6)):
    """Runs that are best at a learning rate of 3e-3, of which only those with sgd have a momentum."""
    draws = np.random.default_rng(0)
    rates = 10 ** draws.uniform(-5, 0, runs)
    optimizer = draws.choice(["adam", "sgd"], runs)
    normalization = draws.choice(["batch", "layer", ""], runs).astype(object)
    normalization[normalization == ""] = None
    accuracy = 0.98 - 0.05 * np.abs(np.log10(rates) + 2.5) - 0.02 * (optimizer == "sgd")
    accuracy += draws.normal(0, 0.002, runs)
    accuracy[list(diverged)] = np.nan
    status = np.full(runs, "finished", dtype=object)
    status[list(diverged)] = "diverged"
    return pd.DataFrame(
        {
            "trial": np.arange(runs),
            "learning_rate": rates,
            "drop_rate": draws.uniform(0, 0.5, runs),
            "width": draws.choice([32, 64, 128], runs),
            "optimizer": optimizer,
            "momentum": np.where(optimizer == "sgd", draws.uniform(0, 1, runs), np.nan),
            "normalization": normalization,
            "status": status,
            "validation/accuracy": accuracy,
            "validation/loss": 1 - accuracy,
        }
    )


def synthetic_halving(trials=27):
    """A third goes on three times, to three times the epochs."""
    draws = np.random.default_rng(0)
    talent, alive, rungs = draws.uniform(0.5, 0.9, trials), np.arange(trials), []
    for epochs in (1, 3, 9, 27):
        scores = talent[alive] + 0.003 * epochs
        rungs.append({"epochs": epochs, "trials": alive.tolist(), "scores": scores.tolist()})
        alive = alive[np.argsort(-scores)[: len(alive) // 3]]
    return pd.DataFrame({"trial": np.arange(trials)}), rungs, int(talent.argmax())


def words_of(figure):
    """All that is written in the header, one line after another."""
    return "\n".join(text.get_text().replace("\u00a0", " ") for text in figure.texts)


def labels_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def written_in(axes):
    return [text.get_text() for text in axes.texts]


def test_parallel_coordinates_say_where_the_best_runs_are(tmp_path):
    figure = report.plot_parallel(synthetic_search(), HYPERPARAMETERS, **ACCURACY, path=tmp_path / "a.png")
    header = words_of(figure).replace("\n", " ")
    assert "Best validation accuracy 0.97" in header
    assert "the best 12 runs mostly at learning_rate" in header
    assert "120 runs; 2 of 120 runs diverged" in header
    assert labels_of(figure) == ["the best 12 runs", "other runs", "best run", "without a score"]
    assert (tmp_path / "a.png").stat().st_size < 200 * 1024


def test_every_hyperparameter_that_changes_has_an_axis_and_empty_cells_a_mark():
    table = synthetic_search().assign(width=64)
    axes = report.plot_parallel(table, HYPERPARAMETERS, **LOSS).axes[0]
    names = {"learning_rate", "drop_rate", "optimizer", "momentum", "normalization", "validation loss"}
    written = [text.replace("_\n", "_").replace("\n", " ") for text in written_in(axes)]
    assert names < set(written)
    assert "width" not in written
    assert written.count("–") == 2  # momentum and normalization
    assert {"adam", "sgd", "batch", "layer", "0.01"} < set(written)


def test_of_many_hyperparameters_those_that_tell_of_the_score_are_drawn():
    table = synthetic_search()
    noise = np.random.default_rng(1).normal(size=(len(table), 12))
    names = [f"noise_{index}" for index in range(12)]
    table = pd.concat([table, pd.DataFrame(noise, columns=names)], axis=1)
    for draw, most in ((report.plot_parallel, 10), (report.plot_pairs, 6)):
        figure = draw(table, [*names, "learning_rate"], **ACCURACY)
        assert f"the {most} of 13 hyperparameters that tell most of the score" in words_of(figure)
        written = {text for axes in figure.axes for text in [*written_in(axes), axes.get_xlabel()]}
        assert {"learning_rate", "learning_\nrate"} & written


def test_importance_is_the_share_of_the_ranks_that_a_hyperparameter_tells():
    table = synthetic_search(diverged=())
    table["steps"] = np.arange(120) // 20  # six values, twenty runs of each
    table["validation/accuracy"] = table["steps"] + np.tile(np.linspace(0, 0.5, 20), 6)
    runs = runs_of_table("test", table, **ACCURACY)
    ranks = np.arange(120).reshape(6, 20)
    within = np.square(ranks - ranks.mean(axis=1, keepdims=True)).sum() / (120 - 6)
    expected = 1 - within / (np.square(ranks - ranks.mean()).sum() / 119)
    assert importance(dimension_of("steps", table["steps"]), runs) == pytest.approx(expected)
    assert importance(dimension_of("drop_rate", table["drop_rate"]), runs) < 0.1


def test_a_dimension_reads_values_back_from_its_places():
    table = synthetic_search()
    rate = dimension_of("learning_rate", table["learning_rate"])
    assert rate.kind == "log"
    np.testing.assert_allclose(rate.low * (rate.high / rate.low) ** rate.places, table["learning_rate"])
    momentum = dimension_of("momentum", table["momentum"])
    np.testing.assert_array_equal(np.isnan(momentum.places), table["momentum"].isna())
    width = dimension_of("width", table["width"])
    assert (width.kind, [width.value(place) for place in (0, 0.5, 1)]) == ("strip", ["32", "64", "128"])
    bins, count = dimension_of("normalization", table["normalization"]).binned(7)
    assert (count, set(bins)) == (2, {-1, 0, 1})


def test_a_heat_map_for_every_pair_shows_the_median_of_each_cell():
    table = synthetic_search(diverged=())
    figure = report.plot_pairs(table, ["width", "optimizer"], **ACCURACY)
    mesh = figure.axes[0].collections[0]
    assert mesh.get_array().shape[:2] in ((2, 3), (3, 2))
    medians = table.groupby(["width", "optimizer"])["validation/accuracy"].median()
    width, optimizer = medians.idxmax()
    header = words_of(figure).replace("\n", " ")
    assert "Median validation accuracy is highest at" in header
    assert f"width {width}" in header
    assert f"optimizer {optimizer}" in header
    assert f"{medians.max():.3g} in" in header


def test_heat_maps_fill_the_lower_triangle_and_share_one_scale(tmp_path):
    figure = report.plot_pairs(synthetic_search(), HYPERPARAMETERS[:4], **LOSS, path=tmp_path / "a.png")
    maps = [axes for axes in figure.axes if axes.axison]
    assert len(maps) == 3 + 2 + 1
    assert {axes.get_xlabel() for axes in maps} | {axes.get_ylabel() for axes in maps} == {*HYPERPARAMETERS[:4], ""}
    assert (tmp_path / "a.png").stat().st_size < 150 * 1024


def test_cells_without_a_run_and_without_a_score_are_told_apart():
    table = pd.DataFrame({"a": ["x", "x", "y"], "b": ["u", "v", "u"], "validation/accuracy": [0.5, np.nan, 0.7]})
    figure = report.plot_pairs(table, ["a", "b"], **ACCURACY)
    assert labels_of(figure) == ["best run", "none has a score", "no run"]
    axes = figure.axes[0]
    assert sorted(np.asarray(axes.collections[0].get_array())[..., 3].ravel()) == [0, 0, 1, 1]
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert len(crosses) == 1


def test_rungs_say_who_won_and_what_it_cost(tmp_path):
    table, rungs, best = synthetic_halving()
    figure = report.plot_rungs(table, rungs, **ACCURACY, path=tmp_path / "a.png")
    score = max(rungs[-1]["scores"])
    # 27 trials for 1 epoch, 9 for 2 more, 3 for 6 more, 1 for 18 more, of 27 trials for 27 epochs
    spent, full = 27 + 9 * 2 + 3 * 6 + 18, 27 * 27
    header = words_of(figure)
    assert (
        f"Trial {best} leads the last rung with validation accuracy {score:.3g}, at {100 * spent / full:.2g} % of the"
        in header
    )
    assert f"27 trials, 4 rungs; {spent} of {full} epochs" in header
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["1 epoch\n27 trials", "3 epochs\n9 trials", "9 epochs\n3 trials", "27 epochs\n1 trial"]
    assert len(figure.axes[0].collections[0].get_segments()) == 9 + 3 + 1
    assert labels_of(figure) == ["goes on", "pruned", "leads the last rung"]


def test_rungs_mark_trials_that_diverged():
    table, rungs, _ = synthetic_halving()
    gone = next(trial for trial in range(27) if trial not in rungs[1]["trials"])
    rungs[0]["scores"][gone] = np.nan
    for given in (table, table.assign(status=np.where(table["trial"] == gone, "diverged", "pruned"))):
        figure = report.plot_rungs(given, rungs, **ACCURACY)
        assert "1 of 27 trials diverged" in words_of(figure)
        assert labels_of(figure)[-1] == "diverged"


def test_empty_cells_stand_apart_from_numbers_and_words():
    table = synthetic_search()
    axes = report.plot_space(table, ["momentum", "normalization"], **ACCURACY).axes
    ticks = [tick.get_text() for tick in axes[0].get_xticklabels()]
    assert ticks[0] == "–"
    assert [tick.get_text() for tick in axes[1].get_xticklabels()] == ["batch", "layer", "–"]
    dots = axes[0].lines[0] if len(axes[0].lines[0].get_xdata()) > 2 else axes[0].lines[1]
    assert np.isfinite(dots.get_xdata()).all()
    assert len(dots.get_xdata()) == 118
    assert (np.asarray(dots.get_xdata()) < 0).sum() == table.loc[table["status"] == "finished", "momentum"].isna().sum()


def test_the_title_leaves_out_what_the_best_run_has_not():
    table = synthetic_search()
    best = table["validation/accuracy"].idxmax()
    table.loc[best, ["momentum", "normalization"]] = [np.nan, None]
    header = words_of(report.plot_space(table, HYPERPARAMETERS, **ACCURACY))
    assert "nan" not in header
    assert "momentum" not in header
    assert "optimizer" in header


@pytest.mark.parametrize("runs", [1, 9])
def test_unusual_searches_are_drawn_without_a_warning(tmp_path, runs):
    some, names = synthetic_search(runs, diverged=()), ["learning_rate", "momentum", "normalization"]
    history = {"validation/accuracy": np.tile(some[["validation/accuracy"]].to_numpy(), (1, 3))}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for searched in (some.assign(momentum=np.nan), synthetic_search(runs, diverged=range(runs))):
            report.plot_parallel(searched, names, **ACCURACY, path=tmp_path / "a.png")
            if runs > 1:
                report.plot_pairs(searched, names, **ACCURACY, path=tmp_path / "b.png")
        report.plot_sweep(some, history, names, **ACCURACY, path=tmp_path / "c.png")
        report.plot_parallel(some, ["learning_rate"], **ACCURACY, path=tmp_path / "d.png")


def test_unusual_halvings_are_drawn_without_a_warning(tmp_path):
    table, rungs, _ = synthetic_halving()
    without = [dict(rung, scores=[np.nan] * len(rung["scores"])) for rung in rungs]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given, title in ((rungs[:1], "Trial"), (without, "No trial has a validation accuracy at the last rung")):
            figure = report.plot_rungs(table, given, **ACCURACY, path=tmp_path / "a.png")
            assert words_of(figure).startswith(title)


def test_mistakes_are_answered_with_a_sentence():
    table = synthetic_search(9, diverged=())
    for draw in (report.plot_parallel, report.plot_pairs):
        with pytest.raises(DataError, match=rf"{draw.__name__}: hyperparameters names 'lr', but the table has no"):
            draw(table, ["lr"], **ACCURACY)
        with pytest.raises(DataError, match=rf"{draw.__name__}: the table has no rows"):
            draw(table.iloc[:0], ["width"], **ACCURACY)
        with pytest.raises(DataError, match=rf"{draw.__name__}: monitor is 'f1', but the table has no such column"):
            draw(table, ["width"], monitor="f1", maximize=True)
    with pytest.raises(DataError, match=r"needs two hyperparameters that change, but 1 of those named does: width\."):
        report.plot_pairs(table, ["width"], **ACCURACY)
    table, rungs, _ = synthetic_halving()
    with pytest.raises(DataError, match=r"plot_rungs: there are no rungs"):
        report.plot_rungs(table, [], **ACCURACY)
    with pytest.raises(StructureError, match=r"rung 0 is 3, but a dict of epochs, trials and scores is needed"):
        report.plot_rungs(table, [3], **ACCURACY)
    with pytest.raises(DataError, match=r"rung 0 has trials of shape \(2,\) and scores of shape \(1,\)"):
        report.plot_rungs(table, [{"epochs": 1, "trials": [0, 1], "scores": [0.5]}], **ACCURACY)
    with pytest.raises(DataError, match=r"rung 1 has trial \d+, which rung 0 has not"):
        report.plot_rungs(table, rungs[::-1], **ACCURACY)
    with pytest.raises(DataError, match=r"rung 1 is at 1 epochs and rung 0 at 1, but epochs are counted"):
        report.plot_rungs(table, [rungs[0], dict(rungs[1], epochs=1)], **ACCURACY)
