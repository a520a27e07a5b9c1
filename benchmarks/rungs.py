"""Successive halving over 256 trials on digits, and the same 256 trials to the end: updates, seconds, best score.

One hidden layer of 64 relus with dropout, batches of 64, Adam, 81 epochs; learning rate, decay and drop rate are drawn.
Halving begins with one epoch or with three, and lets the best third go on, to three times as many epochs each time.
Each seed has other trials, another split, other initialisations. All are measured in one process after a call that has
compiled their program, so that no compiling counts; the score is that of the best run at its best
epoch, on the validation part.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import cold, keep, say, spread

TRIALS, EPOCHS, FIRST, FACTOR, CORES = 256, 81, (1, 3), 3, 2
WITHIN = 0.005
"""How much worse the best score may be."""


def measure(seed: int) -> None:
    """Both searches over the same trials."""
    import jax

    jax.config.update("jax_num_cpu_devices", CORES)
    import fnnet
    from fnnet import data, hp, losses, metrics, nn, optim
    from fnnet.sweeps.schedulers import successive_halving

    def learner(learning_rate: Any, decay: Any, drop_rate: Any) -> fnnet.Learner:
        return fnnet.Learner(
            nn.mlp([64, 10], drop_rate=drop_rate),
            losses.softmax_cross_entropy,
            optim.adamw(learning_rate, weight_decay=decay),
            {"accuracy": metrics.accuracy},
        )

    space = {
        "learning_rate": hp.log_uniform(1e-4, 1.0),
        "decay": hp.log_uniform(1e-5, 1.0),
        "drop_rate": hp.uniform(0.05, 0.7),
    }
    key = jax.random.key(seed)
    train, validation = data.split(data.load("digits"), fraction=0.4, key=jax.random.fold_in(key, 0))

    def search(scheduler: Any) -> dict[str, Any]:
        began = time.perf_counter()
        swept = fnnet.sweep(
            learner,
            space,
            train,
            validation=validation,
            trials=TRIALS,
            epochs=EPOCHS,
            batch_size=64,
            key=jax.random.fold_in(key, 1),
            scheduler=scheduler,
            lanes="map",
            progress=False,
        )
        best = swept.best
        seconds = time.perf_counter() - began
        return {
            "seconds": seconds,
            "updates": int(swept.cost["updates"].sum()),
            "training": float(swept.cost["seconds"].sum()),
            "score": float(best["validation/accuracy"]),
            "trial": int(best["trial"]),
            "rungs": [[rung["epochs"], len(rung["trials"])] for rung in swept.rungs],
        }

    halvings = {f"from {first}": successive_halving(first, FACTOR) for first in FIRST}
    search(halvings["from 1"])
    say(**{name: search(halving) for name, halving in halvings.items()}, whole=search(None))


def main() -> None:
    """Measures each seed in a process of its own; the exit code is 0 if the claim holds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rungs", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--out", type=Path, default=Path("runs") / "benchmarks", help="folder for the numbers")
    options = parser.parse_args()
    found = [cold("rungs", seed) for seed in range(options.seeds)]
    for seed, measured in enumerate(found):
        said = "; ".join(
            f"{name}: {how['seconds']:.1f} s, {how['updates']} updates, score {how['score']:.4f}"
            for name, how in measured.said.items()
        )
        sys.stdout.write(f"seed {seed}: {said}\n")
    seen = True
    for name in (f"from {first}" for first in FIRST):
        pairs = [(measured.said[name], measured.said["whole"]) for measured in found]
        shares = {unit: [a[unit] / b[unit] for a, b in pairs] for unit in ("seconds", "updates")}
        lost = [b["score"] - a["score"] for a, b in pairs]
        seen &= max(shares["seconds"] + shares["updates"]) < 0.5 and statistics.median(lost) <= WITHIN
        sys.stdout.write(
            f"{name}: share of the seconds {spread(shares['seconds'], 2)}, of the updates "
            f"{spread(shares['updates'], 3)}; score lost {spread(lost, 4)}\n"
        )
    keep("rungs", options.out, {"seeds": [measured._asdict() for measured in found]})
    sys.stdout.write(
        f"{'seen' if seen else 'NOT SEEN'}: less than half of the cost, and in the median within {WITHIN} of the best\n"
    )
    sys.exit(0 if seen else 1)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].isdigit():
        measure(int(sys.argv[1]))
    else:
        main()
