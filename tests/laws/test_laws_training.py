"""Law 6 for every optimizer, loss and layer with state; law 9 for every metric."""

import functools

import catalogue
import jax
import numpy as np
import pytest

import fnnet
from fnnet import data, losses, nn, optim
from fnnet.train.checkpoints import Checkpoints, Saved
from fnnet.train.every import Every

pytestmark = pytest.mark.exhaustive  # compiles a training program a row
RNG = np.random.default_rng(0)
ROWS, BATCH, STEPS = 6, 4, 5  # an epoch has two steps, of which the second is short


def has_state(case):
    layer = nn.as_layer(case.build(**{name: values[0] for name, values in case.numbers.items()}))
    x = jax.ShapeDtypeStruct(case.shape, "float32" if case.integers is None else "int32")
    return bool(jax.tree.leaves(jax.eval_shape(layer.init, jax.random.key(0), x)[1]))


def same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def unchanged_by_cuts(learner, dataset, folder):
    """Five steps at once, and two of them, then through a file, then three."""
    training = fnnet.training(learner, batch_size=BATCH)
    state = training.init(jax.random.key(0), dataset.inputs[:1])
    advance = functools.partial(training.advance, train=dataset, validation=dataset)
    numbers = [np.int32(n) for n in range(STEPS + 1)]
    whole, rows = advance(state, start=numbers[0], steps=numbers[STEPS])
    cut, first = advance(state, start=numbers[0], steps=numbers[2])
    store = Checkpoints(folder, Every(steps=1), 1, {})
    store.write(Saved(cut, {name: np.asarray(values) for name, values in first.items()}, np.array([2]), 0.0))
    restored = store.latest(jax.eval_shape(training.init, jax.random.key(0), dataset.inputs[:1]))
    cut, second = advance(restored.state, start=numbers[2], steps=numbers[3])
    key = jax.random.key_data
    same(cut._replace(key=key(cut.key)), whole._replace(key=key(whole.key)))
    for name, values in rows.items():
        together = [restored.rows[name][0], second[name][0]]
        assert np.asarray(together, np.asarray(values).dtype).tobytes() == np.asarray(values[:2]).tobytes(), name
    assert int(whole.step) == STEPS
    return whole


NUMBERS = data.from_arrays(RNG.normal(size=(ROWS, 3)).astype(np.float32), RNG.normal(size=(ROWS, 2)).astype(np.float32))


@pytest.mark.parametrize("name", catalogue.OPTIMIZERS)
def test_an_optimizer(name, tmp_path):
    case = catalogue.OPTIMIZERS[name][0]
    optimizer = case.build(**{argument: values[0] for argument, values in case.numbers.items()})
    if name == "levenberg_marquardt":  # its residuals are functions of all data, not of a batch
        optimizer = optim.levenberg_marquardt(lambda params: jax.tree.map(lambda leaf: leaf - 1, params))
    unchanged_by_cuts(fnnet.Learner(nn.dense(2), losses.squared_error, optimizer), NUMBERS, tmp_path)


@pytest.mark.parametrize(("name", "index"), [(n, i) for n, rows in catalogue.LOSSES.items() for i in range(len(rows))])
def test_a_loss(name, index, tmp_path):
    case = catalogue.LOSSES[name][index]
    numbers = {argument: values[0] for argument, values in case.numbers.items()}
    loss = functools.partial(case.function, **numbers) if numbers else case.function
    dataset = data.from_arrays(NUMBERS.inputs, case.targets)
    unchanged_by_cuts(fnnet.Learner(nn.dense(3), loss, optim.adam(0.01)), dataset, tmp_path)


LAYERS_WITH_STATE = [
    pytest.param(case, id=f"{name}-{index}")
    for name, cases in catalogue.LAYERS.items()
    for index, case in enumerate(cases)
    if has_state(case)
]


@pytest.mark.parametrize("case", LAYERS_WITH_STATE)
def test_a_layer_with_state(case, tmp_path):
    layer = case.build(**{name: values[0] for name, values in case.numbers.items()})
    inputs = RNG.normal(size=(ROWS, *case.shape[1:])).astype(np.float32)
    model = nn.chain(layer, nn.flatten, nn.dropout(0.2), nn.dense(2))
    learner = fnnet.Learner(model, losses.squared_error, optim.adam(0.01))
    whole = unchanged_by_cuts(learner, data.from_arrays(inputs, NUMBERS.targets), tmp_path)
    assert jax.tree.leaves(whole.model_state)


def test_layers_with_state_are_found():
    assert any("batch_norm" in param.id for param in LAYERS_WITH_STATE)


def kind(row):
    """Class ids, labels of 0 and 1, or numbers."""
    if row.targets.dtype == np.int32:
        return "ids"
    return "labels" if set(np.unique(row.targets)) <= {0, 1} else "numbers"


METRICS = [(name, row) for name, rows in catalogue.METRICS.items() for row in rows]


@pytest.mark.parametrize("targets", ["ids", "labels", "numbers"])
def test_every_metric_in_parts_that_do_not_divide_is_the_metric_of_all(targets, monkeypatch):
    from fnnet.train import evaluation

    mine = {name: row for name, row in METRICS if kind(row) == targets}
    y = next(iter(mine.values())).targets
    loss = losses.softmax_cross_entropy if targets == "ids" else losses.squared_error
    learner = fnnet.Learner(nn.dense(3), loss, optim.sgd(0.1), {name: row.function for name, row in mine.items()})
    dataset = data.from_arrays(NUMBERS.inputs, y, weights=RNG.uniform(0.5, 2, ROWS))
    scores = []
    for size in (evaluation.EVALUATION_BATCH, 4):
        monkeypatch.setattr(evaluation, "EVALUATION_BATCH", size)
        training = fnnet.training(learner, batch_size=1)
        state = training.init(jax.random.key(0), dataset.inputs[:1])
        scores.append(training.evaluate(state, dataset))
    assert len(scores[0]) > 3
    for name, value in scores[0].items():
        np.testing.assert_allclose(scores[1][name], value, rtol=1e-6, err_msg=name)


def test_every_metric_is_of_some_kind():
    assert {name for name, _ in METRICS} == set(catalogue.METRICS)
