"""A sweep of 1 to 4,096 runs: seconds of a run beside those of the best number, of one device and two; memory.

64–100–10 on digits, Adam, batches of 50, 5 epochs. Each number is a new process, which sweeps twice; the second counts.
Memory is what the process takes more than the sweep of one run, beside what the plan says of so many lanes more.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from benchmarks.measuring import cold, say
from benchmarks.reporting import Options, Row

RUNS, DEVICES, EPOCHS, WITHIN = (1, 8, 64, 512, 4096), 2, 5, 1.2


def measure(options: Options) -> tuple[list[Row], Any]:
    """A row for each number of runs from 64 on, one for the second device, and one for memory."""
    sizes = RUNS[:3] if options.quick else RUNS
    found = {count: cold("scaling", count, DEVICES).said for count in sizes}
    one = cold("scaling", 64, 1).said
    each = {count: said["seconds"] / count for count, said in found.items()}
    best = min(each.values())
    rows = [
        Row(f"{count} runs, each", "the best number", 1e3 * each[count], 1e3 * best, "ms",
            round(1 / WITHIN, 3) if count >= 64 else None)
        for count in sizes
    ]  # fmt: skip
    rows.append(Row("64 runs on 2 devices", "on one, halved", found[64]["seconds"], one["seconds"] / 2, "s"))
    most = max(sizes)
    taken = (found[most]["peak"] - found[1]["peak"]) / 2**20
    planned = (found[most]["planned"] - found[1]["planned"]) * DEVICES / 2**20
    rows.append(Row(f"memory of {most} runs", "the plan", taken, planned, "MiB", round(1 / WITHIN, 3)))
    return rows, {"by runs": found, "64 on one device": one}


def sweep(count: int, devices: int) -> None:
    """So many learning rates, twice."""
    import resource

    import jax

    jax.config.update("jax_num_cpu_devices", devices)
    import fnnet
    from fnnet import data, hp, losses, nn, optim

    def learner(learning_rate: Any) -> fnnet.Learner:
        return fnnet.Learner(nn.mlp([100, 10]), losses.softmax_cross_entropy, optim.adam(learning_rate))

    rates = np.geomspace(1e-4, 1e-1, count).tolist()
    call: Any = (learner, {"learning_rate": hp.grid(*rates)}, data.load("digits")[:1500])
    options: Any = {"epochs": EPOCHS, "batch_size": 50, "key": jax.random.key(0)}
    for _ in range(2):
        began = time.perf_counter()
        fnnet.sweep(*call, **options, progress=False)
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (group,) = fnnet.plan(*call, **options).groups
    say(seconds=seconds, peak=peak, planned=group.bytes_at_once)


if __name__ == "__main__":
    sweep(int(sys.argv[1]), int(sys.argv[2]))
