"""Figures state their finding, stay small, and leave the user's matplotlib as it was."""

import warnings

import numpy as np
import pandas as pd
import pytest

from fnnet import report
from fnnet.errors import DataError, FileError, StructureError
from fnnet.report.scales import spread_over_decades
from fnnet.report.style import number

matplotlib = pytest.importorskip("matplotlib")

HYPERPARAMETERS = ["learning_rate", "drop_rate", "width", "activation"]
ACCURACY = {"monitor": "validation/accuracy", "maximize": True}
LOSS = {"monitor": "validation/loss", "maximize": False}
KIBIBYTES = 1024


def synthetic_sweep(trials=24, seeds=2, epochs=8, diverged=(5,), seed=0):
    """A table and a history of runs that learn, but for the rows in ``diverged``."""
    draws = np.random.default_rng(seed)
    rates = 10 ** draws.uniform(-4, -1, trials).repeat(seeds)
    runs = trials * seeds
    time = np.arange(1, epochs + 1)
    accuracy = 1 - 0.05 * np.abs(np.log10(rates) + 2.5)[:, None] - np.exp(-0.5 * time) / 2
    accuracy = accuracy + draws.normal(0, 0.003, accuracy.shape)
    history = {
        "train/loss": 1.05 - accuracy,
        "validation/loss": 1.1 - accuracy,
        "validation/accuracy": accuracy,
    }
    status = np.full(runs, "finished", dtype=object)
    for row in diverged:
        status[row] = "diverged"
        for curves in history.values():
            curves[row, min(2, epochs - 1) :] = np.nan
    table = pd.DataFrame(
        {
            "trial": np.arange(trials).repeat(seeds),
            "seed": np.tile(np.arange(seeds), trials),
            "learning_rate": rates,
            "drop_rate": draws.uniform(0, 0.5, trials).repeat(seeds),
            "width": draws.choice([32, 64, 128], trials).repeat(seeds),
            "activation": draws.choice(["relu", "tanh"], trials).repeat(seeds),
            "status": status,
        }
    )
    for name, curves in history.items():
        table[name] = curves[:, -1]
    return table, history


def words_of(figure):
    """All that is written in the header, one line after another."""
    return "\n".join(text.get_text().replace("\u00a0", " ") for text in figure.texts)


def labels_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_a_sweep_picture_states_the_best_run_and_where_it_was_found(tmp_path):
    table, history = synthetic_sweep()
    best = table.loc[table["validation/accuracy"].idxmax()]
    path = tmp_path / "figures" / "sweep.png"
    figure = report.plot_sweep(table, history, HYPERPARAMETERS, **ACCURACY, path=path)
    header = words_of(figure)
    assert f"Best validation accuracy {number(best['validation/accuracy'])}" in header
    assert f"learning_rate {number(best['learning_rate'], digits=2)}" in header
    assert f"width {best['width']}" in header
    assert "24 trials × 2 seeds, 8 epochs; 1 of 48 runs diverged" in header
    assert 0 < path.stat().st_size < 150 * KIBIBYTES


def test_a_large_sweep_picture_stays_small(tmp_path):
    table, history = synthetic_sweep(trials=400, epochs=50)
    report.plot_sweep(table, history, HYPERPARAMETERS, **ACCURACY, path=tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size < 150 * KIBIBYTES


def test_curves_say_at_which_epoch_the_best_score_was_reached(tmp_path):
    table, history = synthetic_sweep()
    history["validation/accuracy"][7, 3] = 0.9999
    table.loc[7, "validation/accuracy"] = 0.9999
    figure = report.plot_curves(history, **ACCURACY, table=table, path=tmp_path / "curves.png")
    assert "Best validation accuracy 1 at epoch 4 of 8" in words_of(figure)
    assert "half of the runs" in labels_of(figure)
    assert (tmp_path / "curves.png").stat().st_size < 150 * KIBIBYTES


def test_curves_need_no_table():
    _, history = synthetic_sweep()
    best = np.nanmax(history["validation/accuracy"])
    figure = report.plot_curves(history, **ACCURACY)
    assert f"Best validation accuracy {number(best)}" in words_of(figure)


def test_diverged_runs_are_counted_and_left_out_of_the_bands():
    table, history = synthetic_sweep(diverged=())
    bands = report.plot_curves(history, **ACCURACY, table=table).axes[1].lines[0].get_ydata()
    spoiled, broken = synthetic_sweep(diverged=())
    broken["validation/accuracy"][5] = 1e6
    spoiled.loc[5, ["status", "validation/accuracy"]] = ["diverged", np.nan]
    figure = report.plot_curves(broken, **ACCURACY, table=spoiled)
    assert "1 of 48 runs diverged" in words_of(figure)
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), bands, atol=0.02)


