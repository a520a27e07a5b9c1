"""One run on several devices, and in several processes."""

import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

import fnnet
from fnnet import data
from fnnet.errors import HyperparameterError, StructureError

PROGRAM = """
import sys
import jax, numpy as np
if len(sys.argv) > 3:
    jax.distributed.initialize(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
from jax.sharding import Mesh, PartitionSpec
import fnnet
from fnnet import data, losses, nn, optim

assert len(jax.devices()) == 8
inputs = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
train = data.from_arrays(inputs, (inputs.sum(axis=1) > 0).astype(np.int32))
# No bias in front of batch normalisation: its gradient is nothing but rounding, of which Adam makes whole steps.
learner = fnnet.Learner(
    nn.chain(nn.dense(16, bias=False), nn.batch_norm(), nn.relu, nn.dense(2)),
    losses.softmax_cross_entropy, optim.adam(1e-2),
)
def rule(path, leaf):
    return PartitionSpec(None, "model") if path == "0/kernel" else None
mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("batch", "model"))
several = {} if sys.argv[2] == "one" else {"mesh": mesh, "sharding": rule}
run = fnnet.fit(
    learner, train, validation=train, epochs=3, batch_size=8, key=jax.random.key(0), progress=False, **several,
    checkpoint=sys.argv[1],
)
assert len(run.state.params[0]["kernel"].sharding.device_set) == 1
assert run.predict(inputs).shape == (50, 2)
"""


def start(tmp_path, name, *arguments, devices=8):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen([sys.executable, str(program), str(tmp_path / name), *arguments], env=environment)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of the run on one device."""
    folder = tmp_path_factory.mktemp("alone")
    assert start(folder, "run", "one").wait() == 0
    return folder / "run"


def final(folder):
    from safetensors.numpy import load_file

    return load_file(sorted(folder.glob("step-*"))[-1])


def close(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.slow  # a process of its own, since the number of devices is fixed when JAX starts
def test_eight_devices_give_the_run_of_one_up_to_rounding(tmp_path, alone):
    assert start(tmp_path, "run", "eight").wait() == 0
    close(final(tmp_path / "run"), final(alone))


@pytest.mark.slow  # two processes
def test_two_processes_run_the_same_script(tmp_path, alone):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    both = [start(tmp_path, "run", "eight", address, "2", str(index), devices=4) for index in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    close(final(tmp_path / "run"), final(alone))


def test_a_batch_over_four_devices_trains_as_on_one(flowers, learner):
    call = {"epochs": 2, "batch_size": 8, "key": jax.random.key(0), "progress": False, "validation": flowers[1]}
    one = fnnet.fit(learner(), flowers[0], **call)
    four = fnnet.fit(learner(), flowers[0], mesh=jax.devices()[:4], **call)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), four.params, one.params)
    assert four.params[0]["kernel"][0].shape == (4,)


def test_a_stream_over_devices_trains_as_in_memory(flowers, learner):
    call = {"epochs": 1, "batch_size": 8, "key": jax.random.key(0), "progress": False}
    one = fnnet.fit(learner(), flowers[0], **call)
    stream = data.from_memmap(flowers[0].inputs, flowers[0].targets)
    four = fnnet.fit(learner(), stream, mesh=jax.devices()[:4], **call)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), four.params, one.params)


def test_parameters_and_their_moments_are_divided_by_the_rule(flowers, learner):
    from fnnet.train.placement import check_placement

    mesh = jax.make_mesh((2, 2), ("batch", "model"))
    placement = check_placement("fit", mesh, lambda path, leaf: PartitionSpec(None, "model"), 8, 17)
    state = jax.eval_shape(fnnet.training(learner()).init, jax.random.key(0), flowers[0].inputs[:1])
    state = state._replace(params=({"kernel": state.params[0]["kernel"]},))
    where = placement.shardings(state)
    divided = PartitionSpec(None, "model")
    assert where.params[0]["kernel"].spec == divided
    assert where.optimizer_state.mu[0]["kernel"].spec == divided
    assert where.best.params[0]["kernel"].spec == divided
    assert where.optimizer_state.mu[3]["bias"].spec == PartitionSpec()
    assert where.step.spec == PartitionSpec()


def test_what_cannot_be_divided_is_said(fit_flowers, learner):
    with pytest.raises(HyperparameterError, match="a batch of 5 cannot be divided over the 2 devices"):
        fit_flowers(learner(), mesh=jax.devices()[:2])
    with pytest.raises(StructureError, match="mesh is 'all'"):
        fit_flowers(learner(), mesh="all")
    with pytest.raises(StructureError, match=r"there is no mesh="):
        fit_flowers(learner(), sharding=lambda path, leaf: None)
