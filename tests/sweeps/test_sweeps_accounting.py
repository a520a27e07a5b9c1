"""What a sweep says of itself afterwards: costs, and comparisons of runs that are not equally long."""

import jax.numpy as jnp

import fnnet
from fnnet import hp, losses, nn, optim


def activated(learning_rate, function):
    return fnnet.Learner(nn.chain(nn.dense(2), function, nn.dense(3)), losses.softmax_cross_entropy, optim.sgd(0.1))


def test_structures_of_the_same_words_have_each_a_row_of_costs(sweep_flowers, tmp_path):
    functions = [lambda x, factor=factor: jnp.tanh(factor * x) for factor in (1.0, 2.0)]
    space = {"learning_rate": hp.grid(0.1, 0.2, 0.3), "function": hp.static(*functions)}
    swept = sweep_flowers(space, activated, epochs=1, out=tmp_path)
    assert swept.cost["runs"].tolist() == [3, 3]
    updates = swept.cost["updates"].tolist()
    assert updates[0] == updates[1] > 0
    grown = sweep_flowers(space, activated, epochs=2, out=tmp_path)
    assert grown.cost["updates"].tolist() == [2 * count for count in updates]
