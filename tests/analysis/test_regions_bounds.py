"""How many regions there can be, and the singular value decomposition of a map of the plane."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fnnet import nn
from fnnet.analysis import count_linear_regions, linear_regions_upper_bound, max_linear_regions, plane_svd, plot_svd
from fnnet.errors import DataError, HyperparameterError, ShapeError

LECTURE = [[0.19, 1.84], [-0.97, -0.93]]


def test_the_bounds_of_the_lectures_two_nets():
    assert nn.summary(nn.mlp([10] * 5 + [1]), jnp.ones((1, 1))).parameters == 471
    assert max_linear_regions(1, [10] * 5) == linear_regions_upper_bound(1, [10] * 5) == 161_051 == 11**5
    assert nn.summary(nn.mlp([50] * 5 + [1]), jnp.ones((1, 10))).parameters == 10_801
    formula = (50 // 10 + 1) ** (10 * 4) * sum(math.comb(50, j) for j in range(11))
    assert max_linear_regions(10, [50] * 5) == formula
    assert round(math.log10(formula)) == 41
    assert max_linear_regions(np.int64(10), np.array([50] * 5)) == formula  # not wrapped around at 2⁶³
    assert formula < linear_regions_upper_bound(10, [50] * 5) < 2**250


def test_one_hidden_layer_has_as_many_regions_as_hyperplanes_have_cells():
    """By the recursion r(n, d) = r(n − 1, d) + r(n − 1, d − 1): a new hyperplane is cut by those before it."""

    def cells(hyperplanes, inputs):
        if hyperplanes == 0 or inputs == 0:
            return 1
        return cells(hyperplanes - 1, inputs) + cells(hyperplanes - 1, inputs - 1)

    for inputs in (1, 2, 3, 8):
        for width in (1, 3, 6):
            assert max_linear_regions(inputs, [width]) == cells(width, inputs)
            assert linear_regions_upper_bound(inputs, [width]) == cells(width, inputs)


# Of equal lines that meet values which are 0 up to rounding; and of a net that is 0 throughout.
@example(np.where(np.arange(37) == 28, 0.0, np.where(np.arange(37) == 0, 0.125, 0.18359375)))
@example(np.zeros(37))
@settings(max_examples=15, deadline=None)
@given(hnp.arrays(np.float64, 37, elements=st.floats(-1, 1, width=16)))
def test_no_net_has_more_regions_than_the_upper_bound(numbers):
    shapes = [(2, 4), (4,), (4, 4), (4,), (4, 1), (1,)]
    parts = np.split(numbers, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
    kernels, biases = ([part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)][i::2] for i in (0, 1))
    first, second, last = ({"kernel": k, "bias": b} for k, b in zip(kernels, biases, strict=True))
    found = count_linear_regions(nn.mlp([4, 4, 1]), (first, (), second, (), last), [(-3, 3)] * 2)
    assert 1 <= found.regions <= linear_regions_upper_bound(2, [4, 4])


@pytest.mark.parametrize(("inputs", "widths"), [(0, [3]), (2, []), (2, [3, 0]), (2, 3), (1.5, [3]), (2, "3")])
def test_what_is_no_network_has_no_bound(inputs, widths):
    for bound in (max_linear_regions, linear_regions_upper_bound):
        with pytest.raises(HyperparameterError):
            bound(inputs, widths)


def test_the_lectures_matrix_is_rotation_scale_and_rotation():
    """The lecture's factors have determinants −1 both: they are reflections, and one sign makes them rotations."""
    left, scales, right = jnp.linalg.svd(jnp.array(LECTURE))
    np.testing.assert_allclose(left @ jnp.diag(scales) @ right, LECTURE, atol=1e-6)
    np.testing.assert_allclose(scales, [2.17, 0.74], atol=0.01)
    np.testing.assert_allclose(np.abs(left), [[0.83, 0.55], [0.55, 0.83]], atol=0.011)
    np.testing.assert_allclose(np.abs(right), [[0.32, 0.94], [0.94, 0.32]], atol=0.011)
    assert np.linalg.det([[0.83, -0.55], [-0.55, -0.83]]) < 0 > np.linalg.det([[0.32, 0.94], [0.94, -0.32]])
    found = plane_svd(LECTURE)
    assert not found.reflects
    np.testing.assert_allclose(found.left @ np.diag(found.scales) @ found.right, LECTURE, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.floats(-89, 89), st.floats(0.1, 5), st.floats(0, 1), st.floats(-179, 179), st.booleans())
def test_a_map_is_taken_apart_into_the_angles_that_it_was_made_of(turn, scale, ratio, angle, reflects):
    def rotation(degrees):
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return np.array([[cos, -sin], [sin, cos]])

    first = rotation(angle) @ np.diag([1, -1]) @ rotation(-angle) if reflects else rotation(angle)
    scales = [scale, scale * (0.05 + 0.9 * ratio)]
    found = plane_svd(rotation(turn) @ np.diag(scales) @ first)
    np.testing.assert_allclose(found.left_angle, turn, atol=1e-6)
    np.testing.assert_allclose(found.scales, scales, rtol=1e-9)
    assert found.reflects == reflects
    period = 180 if reflects else 360
    assert abs((found.right_angle - angle + period / 2) % period - period / 2) < 1e-6


def test_a_map_of_anything_but_the_plane_is_refused():
    with pytest.raises(ShapeError, match=r"jnp\.linalg\.svd"):
        plane_svd(np.ones((3, 2)))
    with pytest.raises(DataError, match="finite"):
        plot_svd([[1.0, np.nan], [0.0, 1.0]])


def test_a_figure_shows_the_circle_after_every_step(tmp_path):
    pytest.importorskip("matplotlib")
    figure = plot_svd(LECTURE, tmp_path / "svd.png")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["unit circle", "Vᵀ turns by −71°", "S scales by 2.16 and 0.744", "U turns by −33°"]
    last = figure.axes[-1].collections[0].get_offsets()
    angles = np.linspace(0, 2 * np.pi, len(last))
    np.testing.assert_allclose(
        last, np.stack([np.cos(angles), np.sin(angles)], axis=1) @ np.transpose(LECTURE), atol=1e-9
    )