def test_the_row_of_the_best_run_can_be_given():
    table, history = synthetic_sweep(diverged=())
    figure = report.plot_sweep(table, history, HYPERPARAMETERS, **ACCURACY, best=3)
    assert number(table["validation/accuracy"][3]) in words_of(figure)


def test_the_best_loss_is_the_lowest():
    table, history = synthetic_sweep()
    figure = report.plot_sweep(table, history, HYPERPARAMETERS, **LOSS)
    assert f"Best validation loss {number(table['validation/loss'].min())}" in words_of(figure)


def test_spread_numbers_get_a_logarithmic_axis_and_few_values_a_strip():
    table, _ = synthetic_sweep()
    axes = report.plot_space(table, HYPERPARAMETERS, **ACCURACY).axes
    assert [panel.get_xlabel() for panel in axes] == HYPERPARAMETERS
    assert [panel.get_xscale() for panel in axes] == ["log", "linear", "linear", "linear"]
    assert [tick.get_text() for tick in axes[2].get_xticklabels()] == ["32", "64", "128"]
    assert [tick.get_text() for tick in axes[3].get_xticklabels()] == ["relu", "tanh"]


def test_a_hyperparameter_that_never_changes_gets_no_panel():
    table, _ = synthetic_sweep()
    figure = report.plot_space(table.assign(width=64), HYPERPARAMETERS, **ACCURACY)
    assert [panel.get_xlabel() for panel in figure.axes] == ["learning_rate", "drop_rate", "activation"]
    assert "width 64" in words_of(figure)


def test_runs_far_below_the_others_and_diverged_runs_are_marks_at_the_edge():
    table, _ = synthetic_sweep()
    table.loc[0, "validation/accuracy"] = 0.1
    figure = report.plot_space(table, ["learning_rate"], **ACCURACY)
    assert figure.axes[0].get_ylim()[0] > 0.2
    assert {"diverged", "below the axis (1)"} < set(labels_of(figure))


def test_many_hyperparameters_go_into_rows():
    table, history = synthetic_sweep()
    names = [f"h{index}" for index in range(6)]
    for name in names:
        table[name] = np.random.default_rng(0).uniform(size=len(table))
    figure = report.plot_sweep(table, history, names, **ACCURACY)
    assert len(figure.axes) == 2 + 6


@pytest.mark.parametrize("table_and_history", [
    synthetic_sweep(trials=1, seeds=1, diverged=()),
    synthetic_sweep(trials=1, seeds=1, epochs=1, diverged=()),
    synthetic_sweep(trials=4, seeds=1, diverged=(1,)),
    synthetic_sweep(trials=4, seeds=1, epochs=1, diverged=()),
    synthetic_sweep(trials=3, seeds=2, diverged=range(6)),
], ids=["one run", "one run of one epoch", "few runs", "one epoch", "all diverged"])  # fmt: skip
def test_unusual_sweeps_are_drawn_without_a_warning(tmp_path, table_and_history):
    table, history = table_and_history
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = report.plot_sweep(table, history, HYPERPARAMETERS, **ACCURACY, path=tmp_path / "a.png")
        report.plot_curves(history, **LOSS, table=table, path=tmp_path / "b.png")
        report.plot_space(table, ["learning_rate"], **LOSS, path=tmp_path / "c.png")
    assert ("All 6 runs diverged" in words_of(figure)) == (table["status"] == "diverged").all()


def test_one_fit_states_where_its_validation_loss_was_lowest(tmp_path):
    history = {
        "epoch": np.arange(4),
        "train/loss": np.array([1.0, 0.5, 0.3, 0.2]),
        "validation/loss": np.array([1.1, 0.6, 0.4, 0.5]),
        "validation/accuracy": np.array([0.5, 0.8, 0.91, 0.9]),
    }
    figure = report.plot_history(history, tmp_path / "history.png")
    assert words_of(figure) == "Lowest validation loss 0.4 at epoch 3 of 4 (accuracy 0.91)"
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["Loss", "Accuracy"]
    assert (tmp_path / "history.png").stat().st_size < 150 * KIBIBYTES


def test_one_fit_states_the_score_that_chose_its_best_epoch():
    history = {
        "validation/loss": np.array([1.1, 0.6, 0.7]),
        "validation/accuracy": np.array([0.5, 0.8, 0.91]),
    }
    figure = report.plot_history(history, **ACCURACY)
    assert words_of(figure) == "Highest validation accuracy 0.91 at epoch 3 of 3 (loss 0.7)"
    with pytest.raises(DataError, match=r"plot_history: the history has no 'validation/f1'"):
        report.plot_history(history, monitor="validation/f1")


def test_one_fit_without_validation_and_with_nan_is_drawn():
    figure = report.plot_history({"train/loss": np.array([1.0, np.nan, 0.5])})
    assert words_of(figure) == "Lowest train loss 0.5 at epoch 3 of 3"
    assert "nowhere finite" in words_of(report.plot_history({"train/loss": np.full(3, np.nan)}))


