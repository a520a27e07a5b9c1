"""Losses called wrongly: shapes that would broadcast, labels out of range, numbers out of range."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import losses
from fnnet.errors import DataError, HyperparameterError, ShapeError

BROADCAST = (
    r"^{}: predictions have shape \(50, 1\) and targets \(50,\); they would broadcast to \(50, 50\)\. "
    r"Reshape the targets with y\[:, None\] or end the model with nn\.squeeze\.$"
)
PAIRED = [
    losses.squared_error, losses.half_squared_error, losses.sum_of_squares, losses.absolute_error, losses.huber,
    losses.log_cosh, losses.sigmoid_binary_cross_entropy, losses.focal, losses.hinge, losses.gaussian_nll,
    losses.laplace_nll, losses.poisson_nll,
]  # fmt: skip


@pytest.mark.parametrize("loss", PAIRED)
def test_a_column_against_a_row_is_an_error_and_not_a_table(loss):
    with pytest.raises(ShapeError, match=BROADCAST.format(loss.__name__)):
        loss(jnp.ones((50, 1)), jnp.ones(50))
    with pytest.raises(ValueError, match="would broadcast"):  # for code that knows nothing of fnnet
        jax.jit(loss)(jnp.ones((50, 1)), jnp.ones(50))


@pytest.mark.parametrize("loss", PAIRED)
@pytest.mark.parametrize(
    ("predictions", "targets", "sentence"),
    [
        ((50,), (50, 1), r"would broadcast to \(50, 50\)\. Reshape the targets with y\[:, 0\]\."),
        ((50, 2), (50, 3), r"they do not fit together\. End the model with 3 outputs, one a target\."),
        ((50, 2), (50,), r"they do not fit together\. Give the model one output a target\."),
        ((2, 50), (3, 50), r"they do not fit together\. Give the model one output a target\."),
    ],
)
def test_shapes_that_differ_are_an_error_with_the_fix(loss, predictions, targets, sentence):
    with pytest.raises(ShapeError, match=sentence):
        loss(jnp.ones(predictions), jnp.ones(targets))


ONES = jnp.ones((4, 3))
MISTAKES = {
    "ids as floats": (
        lambda: losses.softmax_cross_entropy(ONES, jnp.ones(4)),
        r"targets float32\(4,\).*y\.astype\(int\)",
    ),
    "ids in a column": (
        lambda: losses.softmax_cross_entropy(ONES, jnp.ones((4, 1), int)),
        r"integers of shape \(4,\).*drop a last axis of length 1 with y\[\.\.\., 0\]",
    ),
    "one-hot integers": (lambda: losses.softmax_cross_entropy(ONES, jnp.ones((4, 3), int)), "floats of shape"),
    "other examples": (lambda: losses.softmax_cross_entropy(ONES, jnp.ones(5, int)), r"\(5,\)"),
    "weights of others": (
        lambda: losses.squared_error(ONES, ONES, weights=jnp.ones(5)),
        r"weights have shape \(5,\), but the values have shape \(4, 3\).*\(4,\) for one weight an example",
    ),
    "weights of classes": (
        lambda: losses.softmax_cross_entropy(ONES, jnp.ones(4, int), weights=ONES),
        r"weights have shape \(4, 3\), but the values have shape \(4,\)",
    ),
    "ids for a divergence": (
        lambda: losses.kl_divergence(ONES, ONES.astype(int)),
        r"^kl_divergence: .*int32\(4, 3\).*floats of the predictions' shape",
    ),
    "a cosine that would broadcast": (lambda: losses.cosine(ONES, ONES[:, :1]), r"^cosine: .*would broadcast"),
    "log-variances that would broadcast": (
        lambda: losses.gaussian_nll((ONES, ONES[:, :1]), ONES),
        r"^gaussian_nll, log-variances: .*would broadcast to \(4, 3\)",
    ),
    "one weight": (lambda: losses.squared_error(ONES, ONES, weights=2.0), r"weights have shape \(\)"),
}


@pytest.mark.parametrize(("call", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_a_sentence(call, sentence):
    with pytest.raises(ShapeError, match=sentence):
        call()


def test_concrete_class_ids_are_checked_before_anything_is_compiled():
    check = losses.softmax_cross_entropy.check_targets
    check((4, 10), np.array([0, 9, 3, 3]))
    with pytest.raises(
        DataError,
        match=r"targets contain class 10 but the model has 10 outputs \(classes 0 to 9\): 3 examples, first at row 1\.",
    ):
        check((4, 10), np.array([0, 10, 10, 10]))
    with pytest.raises(DataError, match=r"class -1 .*: 1 example, first at row 2\."):
        check((4, 10), np.array([0, 1, -1, 3]))


LABELS = {
    "a label of 2": (losses.sigmoid_binary_cross_entropy, [[0], [2]], "targets contain 2, but labels lie between 0"),
    "a negative label": (losses.focal, [[0], [-1]], r"^focal: targets contain -1, .*1 example, first at row 1\."),
    "a hinge of classes": (losses.hinge, [[0], [2]], r"targets contain 2, but labels are −1 and 1, or 0 and 1"),
    "a hinge of three": (losses.hinge, [[1], [0], [-1]], r"−1 and 0, which both mean no.*1 example, first at row 1\."),
    "a negative count": (losses.poisson_nll, [[0], [-3]], r"targets contain -3, but counts are at least 0: 1 example"),
    "no distribution": (losses.kl_divergence, [[0.5, 0.6]], r"^kl_divergence: .*not distributions"),
}


@pytest.mark.parametrize(("loss", "targets", "sentence"), LABELS.values(), ids=LABELS)
def test_concrete_targets_that_a_loss_has_no_meaning_for_are_named(loss, targets, sentence):
    targets = np.asarray(targets)
    with pytest.raises(DataError, match=sentence):
        loss.check_targets(targets.shape, targets)


def test_good_labels_pass():
    for loss in (losses.hinge, losses.focal, losses.sigmoid_binary_cross_entropy, losses.poisson_nll):
        loss.check_targets((2, 1), np.array([[0], [1]]))
    losses.hinge.check_targets((2, 1), np.array([[-1.0], [1.0]]))
    losses.kl_divergence.check_targets((1, 2), np.array([[0.25, 0.75]]))


NUMBERS = {
    "delta": (partial(losses.huber, delta=0.0), r"^huber: delta is 0, but it has to be more than 0\.$"),
    "label_smoothing": (
        partial(losses.softmax_cross_entropy, label_smoothing=1.5),
        r"^softmax_cross_entropy: label_smoothing is 1\.5, but it has to be at least 0 and at most 1\.$",
    ),
    "gamma": (partial(losses.focal, gamma=-1.0), "^focal: gamma is -1, but it has to be at least 0"),
    "alpha": (partial(losses.focal, alpha=2.0), "^focal: alpha is 2, but it has to be at least 0 and at most 1"),
    "variance": (partial(losses.gaussian_nll, variance=-1.0), "^gaussian_nll: variance is -1, but"),
    "scale": (partial(losses.laplace_nll, scale=float("inf")), "^laplace_nll: scale is inf, but"),
}


@pytest.mark.parametrize(("loss", "sentence"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_out_of_its_range_is_refused(loss, sentence):
    targets = jnp.zeros(4, int) if "softmax" in sentence else ONES
    with pytest.raises(HyperparameterError, match=sentence):
        loss(ONES, targets)
