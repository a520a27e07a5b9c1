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
from fnnet.errors import FnnetError, HyperparameterError, StructureError
from fnnet.train.placement import Placement, check_placement

PROGRAM = """
import sys
import jax, numpy as np
if len(sys.argv) > 3:
    jax.distributed.initialize(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
from jax.sharding import Mesh, PartitionSpec
import fnnet
from fnnet import data, losses, nn, optim
from fnnet.train import driving
from fnnet.train.checkpoints import Checkpoints

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
# The two parts of a parameter lie in two processes.
mesh = Mesh(np.array(jax.devices()).reshape(2, 4).T, ("batch", "model"))
several = {} if sys.argv[2] == "one" else {"mesh": mesh, "sharding": rule}
# The clocks of two hosts never agree: on the pace, and on whether a state is due.
driving.FIRST_STEPS -= 3 * jax.process_index()
Checkpoints.due = lambda self, done: jax.process_index() == 1
calls = []
run = fnnet.fit(
    learner, train, validation=train, epochs=3, batch_size=8, key=jax.random.key(0), progress=False, **several,
    checkpoint=sys.argv[1], callbacks=[lambda run: calls.append(run.params)],
)
assert len(calls) == (3 if jax.process_index() == 0 else 0)
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


@pytest.mark.exhaustive  # a process of its own, since the number of devices is fixed when JAX starts
def test_eight_devices_give_the_run_of_one_up_to_rounding(tmp_path, alone):
    assert start(tmp_path, "run", "eight").wait() == 0
    close(final(tmp_path / "run"), final(alone))


@pytest.mark.exhaustive  # two processes
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


@pytest.mark.exhaustive  # compiles programs of its own
def test_a_run_goes_on_on_other_devices_up_to_rounding(tmp_path, flowers, learner, compilations):
    call = {"batch_size": 8, "key": jax.random.key(0), "progress": False, "validation": flowers[1]}
    call |= {"checkpoint": tmp_path, "evaluate_every": "2 steps"}
    whole = fnnet.fit(learner(), flowers[0], epochs=4, **(call | {"checkpoint": None}))
    fnnet.fit(learner(), flowers[0], epochs=1, **call)
    fnnet.fit(learner(), flowers[0], epochs=2, mesh=jax.devices()[:4], resume=True, **call)
    compilations.clear()
    fnnet.fit(learner(), flowers[0], epochs=3, mesh=jax.devices()[:4], resume=True, **call)
    assert compilations == [], "a second run on the same devices, of several chunks, compiles nothing"
    run = fnnet.fit(learner(), flowers[0], epochs=4, resume=True, **call)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), run.params, whole.params)


def test_evaluation_is_divided_over_the_devices(flowers, learner):
    from fnnet.recipes import split
    from fnnet.train.learner import Monitor
    from fnnet.train.programs import programs

    placement = check_placement("fit", jax.devices()[:4], None, 8, 17)
    numbers, skeleton = split(learner())
    x, flops = np.zeros((400, 3), np.float32), []
    for place in (None, placement):
        compiled = programs(skeleton, 8, Monitor("validation/loss", False), None, place)
        state = compiled.init(numbers, jax.random.key(0), x[:1])
        batch = data.Dataset(x, np.zeros(400, np.int32))
        if place is not None:
            state, batch = place.place(state), place.copied(batch)
        flops.append(compiled.evaluate.lower(numbers, state, batch).compile().cost_analysis()["flops"])
    assert flops[1] < 0.3 * flops[0]


@pytest.mark.exhaustive  # compiles programs of its own
def test_a_stream_over_devices_trains_as_in_memory(flowers, learner):
    call = {"epochs": 1, "batch_size": 8, "key": jax.random.key(0), "progress": False}
    one = fnnet.fit(learner(), flowers[0], **call)
    stream = data.from_memmap(flowers[0].inputs, flowers[0].targets)
    four = fnnet.fit(learner(), stream, mesh=jax.devices()[:4], **call)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), four.params, one.params)


def test_parameters_and_their_moments_are_divided_by_the_rule(flowers, learner):
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


def test_of_two_names_that_fit_the_longer_one_counts(flowers):
    placement = Placement(
        jax.make_mesh((2, 2), ("batch", "model")),
        lambda path, leaf: PartitionSpec("model") if path == "0/1/w" else None,
    )
    w = jax.ShapeDtypeStruct((4,), np.float32)
    state = fnnet.TrainState(**dict.fromkeys(fnnet.TrainState._fields))._replace(
        params=[[None, {"w": w}], {"w": w}], optimizer_state=[[None, {"w": w}], {"w": w}]
    )
    moments = placement.shardings(state).optimizer_state
    assert moments[0][1]["w"].spec == PartitionSpec("model")
    assert moments[1]["w"].spec == PartitionSpec()


def test_a_wrong_rule_is_met_with_a_sentence(fit_flowers, learner):
    for spec, sentence in (
        (PartitionSpec("model"), "over 'model', but the axes of the mesh are batch"),
        (PartitionSpec("batch"), r"shape \(3, 4\) by .*, but axis 0 cannot be divided into 4 equal parts"),
        ("batch", "sharding returned 'batch' for 0/kernel"),
    ):
        with pytest.raises(FnnetError, match=sentence):
            fit_flowers(
                learner(),
                batch_size=8,
                mesh=jax.devices()[:4],
                sharding=lambda path, leaf, spec=spec: spec if leaf.ndim == 2 else None,
            )
    with pytest.raises(StructureError, match="sharding is 'batch', which is not a function"):
        fit_flowers(learner(), batch_size=8, mesh=jax.devices()[:4], sharding="batch")


def test_what_cannot_be_divided_is_said(fit_flowers, learner):
    with pytest.raises(HyperparameterError, match="a batch of 5 cannot be divided over the 2 devices"):
        fit_flowers(learner(), mesh=jax.devices()[:2])
    with pytest.raises(StructureError, match="mesh is 'all'"):
        fit_flowers(learner(), mesh="all")
    with pytest.raises(StructureError, match=r"there is no mesh="):
        fit_flowers(learner(), sharding=lambda path, leaf: None)
