"""Initialisers: the variances that the lectures state, on a kernel large enough to measure them."""

import jax
import numpy as np
import pytest

from fnnet.nn import initializers

INPUTS, OUTPUTS = 600, 300
VARIANCES = {
    "he_normal": 2 / INPUTS,
    "he_uniform": 2 / INPUTS,
    "glorot_normal": 2 / (INPUTS + OUTPUTS),
    "glorot_uniform": 2 / (INPUTS + OUTPUTS),
    "lecun_normal": 1 / INPUTS,
    "lecun_uniform": 1 / INPUTS,
}
OTHERS = {"zeros", "ones", "constant", "normal", "uniform"}


def test_every_initialiser_is_tested_here():
    assert set(initializers.__all__) == set(VARIANCES) | OTHERS


@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_the_one_of_the_lectures(name):
    kernel = np.asarray(getattr(initializers, name)()(jax.random.key(0), (INPUTS, OUTPUTS)), np.float64)
    deviation = np.sqrt(VARIANCES[name])
    assert kernel.var() == pytest.approx(VARIANCES[name], rel=0.02)
    assert abs(kernel.mean()) < 4.5 * deviation / np.sqrt(kernel.size)
    # A normal is cut at two deviations (and rescaled by 0.8796); a uniform ends at √3 deviations.
    bound = 2 / 0.8796 if name.endswith("normal") else np.sqrt(3)
    assert np.abs(kernel).max() == pytest.approx(bound * deviation, rel=0.01)


def test_the_plain_ones_do_what_their_names_say():
    key, shape = jax.random.key(0), (100, 100)
    assert not initializers.zeros(key, shape).any()
    assert (initializers.ones(key, shape) == 1).all()
    assert (initializers.constant(0.3)(key, shape) == np.float32(0.3)).all()
    assert np.std(initializers.normal(0.5)(key, shape)) == pytest.approx(0.5, rel=0.03)
    drawn = initializers.uniform(0.5)(key, shape)
    assert 0 <= drawn.min() < 0.01
    assert 0.49 < drawn.max() < 0.5
