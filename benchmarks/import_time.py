"""``import fnnet`` beside ``import jax``, each in a new process; and what asking for `fnnet.sweep` adds."""

from __future__ import annotations

import importlib
import statistics
import sys
from typing import Any

from benchmarks.measuring import between, cold, say
from benchmarks.reporting import Options, Row

IMPORTS = {"jax": ("jax",), "fnnet": ("jax", "fnnet"), "sweep": ("fnnet", "fnnet.sweeps.engine")}
"""What each process imports; `fnnet.sweep` is in `fnnet.sweeps.engine`."""

AT_MOST = round(1 / 1.1, 3)
"""At most 1.1 times as long, which is a ratio of as much at least."""


def measure(options: Options) -> tuple[list[Row], Any]:
    """Two rows, of which the first is asked for."""
    found: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(2 * options.times):
        for name, seconds in found.items():
            seconds.append(cold("import_time", name).seconds)
    middle = {name: statistics.median(seconds) for name, seconds in found.items()}
    rows = [
        Row(
            "import fnnet",
            "import jax",
            middle["fnnet"],
            middle["jax"],
            "s",
            AT_MOST,
            f"{between(found['jax'])} s",
        ),
        Row("import fnnet, fnnet.sweep", "import jax", middle["sweep"], middle["jax"], "s"),
    ]
    return rows, found


if __name__ == "__main__":
    for module in IMPORTS[sys.argv[1]]:
        importlib.import_module(module)
    say()
