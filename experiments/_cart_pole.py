"""The cart-pole: a cart on a rail has to keep a pole upright. Pure functions, so that many are run at once.

Source: Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning control problems",
1983; equations of motion by Florian, "Correct equations for the dynamics of the cart-pole system", 2007, without
friction.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from fnnet.types import Array

GRAVITY = 9.8
CART_MASS = 1.0
POLE_MASS = 0.1
HALF_LENGTH = 0.5
FORCE = 10.0
SECONDS = 0.02
FARTHEST = 2.4
STEEPEST = math.radians(12)
STEPS = 500
"""An episode ends after so many steps, each of which earned a reward of 1."""
ACTIONS = 2


def reset(key: Array) -> Array:
    """The state (position, velocity, angle, angular velocity) at the start, uniform on [−0.05, 0.05)⁴."""
    return jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)


def accelerations(state: Array, force: Array) -> tuple[Array, Array]:
    """Of the cart, and of the angle of the pole from the vertical."""
    _, _, angle, turning = state
    total = CART_MASS + POLE_MASS
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    pushed = (force + POLE_MASS * HALF_LENGTH * turning**2 * sine) / total
    turned = (GRAVITY * sine - cosine * pushed) / (HALF_LENGTH * (4 / 3 - POLE_MASS * cosine**2 / total))
    return pushed - POLE_MASS * HALF_LENGTH * turned * cosine / total, turned


def step(state: Array, action: Array) -> tuple[Array, Array]:
    """The state a step of Euler's method later, and whether it has failed; action 0 pushes left, 1 right."""
    position, speed, angle, turning = state
    pushed, turned = accelerations(state, jnp.where(action == 1, FORCE, -FORCE))
    after = jnp.stack(
        [
            position + SECONDS * speed,
            speed + SECONDS * pushed,
            angle + SECONDS * turning,
            turning + SECONDS * turned,
        ]
    )
    return after, (jnp.abs(after[0]) > FARTHEST) | (jnp.abs(after[2]) > STEEPEST)
