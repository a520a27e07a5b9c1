"""Figures of signals, slices and representations say what they show; made of numbers, nothing is compiled."""

import dataclasses

import numpy as np
import pytest

from fnnet.analysis import (
    LossSlice,
    Moments,
    RepresentationSimilarity,
    Saturation,
    SignalPropagation,
    plot_gradient_norms,
    plot_loss_slice,
    plot_representations,
    plot_saturation,
    plot_signal_propagation,
)
from fnnet.errors import DataError, ShapeError, StructureError

matplotlib = pytest.importorskip("matplotlib")
KIBIBYTES = 1024


def propagation(factor, between=1.0, depth=4):
    forward = np.tile(factor ** np.arange(depth), (6, 1))
    return SignalPropagation(
        tuple(map(str, range(depth))), ("dense",) * depth,
        Moments(0 * forward, forward, between * forward),
        Moments(0 * forward, forward[:, ::-1], between * forward),
    )  # fmt: skip


def header(figure):
    return " ".join(text.get_text() for text in figure.texts).replace("\u00a0", " ")


def labels(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_the_best_initialiser_is_the_one_of_the_title_and_those_that_fail_are_named(tmp_path):
    found = {
        "he": propagation(0.9), "small": propagation(0.01), "constant": propagation(1.0, between=0.0),
        "zeros": propagation(0.0),
    }  # fmt: skip
    path = tmp_path / "signals.png"
    figure = plot_signal_propagation(found, path)
    assert "Variances change least with he: activations ×0.9 a layer, gradients ×0.9 a layer" in header(figure)
    assert "4 dense layers, 6 initialisations" in header(figure)
    assert labels(figure) == ["he", "small", "constant (units are equal)", "zeros (0)", "80 % of the draws"]
    assert 0 < path.stat().st_size < 100 * KIBIBYTES
    assert "changes by ×0.5 a layer" in header(plot_signal_propagation(propagation(0.5)))


def test_gradient_norms_of_layers_are_lines_over_time():
    norms = [{"0": 0.01 / k, "2": 0.0 if k == 2 else 1 / k} for k in range(1, 6)]
    figure = plot_gradient_norms(norms, time="step")
    assert "At the end, gradients of layer 0 are 0.01 times those of layer 2" in header(figure)
    assert labels(figure) == ["0", "2"]
    first, second = (line.get_ydata() for line in figure.axes[0].lines)
    np.testing.assert_allclose(first, [row["0"] for row in norms])
    assert np.isnan(second[1])
    stacked = {name: np.array([row[name] for row in norms]) for name in norms[0]}
    np.testing.assert_array_equal(plot_gradient_norms(stacked).axes[0].lines[0].get_ydata(), first)
    with pytest.raises(ShapeError, match=r"'0' has shape \(5, 2\)"):
        plot_gradient_norms({"0": np.ones((5, 2))})
    with pytest.raises(DataError, match="no norm is finite"):
        plot_gradient_norms([{"0": np.nan}])
    with pytest.raises(StructureError, match="of the same layers"):
        plot_gradient_norms([{"0": 1.0}, {"1": 1.0}])


def test_shares_of_flat_units_are_drawn_by_layer():
    found = {"wide": Saturation(("1", "3"), ("tanh", "tanh"), np.array([0.2, 0.7]), np.array([0.0, 0.1]))}
    figure = plot_saturation(found)
    assert "At most 70 % are flat, at activation 2 of wide" in header(figure)
    assert [axes.get_ylim() for axes in figure.axes] == [(0, 1)] * 2


def test_level_curves_show_the_lowest_loss_and_the_paths(tmp_path):
    a = np.linspace(-1, 1, 11)
    losses = 0.1 + (a[:, None] - 0.4) ** 2 + 3 * a[None] ** 2
    losses[0, 0] = np.nan
    path = tmp_path / "slice.png"
    trajectories = {"sgd": np.array([[-0.8, 0.5], [0.0, 0.1], [0.4, 0.0]]), "far": np.array([[2.0, 2.0], [0.0, 0.0]])}
    figure = plot_loss_slice(LossSlice(np.stack([a, a]), losses), path, trajectories=trajectories)
    assert "Lowest loss 0.1 at (0.4, 0)" in header(figure)
    assert "1 of 121 losses are not finite; 1 of 2 states of far are outside" in header(figure)
    assert labels(figure) == ["sgd", "far", "end"]
    assert 0 < path.stat().st_size < 150 * KIBIBYTES
    flat = plot_loss_slice(LossSlice(np.stack([a, a]), np.ones((11, 11))))
    assert "Lowest loss 1" in header(flat)


def test_curves_of_several_nets_share_an_axis():
    a = np.linspace(-1, 1, 21)[None]
    figure = plot_loss_slice({"sharp": LossSlice(a, 1 + 9 * a[0] ** 2), "flat": LossSlice(a, 0.5 + a[0] ** 2)})
    assert "Lowest loss 0.5 at 0 (flat)" in header(figure)
    assert figure.axes[0].get_yscale() == "log"


def test_similarities_are_written_in_their_cells():
    found = RepresentationSimilarity(("0", "1"), ("0", "1"), np.array([[0.9, 0.2], [0.3, 0.5]]))
    figure = plot_representations(found)
    assert "0.7 alike on average, least at 1 (0.5)" in header(figure)
    assert {text.get_text() for text in figure.axes[0].texts} == {"0.90", "0.20", "0.30", "0.50"}
    other = dataclasses.replace(found, second=("a", "b"))
    assert "Most alike: 0 and a (0.9)" in header(plot_representations(other))


def test_mistakes_meet_a_sentence():
    a = np.linspace(-1, 1, 5)
    plane = LossSlice(np.stack([a, a]), np.ones((5, 5)))
    with pytest.raises(StructureError, match="SignalPropagation, or several by name, is needed"):
        plot_signal_propagation(3)
    with pytest.raises(DataError, match="differ in their number of layers: a 4, b 3"):
        plot_signal_propagation({"a": propagation(1.0), "b": propagation(1.0, depth=3)})
    with pytest.raises(ShapeError, match="'sgd' has shape \\(4, 3\\)"):
        plot_loss_slice(plane, trajectories={"sgd": np.ones((4, 3))})
    with pytest.raises(DataError, match="no loss of the slice is finite"):
        plot_loss_slice(plane._replace(losses=plane.losses * np.nan))
    with pytest.raises(StructureError, match=r"one direction. Take two"):
        plot_loss_slice(LossSlice(a[None], a), trajectories={"sgd": np.ones((4, 2))})
    with pytest.raises(StructureError, match="of a pair"):
        plot_representations(RepresentationSimilarity(("0",), ("0",), np.ones((3, 1, 1))))