def test_drawing_leaves_the_users_matplotlib_alone(tmp_path):
    table, history = synthetic_sweep(trials=3)
    backend = dict.__getitem__(matplotlib.rcParams, "backend")
    with matplotlib.rc_context({"font.size": 23.0}):
        before = {name: value for name, value in matplotlib.rcParams.copy().items() if name != "backend"}
        report.plot_sweep(table, history, HYPERPARAMETERS, **ACCURACY, path=tmp_path / "sweep.png")
        after = {name: value for name, value in matplotlib.rcParams.copy().items() if name != "backend"}
    assert before == after
    assert dict.__getitem__(matplotlib.rcParams, "backend") is backend


def test_a_dollar_sign_in_a_name_is_a_dollar_sign(tmp_path):
    table, _ = synthetic_sweep(trials=3)
    table["a$b$c"] = table["learning_rate"]
    report.plot_space(table, ["a$b$c"], **ACCURACY, path=tmp_path / "space.png")


def test_vector_pictures_and_the_same_bytes_twice(tmp_path):
    table, _ = synthetic_sweep(trials=3)
    report.plot_space(table, HYPERPARAMETERS, **ACCURACY, path=tmp_path / "space.svg")
    assert b"<svg" in (tmp_path / "space.svg").read_bytes()
    for name in ("one.png", "two.png"):
        report.plot_space(table, HYPERPARAMETERS, **ACCURACY, path=tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_mistakes_are_answered_with_a_sentence(tmp_path):
    table, history = synthetic_sweep(trials=3)
    with pytest.raises(DataError, match=r"plot_space: hyperparameters names 'lr', but the table has no such"):
        report.plot_space(table, ["lr"], **ACCURACY)
    with pytest.raises(DataError, match=r"hyperparameters is empty"):
        report.plot_space(table, [], **ACCURACY)
    with pytest.raises(DataError, match=r"monitor is 'validation/f1', but the table has no such column"):
        report.plot_space(table, ["width"], monitor="validation/f1", maximize=True)
    with pytest.raises(DataError, match=r"the table has no rows"):
        report.plot_space(table.iloc[:0], ["width"], **ACCURACY)
    with pytest.raises(DataError, match=r"plot_curves: the history has no 'validation/f1'"):
        report.plot_curves(history, monitor="validation/f1", maximize=True)
    with pytest.raises(DataError, match=r"the table has 2 rows and the history 6 runs"):
        report.plot_curves(history, **ACCURACY, table=table.iloc[:2])
    with pytest.raises(StructureError, match=r"shape \(8,\), but \(runs, evaluations\) is needed"):
        report.plot_curves({"validation/accuracy": np.zeros(8)}, **ACCURACY)
    with pytest.raises(StructureError, match=r"shape \(6, 8\), but \(evaluations,\) is needed"):
        report.plot_history(history)
    with pytest.raises(DataError, match=r"no curve whose name starts with"):
        report.plot_history({"epoch": np.arange(3)})
    with pytest.raises(FileError, match=r"ending names no kind of picture"):
        report.plot_space(table, ["width"], **ACCURACY, path=tmp_path / "space.txt")


@pytest.mark.parametrize(
    ("values", "spread"),
    [
        ([1e-4, 1e-3, 1e-2, 1e-1], True),
        ([0.01, 0.12, 0.25, 0.37, 0.5], False),
        ([0.0, 1e-3, 1.0], False),
        ([1.0, 2.0, 4.0], False),
    ],
)
def test_spread_over_decades_tells_logarithmic_samples_from_plain_ones(values, spread):
    assert spread_over_decades(np.array(values)) is spread


def test_an_axis_of_epochs_counts_epochs_however_often_scores_were_taken():
    table, history = synthetic_sweep(epochs=4)
    history["validation/accuracy"][7, 1] = table.loc[7, "validation/accuracy"] = 0.9999
    seen = np.array([2.5, 5.0, 7.5, 8.0])
    figure = report.plot_curves(history, **ACCURACY, table=table, epochs=seen)
    assert "at epoch 5 of 8" in words_of(figure)
    assert all(panel.lines[0].get_xdata().tolist() == seen.tolist() for panel in figure.axes)
    assert "24 trials × 2 seeds, 8 epochs" in words_of(
        report.plot_sweep(table, history, HYPERPARAMETERS, **ACCURACY, epochs=seen)
    )
    curve = {"validation/loss": np.array([1.0, 0.5, 0.7])}
    assert words_of(report.plot_history(curve, epochs=[2, 4, 6])) == "Lowest validation loss 0.5 at epoch 4 of 6"
    with pytest.raises(StructureError, match="the epochs seen at 4 evaluations"):
        report.plot_curves(history, **ACCURACY, epochs=[1, 2, 3])
