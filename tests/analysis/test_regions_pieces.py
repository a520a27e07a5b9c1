"""Joints and linear pieces along lines: none invented, none missed, at the places where units change sides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fnnet import nn
from fnnet.analysis import joints, linear_pieces, plot_joints
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError

SHALLOW = nn.mlp([3, 1])


def shallow(weights, biases, outputs, offset=0.0):
    """Parameters of φ₀ + Σ φ_d a(θ_d0 + θ_d1 x)."""
    hidden = {"kernel": np.array([weights], float), "bias": np.array(biases, float)}
    return hidden, (), {"kernel": np.array(outputs, float)[:, None], "bias": np.array([offset])}


def forward(params, x):
    """The equation of an mlp with ReLU in NumPy."""
    *hidden, last = [layer for layer in params if layer]
    for layer in hidden:
        x = np.maximum(x @ layer["kernel"] + layer["bias"], 0)
    return x @ last["kernel"] + last["bias"]


def random_mlp(widths, inputs, seed):
    """A network and float64 parameters, biases not 0."""
    draws = np.random.default_rng(seed)
    params = []
    for size, width in zip([inputs, *widths], widths, strict=False):
        kernel = draws.normal(size=(size, width)) * np.sqrt(2 / size)
        params += [{"kernel": kernel, "bias": draws.normal(size=width)}, ()]
    return nn.mlp(widths), tuple(params[:-1])


def test_the_joints_of_a_shallow_net_are_where_its_units_change_sides():
    found = joints(SHALLOW, shallow([1.0, -2.0, 0.5], [1.0, 3.0, -1.0], [1.0, 2.0, -4.0], 0.25), -5, 5)
    np.testing.assert_allclose(found.positions, [-1.0, 1.5, 2.0], atol=1e-12)
    np.testing.assert_allclose(found.slopes[:, 0], [-4.0, -3.0, 1.0, -1.0], atol=1e-12)
    np.testing.assert_allclose(found.values[:, 0], [0.25 + 10, 0.25 + 2.5, 0.25 + 3], atol=1e-12)


def test_units_on_one_side_make_no_joint_and_joints_in_one_place_are_one():
    one_side = shallow([1.0, 1.0, -1.0], [9.0, -9.0, 0.5], [1.0, 1.0, 1.0])
    np.testing.assert_allclose(joints(SHALLOW, one_side, -5, 5).positions, [0.5], atol=1e-12)
    together = shallow([1.0, 3.0, -0.7], [-0.1, -0.3, 0.07], [1.0, 1.0, 1.0])
    found = joints(SHALLOW, together, -5, 5)
    np.testing.assert_allclose(found.positions, [0.1], atol=1e-12)
    np.testing.assert_allclose(found.slopes[:, 0], [-0.7, 4.0], atol=1e-12)


def test_what_changes_nothing_in_the_output_is_no_joint():
    unheard = shallow([1.0, 1.0, 1.0], [0.0, -1.0, -2.0], [1.0, 0.0, 1.0])
    np.testing.assert_allclose(joints(SHALLOW, unheard, -5, 5).positions, [0.0, 2.0], atol=1e-12)
    cancelling = shallow([1.0, 2.0, 1.0], [-1.0, -2.0, 0.0], [2.0, -1.0, 0.0])
    assert joints(SHALLOW, cancelling, -5, 5).positions.size == 0


def test_joints_nearer_than_the_tolerance_are_one():
    params = shallow([1.0, 1.0, 1.0], [0.0, -1e-3, -2.0], [1.0, 1.0, 1.0])
    assert len(joints(SHALLOW, params, -5, 5).positions) == 3
    found = joints(SHALLOW, params, -5, 5, tol=1e-3)
    np.testing.assert_allclose(found.positions, [0.0, 2.0], atol=1e-3)
    np.testing.assert_allclose(found.slopes[:, 0], [0.0, 2.0, 3.0], atol=1e-12)


def test_a_figure_is_the_function_through_its_joints(tmp_path):
    pytest.importorskip("matplotlib")
    params = shallow([1.0, -2.0, 0.5], [1.0, 3.0, -1.0], [1.0, 2.0, -4.0], 0.25)
    figure = plot_joints(joints(SHALLOW, params, -5, 5), tmp_path / "joints.png")
    assert figure.texts[0].get_text() == "3 joints, 4 linear pieces"
    line, dots = (artist.get_xydata() for artist in figure.axes[0].lines)
    np.testing.assert_allclose(line[:, 0], [-5, -1, 1.5, 2, 5], atol=1e-12)
    np.testing.assert_allclose(line[:, 1], forward(params, line[:, :1])[:, 0], atol=1e-12)
    np.testing.assert_array_equal(dots, line[1:-1])
    with pytest.raises(HyperparameterError, match="output is 1, but there are 1"):
        plot_joints(joints(SHALLOW, params, -5, 5), output=1)
    with pytest.raises(StructureError, match="Pass what"):
        plot_joints([1.0])


def test_a_folded_line_has_two_to_the_depth_pieces():
    """Telgarsky's triangle wave: each fold t(x) = 2 a(x) − 4 a(x − ½) doubles the pieces, the joints are at j/2ᵏ."""
    depth = 6
    fold = {"kernel": np.array([[2.0, 4.0]]), "bias": np.array([0.0, -2.0])}
    again = {"kernel": np.array([[2.0, 4.0], [-2.0, -4.0]]), "bias": np.array([0.0, -2.0])}
    last = {"kernel": np.array([[1.0], [-1.0]]), "bias": np.zeros(1)}
    params = (fold, (), *[again, ()] * (depth - 1), last)
    found = joints(nn.mlp([2] * depth + [1]), params, 0, 1)
    np.testing.assert_allclose(found.positions, np.arange(1, 2**depth) / 2**depth, atol=1e-12)
    np.testing.assert_allclose(found.slopes[:, 0], 2**depth * np.resize([1.0, -1.0], 2**depth), rtol=1e-9)


