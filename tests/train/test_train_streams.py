"""Training on data that stay on disk is training on data in memory."""

import threading

import jax
import numpy as np
import pytest

import fnnet
from fnnet import data
from fnnet.errors import DataError, StructureError
from fnnet.train import feeding

pytestmark = pytest.mark.exact


@pytest.mark.parametrize("window", [1, 3, 1000])
def test_a_stream_gives_the_run_of_the_same_data_in_memory(
    window, flowers, run, fit_flowers, learner, same, monkeypatch
):
    row = flowers[0].inputs[:1].nbytes + flowers[0].targets[:1].nbytes
    monkeypatch.setattr(feeding, "WINDOW_BYTES", window * 5 * row)  # so many steps of five rows
    stream = data.from_memmap(flowers[0].inputs, flowers[0].targets)
    streamed = fnnet.fit(
        learner(), stream, validation=flowers[1], epochs=4, batch_size=5, key=jax.random.key(0), progress=False
    )
    same(streamed.state, run.state)
    same(dict(streamed.history), dict(run.history))


def test_a_batch_of_all_rows_is_that_in_memory(flowers, fit_flowers, learner, same):
    stream = data.from_memmap(flowers[0].inputs, flowers[0].targets)
    call = {"validation": flowers[1], "epochs": 2, "key": jax.random.key(0), "progress": False}
    same(
        fnnet.fit(learner(), stream, batch_size=99, **call).state, fit_flowers(learner(), epochs=2, batch_size=99).state
    )


def test_a_second_stream_compiles_nothing_and_no_thread_is_left(flowers, learner, compilations):
    call = {"batch_size": 5, "progress": False}
    stream = data.from_memmap(flowers[0].inputs, flowers[0].targets)
    fnnet.fit(learner(), stream, epochs=2, key=jax.random.key(0), **call)
    compilations.clear()
    fnnet.fit(learner(0.1), stream, epochs=3, key=jax.random.key(1), **call)
    assert compilations == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fnnet-stream")]


def test_floats_of_64_bits_are_read_as_such(flowers, learner, same):
    """JAX's switch is one of a thread, and another thread reads."""
    with jax.enable_x64(True):
        inputs = flowers[0].inputs / np.float64(3)
        call = {"epochs": 1, "batch_size": 5, "key": jax.random.key(0), "progress": False}
        streamed = fnnet.fit(learner(), data.from_memmap(inputs, flowers[0].targets), **call)
        same(streamed.params, fnnet.fit(learner(), data.Dataset(inputs, flowers[0].targets), **call).params)


@pytest.mark.exhaustive  # compiles programs of its own
def test_weights_of_a_stream_count(flowers, learner, same):
    weights = np.linspace(0.5, 2, 17, dtype=np.float32)
    call = {"epochs": 2, "batch_size": 5, "key": jax.random.key(0), "progress": False}
    weighted = data.Dataset(flowers[0].inputs, flowers[0].targets, weights)
    stream = data.from_memmap(flowers[0].inputs, flowers[0].targets, weights=weights)
    same(fnnet.fit(learner(), stream, **call).state.params, fnnet.fit(learner(), weighted, **call).state.params)


def test_a_stream_resumes(tmp_path, flowers, run, learner, same):
    stream = data.from_memmap(flowers[0].inputs, flowers[0].targets)
    call = {"validation": flowers[1], "batch_size": 5, "key": jax.random.key(0), "progress": False}
    fnnet.fit(learner(), stream, epochs=1, checkpoint=tmp_path, **call)
    same(fnnet.fit(learner(), stream, epochs=4, checkpoint=tmp_path, resume=True, **call).state, run.state)


def test_what_a_stream_cannot_do_is_said(flowers, learner):
    stream = data.from_memmap(flowers[0].inputs, flowers[0].targets)
    call = {"epochs": 1, "key": jax.random.key(0), "progress": False}
    with pytest.raises(StructureError, match=r"which only fnnet\.fit takes, with a batch_size="):
        fnnet.fit(learner(), stream, batch_size=None, **call)
    with pytest.raises(StructureError, match=r"the validation data is a stream.*stream\.read"):
        fnnet.fit(learner(), flowers[0], validation=stream, **call)


def test_a_wrong_value_on_disk_is_found_when_it_is_read(flowers, learner):
    inputs = flowers[0].inputs.copy()
    inputs[11] = np.nan
    stream = data.from_memmap(inputs, flowers[0].targets)
    call = {"epochs": 1, "batch_size": 5, "key": jax.random.key(0), "progress": False}
    with pytest.raises(DataError, match="inputs are NaN or infinite"):
        fnnet.fit(learner(), stream, **call)
    targets = flowers[0].targets.copy()
    targets[15] = 7  # not in the first batch, which is looked at before
    with pytest.raises(DataError, match="targets contain class 7 but the model has 3 outputs"):
        fnnet.fit(learner(), data.from_memmap(flowers[0].inputs, targets), **call)
