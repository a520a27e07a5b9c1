"""Slices of losses, directions and paths, against NumPy in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fnnet
from fnnet import losses, nn, optim
from fnnet.analysis import (
    evaluation_loss,
    filter_normalized,
    gradient_norms,
    loss_slice,
    random_directions,
    trajectory_coordinates,
    trajectory_directions,
)
from fnnet.analysis.slices import _slice
from fnnet.data import Dataset
from fnnet.errors import HyperparameterError, ShapeError, StructureError

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(12, 3)), jnp.float32)
NET = nn.mlp([5, 2])
PARAMS, _ = NET.init(KEY, X)


def net_loss(params):
    return jnp.square(NET.apply(params, ((),) * 3, X)[0]).mean()


def test_a_slice_of_a_quadratic_is_the_quadratic_on_the_grid():
    A, theta, directions = RNG.normal(size=(4, 4)), RNG.normal(size=4), RNG.normal(size=(2, 4))
    with jax.enable_x64(True):
        found = loss_slice(
            lambda p: p["x"] @ jnp.asarray(A) @ p["x"],
            {"x": jnp.asarray(theta)},
            {"x": jnp.asarray(directions)},
            low=np.array([-1.0, 0.0]), high=np.array([1.0, 3.0]), points=7, at_once=4,
        )  # fmt: skip
        line = loss_slice(lambda x: x @ x, jnp.asarray(theta), [jnp.asarray(directions[0])], low=-2, high=2, points=5)
    found, line = (type(one)(*map(np.asarray, one)) for one in (found, line))
    a, b = np.linspace(-1, 1, 7), np.linspace(0, 3, 7)
    np.testing.assert_allclose(found.coordinates, [a, b], atol=1e-12)
    assert found.coordinates[0][3] == 0
    for i, j in np.ndindex(7, 7):
        x = theta + a[i] * directions[0] + b[j] * directions[1]
        assert float(found.losses[i, j]) == pytest.approx(x @ A @ x, rel=1e-10)
    expected = [np.sum((theta + c * directions[0]) ** 2) for c in (-2, -1, 0, 1, 2)]
    np.testing.assert_allclose(line.losses, expected, rtol=1e-12)


def test_the_loss_of_a_learner_is_what_its_evaluation_tells_to_the_last_bit():
    """1500 rows in parts of 1024, with weights, so that the tail and the weights have to count as they do there."""
    rows = Dataset(
        RNG.normal(size=(1500, 2)).astype(np.float32),
        RNG.normal(size=(1500, 1)).astype(np.float32),
        RNG.uniform(size=1500).astype(np.float32),
    )
    learner = fnnet.Learner(
        nn.chain(nn.dense(3), nn.batch_norm(), nn.dropout(0.5), nn.dense(1)), losses.huber, optim.sgd(0.1),
        prior=losses.gaussian_prior(1e-2),
    )  # fmt: skip
    training = fnnet.training(learner, batch_size=100)
    state = training.init(KEY, rows.inputs[:1])
    loss = evaluation_loss(learner, state.model_state, rows, batch_size=100)
    assert float(jax.jit(lambda loss, p: loss(p))(loss, state.params)) == training.evaluate(state, rows)["loss"]


def test_gradient_norms_by_layer_are_those_of_least_squares(compilations):
    y = RNG.normal(size=(12, 1)).astype(np.float32)
    learner = fnnet.Learner(nn.chain(nn.dense(1), nn.identity), losses.squared_error, optim.sgd(0.1))
    loss = evaluation_loss(learner, ((), ()), (np.asarray(X), y))
    stacked = jax.vmap(lambda key: learner.model.init(key, X)[0])(jax.random.split(KEY, 3))
    found = jax.vmap(gradient_norms, in_axes=(None, 0))(loss, stacked)
    assert list(found) == ["0"]
    for lane in range(3):
        W, b = (np.asarray(stacked[0][name][lane], np.float64) for name in ("kernel", "bias"))
        residual = np.asarray(X, np.float64) @ W + b - y
        gradient = np.concatenate([2 * np.asarray(X, np.float64).T @ residual, 2 * residual.sum(keepdims=True)]) / 12
        assert float(found["0"][lane]) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    # As a callback has it: the learner is built anew, and neither its numbers nor other data compile anything.
    again = fnnet.Learner(nn.chain(nn.dense(1), nn.identity), losses.squared_error, optim.sgd(0.2))
    one = jax.tree.map(lambda leaf: leaf[0], stacked)
    gradient_norms(loss, one)
    before = len(compilations)
    gradient_norms(evaluation_loss(again, ((), ()), (np.asarray(X), y + 1)), one)
    assert len(compilations) == before


@pytest.mark.exhaustive  # a program of training
def test_the_gradient_norm_of_a_layer_alone_is_that_of_the_step():
    y = RNG.normal(size=(12, 1)).astype(np.float32)
    learner = fnnet.Learner(nn.chain(nn.dense(1), nn.identity), losses.squared_error, optim.sgd(0.1))
    loss = evaluation_loss(learner, ((), ()), (np.asarray(X), y))
    training = fnnet.training(learner)
    state = training.init(KEY, X)
    logs = training.step(state, Dataset(X, jnp.asarray(y)))[1]
    norms = gradient_norms(loss, state.params)
    assert float(logs["gradient_norm"]) == pytest.approx(float(norms["0"]), rel=1e-5)


def test_filters_are_as_long_as_those_of_the_parameters_and_biases_stay():
    directions = random_directions(KEY, PARAMS, 2)
    found = filter_normalized(directions, PARAMS)
    d, w = (np.asarray(tree[0]["kernel"], np.float64) for tree in (directions, PARAMS))
    expected = d / np.linalg.norm(d, axis=1, keepdims=True) * np.linalg.norm(w, axis=0)[None, None]
    np.testing.assert_allclose(found[0]["kernel"], expected, rtol=1e-5, atol=1e-7)
    assert not np.asarray(found[0]["bias"]).any()
    image = {"kernel": jnp.asarray(RNG.normal(size=(3, 3, 2, 4)), jnp.float32)}
    found = filter_normalized({"kernel": jnp.asarray(RNG.normal(size=(1, 3, 3, 2, 4)), jnp.float32)}, image)
    lengths = np.sqrt(np.square(np.asarray(found["kernel"])).sum((1, 2, 3)))
    np.testing.assert_allclose(lengths[0], np.linalg.norm(image["kernel"].reshape(-1, 4), axis=0), rtol=1e-5)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.1, 10.0))
def test_slices_along_filters_are_the_same_for_nets_that_are_the_same_function(scale):
    """One layer scaled up and the next one down: the very failure of plain random directions."""
    factors = jnp.array([scale, 1 / scale], jnp.float32)
    other = (
        jax.tree.map(lambda leaf: leaf * factors[0], PARAMS[0]), (),
        {**PARAMS[2], "kernel": PARAMS[2]["kernel"] * factors[1]},
    )  # fmt: skip
    directions = random_directions(KEY, PARAMS, 2)
    one, two = (loss_slice(net_loss, p, filter_normalized(directions, p), points=3).losses for p in (PARAMS, other))
    np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


def test_random_directions_are_orthonormal_and_as_likely_as_their_opposites():
    params = {"a": jnp.zeros((5, 3)), "b": jnp.zeros(4)}
    found = jax.vmap(lambda key: random_directions(key, params, 3))(jax.random.split(KEY, 400))
    matrix = np.concatenate([np.asarray(found["a"]).reshape(400, 3, -1), np.asarray(found["b"])], axis=-1)
    products = np.einsum("kip,kjp->kij", matrix, matrix)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-5)
    # Each coordinate of a random unit vector in 19 dimensions has mean 0 and variance 1/19.
    assert np.abs(matrix.mean(axis=0)).max() < 5 / np.sqrt(19 * 400)
    np.testing.assert_allclose(matrix.var(), 1 / 19, rtol=0.03)


def test_principal_directions_and_coordinates_are_those_of_numpy():
    path = RNG.normal(size=(6, 10)).cumsum(axis=0)
    states = [{"a": jnp.asarray(row[:8].reshape(4, 2)), "b": jnp.asarray(row[8:])} for row in np.float32(path)]
    found = trajectory_directions(states)
    _, lengths, components = np.linalg.svd(path - path.mean(axis=0), full_matrices=False)
    matrix = np.concatenate([found.directions["a"].reshape(2, -1), found.directions["b"]], axis=1)
    np.testing.assert_allclose(np.abs(np.sum(matrix * components[:2], axis=1)), 1, rtol=1e-5)
    np.testing.assert_allclose(found.explained, lengths[:2] ** 2 / np.sum(lengths**2), rtol=1e-5)
    skewed = RNG.normal(size=(2, 10))
    trees = [{"a": jnp.asarray(row[:8].reshape(4, 2)), "b": jnp.asarray(row[8:])} for row in np.float32(skewed)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    coordinates = trajectory_coordinates(stacked, states[-1], trees)
    expected = np.linalg.lstsq(skewed.T, (path - path[-1]).T, rcond=None)[0].T
    np.testing.assert_allclose(coordinates, expected, rtol=1e-3, atol=1e-4)
    assert not np.asarray(coordinates[-1]).any()


def test_stacked_models_have_slices_as_they_have_alone():
    stacked = jax.tree.map(lambda leaf: jnp.asarray(RNG.normal(size=(3, *leaf.shape)), jnp.float32), PARAMS)
    direction = jax.tree.map(lambda leaf: jnp.asarray(RNG.normal(size=(1, *leaf.shape)), jnp.float32), PARAMS)

    @jax.jit
    def of(params):
        directions = filter_normalized(direction, params)
        return loss_slice(net_loss, params, directions, points=3).losses

    mapped = jax.jit(jax.vmap(of))(stacked)
    for lane in range(3):
        alone = of(jax.tree.map(lambda leaf, lane=lane: leaf[lane], stacked))
        np.testing.assert_allclose(mapped[lane], alone, rtol=1e-4)


def test_memory_does_not_grow_with_the_points():
    params = jnp.ones(20_000)
    arguments = jax.tree_util.Partial(jnp.vdot, params), params, jnp.ones((2, 20_000)), -jnp.ones(2), jnp.ones(2)
    bytes_for = [
        _slice.lower(*arguments, points, 1).compile().memory_analysis().temp_size_in_bytes for points in (3, 30)
    ]
    assert bytes_for[1] - bytes_for[0] < params.nbytes


def test_mistakes_meet_a_sentence():
    direction = jax.tree.map(jnp.ones_like, PARAMS)
    slice_of = functools.partial(loss_slice, net_loss, PARAMS)
    with pytest.raises(ShapeError, match="3 directions, but a slice has one or two"):
        slice_of([direction] * 3)
    with pytest.raises(ShapeError, match="to which a first axis is added"):
        slice_of(direction)
    with pytest.raises(StructureError, match="another structure than the parameters"):
        slice_of({"kernel": jnp.ones((1, 3))})
    with pytest.raises(HyperparameterError, match="points is 1"):
        slice_of([direction], points=1)
    with pytest.raises(ShapeError, match="low has shape"):
        slice_of([direction], low=jnp.ones(3))
    with pytest.raises(ShapeError, match=r"the loss returned shape .* one real number"):
        loss_slice(lambda p: p, jnp.ones(3), [jnp.ones(3)])
    with pytest.raises(StructureError, match="not a function of the parameters"):
        gradient_norms(3.0, PARAMS)
    with pytest.raises(ShapeError, match="need more than 2 states"):
        trajectory_directions([PARAMS, PARAMS])
    with pytest.raises(StructureError, match="empty list"):
        trajectory_coordinates([], PARAMS, [direction])
    with pytest.raises(ShapeError, match="5 directions are asked for"):
        random_directions(KEY, jnp.ones(3), 5)
