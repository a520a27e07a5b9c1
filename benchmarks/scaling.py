"""A sweep of 1 to 4,096 runs: seconds of a run beside those of the best number, of one device and two; memory.

64–100–10 on digits, Adam, batches of 50, 5 epochs. Each number is a new process each time, which sweeps twice; the
second sweep counts. Memory is what the process takes more than the sweep of one run, or its card, beside what the plan
says of so many lanes more. A card has up to 16,384 runs and no second device.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np

from benchmarks.measuring import between, cold, say
from benchmarks.reporting import Options, Row

RUNS, ON_CARDS, DEVICES, EPOCHS, WITHIN = (1, 8, 64, 512, 4096), 16_384, 2, 5, 1.2


def measure(options: Options) -> tuple[list[Row], Any]:
    """A row for each number of runs from 64 on, one for the second device, and one for memory."""
    on_card = options.device != "cpu"
    devices = 1 if on_card else DEVICES
    sizes = RUNS[:3] if options.quick else (*RUNS, ON_CARDS) if on_card else RUNS
    calls = {f"{count} runs": (count, devices) for count in sizes}
    calls |= {} if on_card else {"64 runs on one device": (64, 1)}
    found: dict[str, list[Any]] = {name: [] for name in calls}
    for _ in range(1 if options.quick else options.times):
        for name, arguments in calls.items():
            found[name].append(cold("scaling", *arguments).said)

    def middle(name: str, what: str) -> float:
        return statistics.median(said[what] for said in found[name])

    each = {count: 1e3 * middle(f"{count} runs", "seconds") / count for count in sizes}
    best, least = min(each.values()), round(1 / WITHIN, 3)
    rows = []
    for count in sizes:
        note = f"ours {between([1e3 * said['seconds'] / count for said in found[f'{count} runs']])} ms"
        asked = least if count >= 64 else None
        rows.append(Row(f"{count} runs, each", "the best number", each[count], best, "ms", asked, note))
    if not on_card:
        alone = middle("64 runs on one device", "seconds")
        rows.append(Row("64 runs on 2 devices", "on one, halved", middle("64 runs", "seconds"), alone / 2, "s"))
    most, one = f"{max(sizes)} runs", f"{min(sizes)} runs"
    taken = (middle(most, "peak") - middle(one, "peak")) / 2**20
    planned = (middle(most, "planned") - middle(one, "planned")) * devices / 2**20
    rows.append(Row(f"memory of {most}", "the plan", taken, planned, "MiB", least))
    return rows, found


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
    of_card = jax.devices()[0].memory_stats() or {}
    peak = of_card.get("peak_bytes_in_use", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    (group,) = fnnet.plan(*call, **options).groups
    say(seconds=seconds, peak=peak, planned=group.bytes_at_once)


if __name__ == "__main__":
    sweep(int(sys.argv[1]), int(sys.argv[2]))
