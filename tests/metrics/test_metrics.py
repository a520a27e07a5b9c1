"""Metrics against scikit-learn, with weights and in batches, and what may stand in for one."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from fnnet import losses, metrics
from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.recipes import describe, split

RANDOM = np.random.default_rng(0)
LOGITS, NUMBERS, TARGETS = RANDOM.normal(size=(3, 101, 3)).astype(np.float32)
IDS = RANDOM.integers(0, 3, size=101)
LABELS = (TARGETS > 0.3).astype(np.int32)
WEIGHTS = RANDOM.random(101).astype(np.float32) * (np.arange(101) % 5 > 0)
TIED = np.round(2 * LOGITS[:, 0]) / 2  # 101 scores of a dozen values
PROBABILITIES = special.softmax(LOGITS.astype(float), axis=1)
YES = special.expit(TIED.astype(float))


def calibration(confidence, right, w, bins):
    """The expected calibration error by a loop over bins, in float64."""
    index = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
    gaps = [abs((w * (right - confidence))[index == b].sum()) for b in range(bins)]
    return sum(gaps) / w.sum()


def reference(name):
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the reference")
    ones = lambda w: np.ones(101) if w is None else w  # noqa: E731
    flat = lambda w: None if w is None else np.repeat(w, 3)  # noqa: E731
    chosen = LOGITS.argmax(axis=1)

    def of_classes(function, **arguments):
        return {
            "ids": lambda w: function(IDS, chosen, sample_weight=w, average="macro"),
            "yes": lambda w: function(LABELS[:, 0], TIED > 0, sample_weight=w),
            "labels": lambda w: function(LABELS, LOGITS > 0, sample_weight=w, average="macro"),
        }

    return {
        "accuracy": {"ids": lambda w: sklearn.accuracy_score(IDS, chosen, sample_weight=w)},
        "binary_accuracy": {
            "labels": lambda w: sklearn.accuracy_score(LABELS.ravel(), (LOGITS > 0).ravel(), sample_weight=flat(w))
        },
        "top_k_accuracy": {
            "ids": lambda w: sklearn.top_k_accuracy_score(IDS, LOGITS, k=2, sample_weight=w),
        },
        "balanced_accuracy": {
            "ids": lambda w: sklearn.balanced_accuracy_score(IDS, chosen, sample_weight=w),
            "yes": lambda w: sklearn.balanced_accuracy_score(LABELS[:, 0], TIED > 0, sample_weight=w),
            "labels": lambda w: np.mean(
                [
                    sklearn.balanced_accuracy_score(y, f > 0, sample_weight=w)
                    for y, f in zip(LABELS.T, LOGITS.T, strict=True)
                ]
            ),
        },
        "precision": of_classes(sklearn.precision_score),
        "recall": of_classes(sklearn.recall_score),
        "f1": of_classes(sklearn.f1_score),
        "auroc": {
            "ids": lambda w: sklearn.roc_auc_score(IDS, PROBABILITIES, multi_class="ovr", sample_weight=w),
            "yes": lambda w: sklearn.roc_auc_score(LABELS[:, 0], TIED, sample_weight=w),
            "labels": lambda w: sklearn.roc_auc_score(LABELS, LOGITS, sample_weight=w),
        },
        "log_loss": {
            "ids": lambda w: sklearn.log_loss(IDS, PROBABILITIES, sample_weight=w),
            "yes": lambda w: sklearn.log_loss(LABELS[:, 0], YES, sample_weight=w),
        },
        "expected_calibration_error": {
            "ids": lambda w: calibration(PROBABILITIES.max(axis=1), chosen == IDS, ones(w), 10),
            "yes": lambda w: calibration(np.maximum(YES, 1 - YES), (TIED > 0) == LABELS[:, 0], ones(w), 10),
        },
        "mean_absolute_error": {"numbers": lambda w: sklearn.mean_absolute_error(TARGETS, NUMBERS, sample_weight=w)},
        "root_mean_squared_error": {
            "numbers": lambda w: sklearn.root_mean_squared_error(
                TARGETS.ravel(), NUMBERS.ravel(), sample_weight=flat(w)
            )
        },
        "r2": {"numbers": lambda w: sklearn.r2_score(TARGETS, NUMBERS, sample_weight=w)},
    }[name]


ARGUMENTS = {
    "ids": (LOGITS, IDS),
    "yes": (TIED, LABELS[:, 0]),
    "labels": (LOGITS, LABELS),
    "numbers": (NUMBERS, TARGETS),
}
FACTORIES = {"top_k_accuracy": 2, "expected_calibration_error": 10}
METRICS = {
    name: metrics.as_metric(getattr(metrics, name)(FACTORIES[name]) if name in FACTORIES else getattr(metrics, name))
    for name in metrics.__all__
    if name not in {"Metric", "as_metric", "averaged", "maximize", "minimize"}
}
CUTS = [[0, 101], [0, 1, 51, 101]]  # every other length would be another program


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_agrees_with_scikit_learn_whole_and_in_batches(name):
    metric = METRICS[name]
    sums, compute = jax.jit(metric.sums), jax.jit(metric.compute)
    for kind, expected in reference(name).items():
        f, y = (jnp.asarray(argument) for argument in ARGUMENTS[kind])
        for weights in (None, WEIGHTS):
            wanted = pytest.approx(expected(weights), rel=2e-6)
            w = jnp.ones(101) if weights is None else jnp.asarray(weights)
            for cut in CUTS:
                parts = [sums(f[i:j], y[i:j], w[i:j]) for i, j in itertools.pairwise(cut)]
                assert float(compute(metric.merged(parts))) == wanted, kind


NOTHING = {
    "accuracy": metrics.accuracy,
    "auroc": metrics.auroc,
    "f1": metrics.f1,
    "expected_calibration_error": metrics.expected_calibration_error(5),
}


def test_whole_predictions_leave_weights_and_targets_their_fractions():
    answers, weights = jnp.asarray(LABELS[:, 0]), jnp.asarray(WEIGHTS)
    for metric in (metrics.precision, metrics.balanced_accuracy, metrics.auroc, metrics.binary_accuracy, metrics.r2):
        y = jnp.asarray(LABELS[:, 1] if metric is not metrics.r2 else LOGITS[:, 1])
        scored = jax.jit(metric)
        wanted = scored(answers.astype(jnp.float32), y, weights=weights)
        np.testing.assert_array_equal(scored(answers, y, weights=weights), wanted)
        assert np.isfinite(wanted)


@pytest.mark.parametrize("metric", NOTHING.values(), ids=NOTHING)
def test_where_nothing_is_counted_a_metric_is_nan(metric):
    assert np.isnan(metric(jnp.asarray(LOGITS[:0]), jnp.asarray(IDS[:0])))
    assert np.isnan(metric(jnp.asarray(LOGITS), jnp.asarray(IDS), weights=np.zeros(101, np.float32)))


def test_classes_that_do_not_occur_are_left_out_as_scikit_learn_leaves_them_out():
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the reference")
    f = jnp.asarray(LOGITS)
    absent = np.where(IDS == 2, 1, IDS)  # class 2 is chosen, but never right
    recognised = [(LOGITS.argmax(axis=1) == c)[absent == c].mean() for c in (0, 1)]
    assert float(metrics.balanced_accuracy(f, jnp.asarray(absent))) == pytest.approx(np.mean(recognised), rel=1e-6)
    for name in ("precision", "recall", "f1"):
        function = getattr(sklearn, f"{name}_score")
        expected = function(absent, LOGITS.argmax(axis=1), average="macro", zero_division=0)
        assert float(getattr(metrics, name)(f, jnp.asarray(absent))) == pytest.approx(expected, rel=1e-6)
        never = jnp.concatenate([f[:, :2], jnp.full((101, 1), -9.0)], axis=1)  # nor chosen
        expected = function(absent, LOGITS[:, :2].argmax(axis=1), average="macro")
        assert float(getattr(metrics, name)(never, jnp.asarray(absent))) == pytest.approx(expected, rel=1e-6)
    of_two = [sklearn.roc_auc_score(absent == c, PROBABILITIES[:, c]) for c in (0, 1)]
    assert float(metrics.auroc(f, jnp.asarray(absent))) == pytest.approx(np.mean(of_two), rel=1e-6)


def test_labels_of_one_kind_alone():
    f, no, yes = jnp.array([1.0, -1.0]), jnp.zeros(2, int), jnp.ones(2, int)
    assert np.isnan(metrics.auroc(f, yes))
    assert np.isnan(metrics.auroc(f, no))
    assert float(metrics.recall(f, yes)) == 0.5
    assert float(metrics.balanced_accuracy(f, yes)) == 0.5
    assert float(metrics.precision(f, no)) == 0  # chosen once, and wrongly
    assert float(metrics.recall(-jnp.abs(f), yes)) == 0  # there, and never chosen
    assert np.isnan(metrics.f1(-jnp.abs(f), no))  # neither


def test_equal_scores_are_half_right_and_nan_is_no_score():
    y = jnp.array([0, 1, 0, 1])
    assert float(metrics.auroc(jnp.zeros(4), y)) == 0.5
    assert float(metrics.auroc(jnp.array([-0.0, 0.0, -jnp.inf, jnp.inf]), y)) == 0.875
    assert np.isnan(metrics.auroc(jnp.array([jnp.nan, 1.0, 2.0, 3.0]), y))
    score, label = jnp.array([5.0, 3.0, 4.0, 3.0]), jnp.array([1, 1, 0, 0])
    weights = jnp.array([1.0, 2.0, 0.5, 3.0])
    # 5 beats 4 and 3; 3 loses against 4 and ties with 3.
    by_hand = (1.0 * (0.5 + 3.0) + 2.0 * (0.0 + 3.0 / 2)) / (3.0 * 3.5)
    assert float(metrics.auroc(score, label, weights=weights)) == pytest.approx(by_hand, rel=1e-6)


def test_of_equal_outputs_the_first_are_the_largest_and_nan_is_never_right():
    f, y = jnp.zeros((3, 3)), jnp.array([0, 1, 2])
    for k, share in ((1, 1 / 3), (2, 2 / 3), (3, 1.0)):
        assert float(metrics.top_k_accuracy(k)(f, y)) == pytest.approx(share)
    assert float(metrics.accuracy(f, y)) == pytest.approx(1 / 3)
    for hole in (jnp.full((3, 3), jnp.nan), f.at[:, 2].set(jnp.nan)):
        assert float(metrics.top_k_accuracy(1)(hole, y[:2].repeat(2)[:3])) == 0


def test_decisions_about_pixels_are_counted_each():
    f, ids = jnp.asarray(LOGITS[:96]).reshape(8, 4, 3, 3), jnp.asarray(IDS[:96]).reshape(8, 4, 3)
    for name in ("balanced_accuracy", "precision", "recall", "f1", "log_loss"):
        metric = jax.jit(getattr(metrics, name))
        flat = metric(f.reshape(96, 3), ids.reshape(96))
        assert float(metric(f, ids)) == pytest.approx(float(flat), rel=1e-6)
    for factory in (metrics.top_k_accuracy(2), metrics.expected_calibration_error(5)):
        assert float(factory(f, ids)) == pytest.approx(float(factory(f.reshape(96, 3), ids.reshape(96))), rel=1e-6)


def test_factories_of_equal_arguments_are_one_structure():
    for factory in (metrics.top_k_accuracy, metrics.expected_calibration_error):
        assert split(factory(3)) == split(factory(3))
        assert split(factory(3)) != split(factory(4))
        assert describe(factory(3)) == f"{factory.__name__}(3)"


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
    assert np.isnan(metrics.r2(y, jnp.full_like(y, 0.1)))


@pytest.mark.parametrize("cut", CUTS)
def test_r2_keeps_its_digits_where_the_mean_is_far_larger_than_the_spread(cut):
    random = np.random.default_rng(3)
    y = (2000 + 5 * random.normal(size=101)).astype(np.float32)
    f = (y + 2 * random.normal(size=101)).astype(np.float32)
    mean = np.average(y.astype(float), weights=WEIGHTS)
    spread, error = (WEIGHTS @ np.square(value) for value in (y - mean, y.astype(float) - f))
    metric = METRICS["r2"]
    parts = [metric.sums(*map(jnp.asarray, (f[i:j], y[i:j], WEIGHTS[i:j]))) for i, j in itertools.pairwise(cut)]
    assert float(metric.compute(metric.merged(parts))) == pytest.approx(1 - error / spread, rel=1e-5)


@pytest.mark.parametrize("values", [np.bool_, np.int32, np.float16, np.float32])
def test_any_function_of_one_value_an_example_is_averaged_with_fractional_weights(values):
    right = np.array([True, False, True, False])
    metric = metrics.as_metric(lambda predictions, targets: jnp.asarray(right.astype(values)))
    nothing, weights = jnp.zeros((4, 2)), jnp.array([0.5, 0.25, 0.25, 3.0])
    assert float(metric(nothing, nothing)) == 0.5
    assert float(metric(nothing, nothing, weights=weights)) == pytest.approx(0.75 / 4)
    assert float(metric(nothing, nothing, weights=[0.5, 0.25, 0.25, 3.0])) == pytest.approx(0.75 / 4)
    assert metric.higher_is_better is None


def test_outputs_of_several_kinds_may_have_names():
    class Normal(NamedTuple):
        mean: jax.Array
        log_variance: jax.Array

    f, y = jnp.asarray(LOGITS), jnp.asarray(TARGETS)
    wanted = losses.gaussian_nll((f, f), y).mean()
    np.testing.assert_allclose(metrics.as_metric(losses.gaussian_nll)(Normal(f, f), y), wanted, rtol=1e-6)
    by_name = metrics.minimize(lambda predictions, targets: losses.squared_error(predictions["size"], targets))
    np.testing.assert_allclose(by_name({"size": f}, y), losses.squared_error(f, y).mean(), rtol=1e-6)


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
    "an order of pixels": (
        lambda: metrics.auroc(jnp.ones((2, 3, 4)), jnp.ones((2, 3), int)),
        ShapeError,
        r"^auroc: targets have shape \(2, 3\), but there has to be one class id an example",
    ),
    "a column against a row": (
        lambda: metrics.f1(jnp.ones((2, 1)), jnp.ones(2, int)),
        ShapeError,
        r"^f1: predictions have shape \(2, 1\) and targets int32\(2,\); .*labels 0 and 1 of the predictions' shape",
    ),
    "float ids": (lambda: metrics.log_loss(TWO, jnp.ones(2)), ShapeError, r"^log_loss: .*y\.astype\(int\)"),
    "labels for a top k": (lambda: metrics.top_k_accuracy(1)(TWO, TWO), ShapeError, "^top_k_accuracy: .*class ids"),
    "too large a k": (
        lambda: metrics.top_k_accuracy(5)(TWO, jnp.ones(2, int)),
        HyperparameterError,
        "^top_k_accuracy: k is 5, but there are 3 classes to choose from",
    ),
    "k of 0": (lambda: metrics.top_k_accuracy(0), HyperparameterError, "k is 0, but .* a positive integer"),
    "half a bin": (lambda: metrics.expected_calibration_error(0.5), (HyperparameterError, TypeError), "0.5"),
    "r2 that would broadcast": (lambda: metrics.r2(jnp.ones((2, 1)), jnp.ones(2)), ShapeError, "^r2: "),
}


@pytest.mark.parametrize(("call", "error", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
