"""What benchmarks do alike: a fresh process, its time and its memory, and numbers that are kept."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

FORGOTTEN = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE", "XLA_FLAGS", "PYTHONWARNINGS")
"""What would let a process know programs of an earlier one, or compile otherwise than a user's does."""


class Measured(NamedTuple):
    """A process from its start to its end: seconds, peak memory in bytes, the load before it, and what it printed."""

    seconds: float
    peak: int
    load: float
    said: dict[str, Any]


def cold(name: str, *arguments: Any) -> Measured:
    """Runs ``python -m benchmarks.NAME ARGUMENTS`` as a process that knows nothing; its last line is JSON.

    The peak is that of this one process, without those that it starts.
    """
    environment = {key: value for key, value in os.environ.items() if key not in FORGOTTEN}
    command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        output.seek(0)
        said = json.loads(output.read().splitlines()[-1])
    return Measured(seconds, usage.ru_maxrss * 1024, load, said)


def say(**numbers: Any) -> None:
    """What a process hands to `cold`."""
    sys.stdout.write(json.dumps(numbers) + "\n")


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and the least and the largest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def keep(name: str, out: Path, numbers: dict[str, Any]) -> None:
    """Writes the numbers as JSON."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(numbers, indent=2) + "\n")
