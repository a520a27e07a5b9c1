"""The cart-pole moves as mechanics has it."""

import jax.numpy as jnp
import numpy as np

from experiments import _cart_pole as cart_pole

STATES = np.random.default_rng(0).uniform(-1, 1, (20, 4)) * [2, 3, 0.2, 3]


def by_lagrange(state, force):
    """Euler's step with the accelerations that solve both equations of motion of a cart and a rod, in float64."""
    _, speed, angle, turning = state
    sine, cosine = np.sin(angle), np.cos(angle)
    # (M + m) ẍ + m l θ̈ cos θ = F + m l θ̇² sin θ  and  m l ẍ cos θ + 4/3 m l² θ̈ = m g l sin θ
    matrix = [[1.1, 0.05 * cosine], [0.05 * cosine, 4 / 3 * 0.1 * 0.25]]
    pushed, turned = np.linalg.solve(matrix, [force + 0.05 * turning**2 * sine, 0.1 * 9.8 * 0.5 * sine])
    return state + 0.02 * np.array([speed, pushed, turning, turned])


def test_a_step_solves_the_equations_of_motion():
    for state in STATES:
        for action, force in ((0, -10.0), (1, 10.0)):
            after, _ = cart_pole.step(jnp.asarray(state, jnp.float32), jnp.asarray(action))
            np.testing.assert_allclose(after, by_lagrange(state, force), rtol=1e-5, atol=1e-6)


def test_an_episode_fails_beyond_twelve_degrees_and_the_ends_of_the_rail():
    rest = np.zeros(4, np.float32)
    for place, edge in ((0, 2.4), (2, np.radians(12))):
        for sign in (-1, 1):
            for share, over in ((0.99, False), (1.01, True)):
                state = rest.copy()
                state[place] = sign * share * edge
                assert bool(cart_pole.step(jnp.asarray(state), jnp.asarray(0))[1]) is over
