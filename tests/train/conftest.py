"""What the tests of training share: one learner, one finished run."""

import jax
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
