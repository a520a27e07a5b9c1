"""What the tests of sweeps share: one learner function, one finished sweep."""

import jax
import pytest

import fnnet
from fnnet import hp, losses, metrics, nn, optim


def make_learner(learning_rate=0.05, drop_rate=0.2, width=4, activation="tanh"):
    model = nn.chain(nn.dense(width), getattr(nn, activation), nn.dropout(drop_rate), nn.dense(3))
    return fnnet.Learner(model, losses.softmax_cross_entropy, optim.adam(learning_rate), {"accuracy": metrics.accuracy})


@pytest.fixture(scope="session")
def learner():
    """The function from hyperparameters to a learner."""
    return make_learner


@pytest.fixture(scope="session")
def sweep_flowers(flowers, learner):
    """Sweeps the learner over the flowers; calls with the same number of lanes share one program."""

    def sweep(space, function=learner, **changes):
        arguments = {
            "validation": flowers[1],
            "epochs": 3,
            "batch_size": 5,
            "key": jax.random.key(2),
            "progress": False,
        }
        return fnnet.sweep(function, space, flowers[0], **(arguments | changes))

    return sweep


@pytest.fixture(scope="session")
def space():
    """Two dimensions that are traced."""
    return {"learning_rate": hp.log_uniform(1e-3, 1e-1), "drop_rate": hp.uniform(0.1, 0.5)}


@pytest.fixture(scope="session")
def swept(sweep_flowers, space):
    """Three trials of two seeds."""
    return sweep_flowers(space, trials=3, seeds=2)
