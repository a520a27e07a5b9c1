"""Mini-batches: their gradient is unbiased, and its variance is that of a mean without replacement."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet.train.sampling import batch_rows, steps_per_epoch

GRADIENTS = np.random.default_rng(0).gamma(1.0, size=37)  # one a training example
KEYS = jax.random.split(jax.random.key(0), 20_000)


@pytest.mark.parametrize("size", [1, 4, 18])
def test_a_batch_gradient_is_unbiased_with_variance_over_the_batch_size(size):
    """Var = σ²/|I| · (N − |I|)/(N − 1): the lecture's σ²/|I|, times what drawing without replacement takes off."""
    n = len(GRADIENTS)
    last_whole = n // size - 1  # the place in the epoch must not matter

    @jax.jit
    def means(keys, step):
        rows = jax.vmap(lambda key: batch_rows(step, key, n, size)[0])(keys)
        return jnp.asarray(GRADIENTS, jnp.float32)[rows].mean(axis=1)

    for step in (0, last_whole, steps_per_epoch(n, size) + 1):
        drawn = np.asarray(means(KEYS, np.int32(step)), np.float64)
        variance = GRADIENTS.var() / size * (n - size) / (n - 1)
        error = np.sqrt(variance / len(drawn))
        assert abs(drawn.mean() - GRADIENTS.mean()) < 4 * error
        assert drawn.var() == pytest.approx(variance, rel=0.06)


def test_a_short_batch_counts_what_is_left_and_no_row_twice():
    rows, inside = batch_rows(9, KEYS[0], 37, 4)
    assert inside.tolist() == [True, False, False, False]
    epoch = np.concatenate([np.asarray(batch_rows(step, KEYS[0], 37, 4)[0]) for step in range(9)])
    assert sorted([*epoch.tolist(), int(rows[0])]) == list(range(37))
