"""What the tests of training share: one learner, one finished run."""

import jax
import numpy as np
import pytest

import fnnet
from fnnet import losses, metrics, nn, optim


def make_learner(learning_rate=0.05, drop_rate=0.2):
    model = nn.chain(nn.dense(4), nn.tanh, nn.dropout(drop_rate), nn.dense(3))
    return fnnet.Learner(model, losses.softmax_cross_entropy, optim.adam(learning_rate), {"accuracy": metrics.accuracy})


@pytest.fixture(scope="session")
def learner():
    """The function from hyperparameters to a learner."""
    return make_learner


@pytest.fixture(scope="session")
def fit_flowers(flowers):
    """Trains a learner on the flowers; all calls with this structure share one compiled program."""

    def train(learner, **changes):
        arguments = {
            "validation": flowers[1],
            "epochs": 4,
            "batch_size": 5,
            "key": jax.random.key(0),
            "progress": False,
        }
        return fnnet.fit(learner, flowers[0], **(arguments | changes))

    return train


@pytest.fixture(scope="session")
def run(fit_flowers, learner):
    """One finished run."""
    return fit_flowers(learner())


@pytest.fixture(scope="session")
def same():
    """Asserts that two trees have bitwise equal leaves."""

    def check(a, b):
        def plain(leaf):
            is_key = hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

        assert jax.tree.structure(a) == jax.tree.structure(b)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            x, y = plain(x), plain(y)
            assert x.dtype == y.dtype
            assert x.shape == y.shape
            assert x.tobytes() == y.tobytes(), f"{x} is not {y}"

    return check