def test_the_lectures_net_of_471_parameters_is_the_path_through_its_joints():
    model, params = random_mlp([10] * 5 + [1], 1, seed=1)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 471
    low, high = -5.0, 5.0
    found = joints(model, params, low, high)
    assert len(found.positions) > 20
    # None is missed: between its joints the path is the network.
    x = np.random.default_rng(0).uniform(low, high, 10_000)
    corners = np.concatenate([[low], found.positions, [high]])
    piece = np.searchsorted(found.positions, x)
    straight = np.interp(x, corners, forward(params, corners[:, None])[:, 0])
    np.testing.assert_allclose(straight, forward(params, x[:, None])[:, 0], atol=1e-10)
    # None is invented: at each the slope changes, and it is the slope of finite differences inside the piece.
    assert np.abs(np.diff(found.slopes[:, 0])).min() > 1e-6
    inside = np.minimum(x - corners[piece], corners[piece + 1] - x) > 1e-4
    step = 1e-5 * np.ones((x.size, 1))
    differences = (forward(params, x[:, None] + step) - forward(params, x[:, None] - step)) / (2 * step)
    np.testing.assert_allclose(differences[inside, 0], found.slopes[piece[inside], 0], atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.int64, (3, 3), elements=st.integers(-4, 4)))
def test_joints_are_the_distinct_zeros_where_slopes_change(numbers):
    weights, biases, outputs = numbers.astype(float)
    zeros = {
        -b / w: 0.0 for w, b in zip(weights, biases, strict=True) if w != 0 and -5 < -b / w < 5
    }  # fmt: skip
    for w, b, c in zip(weights, biases, outputs, strict=True):
        if w != 0 and -b / w in zeros:
            zeros[-b / w] += abs(w) * c  # by how much the slope grows there
    expected = sorted(zero for zero, change in zeros.items() if change != 0)
    found = joints(SHALLOW, shallow(weights, biases, outputs), -5, 5)
    np.testing.assert_allclose(found.positions, expected, atol=1e-9)


def test_a_path_through_input_space_is_the_network_between_its_joints():
    model, params = random_mlp([50] * 5 + [1], 10, seed=2)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 10_801
    start, stop = np.random.default_rng(3).normal(size=(2, 10)) * 4
    found = linear_pieces(model, params, start, stop)
    assert len(found.slopes) == len(found.positions) + 1 > 50
    t = np.linspace(0, 1, 5_001)
    corners = np.concatenate([[0], found.positions, [1]])
    at = np.concatenate([[start], found.points, [stop]])
    straight = np.interp(t, corners, forward(params, at)[:, 0])
    np.testing.assert_allclose(straight, forward(params, start + t[:, None] * (stop - start))[:, 0], atol=1e-9)
    np.testing.assert_allclose(np.diff(forward(params, at)[:, 0]) / np.diff(corners), found.slopes[:, 0], atol=1e-4)
    back = linear_pieces(model, params, stop, start)
    np.testing.assert_allclose(back.positions[::-1], 1 - found.positions, atol=1e-9)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
def test_an_empty_or_endless_interval_is_refused(low, high):
    with pytest.raises(HyperparameterError, match=r"interval|finite|number"):
        joints(SHALLOW, shallow([1.0] * 3, [0.0] * 3, [1.0] * 3), low, high)


def test_parameters_that_do_not_belong_are_refused_with_the_reason():
    params = shallow([1.0] * 3, [0.0] * 3, [1.0] * 3)
    with pytest.raises(DataError, match=r"params/0/bias has a value that is not finite"):
        joints(SHALLOW, shallow([1.0] * 3, [0.0, np.nan, 0.0], [1.0] * 3), 0, 1)
    with pytest.raises(ShapeError, match=r"inputs of shape \(4,\)"):
        linear_pieces(SHALLOW, params, np.zeros(4), np.ones(4))
    with pytest.raises(ShapeError, match="start has shape"):
        linear_pieces(SHALLOW, params, np.zeros(1), np.ones(2))
    with pytest.raises(HyperparameterError, match="differ"):
        linear_pieces(SHALLOW, params, np.ones(1), np.ones(1))
    with pytest.raises(StructureError, match="traced"):
        jax.jit(lambda p: joints(SHALLOW, p, 0, 1))(params)
    with pytest.raises(StructureError, match=r"layer 0 jumps"):
        joints(nn.chain(lambda x: jnp.where(x > 0, x + 1, x)), ((),), -1, 1)
