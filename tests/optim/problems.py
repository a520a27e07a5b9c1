"""Functions to minimise whose minima are known."""

import jax.numpy as jnp
import numpy as np

BOWL = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, 0.25], [0.5, 0.25, 1.0]])
TARGET = np.array([1.0, -2.0, 0.5])


def quadratic(x):
    """Its minimum is where BOWL x = TARGET."""
    A, b = jnp.asarray(BOWL, x.dtype), jnp.asarray(TARGET, x.dtype)
    return x @ A @ x / 2 - b @ x


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_tree(p):
    """The same valley over a tree of leaves of different shapes."""
    return rosenbrock(jnp.concatenate([p["a"].reshape(-1), p["b"].reshape(-1)]))


START = np.array([-1.2, 1.0])
LONG_START = np.tile(START, 5)
