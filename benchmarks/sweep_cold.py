"""64 learning rates on digits, from a new process to the finished table: imports, compiling, training."""

from __future__ import annotations

import statistics
import sys
from typing import Any

from benchmarks import digits_peers
from benchmarks.digits_peers import RATES
from benchmarks.measuring import between, cold, say
from benchmarks.reporting import Options, Row

# Who, how it is called, and how many times as long it has to take.
AGAINST: dict[str, tuple[str, float]] = {
    "linen_closed": ("flax linen and optax, the rate closed over: a program each", 10),
    "linen_inject": ("flax linen and optax, inject_hyperparams", 2),
    "scikit_learn": ("scikit-learn MLPClassifier", 2),
    "plain_vmap": ("jax.vmap of a scan, by hand", 0),
}


def measure(options: Options) -> tuple[list[Row], Any]:
    """A row for each contender, its processes started in turn with ours."""
    count = 8 if options.quick else len(RATES)
    turns: dict[str, list[Any]] = {name: [] for name in ("fnnet", *AGAINST)}
    for _ in range(options.times):
        for name, found in turns.items():
            found.append(cold("sweep_cold", name, count, options.device))
    seconds = {
        name: statistics.median(m.seconds for m in found)
        for name, found in turns.items()
        if not any("missing" in m.said for m in found)
    }
    rows = []
    for name, (words, asked) in AGAINST.items():
        note = f"{between([m.seconds for m in turns[name]])} s" if name in seconds else "not installed"
        rows.append(Row(f"{count} rates, cold", words, seconds["fnnet"], seconds.get(name), "s", asked or None, note))
    return rows, {name: [m._asdict() for m in found] for name, found in turns.items()}


def train(name: str, count: int, device: str) -> None:
    """One contender's whole work, in its process."""
    make: Any = getattr(digits_peers, name.removesuffix("_closed").removesuffix("_inject"))
    try:
        work = make(
            RATES[:: len(RATES) // count], device, **({"closed_over": True} if name.endswith("_closed") else {})
        )
    except ModuleNotFoundError as error:
        say(missing=error.name)
        return
    say(losses=work())


if __name__ == "__main__":
    train(sys.argv[1], int(sys.argv[2]), sys.argv[3])
