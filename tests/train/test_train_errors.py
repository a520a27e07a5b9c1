"""What `fit` and the pure core refuse, each in one sentence that is pinned here."""

import jax
import numpy as np
import pytest

import fnnet
from fnnet import data, errors, losses, metrics, nn, optim

KEY = jax.random.key(0)


def refusal(kind, learner, train, **changes):
    """The text of the error that `fit` raises."""
    arguments = {"epochs": 1, "batch_size": 10, "key": KEY, "progress": False} | changes
    with pytest.raises(errors.FnnetError) as caught:
        fnnet.fit(learner, train, **arguments)
    assert type(caught.value) is kind
    return str(caught.value)


def regression(width=1):
    return fnnet.Learner(nn.dense(width), losses.squared_error, optim.sgd(0.1))


def classifier(width=3):
    return fnnet.Learner(nn.dense(width), losses.softmax_cross_entropy, optim.sgd(0.1))


@pytest.fixture
def numbers():
    """Fifty rows of three features and one number to predict."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=50).astype(np.float32)


def test_targets_without_the_axis_of_the_outputs(numbers):
    assert refusal(errors.ShapeError, regression(), numbers, batch_size=None) == (
        "fit: predictions have shape (50, 1) and targets (50,); they would broadcast to (50, 50). "
        "Reshape the targets with y[:, None] or end the model with nn.squeeze."
    )


def test_outputs_without_the_axis_of_the_targets(numbers):
    learner = regression()._replace(model=nn.chain(nn.dense(1), nn.squeeze))
    assert refusal(errors.ShapeError, learner, (numbers[0], numbers[1][:, None]), batch_size=None) == (
        "fit: predictions have shape (50,) and targets (50, 1); they would broadcast to (50, 50). "
        "Reshape the targets with y[:, 0]."
    )


def test_another_number_of_outputs_than_targets(numbers):
    assert refusal(errors.ShapeError, regression(3), (numbers[0], numbers[1][:, None]), batch_size=None) == (
        "fit: predictions have shape (50, 3) and targets (50, 1); they would broadcast to (50, 3). "
        "End the model with 1 outputs, one a target."
    )


def test_a_class_without_an_output(numbers):
    targets = np.zeros(50, np.int32)
    targets[[17, 20, 44]] = 10
    assert refusal(errors.DataError, classifier(10), (numbers[0], targets)) == (
        "fit: targets contain class 10 but the model has 10 outputs (classes 0 to 9): 3 examples, first at row 17."
    )


def test_a_class_without_an_output_in_the_validation_data(numbers):
    targets = np.zeros(50, np.int32)
    wrong = targets.copy()
    wrong[49] = -1
    text = refusal(errors.DataError, classifier(), (numbers[0], targets), validation=(numbers[0], wrong))
    assert text == (
        "fit: targets contain class -1 but the model has 3 outputs (classes 0 to 2): 1 example, first at row 49."
    )


def test_no_examples(numbers):
    empty = data.Dataset(numbers[0][:0], numbers[1][:0])
    said = "has no examples. A filter or a split before may have taken all of them."
    assert refusal(errors.DataError, regression(), empty) == f"fit: the training data {said}"
    whole = (numbers[0], numbers[1][:, None])
    assert refusal(errors.DataError, regression(), whole, validation=empty) == f"fit: the validation data {said}"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_counted_and_the_first_row_named(value, numbers):
    inputs, targets = numbers[0].copy(), numbers[1][:, None].copy()
    inputs[[8, 30], 1] = value
    inputs[8, 2] = value
    end = "hold NaN or infinite values: {} examples, first at row {}. Fill or drop them before training."
    text = refusal(errors.DataError, regression(), (inputs, targets))
    assert text == "fit: the inputs of the training data " + end.format(2, 8)
    targets[4] = value
    text = refusal(errors.DataError, regression(), (numbers[0], targets))
    assert text == "fit: the targets of the training data " + end.format(1, 4)


def test_unequal_numbers_of_inputs_and_targets(numbers):
    assert refusal(errors.ShapeError, regression(), (numbers[0], numbers[1][:40, None])) == (
        "fit: the training data has 50 inputs, 40 targets; there has to be one of each for every example."
    )


def test_texts_are_not_numbers(numbers):
    text = refusal(errors.DataError, regression(), (numbers[0], np.array(["a"] * 50)))
    assert text == "fit: the targets of the training data have dtype <U1, but numbers are needed."


def test_what_is_not_a_dataset(numbers):
    assert refusal(errors.StructureError, regression(), numbers[0]) == (
        "fit: the training data is a ndarray, which is not a dataset. "
        "Make one with data.from_arrays(inputs, targets), or pass the pair (inputs, targets)."
    )


def test_validation_inputs_of_another_shape(numbers):
    whole = (numbers[0], numbers[1][:, None])
    assert refusal(errors.ShapeError, regression(), whole, validation=(whole[0][:, :2], whole[1])) == (
        "fit: an input has shape (3,) in the training data and (2,) in the validation data. Prepare both alike."
    )


@pytest.mark.parametrize("key", [0, np.zeros(2, np.uint32)])
def test_a_key_that_is_none(key, numbers):
    text = refusal(errors.StructureError, regression(), numbers, key=key)
    assert text == f"fit: key is {key!r}, which is not a random key. Make one with jax.random.key(0)."


def test_several_keys(numbers):
    text = refusal(errors.ShapeError, regression(), numbers, key=jax.random.split(KEY, 3))
    assert text == "fit: key has shape (3,), but one key is needed. Pass key[0], or map over the keys."


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True])
def test_counts_that_are_not_positive_integers(name, value, numbers):
    text = refusal(errors.HyperparameterError, regression(), numbers, **{name: value})
    assert text == f"fit: {name} is {value!r}, but it has to be a positive integer."


def test_a_learner_function_instead_of_a_learner(numbers):
    text = refusal(errors.StructureError, regression, numbers)
    assert text == f"fit: learner is {regression!r}, which is not a fnnet.Learner. Call it first: learner()."
    text = refusal(errors.StructureError, None, numbers)
    assert text == "fit: learner is None, which is not a fnnet.Learner. Make one with fnnet.Learner(model=…, …)."


def test_a_loss_that_is_not_a_function(numbers):
    text = refusal(errors.StructureError, regression()._replace(loss="mse"), numbers)
    assert text == "fit: the loss is 'mse', which is not a function such as losses.squared_error."


@pytest.mark.parametrize("optimizer", [optim.sgd, "sgd", (len, len)])
def test_an_optimizer_that_is_not_a_named_pair(optimizer, numbers):
    """A plain tuple has no ``.init`` and ``.update``, by which every optimizer is called."""
    text = refusal(errors.StructureError, regression()._replace(optimizer=optimizer), numbers)
    assert text.startswith("fit: the optimizer is ")
    assert text.endswith("which is not an (init, update) pair. Call its factory: optim.adam(1e-3).")


def test_a_metric_that_takes_the_name_of_the_loss(numbers):
    learner = regression()._replace(metrics={"loss": losses.absolute_error})
    text = refusal(errors.StructureError, learner, numbers)
    assert text == "fit: a metric is named 'loss', but that name is the loss's own. Rename the metric."


def test_a_metric_that_cannot_be_called(numbers):
    learner = regression()._replace(metrics={"accuracy": "accuracy"})
    whole = (numbers[0], numbers[1][:, None])
    text = refusal(errors.StructureError, learner, whole, validation=whole)
    assert text.endswith("'accuracy' is not a function. Pass metrics such as metrics.accuracy.")


def test_a_metric_that_means_over_the_examples_itself(numbers):
    def mean_gap(predictions, targets):
        return abs(predictions - targets).mean()

    text = refusal(
        errors.ShapeError, regression()._replace(metrics={"gap": mean_gap}), (numbers[0], numbers[1][:, None])
    )
    assert text == (
        "fit: a metric gives one value an example, shape (10,), but this one gave (). "
        "Leave the mean over examples to fnnet, or return a metrics.Metric."
    )


def test_a_loss_that_means_over_the_examples_itself(numbers):
    def mean_gap(predictions, targets, *, weights=None):
        return abs(predictions - targets).mean()

    text = refusal(errors.ShapeError, regression()._replace(loss=mean_gap), (numbers[0], numbers[1][:, None]))
    assert "mean_gap" in text
    assert "one value an example" in text


def test_a_monitor_that_is_no_score(numbers):
    whole = (numbers[0], numbers[1][:, None])
    learner = regression()._replace(metrics={"mae": metrics.mean_absolute_error})
    text = refusal(errors.HyperparameterError, learner, whole, validation=whole, monitor="accuracy")
    assert text == "fit: monitor is 'accuracy', but the scores are validation/loss, validation/mae."
    text = refusal(errors.HyperparameterError, learner, whole, monitor="validation/mae")
    assert text == (
        "fit: monitor is 'validation/mae', but without validation data there is only 'train/loss'. Pass validation=…."
    )


def test_a_monitor_of_which_nobody_said_what_is_better(numbers):
    whole = (numbers[0], numbers[1][:, None])
    learner = regression()._replace(metrics={"gap": lambda f, y: abs(f - y)[:, 0]})
    text = refusal(errors.HyperparameterError, learner, whole, validation=whole, monitor="gap")
    assert text == (
        "fit: monitor is 'gap', but nothing says whether more or less of it is better. "
        "Declare the metric as metrics.maximize(gap) or metrics.minimize(gap)."
    )


def test_a_hyperparameter_out_of_range_is_found_where_the_learner_is_made():
    with pytest.raises(errors.HyperparameterError, match=r"sgd: learning_rate is nan, but it has to be at least 0."):
        optim.sgd(float("nan"))


def test_inputs_of_another_shape_than_in_training(run, flowers):
    with pytest.raises(errors.ShapeError) as caught:
        run.predict(flowers[0].inputs[:, :2])
    assert str(caught.value) == (
        "predict: an input has shape (2,), but the model was trained on (3,). Pass an array (examples, 3)."
    )
    with pytest.raises(errors.ShapeError):
        run.evaluate((flowers[0].inputs[:, :2], flowers[0].targets))


def test_evaluation_looks_at_the_data_as_training_does(run, flowers):
    with pytest.raises(errors.DataError, match="evaluate: the data has no examples"):
        run.evaluate(flowers[0][:0])


def test_evaluation_refuses_a_class_without_an_output(run, flowers):
    with pytest.raises(errors.DataError, match="class 7 but the model has 3 outputs"):
        run.evaluate((flowers[0].inputs, np.full(17, 7, np.int32)))


def test_the_pure_core_refuses_what_is_no_learner_and_no_key(numbers):
    with pytest.raises(errors.StructureError, match=r"training: learner is .*Call it first"):
        fnnet.training(regression)
    with pytest.raises(errors.StructureError, match=r"training\.init: key is 0, which is not a random key"):
        fnnet.training(regression()).init(0, numbers[0][:1])


def test_nothing_is_compiled_before_the_shapes_are_known_to_agree(numbers, compilations):
    learner = fnnet.Learner(nn.mlp([9, 8, 7]), losses.squared_error, optim.adam(0.1))
    refusal(errors.ShapeError, learner, numbers)
    assert compilations == []
