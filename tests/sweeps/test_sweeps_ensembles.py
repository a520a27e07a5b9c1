"""The mean of several runs is a prediction of the same kind, by closed forms in NumPy."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest
import scipy.special

import fnnet
from fnnet import data, errors, losses, nn, optim
from fnnet.sweeps.averaging import rule_of
from fnnet.sweeps.ensembles import ensemble

OUTPUTS = np.random.default_rng(0).normal(0, 3, (4, 5, 3))  # runs, examples, outputs
INPUTS = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)


def averaged(loss, outputs):
    rule = rule_of(loss)
    total = rule.terms(outputs[0])
    for other in outputs[1:]:
        total = rule.add(total, rule.terms(other))
    return rule.finish(total, len(outputs))


@pytest.mark.parametrize(
    "loss", [losses.softmax_cross_entropy, losses.categorical, partial(losses.kl_divergence)]
)  # fmt: skip
def test_of_classes_the_probabilities_are_averaged(loss):
    found = averaged(loss, OUTPUTS)
    expected = scipy.special.softmax(OUTPUTS, axis=-1).mean(axis=0)
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-12)
    np.testing.assert_allclose(scipy.special.softmax(found, axis=-1), expected, rtol=1e-12)


@pytest.mark.parametrize("loss", [losses.sigmoid_binary_cross_entropy, partial(losses.focal, gamma=1.0)])
def test_of_labels_the_probabilities_are_averaged(loss):
    expected = scipy.special.logit(scipy.special.expit(OUTPUTS).mean(axis=0))
    np.testing.assert_allclose(averaged(loss, OUTPUTS), expected, rtol=1e-10, atol=1e-12)


def test_probabilities_that_no_float_can_hold_have_a_mean():
    sure = np.array([[[900.0, -900.0]], [[-900.0, 900.0]]])
    np.testing.assert_allclose(averaged(losses.softmax_cross_entropy, sure), [[-np.log(2), -np.log(2)]])
    np.testing.assert_allclose(averaged(losses.sigmoid_binary_cross_entropy, sure), [[0, 0]])
    np.testing.assert_allclose(averaged(losses.sigmoid_binary_cross_entropy, sure[:1]), sure[0])


def test_of_counts_the_rates_are_averaged():
    np.testing.assert_allclose(averaged(losses.poisson_nll, OUTPUTS), np.log(np.exp(OUTPUTS).mean(axis=0)))


def test_of_directions_lengths_do_not_count():
    lengths = np.array([1.0, 10.0, 0.1, 5.0])[:, None, None]
    expected = (OUTPUTS / np.linalg.norm(OUTPUTS, axis=-1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(averaged(losses.cosine, OUTPUTS * lengths), expected, rtol=1e-12)
    assert averaged(losses.cosine, np.zeros((2, 1, 3))).tolist() == [[0, 0, 0]]


def test_of_gaussians_mean_and_variance_are_those_of_the_mixture():
    means, spreads = 1e6 + 1e-3 * OUTPUTS, OUTPUTS[::-1] - 10
    f, s = averaged(partial(losses.gaussian_nll, variance=2.0), list(zip(means, spreads, strict=True)))
    variance = (2 * np.exp(spreads)).mean(axis=0) + means.var(axis=0)
    np.testing.assert_allclose(f, means.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(2 * np.exp(s), variance, rtol=1e-6)
    np.testing.assert_allclose(averaged(losses.gaussian_nll, OUTPUTS), OUTPUTS.mean(axis=0))


@pytest.mark.parametrize("loss", [losses.squared_error, partial(losses.huber, delta=0.5), lambda f, y: abs(f - y)])
def test_of_anything_else_the_outputs_are_averaged(loss):
    np.testing.assert_allclose(averaged(loss, OUTPUTS), OUTPUTS.mean(axis=0))


@pytest.fixture(scope="module")
def runs(flowers, learner):
    """Two runs of one structure and one of another."""
    return [
        fnnet.fit(
            learner(drop_rate=0.0, activation=activation), flowers[0], validation=flowers[1], epochs=2, batch_size=5,
            key=jax.random.key(seed), progress=False,
        )
        for seed, activation in enumerate(["tanh", "tanh", "relu"])
    ]  # fmt: skip


def test_an_ensemble_of_runs_of_several_structures_is_their_mean(runs, flowers):
    found = ensemble(runs, validation=flowers[1])
    outputs = found.predict(INPUTS)
    expected = np.mean([scipy.special.softmax(run.predict(INPUTS), axis=-1) for run in runs], axis=0)
    np.testing.assert_allclose(np.exp(outputs), expected, rtol=1e-5)
    assert outputs.dtype == np.float32
    assert found.runs == tuple(runs)
    assert found.score == found.evaluate(flowers[1])["accuracy"]
    assert repr(found) == f"Ensemble(3 runs: validation/accuracy {found.score:.4g})"
    assert ensemble(runs).score is None


def test_every_example_counts_with_its_weight(runs):
    draws = np.random.default_rng(2)
    inputs = draws.normal(size=(1500, 3)).astype(np.float32)  # more than are evaluated at once
    targets, weights = draws.integers(0, 3, 1500), draws.uniform(size=1500).astype(np.float32)
    weights[-100:] = 0
    found = ensemble(runs).evaluate(data.from_arrays(inputs, targets.astype(np.int32), weights=weights))
    mean = np.mean([scipy.special.softmax(run.predict(inputs), axis=-1) for run in runs], axis=0)
    right = np.average(mean.argmax(axis=-1) == targets, weights=weights)
    loss = np.average(-np.log(mean[np.arange(1500), targets]), weights=weights)
    assert found == {"loss": pytest.approx(loss, rel=1e-5), "accuracy": pytest.approx(right, rel=1e-5)}


def test_an_ensemble_of_one_run_is_the_run(runs, flowers):
    alone = ensemble(runs[:1])
    np.testing.assert_allclose(
        np.exp(alone.predict(INPUTS)), scipy.special.softmax(runs[0].predict(INPUTS), axis=-1), rtol=1e-5
    )
    assert alone.evaluate(flowers[1]) == pytest.approx(runs[0].evaluate(flowers[1]), rel=1e-5)


def test_outputs_can_be_combined_in_another_way(runs):
    found = ensemble(runs, combine=partial(np.median, axis=0)).predict(INPUTS)
    np.testing.assert_array_equal(found, np.median([run.predict(INPUTS) for run in runs], axis=0))


def without_a_score(run):
    best = run.state.best._replace(score=np.float32(-np.inf))
    return dataclasses.replace(run, state=run.state._replace(best=best, status=np.int32(3)))


def test_runs_without_a_score_are_left_out(runs):
    with pytest.warns(errors.DivergenceWarning) as caught:
        found = ensemble([without_a_score(runs[0]), *runs[1:]])
    assert found.runs == tuple(runs[1:])
    assert str(caught[0].message).startswith(
        "ensemble: 1 of 3 runs has no finite score and is left out: run 0, diverged at step 8: stopped because the loss"
    )
    assert caught[0].filename == __file__
    with pytest.raises(errors.DataError, match=r"ensemble: none of the 2 runs has a finite score\. Run 0 diverged at"):
        ensemble([without_a_score(run) for run in runs[:2]])


def test_what_cannot_be_averaged_is_refused(runs, flowers):
    with pytest.raises(errors.DataError, match=r"ensemble: there are no runs, so there is nothing to average"):
        ensemble([])
    with pytest.raises(errors.StructureError, match=r"ensemble: a run is 3, but runs such as those of fnnet\.fit"):
        ensemble([3])
    with pytest.raises(errors.ShapeError, match=r"ensemble: an input has shape \(3,\) in run 0 and \(2,\) in run 1;"):
        ensemble([runs[0], dataclasses.replace(runs[1], input_spec=jax.ShapeDtypeStruct((2,), np.float32))])
    with pytest.raises(errors.ShapeError, match=r"ensemble\.predict: an input has shape \(2,\), but the model"):
        ensemble(runs).predict(INPUTS[:, :2])
    with pytest.raises(errors.DataError, match=r"ensemble\.evaluate: targets contain class 3 but the model has 3"):
        ensemble(runs).evaluate((INPUTS, np.full(7, 3)))
    other = fnnet.Learner(nn.dense(3), losses.squared_error, optim.sgd(0.1))
    line = fnnet.fit(other, (INPUTS, INPUTS), epochs=1, key=jax.random.key(0), progress=False)
    with pytest.raises(errors.StructureError, match=r"need different means, of class probabilities and of outputs"):
        ensemble([runs[0], line])
