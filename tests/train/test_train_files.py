"""A run on disk: read back bitwise, and refused with a reason where it is not the run that is meant."""

import json
import re

import jax
import numpy as np
import pytest
import safetensors.numpy

import fnnet
from fnnet import errors, losses, nn, optim


@pytest.fixture(scope="module")
def path(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "folder" / "flowers.safetensors"
    run.save(path)
    return path


def test_a_run_that_is_saved_and_loaded_predicts_bitwise_the_same(run, path, learner, flowers, same):
    again = fnnet.load(path, learner())
    same(again.params, run.params)
    same(again.model_state, run.model_state)
    same(again.predict(flowers[1].inputs), run.predict(flowers[1].inputs))
    assert again.evaluate(flowers[1]) == run.evaluate(flowers[1])
    same(dict(again.history), {name: values.astype(np.float64) for name, values in run.history.items()})
    assert (again.score, again.status, again.monitor) == (run.score, run.status, run.monitor)
    assert repr(again) == repr(run)


def contents(path):
    """Tensors and header of a file; safetensors writes the header in any order."""
    with safetensors.safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name).tolist() for name in file.keys()}, file.metadata()  # noqa: SIM118


def test_what_was_loaded_may_be_saved_again(path, learner, tmp_path):
    fnnet.load(path, learner()).save(tmp_path / "again.safetensors")
    assert contents(tmp_path / "again.safetensors") == contents(path)


def test_the_file_is_readable_without_fnnet(run, path):
    tensors = safetensors.numpy.load_file(path)
    np.testing.assert_array_equal(tensors["params/0/kernel"], run.params[0]["kernel"])
    with safetensors.safe_open(path, "numpy") as file:
        header = {name: json.loads(value) for name, value in file.metadata().items()}
    assert header["learner"] == repr(run.learner) or "softmax_cross_entropy" in str(header["learner"])
    assert header["input"] == {"shape": [3], "dtype": "float32"}
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_another_learning_rate_may_load_it(run, path, learner, same):
    same(fnnet.load(path, learner(learning_rate=0.5)).params, run.params)


def sentence(path, learner):
    with pytest.raises(errors.FileError) as caught:
        fnnet.load(path, learner)
    return str(caught.value)


def test_another_width_is_refused_and_the_first_difference_named(path, learner):
    wider = learner()._replace(model=nn.chain(nn.dense(8), nn.tanh, nn.dropout(0.2), nn.dense(3)))
    assert sentence(path, wider).startswith(
        f"load: {path} holds another model: at params/0/bias the file has float32[4] and the model float32[8]. "
        f"The file was saved from Learner("
    )


def test_another_depth_is_refused_and_the_first_difference_named(path, learner):
    shallower = learner()._replace(model=nn.dense(4))
    assert "at params/bias the file has nothing and the model float32[4]." in sentence(path, shallower)
    fewer = learner()._replace(model=nn.chain(nn.dense(4)))
    assert "at params/3/bias the file has float32[3] and the model nothing." in sentence(path, fewer)


def test_a_missing_file_is_named(tmp_path, learner):
    missing = tmp_path / "nothing.safetensors"
    assert sentence(missing, learner()) == f"load: there is no file {missing}."
    assert sentence(tmp_path, learner()) == f"load: there is no file {tmp_path}."


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(kept, path, tmp_path, learner):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:kept])
    assert re.search(r"is not a whole safetensors file \(.*\)\. Was it cut off in a copy\?", sentence(cut, learner()))


def test_a_safetensors_file_that_is_not_fnnets_is_refused(tmp_path, learner):
    foreign = tmp_path / "foreign.safetensors"
    safetensors.numpy.save_file({"weight": np.zeros(3, np.float32)}, foreign)
    assert "is safetensors, but not a run that fnnet saved" in sentence(foreign, learner())


DAMAGES = [
    (name, how) for name in ("input", "monitor", "best", "history", "learner", "batch_size") for how in ("", "{", "3")
]


@pytest.mark.parametrize(("name", "damage"), [d for d in DAMAGES if d not in (("learner", "3"), ("batch_size", "3"))])
def test_a_damaged_header_is_refused(name, damage, path, tmp_path, learner):
    """An entry that is missing, that is not JSON, or that is a number where something else should be."""
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "numpy") as file:
        header = file.metadata()
    if damage:
        header[name] = damage
    else:
        del header[name]
    damaged = tmp_path / "damaged.safetensors"
    safetensors.numpy.save_file(tensors, damaged, header)
    assert "is safetensors, but not a run that fnnet saved" in sentence(damaged, learner())


def test_a_learner_function_is_not_a_learner(path, learner):
    with pytest.raises(errors.StructureError, match="Call it first"):
        fnnet.load(path, learner)


def test_a_diverged_run_is_saved_and_loaded_with_its_status(tmp_path, flowers):
    def learner(rate):
        return fnnet.Learner(nn.dense(3), losses.squared_error, optim.sgd(rate))

    pair = (1e6 * flowers[0].inputs, flowers[0].inputs)
    with pytest.warns(errors.DivergenceWarning):
        run = fnnet.fit(learner(1e30), pair, epochs=2, key=jax.random.key(0), progress=False)
    run.save(tmp_path / "diverged.safetensors")
    again = fnnet.load(tmp_path / "diverged.safetensors", learner(0.1))
    assert again.status == "diverged"
    assert again.score == np.inf
