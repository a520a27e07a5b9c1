"""Polygons of linear regions: they fill the box, their maps are the network, and equal neighbours are one region."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import nn
from fnnet.analysis import count_linear_regions, linear_pieces, linear_regions, max_linear_regions, plot_regions
from fnnet.errors import HyperparameterError, ShapeError, StructureError

BOX = np.array([(-2.0, 2.0), (-3.0, 3.0)])
DEEP = nn.mlp([20, 20, 1])


def random_params(widths, inputs, seed):
    draws = np.random.default_rng(seed)
    params = []
    for size, width in zip([inputs, *widths], widths, strict=False):
        params += [
            {"kernel": draws.normal(size=(size, width)) * np.sqrt(2 / size), "bias": draws.normal(size=width)},
            (),
        ]
    return tuple(params[:-1])


def forward(params, x):
    """The equation of an mlp with ReLU in NumPy."""
    *hidden, last = [layer for layer in params if layer]
    for layer in hidden:
        x = np.maximum(x @ layer["kernel"] + layer["bias"], 0)
    return x @ last["kernel"] + last["bias"]


def cell_of(found, x):
    """The number of the cell in which each point is; a point in none or in two fails."""
    owner = np.full(len(x), -1)
    for cell, polygon in enumerate(found.polygons):
        edges = np.roll(polygon, -1, axis=0) - polygon
        right = x[:, None] - polygon
        inside = (edges[:, 0] * right[..., 1] - edges[:, 1] * right[..., 0] >= 0).all(axis=1)
        assert (owner[inside] == -1).all()
        owner[inside] = cell
    assert (owner >= 0).all()
    return owner


@pytest.fixture(scope="module")
def deep():
    params = random_params([20, 20, 1], 2, seed=0)
    return params, linear_regions(DEEP, params, BOX)


def test_polygons_fill_the_box_and_their_maps_are_the_network(deep):
    params, found = deep
    assert len(found.polygons) > 300
    np.testing.assert_allclose(found.areas.sum(), 24.0, rtol=1e-9)
    x = np.random.default_rng(1).uniform(*BOX.T, (10_000, 2))
    cell = cell_of(found, x)
    values = np.einsum("nyx,nx->ny", found.weights[cell], x) + found.biases[cell]
    np.testing.assert_allclose(values, forward(params, x), atol=1e-9)
    hidden = params[0]
    np.testing.assert_array_equal(found.sides[cell][:, :20], x @ hidden["kernel"] + hidden["bias"] > 0)


def test_a_straight_path_crosses_the_borders_between_the_regions(deep):
    params, found = deep
    start, stop = np.array([-1.9, -2.7]), np.array([1.8, 2.9])
    path = linear_pieces(DEEP, params, start, stop)
    ends = np.concatenate([[0], path.positions, [1]])
    middles = start + (ends[1:] + ends[:-1])[:, None] / 2 * (stop - start)
    regions = found.regions[cell_of(found, middles)]
    assert (np.diff(regions) != 0).all()
    fine = start + np.linspace(0, 1, 20_001)[:, None] * (stop - start)
    crossed = found.regions[cell_of(found, fine)]
    seen = crossed[np.concatenate([[True], np.diff(crossed) != 0])]
    assert len(path.slopes) >= len(seen)
    assert set(regions) >= set(seen)
    slopes = np.einsum("nyx,x->ny", found.weights[cell_of(found, middles)], stop - start)
    np.testing.assert_allclose(slopes, path.slopes, atol=1e-9)


def test_lines_in_general_position_make_as_many_regions_as_zaslavsky_says():
    model, params = nn.mlp([7, 1]), random_params([7, 1], 2, seed=0)
    assert count_linear_regions(model, params, [(-1e4, 1e4)] * 2).regions == max_linear_regions(2, [7]) == 29


def test_lines_through_one_point_make_twice_as_many_regions_as_lines():
    model, params = nn.mlp([7, 1]), random_params([7, 1], 2, seed=3)
    at = np.array([0.3, -0.7])
    params[0]["bias"][:] = -(at @ params[0]["kernel"])
    found = linear_regions(model, params, BOX)
    assert found.regions.max() + 1 == len(found.polygons) == 14
    np.testing.assert_allclose(found.areas.sum(), 24.0, rtol=1e-9)


def test_neighbours_with_one_map_are_one_region():
    """A pyramid with the top cut off: the ground and the top are one region each, whatever units change sides there."""
    pyramid = nn.chain(lambda x: 2 - jnp.abs(x).sum(axis=1, keepdims=True), lambda x: jnp.clip(x, 0.0, 1.0))
    found = linear_regions(pyramid, ((), ()), [(-3, 3), (-3, 3)])
    assert len(found.polygons) == 12
    sizes = np.bincount(found.regions, found.areas)
    np.testing.assert_allclose(sorted(sizes), [1.5, 1.5, 1.5, 1.5, 2.0, 28.0], rtol=1e-12)
    assert count_linear_regions(pyramid, ((), ()), [(-3, 3), (-3, 3)]) == (6, True, 0)


def test_above_two_inputs_a_count_says_that_it_is_a_lower_bound():
    orthants = jnp.abs
    few = count_linear_regions(orthants, (), [(-1, 1)] * 5, points=7, key=jax.random.key(0))
    many = count_linear_regions(orthants, (), [(-1, 1)] * 5, points=2000, key=jax.random.key(0))
    assert few.regions <= 7
    assert many == (32, False, 2000)
    assert str(many) == "at least 32 linear regions, met by 2000 points"
    # Units that nobody hears make other patterns, but no other regions.
    unheard = nn.chain(jnp.abs, lambda x: x[:, :2])
    found = count_linear_regions(unheard, ((), ()), [(-1, 1)] * 5, points=500, key=jax.random.key(0))
    assert found.regions == 4
    with pytest.raises(HyperparameterError, match="Pass key="):
        count_linear_regions(orthants, (), [(-1, 1)] * 3)


def test_a_box_that_is_none_is_refused():
    params = random_params([20, 20, 1], 2, seed=0)
    for box, error, sentence in [
        ([(-1, 1)], ShapeError, "polygons need two"),
        ([-1, 1], ShapeError, "one an input"),
        ([(-1, 1), (2, 2)], HyperparameterError, "low < high"),
        ([(-1, np.inf), (0, 2)], HyperparameterError, "finite"),
    ]:
        with pytest.raises(error, match=sentence):
            linear_regions(DEEP, params, box)
    with pytest.raises(ShapeError, match="inputs of shape"):
        count_linear_regions(DEEP, params, [(-1, 1)] * 3, key=jax.random.key(0))


def test_a_figure_states_how_many_regions_there_are(deep, tmp_path):
    pytest.importorskip("matplotlib")
    _, found = deep
    figure = plot_regions(found, tmp_path / "regions.png")
    assert figure.texts[0].get_text() == f"{found.regions.max() + 1} linear regions"
    assert (tmp_path / "regions.png").stat().st_size < 200 * 1024
    with pytest.raises(HyperparameterError, match="output is 1, but there are 1"):
        plot_regions(found, output=1)
    with pytest.raises(StructureError, match="Pass what"):
        plot_regions([found])
