"""Numbers of one precision among parameters of another, and values of what is really stored."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim

METHODS = {
    "sgd": lambda n: optim.sgd(n(0.07), n(0.9)),
    "adam": lambda n: optim.adam(n(0.03), n(0.9), n(0.999), n(1e-8), n(1e-12)),
    "adamw": lambda n: optim.adamw(n(0.03), n(0.9), n(0.999), n(1e-8), n(0.0), n(0.01)),
    "rmsprop": lambda n: optim.rmsprop(n(0.03), n(0.9), n(1e-8), n(0.0), momentum=n(0.5)),
    "muon": lambda n: optim.muon(n(0.03), n(0.9), eps=n(1e-7)),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_float32_array_as_hyperparameter_is_that_number_in_float64_arithmetic(name):
    """Bit for bit, under strict promotion as well, and not arithmetic in float32."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        params, grads = jnp.full((2, 2), 1.0), jnp.array([[0.1, -0.2], [0.3, 1.0]])
        results = []
        for number in (lambda v: float(np.float32(v)), np.float32, jnp.float32):
            optimizer = METHODS[name](number)
            state, updates = optimizer.init(params), None
            for _ in range(2):
                updates, state = optimizer.update(grads, state, params)
            assert updates.dtype == jnp.float64
            results.append(np.asarray(updates))
        np.testing.assert_allclose(results[1], results[0], rtol=1e-14)
        np.testing.assert_allclose(results[2], results[0], rtol=1e-14)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["sgd", "lbfgs", "random_search"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_value_is_that_of_the_solution_as_it_is_stored(name, dtype):
    """A compiler may leave out the rounding of a point between its update and its evaluation."""
    optimizer = {
        "sgd": optim.sgd(0.07), "lbfgs": optim.lbfgs(), "random_search": optim.random_search(0.3),
    }[name]  # fmt: skip

    def fun(x):
        return jnp.sum((x.astype(jnp.float32) - 0.3) ** 2)

    start = jnp.array([1.0, -2.0, 3.3], dtype)
    found = optim.minimize(fun, start, optimizer, steps=7, tol=0.0, key=jax.random.key(0))
    assert found.solution.dtype == dtype
    np.testing.assert_allclose(found.value, fun(found.solution), rtol=1e-6)
