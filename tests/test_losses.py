"""Losses against SciPy and closed forms in float64, their derivatives, huge logits, weights and mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from fnnet import losses
from fnnet.errors import DataError, ShapeError

RANDOM = np.random.default_rng(0)
F, Y = RANDOM.normal(size=(2, 5, 4)) * 3
IDS = RANDOM.integers(0, 4, size=5)
SHARES = special.softmax(Y, axis=1)
LABELS = (Y > 0).astype(float)


def cross_entropy(f, shares):
    return -(shares * special.log_softmax(f, axis=-1)).sum(axis=-1)


def binary_cross_entropy(z, y):
    return -(y * special.log_expit(z) + (1 - y) * special.log_expit(-z)).mean(axis=-1)


CASES = {
    "squared_error": (losses.squared_error, Y, lambda f: ((f - Y) ** 2).mean(axis=1), 2 * (F - Y) / 4),
    "absolute_error": (losses.absolute_error, Y, lambda f: np.abs(f - Y).mean(axis=1), np.sign(F - Y) / 4),
    "softmax_cross_entropy of ids": (
        losses.softmax_cross_entropy,
        IDS,
        lambda f: cross_entropy(f, np.eye(4)[IDS]),
        special.softmax(F, axis=1) - np.eye(4)[IDS],
    ),
    "softmax_cross_entropy of shares": (
        losses.softmax_cross_entropy,
        SHARES,
        lambda f: cross_entropy(f, SHARES),
        special.softmax(F, axis=1) - SHARES,
    ),
    "sigmoid_binary_cross_entropy": (
        losses.sigmoid_binary_cross_entropy,
        LABELS,
        lambda f: binary_cross_entropy(f, LABELS),
        (special.expit(F) - LABELS) / 4,
    ),
}


@pytest.mark.parametrize(("loss", "targets", "value", "slope"), CASES.values(), ids=CASES)
def test_values_and_derivatives_are_the_closed_forms(loss, targets, value, slope):
    with jax.enable_x64(True):
        f, y = jnp.asarray(F), jnp.asarray(targets)
        np.testing.assert_allclose(loss(f, y), value(F), rtol=1e-12)
        derivative = jax.grad(lambda f: loss(f, y).sum())(f)
        np.testing.assert_allclose(derivative, slope, rtol=1e-10, atol=1e-14)
        direction = RANDOM.normal(size=F.shape)
        numeric = (value(F + 1e-6 * direction) - value(F - 1e-6 * direction)).sum() / 2e-6
        assert float((derivative * direction).sum()) == pytest.approx(numeric, rel=1e-7)


def test_one_number_an_example_needs_no_axis_of_outputs():
    f, y = jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])
    np.testing.assert_array_equal(losses.squared_error(f, y), [1.0, 4.0])
    np.testing.assert_array_equal(losses.absolute_error(f, y), [1.0, 2.0])
    assert losses.sigmoid_binary_cross_entropy(f, jnp.array([0, 1])).shape == (2,)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("size", [1e4, 6e4])
def test_huge_logits_have_finite_losses_and_derivatives(dtype, size):
    f = size * jnp.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 1.0]], dtype)
    cases = [
        (losses.softmax_cross_entropy, jnp.array([1, 0]), 2 * size),
        (losses.softmax_cross_entropy, jnp.eye(3)[jnp.array([1, 0])], 2 * size),
        (losses.sigmoid_binary_cross_entropy, jnp.array([[0, 1, 0], [1, 0, 0]]), None),
        (losses.squared_error, jnp.zeros((2, 3)), None),
    ]
    for loss, y, wrong in cases:
        value, slope = jax.value_and_grad(lambda f, loss=loss, y=y: loss(f, y)[0])(f)
        assert np.isfinite(value)
        assert np.isfinite(np.float32(slope)).all()
        if wrong is not None:
            assert float(value) == pytest.approx(wrong, rel=0.01)


def test_a_certain_and_right_answer_costs_nothing_and_a_coin_costs_log_two():
    right = losses.softmax_cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([0]))
    assert float(right[0]) == 0
    coin = losses.sigmoid_binary_cross_entropy(jnp.zeros((1, 1)), jnp.ones((1, 1)))
    assert float(coin[0]) == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int32"])
def test_class_ids_may_have_any_integer_dtype_also_with_more_classes_than_it_counts(dtype):
    f = jnp.zeros((2, 300))
    np.testing.assert_allclose(losses.softmax_cross_entropy(f, jnp.array([5, 100], dtype)), np.log(300), rtol=1e-6)


def test_a_class_out_of_range_counts_like_none_while_it_is_traced():
    values, slope = jax.vjp(lambda f: losses.softmax_cross_entropy(f, jnp.array([-1, 4, 0])), jnp.zeros((3, 4)))
    np.testing.assert_allclose(values, [0, 0, np.log(4)], rtol=1e-6)
    assert not np.asarray(slope(jnp.ones(3))[0])[:2].any()


def test_pixels_are_averaged_and_their_weights_count():
    f = jnp.asarray(RANDOM.normal(size=(2, 3, 3, 4)), jnp.float32)
    ids = jnp.asarray(RANDOM.integers(0, 4, size=(2, 3, 3)))
    each = losses.softmax_cross_entropy(f.reshape(18, 4), ids.reshape(18)).reshape(2, 9)
    np.testing.assert_allclose(losses.softmax_cross_entropy(f, ids), each.mean(axis=1), rtol=1e-6)
    weights = jnp.asarray(RANDOM.random((2, 3, 3)), jnp.float32).at[0, 1].set(0)
    holes = f.at[0, 1].set(jnp.nan)
    expected = (each * weights.reshape(2, 9)).mean(axis=1)
    np.testing.assert_allclose(losses.softmax_cross_entropy(holes, ids, weights=weights), expected, rtol=1e-6)
    for columns in (weights[:, :, 0], weights[:, 0, 0]):
        full = jnp.broadcast_to(columns.reshape(columns.shape + (1,) * (3 - columns.ndim)), (2, 3, 3))
        np.testing.assert_allclose(
            losses.softmax_cross_entropy(f, ids, weights=columns),
            losses.softmax_cross_entropy(f, ids, weights=full),
            rtol=1e-6,
        )


BROADCAST = (
    r"^{}: predictions have shape \(50, 1\) and targets \(50,\); they would broadcast to \(50, 50\)\. "
    r"Reshape the targets with y\[:, None\] or end the model with nn\.squeeze\.$"
)
PAIRED = [losses.squared_error, losses.absolute_error, losses.sigmoid_binary_cross_entropy]


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
