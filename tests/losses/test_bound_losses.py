"""Numbers of a loss bound with functools.partial: found, checked, compiled once, swept."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import hp, losses, nn, optim
from fnnet.errors import DataError, HyperparameterError
from fnnet.metrics import as_metric
from fnnet.recipes import describe, split


def smooth(label_smoothing=0.1):
    loss = partial(losses.softmax_cross_entropy, label_smoothing=label_smoothing)
    return fnnet.Learner(nn.dense(3), loss, optim.sgd(0.1))


def test_a_bound_number_comes_out_of_the_learner_and_leaves_one_skeleton():
    (numbers, one), (others, other) = split(smooth(0.1)), split(smooth(0.2))
    assert one == other
    assert [a for a, b in zip(numbers, others, strict=True) if a != b] == [0.1]
    assert describe(smooth().loss) == "partial(softmax_cross_entropy, label_smoothing=0.1)"


def test_what_a_loss_says_of_itself_is_heard_through_a_partial():
    bound = partial(partial(losses.huber, delta=2.0), delta=3.0)
    assert as_metric(bound).higher_is_better is False
    f, y = jnp.array([[5.0], [0.0]]), jnp.zeros((2, 1))
    assert float(as_metric(bound)(f, y)) == pytest.approx((3 * 3.5 + 0) / 2)


def test_fits_with_other_numbers_share_a_program_and_differ_as_they_should(flowers, compilations):
    def trained(s):
        run = fnnet.fit(smooth(s), *flowers[:1], epochs=2, batch_size=5, key=jax.random.key(0), progress=False)
        return run.params["kernel"]

    first = trained(0.1)
    compilations.clear()
    second = trained(0.3)
    assert compilations == []
    assert np.abs(first - second).max() > 1e-3


def test_a_sweep_over_the_number_of_a_loss_is_one_program(flowers, compilations):
    def swept(*values):
        return fnnet.sweep(
            smooth, {"label_smoothing": hp.grid(*values)}, flowers[0], epochs=2, batch_size=5, key=jax.random.key(0),
            progress=False,
        ).table["train/loss"].to_numpy()  # fmt: skip

    first = swept(0.1, 0.3)
    compilations.clear()
    second = swept(0.3, 0.5)
    assert compilations == []
    assert np.abs(first - second).min() > 1e-3  # trial by trial, from the same parameters


def test_concrete_targets_are_checked_through_a_partial(flowers):
    table = flowers[0]
    wrong = (table.inputs, np.full(len(table), 3))
    with pytest.raises(DataError, match=r"^fit: targets contain class 3 but the model has 3 outputs"):
        fnnet.fit(smooth(), wrong, epochs=1, key=jax.random.key(0))


def test_a_number_out_of_range_is_refused_before_anything_is_compiled(flowers, compilations):
    sentence = r"softmax_cross_entropy: label_smoothing is 1\.5, but it has to be at least 0 and at most 1\."
    with pytest.raises(HyperparameterError, match=sentence):
        fnnet.fit(smooth(1.5), flowers[0], epochs=1, key=jax.random.key(0))
    with pytest.raises(HyperparameterError, match=r"^sweep: trial 1 \(label_smoothing=1\.5\): " + sentence):
        fnnet.sweep(smooth, {"label_smoothing": hp.grid(0.1, 1.5)}, flowers[0], epochs=1, key=jax.random.key(0))


def test_a_model_of_mean_and_variance_is_trained_evaluated_and_used(flowers):
    table = fnnet.data.from_arrays(flowers[0].inputs, flowers[0].inputs[:, :1])
    model = nn.chain(nn.dense(2), halves)
    learner = fnnet.Learner(model, losses.gaussian_nll, optim.adam(0.1), {"error": error_of_mean})
    run = fnnet.fit(learner, table, validation=table, epochs=30, key=jax.random.key(0), monitor="validation/loss",
                    progress=False)  # fmt: skip
    mean, log_variance = run.predict(table.inputs)
    assert mean.shape == log_variance.shape == (len(table), 1)
    assert run.history["train/loss"][-1] < run.history["train/loss"][0] - 1
    assert run.evaluate(table)["error"] == pytest.approx(np.mean((mean - table.targets) ** 2), rel=1e-5)


def halves(x):
    return x[:, :1], x[:, 1:]


def error_of_mean(predictions, targets):
    return losses.squared_error(predictions[0], targets)
