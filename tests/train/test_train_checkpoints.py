"""States on disk: what they hold, whom they belong to, and that nothing is lost when a process is killed."""

import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import fnnet
from fnnet.errors import FileError, FnnetWarning, HyperparameterError, StructureError


def names(folder):
    return sorted(path.name for path in pathlib.Path(folder).iterdir())


def whole(run):
    """Everything that a resumed run has to have in common with one that was not interrupted."""
    return run.state._replace(key=jax.random.key_data(run.state.key)), dict(run.history), run.history.steps


@pytest.mark.parametrize("every", [1, "3 steps", "30 seconds"])
def test_a_run_that_goes_on_is_the_run_that_never_stopped(every, tmp_path, run, fit_flowers, learner, same):
    fit_flowers(learner(), epochs=2, checkpoint=tmp_path, every=every)
    again = fit_flowers(learner(), checkpoint=tmp_path, every=every, resume=True)
    same(whole(again), whole(run))
    same(again.params, run.params)
    assert again.status == "finished"


def test_the_last_few_states_and_the_best_are_kept(tmp_path, run, fit_flowers, learner, same):
    fit_flowers(learner(), checkpoint=tmp_path, every="3 steps", keep=2)
    assert names(tmp_path) == ["best.safetensors", "step-000000000015.safetensors", "step-000000000016.safetensors"]
    best = fnnet.load(tmp_path / "best.safetensors", learner())
    same(best.params, run.params)
    assert best.score == run.score


def test_without_a_state_training_starts_and_a_finished_one_is_returned(tmp_path, run, fit_flowers, learner, same):
    for _ in range(2):
        same(whole(fit_flowers(learner(), checkpoint=tmp_path / "new", resume=True)), whole(run))


def test_states_can_be_read_without_fnnet(tmp_path, fit_flowers, learner):
    from safetensors.numpy import load_file

    fit_flowers(learner(), checkpoint=tmp_path)
    tensors = load_file(tmp_path / "step-000000000016.safetensors")
    assert tensors["state/params/0/kernel"].shape == (3, 4)
    assert tensors["history/train/loss"].shape == (4,)
    assert tensors["steps"].tolist() == [4, 8, 12, 16]


def test_a_state_that_was_cut_off_falls_back_to_the_one_before(tmp_path, run, fit_flowers, learner, same):
    fit_flowers(learner(), epochs=3, checkpoint=tmp_path, every=1)
    latest = tmp_path / "step-000000000012.safetensors"
    latest.write_bytes(latest.read_bytes()[:-100])
    with pytest.warns(FnnetWarning, match=r"step-000000000012.* is not a whole safetensors file.*The state before"):
        again = fit_flowers(learner(), checkpoint=tmp_path, resume=True)
    same(whole(again), whole(run))
    for path in tmp_path.glob("step-*"):
        path.write_bytes(b"")
    with pytest.warns(FnnetWarning), pytest.raises(FileError, match="none of the 3 states"):
        fit_flowers(learner(), checkpoint=tmp_path, resume=True)


def test_a_state_of_another_run_is_refused_and_the_first_difference_is_named(tmp_path, fit_flowers, learner, flowers):
    fit_flowers(learner(), epochs=1, checkpoint=tmp_path)

    def refused(sentence, **changes):
        with pytest.raises(FileError, match=sentence):
            fit_flowers(changes.pop("learner", learner()), checkpoint=tmp_path, resume=True, **changes)

    refused(
        r"belongs to another run: its learner was .*adam\(0\.05\).* and now is .*adam\(0\.1\)", learner=learner(0.1)
    )
    refused("its data/validation/inputs was .*6, 3.* and now is .*5, 3", validation=flowers[1][:5])
    refused("its batch_size was 5 and now is 4", batch_size=4)
    refused("its key was", key=jax.random.key(9))
    refused("its early_stopping was None and now is", early_stopping=3)
    with pytest.raises(FileError, match=r"holds the states of a run. Go on with it by resume=True"):
        fit_flowers(learner(), checkpoint=tmp_path)


def test_wrong_arguments_are_named(tmp_path, fit_flowers, learner):
    with pytest.raises(StructureError, match="goes on from a folder"):
        fit_flowers(learner(), resume=True)
    with pytest.raises(HyperparameterError, match=r"every is 'seldom'.*'10 minutes'"):
        fit_flowers(learner(), checkpoint=tmp_path, every="seldom")
    with pytest.raises(HyperparameterError, match="keep is 0"):
        fit_flowers(learner(), checkpoint=tmp_path, keep=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="is a file, but a folder is needed"):
        fit_flowers(learner(), checkpoint=tmp_path / "file")


def test_fewer_epochs_than_are_done_are_refused(tmp_path, fit_flowers, learner):
    fit_flowers(learner(), checkpoint=tmp_path)
    with pytest.raises(HyperparameterError, match=r"epochs is 2, but the run in .* has done 4 already"):
        fit_flowers(learner(), epochs=2, checkpoint=tmp_path, resume=True)


