"""Peak memory and time of a sweep over 256 to 16,384 tiny networks, with and without a folder.

iris, one hidden layer of 8, batches of 32, 10 epochs. Each sweep is a fresh process, whose peak the system tells. What
a trial takes is the slope between the fewest and the most.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import Measured, cold, keep, say

SIZES, EPOCHS, CORES = [256, 1024, 4096, 16384], 10, 2


def measure(trials: int, out: str | None) -> None:
    """One sweep, and its table."""
    import resource

    import jax

    jax.config.update("jax_num_cpu_devices", CORES)
    import fnnet
    from fnnet import data, hp, losses, metrics, nn, optim

    def learner(learning_rate: Any, decay: Any) -> fnnet.Learner:
        return fnnet.Learner(
            nn.mlp([8, 3]),
            losses.softmax_cross_entropy,
            optim.adamw(learning_rate, weight_decay=decay),
            {"accuracy": metrics.accuracy},
        )

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    train, validation = data.split(data.load("iris"), fraction=0.2, key=jax.random.key(0))
    began = time.perf_counter()
    swept = fnnet.sweep(
        learner,
        {"learning_rate": hp.log_uniform(1e-4, 1.0), "decay": hp.log_uniform(1e-5, 1.0)},
        train,
        validation=validation,
        trials=trials,
        epochs=EPOCHS,
        key=jax.random.key(1),
        lanes="map",
        out=out,
        progress=False,
    )
    swept_by, peak_of_sweep = time.perf_counter(), peak()
    rows = len(swept.table)
    table = time.perf_counter() - swept_by
    state = swept.run(0).state._replace(key=())
    say(
        sweep=swept_by - began,
        table=table,
        rows=rows,
        peak_of_sweep=peak_of_sweep,
        compiling=float(swept.cost["compile_seconds"].sum()),
        training=float(swept.cost["seconds"].sum()),
        state=sum(leaf.nbytes for leaf in jax.tree.leaves(state)),
        history=sum(values[0].nbytes for values in swept.history.values()),
    )


def main() -> None:
    """Measures every size with and without a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trials", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs") / "benchmarks", help="folder for the numbers")
    options = parser.parse_args()
    found: dict[str, list[Measured]] = {"without out=": [], "with out=": []}
    for size in SIZES:
        found["without out="].append(cold("trials", size))
        with tempfile.TemporaryDirectory() as folder:
            found["with out="].append(cold("trials", size, Path(folder) / "sweep"))
    for name, measured in found.items():
        for size, m in zip(SIZES, measured, strict=True):
            said = m.said
            sys.stdout.write(
                f"{size} trials {name}: peak {m.peak / 2**20:.0f} MiB, sweep {said['sweep']:.1f} s (compiling "
                f"{said['compiling']:.1f}, training {said['training']:.1f}), table {said['table']:.2f} s, "
                f"{1000 * (said['sweep'] - said['compiling']) / size:.2f} ms a run, others {m.others:.1f} cores\n"
            )
        slope = (measured[-1].peak - measured[0].peak) / (SIZES[-1] - SIZES[0])
        sys.stdout.write(
            f"{name}: {slope / 1024:.1f} KiB a trial, of which the state is {said['state'] / 1024:.1f} KiB and the "
            f"history {said['history'] / 1024:.1f} KiB\n"
        )
    keep("trials", options.out, {name: [m._asdict() for m in measured] for name, measured in found.items()})


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].isdigit():
        measure(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
    else:
        main()
