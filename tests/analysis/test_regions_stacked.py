"""Stacked models go in, and a stacked answer comes out, whose rows are those of each model alone."""

import jax
import numpy as np
import pytest

from fnnet import nn
from fnnet.analysis import count_linear_regions, joints, linear_pieces, linear_regions, plot_joints, plot_regions
from fnnet.errors import ShapeError, StructureError

MODELS = 3
PLANE = nn.chain(nn.dense(4), nn.batch_norm(), nn.relu, nn.dense(2))
BOX = [(-2, 2), (-1, 3)]


def drawn(model, inputs):
    """Parameters and state of several models, all numbers random, stacked; and row i of them."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, inputs), np.float32))
    rng = np.random.default_rng(4)
    stack = jax.tree.map(lambda leaf: rng.uniform(0.2, 2, (MODELS, *leaf.shape)) * rng.choice([-1, 1]), shapes)
    return stack, [jax.tree.map(lambda leaf, i=i: leaf[i], stack) for i in range(MODELS)]


def padded_with(missing, row, alone):
    """Whether a row starts with what is found in that model alone, and has nothing after it."""
    np.testing.assert_array_equal(row[: len(alone)], alone)
    np.testing.assert_array_equal(row[len(alone) :], missing)


def test_joints_of_stacked_models_end_in_nan_where_a_model_has_fewer(compilations):
    model = nn.chain(nn.dense(3), nn.relu, nn.dense(1))
    (params, _), each = drawn(model, 1)
    params[0]["bias"][:, :] = [[0.5, -1.5, 1], [9, 9, 9], [0.5, 9, 1]]
    params[0]["kernel"][:] = 1
    joints(model, each[0][0], -4, 4)
    compilations.clear()
    found = joints(model, params, -4, 4)
    assert not compilations  # all of them by the program of one
    np.testing.assert_allclose(found.positions, [[-1, -0.5, 1.5], [np.nan] * 3, [-1, -0.5, np.nan]], atol=1e-12)
    np.testing.assert_array_equal(found.ends, [[-4, 4]] * MODELS)
    for i, (own, _) in enumerate(each):
        alone = joints(model, own, -4, 4)
        for row, values in zip(found, alone, strict=True):
            padded_with(np.nan, row[i], values)
    np.testing.assert_array_equal(count_linear_regions(model, params, [(-4, 4)]).regions, [4, 1, 3])


def test_regions_and_pieces_of_stacked_models_with_a_state_are_those_of_each_alone():
    (params, state), each = drawn(PLANE, 2)
    state = jax.tree.map(abs, state)
    found = linear_regions(PLANE, params, BOX, model_state=state)
    pieces = linear_pieces(PLANE, params, [-2, -1], [2, 3], model_state=state)
    counts = count_linear_regions(PLANE, params, BOX, model_state=state)
    assert counts.exact
    assert len(set(counts.regions.tolist())) > 1
    assert str(counts) == f"{counts.regions.min()} to {counts.regions.max()} linear regions in 3 models"
    for i, (own, own_state) in enumerate(each):
        own_state = jax.tree.map(abs, own_state)
        alone = linear_regions(PLANE, own, BOX, model_state=own_state)
        assert counts.regions[i] == alone.regions.max() + 1
        jax.tree.map(np.testing.assert_array_equal, found.polygons[i], alone.polygons)
        for name, missing in {"weights": np.nan, "biases": np.nan, "areas": np.nan, "regions": -1, "sides": 0}.items():
            padded_with(missing, getattr(found, name)[i], getattr(alone, name))
        for row, values in zip(pieces, linear_pieces(PLANE, own, [-2, -1], [2, 3], model_state=own_state), strict=True):
            padded_with(np.nan, row[i], values)


def test_maps_met_in_stacked_models_are_those_of_each_alone():
    model = nn.mlp([4, 2])
    (params, _), each = drawn(model, 3)
    call = {"points": 200, "key": jax.random.key(1)}
    found = count_linear_regions(model, params, [(-1, 1)] * 3, **call)
    alone = [count_linear_regions(model, own, [(-1, 1)] * 3, **call).regions for own, _ in each]
    assert found.regions.tolist() == alone
    assert not found.exact


def test_one_of_several_models_is_drawn_and_half_stacked_ones_are_refused():
    (params, state), _ = drawn(PLANE, 2)
    with pytest.raises(StructureError, match="3 stacked models"):
        plot_regions(linear_regions(PLANE, params, BOX, model_state=jax.tree.map(abs, state)))
    with pytest.raises(StructureError, match="3 stacked models"):
        plot_joints(joints(abs, (), -1, 1)._replace(positions=np.zeros((3, 1))))
    with pytest.raises(ShapeError, match="all of one or all stacked"):
        linear_regions(PLANE, params, BOX, model_state=jax.tree.map(lambda leaf: leaf[0], state))
    with pytest.raises(ShapeError, match="all of one or all stacked"):
        linear_regions(nn.mlp([2, 1]), jax.tree.map(lambda leaf: leaf[:0], drawn(nn.mlp([2, 1]), 2)[0][0]), BOX)
