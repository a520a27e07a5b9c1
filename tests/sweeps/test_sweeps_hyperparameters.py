"""Anything that is a number may be a hyperparameter, and is traced."""

import functools

import jax
import numpy as np
import pytest

import fnnet
from fnnet import errors, hp, losses, metrics, nn, optim

NUMBERS = {
    "learning_rate": hp.log_uniform(1e-3, 1e-1),
    "steps": hp.integers(4, 12),
    "b1": hp.uniform(0.5, 0.95),
    "b2": hp.uniform(0.9, 0.999),
    "eps": hp.log_uniform(1e-8, 1e-3),
    "weight_decay": hp.log_uniform(1e-4, 1e-1),
    "drop_rate": hp.uniform(0.1, 0.5),
    "label_smoothing": hp.uniform(0.05, 0.3),
    "scale": hp.log_uniform(0.1, 3.0),
    "strength": hp.log_uniform(1e-4, 1e-1),
}


def everything(learning_rate, steps, b1, b2, eps, weight_decay, drop_rate, label_smoothing, scale, strength):
    """A learner of which every number can be swept."""
    kernel = nn.initializers.normal(scale)
    return fnnet.Learner(
        nn.chain(nn.dense(4, kernel_init=kernel), nn.tanh, nn.dropout(drop_rate), nn.dense(3, kernel_init=kernel)),
        functools.partial(losses.softmax_cross_entropy, label_smoothing=label_smoothing),
        optim.adamw(optim.schedules.cosine(learning_rate, steps), b1=b1, b2=b2, eps=eps, weight_decay=weight_decay),
        {"accuracy": metrics.accuracy},
        prior=losses.gaussian_prior(strength),
    )


def test_every_number_of_a_learner_may_be_swept_in_one_program(sweep_flowers, flowers, compilations):
    swept = sweep_flowers(NUMBERS, everything, trials=3)
    assert len(swept.cost) == 1
    assert (swept.table[list(NUMBERS)].nunique() == 3).all()
    values = swept.trials[1].values
    alone = fnnet.fit(
        everything(**values), flowers[0], validation=flowers[1], epochs=3, batch_size=5, progress=False,
        key=jax.random.fold_in(jax.random.fold_in(jax.random.key(2), 1), 0),
    )  # fmt: skip
    for name, curve in alone.history.items():
        np.testing.assert_allclose(swept.run(1).history[name], curve, rtol=1e-4, atol=1e-6)


def test_trials_may_have_each_their_own_epochs(sweep_flowers, space, flowers, learner):
    swept = sweep_flowers(space, trials=4, seeds=2, epochs=hp.integers(1, 6), evaluate_every="3 steps")
    longest = sweep_flowers(space, trials=4, seeds=2, epochs=6, evaluate_every="3 steps")
    epochs = swept.table["epochs"].to_numpy()
    assert len(set(epochs)) > 1
    assert (swept.table["status"] == "finished").all()
    for row, count in enumerate(epochs):
        seen = -(-count * 4 // 3)
        curve = swept.history["validation/loss"][row]
        assert np.isnan(curve[seen:]).all()
        assert np.isfinite(curve[:seen]).all()
    row = next(row for row, count in enumerate(epochs) if count * 4 % 3)
    alone = fnnet.fit(
        learner(**swept.trials[row // 2].values), flowers[0], validation=flowers[1], epochs=int(epochs[row]),
        batch_size=5, evaluate_every="3 steps", progress=False,
        key=jax.random.fold_in(jax.random.fold_in(jax.random.key(2), row // 2), row % 2),
    )  # fmt: skip
    for name, curve in alone.history.items():
        told = swept.run(row // 2, row % 2).history[name]
        np.testing.assert_allclose(told, curve, rtol=1e-4, atol=1e-6, err_msg=name)
    # Dimensions have each their own axis of the cube, so that the others are drawn as without epochs.
    assert [sorted(trial.values) for trial in swept.trials] == [sorted(space)] * 4
    assert longest.plan.epochs == 6
    assert swept.plan.epochs == epochs.max()


def test_epochs_that_are_none_are_refused(sweep_flowers, space):
    with pytest.raises(errors.HyperparameterError, match=r"epochs is 0.5 in a trial, but it has to be a positive"):
        sweep_flowers(space, trials=2, epochs=hp.grid(0.5, 3))
    with pytest.raises(errors.StructureError, match="epochs is a dimension, but the space lists its trials"):
        sweep_flowers([{"learning_rate": 0.1, "drop_rate": 0.1}], epochs=hp.integers(1, 3))
