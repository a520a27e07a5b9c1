"""Measures fnnet and its peers side by side: ``python -m benchmarks [NAME …] [--device gpu] [--times N] [--quick]``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from benchmarks.measuring import PLATFORMS
from benchmarks.reporting import Options, called, keep, machine, table, write_page

NAMES = ("sweep_warm", "sweep_cold", "grid_folds", "fit", "update", "limit", "compile", "import_time", "scaling")
"""Every benchmark with a peer or a limit, as a module with ``measure(options)``, which gives rows and what is behind
them. `rungs` and `trials`, which have none, are commands of their own."""


def first_line(name: str) -> str:
    """What a benchmark is, in one line."""
    return (importlib.import_module(f"benchmarks.{name}").__doc__ or "").splitlines()[0]


def main() -> None:
    """Measures the named benchmarks, or all; writes results and page."""
    listed = "\n".join(f"  {name:<12} {first_line(name)}" for name in NAMES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; all of them if none is named")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="where to measure")
    parser.add_argument("--times", type=int, default=5, help="how often each contender has its turn")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument(
        "--keep", action=argparse.BooleanOptionalAction, help="write results and page: unless --quick, if not said"
    )
    parsed = parser.parse_args()
    unknown = sorted(set(parsed.names) - set(NAMES))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    options = Options(parsed.times, parsed.device, parsed.quick)
    keeping = not parsed.quick if parsed.keep is None else parsed.keep
    # For the contenders' processes, which inherit it; several are on one card at once, of which each would take most.
    os.environ |= {"JAX_PLATFORMS": PLATFORMS[parsed.device], "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    for name in parsed.names or NAMES:
        rows, raw = importlib.import_module(f"benchmarks.{name}").measure(options)
        if keeping:
            keep(name, options, rows, raw)
        sys.stdout.write(f"{name}\n{table({called(machine(parsed.device)): rows})}\n\n")
        sys.stdout.flush()
    if keeping:
        write_page()


if __name__ == "__main__":
    main()
