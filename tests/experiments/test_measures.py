"""What experiments measure by code of their own, on examples that are counted by hand."""

import jax.numpy as jnp
import numpy as np

from experiments import _descent, depth_efficiency, momentum, newton, normalization, representation
from fnnet import data, optim


def test_a_descent_has_every_point_from_the_start_to_the_end():
    curvatures, start = np.array([1.0, 3.0], np.float32), np.array([2.0, -1.0], np.float32)
    path = _descent.descent_path(lambda x: jnp.sum(curvatures * x**2) / 2, jnp.asarray(start), optim.sgd(0.5), 4)
    np.testing.assert_allclose(path, start * (1 - 0.5 * curvatures) ** np.arange(5)[:, None], rtol=1e-6)


def test_the_epoch_at_which_a_level_is_reached_lies_on_the_line_between_evaluations():
    at = np.array([10, 20, 30])
    accuracy = np.array([[0.2, 0.4, 0.6], [0.5, 0.1, 0.9], [0.1, 0.1, 0.2]])
    np.testing.assert_allclose(depth_efficiency.epochs_until(at, accuracy, 0.5), [25, 10, np.inf])


def test_evaluations_until_a_level_are_counted_from_one_and_one_more_says_never():
    np.testing.assert_array_equal(normalization.reached(np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]]), 0.9), [1, 2, 3])


def test_the_order_of_squared_errors_is_two_and_of_halved_errors_one():
    squared, halved = 0.05**2.0 ** np.arange(4), 0.05 * 0.5 ** np.arange(4)
    np.testing.assert_allclose(newton.orders(np.stack([squared, halved, np.ones(4)])), [2, 1, np.nan], rtol=1e-12)


def test_a_line_separates_three_corners_of_a_square_from_the_fourth_but_not_its_diagonals():
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    for targets, right in (([0, 1, 1, 1], 1.0), ([0, 1, 1, 0], 0.75)):
        assert representation.by_a_line(data.from_arrays(corners, np.array(targets, np.float32))) == right


def test_the_roots_of_momentum_are_those_of_its_steps_as_matrices():
    steep = momentum.ALPHA * momentum.CURVATURES[1]
    # (θ, v) after v ← γv + αλ(θ − cγv) and θ ← θ − v, where c says at which side of θ the gradient is taken
    matrices = [
        np.array([[1 - steep, -gamma * (1 - c * steep)], [steep, gamma * (1 - c * steep)]])
        for gamma, c in ((0.0, 0), (momentum.GAMMA, 0), (momentum.LOOKING, 1), (momentum.LOOKING, -1))
    ]
    largest = [max(np.linalg.eigvals(matrix), key=abs).real for matrix in matrices]
    np.testing.assert_allclose(momentum.closed_forms(), largest, rtol=1e-12)
