"""Metrics against scikit-learn, with weights and in batches, and what may stand in for one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import losses, metrics
from fnnet.errors import ShapeError, StructureError

RANDOM = np.random.default_rng(0)
LOGITS, NUMBERS, TARGETS = RANDOM.normal(size=(3, 101, 3)).astype(np.float32)
IDS = RANDOM.integers(0, 3, size=101)
LABELS = (TARGETS > 0.3).astype(np.int32)
WEIGHTS = RANDOM.random(101).astype(np.float32) * (np.arange(101) % 5 > 0)


def reference(name):
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the reference")
    flat = lambda w: None if w is None else np.repeat(w, 3)  # noqa: E731
    return {
        "accuracy": lambda w: sklearn.accuracy_score(IDS, LOGITS.argmax(axis=1), sample_weight=w),
        "binary_accuracy": lambda w: sklearn.accuracy_score(
            LABELS.ravel(), (LOGITS > 0).ravel(), sample_weight=flat(w)
        ),
        "mean_absolute_error": lambda w: sklearn.mean_absolute_error(TARGETS, NUMBERS, sample_weight=w),
        "root_mean_squared_error": lambda w: sklearn.root_mean_squared_error(
            TARGETS.ravel(), NUMBERS.ravel(), sample_weight=flat(w)
        ),
        "r2": lambda w: sklearn.r2_score(TARGETS, NUMBERS, sample_weight=w),
    }[name]


ARGUMENTS = {
    "accuracy": (LOGITS, IDS),
    "binary_accuracy": (LOGITS, LABELS),
    "mean_absolute_error": (NUMBERS, TARGETS),
    "root_mean_squared_error": (NUMBERS, TARGETS),
    "r2": (NUMBERS, TARGETS),
}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_metric_agrees_with_scikit_learn_whole_and_in_batches(name, weights):
    f, y = (jnp.asarray(argument) for argument in ARGUMENTS[name])
    expected = reference(name)(weights)
    function = getattr(metrics, name)
    assert float(function(f, y, weights=weights)) == pytest.approx(expected, rel=2e-6)
    metric = metrics.as_metric(function)
    w = jnp.ones(101) if weights is None else jnp.asarray(weights)
    parts = [metric.sums(f[i : i + 40], y[i : i + 40], w[i : i + 40]) for i in (0, 40, 80)]
    total = jax.tree.map(lambda *sums: sum(sums[1:], sums[0]), *parts)
    assert float(metric.compute(total)) == pytest.approx(expected, rel=2e-6)


def test_accuracy_takes_distributions_and_pixels():
    f = jnp.asarray(LOGITS[:8]).reshape(2, 2, 2, 3)
    ids = jnp.asarray(IDS[:8]).reshape(2, 2, 2)
    expected = (LOGITS[:8].argmax(axis=1) == IDS[:8]).mean()
    assert float(metrics.accuracy(f, ids)) == pytest.approx(expected)
    assert float(metrics.accuracy(f, jax.nn.one_hot(ids, 3))) == pytest.approx(expected)


def test_r2_is_1_for_the_targets_0_for_their_mean_and_nan_for_constant_targets():
    y = jnp.asarray(TARGETS)
    assert float(metrics.r2(y, y)) == 1
    assert float(metrics.r2(jnp.broadcast_to(y.mean(axis=0, keepdims=True), y.shape), y)) == pytest.approx(0, abs=1e-6)
    assert np.isnan(metrics.r2(y, jnp.ones_like(y)))


@pytest.mark.parametrize("values", [np.bool_, np.int32, np.float16, np.float32])
def test_any_function_of_one_value_an_example_is_averaged_with_fractional_weights(values):
    right = np.array([True, False, True, False])
    metric = metrics.as_metric(lambda predictions, targets: jnp.asarray(right.astype(values)))
    nothing, weights = jnp.zeros((4, 2)), jnp.array([0.5, 0.25, 0.25, 3.0])
    assert float(metric(nothing, nothing)) == 0.5
    assert float(metric(nothing, nothing, weights=weights)) == pytest.approx(0.75 / 4)
    assert float(metric(nothing, nothing, weights=[0.5, 0.25, 0.25, 3.0])) == pytest.approx(0.75 / 4)
    assert metric.higher_is_better is None


def test_a_loss_is_a_metric_of_which_less_is_better():
    metric = metrics.as_metric(losses.squared_error)
    f, y = jnp.asarray(NUMBERS), jnp.asarray(TARGETS)
    assert float(metric(f, y)) == pytest.approx(((NUMBERS - TARGETS) ** 2).mean(), rel=1e-5)
    assert metric.higher_is_better is False


def test_marks_turn_the_direction_and_keep_the_name():
    def closeness(predictions, targets):
        """How close."""
        return -jnp.abs(predictions - targets)[:, 0]

    more, less = metrics.maximize(closeness), metrics.minimize(closeness)
    assert metrics.as_metric(more).higher_is_better is True
    assert metrics.as_metric(less).higher_is_better is False
    assert more.__name__ == "closeness"
    assert more.__doc__ == "How close."
    f, y = jnp.asarray(NUMBERS), jnp.asarray(TARGETS)
    assert float(more(f, y)) == pytest.approx(-np.abs(NUMBERS - TARGETS)[:, 0].mean(), rel=1e-5)
    assert metrics.as_metric(metrics.maximize(metrics.minimize(closeness))).higher_is_better is True
    assert metrics.as_metric(metrics.as_metric(more)).higher_is_better is True


TWO = jnp.ones((2, 3))
MISTAKES = {
    "a mean already": (
        lambda: metrics.as_metric(lambda p, t: (p - t).mean())(TWO, TWO),
        ShapeError,
        r"one value an example, shape \(2,\), but this one gave \(\)\. Leave the mean over examples to fnnet",
    ),
    "a value an output": (
        lambda: metrics.as_metric(lambda p, t: p - t)(TWO, TWO),
        ShapeError,
        r"shape \(2,\), but this one gave \(2, 3\)",
    ),
    "not a function": (
        lambda: metrics.as_metric("accuracy"),
        (StructureError, TypeError),
        "is not a function|not an instance",
    ),
    "accuracy of one logit": (
        lambda: metrics.accuracy(jnp.ones((2, 1)), jnp.ones((2, 1), int)),
        ShapeError,
        r"accuracy: .*\(2, 1\).*metrics\.binary_accuracy",
    ),
    "binary accuracy that would broadcast": (
        lambda: metrics.binary_accuracy(jnp.ones((2, 1)), jnp.ones(2, int)),
        ShapeError,
        r"^binary_accuracy: .*would broadcast to \(2, 2\)",
    ),
    "r2 that would broadcast": (lambda: metrics.r2(jnp.ones((2, 1)), jnp.ones(2)), ShapeError, "^r2: "),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
