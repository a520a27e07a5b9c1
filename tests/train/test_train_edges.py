"""Edges of training: losses that know no weights, data that are almost right."""

import jax
import numpy as np
import pytest

import fnnet
from fnnet import data, errors, losses, metrics, nn, optim
from fnnet.train.programs import on_device

KEY = jax.random.key(0)


@pytest.fixture
def line():
    inputs = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    return inputs, inputs[:, :1].copy()


def test_a_loss_without_weights_serves_or_is_refused_in_a_sentence(line):
    learner = fnnet.Learner(nn.dense(1), lambda f, y: ((f - y) ** 2)[:, 0], optim.sgd(0.1))
    try:
        fnnet.fit(learner, line, epochs=1, batch_size=3, key=KEY, progress=False)
    except errors.FnnetError:
        pass
    except TypeError:
        pytest.fail("a bare TypeError")


def test_a_loss_that_ignores_weights_does_not_count_padding(line):
    learner = fnnet.Learner(nn.dense(1), lambda f, y, *, weights=None: ((f - y) ** 2)[:, 0], optim.sgd(0.0))
    run = fnnet.fit(learner, line, epochs=1, batch_size=4, key=KEY, progress=False)
    expected = np.mean((run.predict(line[0]) - line[1]) ** 2)
    np.testing.assert_allclose(run.history["train/loss"], [expected], rtol=1e-5)


def test_advance_needs_no_validation_data(line):
    learner = fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(0.1), {"mae": metrics.mean_absolute_error})
    training = fnnet.training(learner)
    _, rows = training.advance(training.init(KEY, line[0][:1]), data.Dataset(*line), None, 0, 1)
    assert np.isfinite(rows["train/loss"][0])


def test_negative_weights_are_refused(line):
    learner = fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(0.1))
    table = data.Dataset(*line, np.full(7, -1, np.float32))
    with pytest.raises(errors.DataError):
        fnnet.fit(learner, table, epochs=1, batch_size=None, key=KEY, progress=False)


def test_validation_targets_of_another_shape_are_refused_by_fit(line):
    learner = fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(0.1))
    with pytest.raises(errors.ShapeError, match=r"^fit: predictions have shape"):
        fnnet.fit(learner, line, validation=(line[0], line[1][:, 0]), epochs=1, key=KEY, progress=False)


def test_given_parameters_are_trained_and_not_initialised_anew(line):
    given = {"kernel": np.full((2, 1), 7, np.float32), "bias": np.zeros(1, np.float32)}
    model = nn.Layer(lambda key, x: (given, ()), nn.dense(1).apply)
    learner = fnnet.Learner(model, losses.squared_error, optim.sgd(1e-9))
    run = fnnet.fit(learner, line, epochs=1, key=KEY, progress=False)
    np.testing.assert_allclose(run.params["kernel"], given["kernel"], rtol=1e-5)


def test_weights_have_one_value_per_example(line):
    learner = fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(0.1))
    table = data.Dataset(*line, np.ones((7, 1), np.float32))
    with pytest.raises(errors.ShapeError, match=r"weights of the training data have shape \(7, 1\)"):
        fnnet.fit(learner, table, epochs=1, key=KEY, progress=False)
    training = fnnet.training(learner)
    with pytest.raises(errors.ShapeError, match=r"weights have shape \(7, 1\)"):
        training.step(training.init(KEY, line[0][:1]), table)


def test_a_fresh_state_can_be_donated(line):
    training = fnnet.training(fnnet.Learner(nn.dense(1), losses.squared_error, optim.adam(0.1)))
    state = training.init(KEY, line[0][:1])
    state, _ = jax.jit(training.step, donate_argnums=0)(state, data.Dataset(*line))
    assert int(state.step) == 1


def test_scalar_parameters_come_back_from_a_file(line, tmp_path):
    import jax.numpy as jnp

    def init(key, x):
        return {"scale": jnp.ones(())}, ()

    def apply(params, state, x, *, key=None, train=False):
        return params["scale"] * x[:, :1], state

    learner = fnnet.Learner(nn.Layer(init, apply), losses.squared_error, optim.sgd(0.1))
    run = fnnet.fit(learner, line, epochs=1, key=KEY, progress=False)
    run.save(tmp_path / "scale.safetensors")
    again = fnnet.load(tmp_path / "scale.safetensors", learner)
    assert again.params["scale"] == run.params["scale"]


def test_data_are_copied_whatever_their_place_in_memory():
    """A device would take an array of NumPy as it is if it begins at a multiple of 64 bytes."""
    memory = np.zeros(4 * 64 + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    inputs = memory[begin : begin + 4 * 64].view(np.float32).reshape(16, 4)
    held = on_device(data.Dataset(inputs, np.arange(16, dtype=np.int32)))
    inputs[:] = 1
    assert not np.asarray(held.inputs).any()
