"""A sweep whose process is killed, and called again until it is done."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

PROGRAM = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np
import fnnet
from fnnet import data, hp, losses, metrics, nn, optim
from fnnet.sweeps import ledger
from fnnet.sweeps.schedulers import successive_halving
from fnnet.train import driving

# Often, so that a kill finds runs in flight at every stage of being written.
ledger.SECONDS, driving.SECONDS_A_CALL = 0.05, 0.02

inputs = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
train = data.from_arrays(inputs, (inputs.sum(axis=1) > 0).astype(np.int32))

def learner(learning_rate, drop_rate, width):
    model = nn.chain(nn.dense(width), nn.tanh, nn.dropout(drop_rate), nn.dense(2))
    return fnnet.Learner(model, losses.softmax_cross_entropy, optim.adam(learning_rate), {"accuracy": metrics.accuracy})

how = {"none": {"early_stopping": 40}, "halving": {"scheduler": successive_halving(3000, factor=2)}}
print("begins", flush=True)
swept = fnnet.sweep(
    learner,
    {"learning_rate": hp.log_uniform(1e-4, 1e-1), "drop_rate": hp.uniform(0.1, 0.5), "width": hp.static(4, 6)},
    train, trials=8, folds=3, epochs=int(sys.argv[3]), batch_size=7, key=jax.random.key(0), progress=False,
    monitor="validation/loss", evaluate_every=50, lanes="map", out=sys.argv[1], **how[sys.argv[2]],
)
print("ends", flush=True)
"""
EPOCHS = {"none": 3_000, "halving": 6_000}
KILLS = {"none": 20, "halving": 3}


def start(tmp_path, folder, scheduler, environment, compiles=True):
    """The process, and when it began to sweep; one that does not compile finds the programs of others like it."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(folder), scheduler, str(EPOCHS[scheduler])]
    environment = {key: value for key, value in environment.items() if key != "JAX_COMPILATION_CACHE_DIR"}
    if not compiles:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout.readline() == "begins\n"
    return process, time.monotonic()


def ended(process):
    """The exit status, with the pipe closed."""
    process.communicate()
    return process.returncode


def assert_same(killed, whole):
    for name in ("table.parquet", "history.parquet"):
        tables = [pd.read_parquet(folder / name).drop(columns="seconds", errors="ignore") for folder in (killed, whole)]
        pd.testing.assert_frame_equal(*tables, check_exact=True)
    # The run with the best score, with its parameters and optimizer state.
    assert latest(killed) == latest(whole)
    for name in ("decisions.json", "best.safetensors"):
        assert (killed / name).exists() == (whole / name).exists()
    if (whole / "decisions.json").exists():
        assert (killed / "decisions.json").read_bytes() == (whole / "decisions.json").read_bytes()


def latest(folder):
    """The bytes of every state, by run and name."""
    from safetensors import safe_open

    found = {}
    for path in sorted((folder / "runs").glob("[!.]*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            for lane, run in enumerate(json.loads(file.metadata()["runs"])):
                found |= {
                    (*run, name): file.get_tensor(name)[lane].tobytes()
                    for name in file.keys()  # noqa: SIM118
                    if name.startswith("state/")
                }
    return found


def written(folder):
    """The files of runs, of which each writing makes another one."""
    return {path.name for path in (folder / "runs").glob("[!.]*.safetensors")}


def wait_for_another(folder, process):
    """Until the process has written runs, or has ended."""
    before = written(folder)
    while process.poll() is None and written(folder) <= before:
        time.sleep(0.005)


@pytest.mark.exhaustive  # starts some thirty processes, each of which compiles
@pytest.mark.parametrize("scheduler", ["none", "halving"])
def test_law_10_a_sweep_that_is_killed_at_random_moments_ends_as_if_it_had_not_been(
    scheduler, tmp_path, compiling_less
):
    whole, environment = tmp_path / "whole", compiling_less(0)
    process, began = start(tmp_path, whole, scheduler, environment)
    wait_for_another(whole, process)
    preparing = time.monotonic() - began
    assert ended(process) == 0
    # Every other call is killed on its way to its first step, where it reads, plans and compiles; the others once they
    # have gone on, and need not compile for that. After some a sweep is done, and another one begins.
    random, kills, sweeps = np.random.default_rng(0), 0, 0
    while kills < KILLS[scheduler]:
        folder, status, sweeps = tmp_path / str(sweeps), -signal.SIGKILL, sweeps + 1
        while status:
            process, _ = start(tmp_path, folder, scheduler, environment, compiles=kills % 2 == 0)
            if kills % 2 == 0:
                time.sleep(random.uniform(0, preparing))
            else:
                wait_for_another(folder, process)
                time.sleep(random.uniform(0, 0.5))
            if kills < KILLS[scheduler]:
                process.kill()
            status = ended(process)
            assert status in (0, -signal.SIGKILL)
            kills += status != 0
        assert_same(folder, whole)
    print(f"{scheduler}: {kills} kills of {sweeps} sweeps")
