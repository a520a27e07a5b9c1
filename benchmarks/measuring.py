"""What benchmarks do alike: a fresh process, its time and its memory, and numbers that are kept."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FORGOTTEN = (
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_ENABLE_COMPILATION_CACHE",
    "XLA_FLAGS",
    "PYTHONWARNINGS",
    "PYTHONDONTWRITEBYTECODE",
)
"""What would let a process know programs of an earlier one, or compile otherwise than a user's does.

Python too: what pip installs it compiles, a working copy is compiled when it is first imported, unless that is off.
"""

PLATFORMS = {"cpu": "cpu", "gpu": "cuda"}
"""What JAX and torch call a device."""

ATTEMPTS, QUIET = 3, 0.2
"""How often a measurement that others disturb is repeated, and how many cores they may have used on average."""


class Measured(NamedTuple):
    """A process from its start to its end: seconds, peak memory in bytes, and what it printed.

    ``others`` is how many cores other processes used meanwhile, on average.
    """

    seconds: float
    peak: int
    others: float
    said: dict[str, Any]


def cold(name: str, *arguments: Any, environment: Mapping[str, str] | None = None) -> Measured:
    """Runs ``python -m benchmarks.NAME ARGUMENTS`` as a process that knows nothing; its last line is JSON.

    On a machine that is shared, the least disturbed of a few attempts counts. The peak is that of this one process,
    without those that it starts.
    """
    best = None
    for _ in range(ATTEMPTS):
        measured = _once(name, arguments, environment or {})
        said = f"{name} {' '.join(map(str, arguments))}: {measured.seconds:.1f} s, others {measured.others:.2f} cores"
        sys.stderr.write(f"{said}\n")
        best = measured if best is None else min(best, measured, key=lambda m: m.others)
        if best.others <= QUIET:
            break
    assert best is not None
    return best


def _once(name: str, arguments: Sequence[Any], added: Mapping[str, str]) -> Measured:
    environment = {key: value for key, value in os.environ.items() if key not in FORGOTTEN} | dict(added)
    command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]
    wait_for_quiet()
    with tempfile.TemporaryFile("w+") as output:
        before, began = busy(), time.perf_counter()
        process = subprocess.Popen(command, stdout=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        others = (busy() - before - usage.ru_utime - usage.ru_stime) / seconds
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        output.seek(0)
        said = json.loads(output.read().splitlines()[-1])
    return Measured(seconds, usage.ru_maxrss * 1024, max(0.0, others), said)


def busy() -> float:
    """Seconds that all cores together have been at work, since the machine started."""
    user, nice, system, _, _, *more = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system + sum(more[:3])) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(patience: int = 20, moment: float = 1.0) -> None:
    """Until others have let the machine be for a moment of so many seconds, or for so many moments."""
    for _ in range(patience):
        before = busy()
        time.sleep(moment)
        if busy() - before <= QUIET * moment:
            return


def say(**numbers: Any) -> None:
    """What a process hands to `cold`."""
    sys.stdout.write(json.dumps(numbers) + "\n")


def between(values: Sequence[float], digits: int = 2) -> str:
    """The least and the largest."""
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and the least and the largest."""
    return f"{statistics.median(values):.{digits}f} ({between(values, digits)})"


def keep(name: str, out: Path, numbers: dict[str, Any]) -> None:
    """Writes the numbers as JSON."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(numbers, indent=2) + "\n")
