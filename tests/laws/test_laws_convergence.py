"""Two laws for every public optimizer: it goes down on a convex quadratic, and arrives in Rosenbrock's valley."""

import catalogue
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import convergence

from fnnet import optim

DESCENT = 50  # updates on the quadratic that are looked at, of those in which the value is not yet 0 but for rounding


@pytest.mark.exhaustive
@pytest.mark.parametrize("journey", catalogue.rows(convergence.CONVERGENCE))
def test_it_goes_down_on_a_convex_quadratic_and_arrives_in_the_valley_of_rosenbrock_within_its_budget(journey):
    """One program for both, since what takes time is to compile it."""

    @jax.jit
    def run(on_bowl, start, rate):
        def residuals(params):
            return convergence.residuals(params, on_bowl)

        fun, optimizer = optim.half_sum_of_squares(residuals), journey.build(rate, residuals)
        x0, key = journey.params(start), jax.random.key(0)
        return optim.minimize(fun, x0, optimizer, steps=journey.steps, tol=1e-9, key=key, trace=True)

    with jax.enable_x64(True):
        down = np.asarray(run(True, jnp.array(convergence.BOWL_START), journey.bowl).trace)[:DESCENT]
        down = down[down > 1e-16 * down[0]]  # NaN stands after the last update
        assert (np.diff(down) < 0).all() if journey.strict else (np.diff(down) <= 0).all()
        assert down[-1] < 0.98 * down[0]

        found = run(False, jnp.array(convergence.START), journey.valley)
        assert found.value <= journey.reached, found
        far = 10 * journey.reached**0.5 + 1e-6
        np.testing.assert_allclose(found.solution["point"].reshape(-1), 1, atol=far)


def test_every_public_optimizer_has_a_budget():
    assert set(convergence.CONVERGENCE) == set(catalogue.OPTIMIZERS)