def test_the_row_at_an_old_end_stays_when_a_run_is_made_longer(tmp_path, run, fit_flowers, learner, same):
    fit_flowers(learner(), epochs=2, evaluate_every="3 steps", checkpoint=tmp_path)
    again = fit_flowers(learner(), evaluate_every="3 steps", checkpoint=tmp_path, resume=True)
    assert again.history.steps.tolist() == [3, 6, 8, 9, 12, 15, 16]
    same(again.state.params, run.state.params)


def test_going_on_compiles_nothing(tmp_path, run, fit_flowers, learner, compilations):
    fit_flowers(learner(), epochs=1, checkpoint=tmp_path)
    compilations.clear()
    fit_flowers(learner(), checkpoint=tmp_path, resume=True)
    assert compilations == []


def test_what_is_no_state_is_named_and_what_was_cut_off_is_cleared_away(tmp_path, fit_flowers, learner):
    from safetensors.numpy import save_file

    for name in (".step-1.safetensors.ab", ".best.safetensors.cd"):
        (tmp_path / name).write_text("half")
    save_file({"x": np.zeros(2)}, tmp_path / "step-000000000001.safetensors")
    with pytest.raises(FileError, match="is safetensors, but not a state that fnnet wrote"):
        fit_flowers(learner(), checkpoint=tmp_path, resume=True)
    assert names(tmp_path) == ["step-000000000001.safetensors"]


def test_a_file_and_its_name_are_synced_before_older_ones_go(tmp_path, monkeypatch):
    from fnnet.train.files import write_atomically

    synced, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(stat.S_ISDIR(os.fstat(file).st_mode)), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (synced.append("renamed"), replace(a, b)))
    write_atomically(tmp_path / "file", b"content")
    assert synced == [False, "renamed", True]


PROGRAM = """
import sys
import jax, numpy as np
import fnnet
from fnnet import data, losses, metrics, nn, optim

inputs = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
train = data.from_arrays(inputs, (inputs.sum(axis=1) > 0).astype(np.int32))
def begun(run):  # the program is compiled, and the first steps are done
    print("trains", flush=True)
learner = fnnet.Learner(
    nn.chain(nn.dense(8), nn.batch_norm(), nn.relu, nn.dropout(0.2), nn.dense(2)),
    losses.softmax_cross_entropy, optim.adam(1e-3), {"accuracy": metrics.accuracy},
)
print("begins", flush=True)
run = fnnet.fit(
    learner, train, validation=train, epochs=int(sys.argv[2]), batch_size=7, key=jax.random.key(0), progress=False,
    checkpoint=sys.argv[1], every=sys.argv[3], resume=True, evaluate_every=50, callbacks=[begun][: len(sys.argv) - 4],
)
print("ends", flush=True)
"""


def start(tmp_path, folder, epochs, every="500 steps", *more):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(folder), str(epochs), every, *more]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout.readline() == "begins\n"
    return process


def ended(process):
    """The exit status, with the pipe closed."""
    process.communicate()
    return process.returncode


def newest(folder):
    return max(pathlib.Path(folder).glob("step-*"), default=None)


def latest(folder):
    from safetensors.numpy import load_file

    return load_file(newest(folder))


@pytest.mark.exhaustive  # starts a dozen processes
def test_a_fit_that_is_killed_at_ten_random_moments_ends_as_if_it_had_not_been(tmp_path):
    epochs, random = 40_000, np.random.default_rng(0)
    assert ended(start(tmp_path, tmp_path / "whole", epochs)) == 0
    kills = 0
    for _ in range(10):
        before = newest(tmp_path / "killed")
        process = start(tmp_path, tmp_path / "killed", epochs)
        while process.poll() is None and newest(tmp_path / "killed") == before:
            time.sleep(0.01)  # until it has gone on
        time.sleep(random.uniform(0, 0.2))
        kills += process.poll() is None
        process.kill()
        ended(process)
    assert kills == 10
    assert ended(start(tmp_path, tmp_path / "killed", epochs)) == 0
    expected, found = latest(tmp_path / "whole"), latest(tmp_path / "killed")
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].tobytes() == values.tobytes(), name


def test_sigterm_writes_a_state_and_ends_the_process(tmp_path):
    process = start(tmp_path, tmp_path / "run", 10**6, "10 minutes", "say when")
    assert process.stdout.readline() == "trains\n"
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "ends" not in output
    assert 0 < latest(tmp_path / "run")["state/step"] < 6 * 10**6


def test_what_a_state_belongs_to_stands_in_its_header_as_json(tmp_path, fit_flowers, learner):
    from safetensors import safe_open

    fit_flowers(learner(), checkpoint=tmp_path)
    with safe_open(tmp_path / "step-000000000016.safetensors", framework="numpy") as file:
        header = file.metadata()
    assert json.loads(header["belongs"])["batch_size"] == 5
