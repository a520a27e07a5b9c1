"""Three problems to minimise: one that is easy, one that is curved, and a small net."""

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import nn


def matrices(params):
    """True for the leaves that a mask lets decay: those of two axes."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


def quadratic(dtype=np.float64):
    """½ xᵀ A x with condition number 100."""
    scales = jnp.asarray(np.geomspace(0.01, 1, 8), dtype).reshape(4, 2)
    start = {"a": jnp.asarray(np.linspace(-2, 2, 8), dtype).reshape(4, 2), "b": jnp.ones((), dtype)}
    return lambda p: (scales * p["a"] ** 2).sum() / 2 + (p["b"] - 3) ** 2, start


def rosenbrock(dtype=np.float64):
    """Rosenbrock's valley from its usual start."""
    return lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2, jnp.asarray([-1.2, 1.0], dtype)


def net(dtype=np.float64):
    """The squared error of a 3-5-1 net on ten examples."""
    random = np.random.default_rng(0)
    x, y = jnp.asarray(random.normal(size=(10, 3)), dtype), jnp.asarray(random.normal(size=(10, 1)), dtype)
    model = nn.chain(nn.dense(5), nn.tanh, nn.dense(1))
    params, state = model.init(jax.random.key(0), x)
    return lambda p: ((model.apply(p, state, x)[0] - y) ** 2).mean(), params


PROBLEMS = {"quadratic": quadratic, "rosenbrock": rosenbrock, "net": net}
