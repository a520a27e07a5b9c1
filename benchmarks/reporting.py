"""What was measured as rows of a table: kept as JSON by machine, and written into ``docs/performance.md``."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
PACKAGES = ("jax", "jaxlib", "numpy", "flax", "optax", "equinox", "torch", "scikit-learn")
BEGIN, END = "<!-- {name}: written by python -m benchmarks -->", "<!-- end of {name} -->"


class Options(NamedTuple):
    """What the command line says: how often each contender has its turn, which device, and whether to be brief."""

    times: int
    device: str
    quick: bool


LARGER = {"µs": "ms", "ms": "s"}
"""Units a thousand times as large, for tables that can be read."""


class Row(NamedTuple):
    """``ours`` and ``theirs`` in ``unit``, less being better; ``ratio`` is theirs / ours, ``asked`` the least of it.

    Where a limit is asked for in place of a peer, ``theirs`` is that limit. ``note`` says what else there is to know.
    """

    work: str
    against: str
    ours: float | None
    theirs: float | None
    unit: str
    asked: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as long the other takes."""
        return None if self.ours is None or self.theirs is None else self.theirs / self.ours

    @property
    def reached(self) -> str:
        """Whether what was asked for was reached: yes, no, or nothing."""
        if self.asked is None or self.ratio is None:
            return ""
        return "yes" if self.ratio >= self.asked else "no"


def machine(device: str) -> dict[str, Any]:
    """Processor, cores, memory, versions; no path and no name of this one machine."""
    cpu = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
    found: dict[str, Any] = {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
    }
    if device == "gpu":
        asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        found["card"] = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return found


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def called(machine: Mapping[str, Any]) -> str:
    """A machine by its card, or its processor.

    >>> called({"processor": "Intel(R) Xeon(R) Processor @ 2.60GHz"})
    'Intel Xeon'
    """
    name = machine.get("card", machine["processor"]).split(",")[0]
    return " ".join(re.sub(r"\(.*?\)|\bProcessor\b|\bCPU\b|@.*", " ", name).split())


def keep(name: str, options: Options, rows: Iterable[Row], raw: Any) -> None:
    """Writes ``results/MACHINE/NAME.json``."""
    told = {"name": name, "machine": machine(options.device), "times": options.times, "quick": options.quick}
    written = [row._asdict() | {"ratio": row.ratio, "reached": row.reached} for row in rows]
    folder = RESULTS / called(told["machine"]).lower().replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({**told, "rows": written, "raw": raw}, indent=1) + "\n")


def kept(name: str) -> dict[str, list[Row]]:
    """The rows of a benchmark by machine."""
    files = [json.loads(path.read_text()) for path in sorted(RESULTS.glob(f"*/{name}.json"))]
    return {
        called(file["machine"]): [Row(**{field: row[field] for field in Row._fields}) for row in file["rows"]]
        for file in files
    }


def table(measured: Mapping[str, Iterable[Row]]) -> str:
    """The rows of each machine side by side, in Markdown."""
    found = {machine: {(row.work, row.against): row for row in rows} for machine, rows in measured.items()}
    names = list(dict.fromkeys(name for rows in found.values() for name in rows))
    columns = ["work", "against", "asked", *(title for m in found for title in (f"{m}: fnnet", "theirs", "ratio"))]
    lines = ["| " + " | ".join(columns) + " |", "|---|---|" + "---:|" * (len(columns) - 2)]
    for name in names:
        of_each = [rows.get(name) for rows in found.values()]
        asked = next(row.asked for row in of_each if row is not None)
        cells = [*name, "" if asked is None else f"{asked:g}"]
        lines.append("| " + " | ".join(cells + [cell for row in of_each for cell in _cells(row)]) + " |")
    return "\n".join(lines)


def _cells(row: Row | None) -> tuple[str, str, str]:
    """What one machine has to say of a row."""
    if row is None:
        return "", "", ""
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}" + (", missed" if row.reached == "no" else "")
    return _number(row.ours, row.unit), _number(row.theirs, row.unit) + (f" ({row.note})" if row.note else ""), ratio


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    while value >= 1000 and unit in LARGER:
        value, unit = value / 1000, LARGER[unit]
    return f"{short(value)}\N{NO-BREAK SPACE}{unit}"


def short(value: float) -> str:
    """A number with three digits that count.

    >>> short(0.012345), short(68312.0)
    ('0.0123', '68,300')
    """
    return f"{float(f'{value:.3g}'):,g}" if abs(value) < 1e6 else f"{value:.3g}"


def names() -> list[str]:
    """The benchmarks of which there are results."""
    return sorted({path.stem for path in RESULTS.glob("*/*.json")})


def page(text: str) -> str:
    """The page with the table of every benchmark that has results between its marks."""
    for name in names():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        if begin in text:
            before, rest = text.split(begin)
            text = f"{before}{begin}\n\n{table(kept(name))}\n\n{end}{rest.split(end)[1]}"
    return text


def write_page() -> None:
    """Brings the tables of ``docs/performance.md`` up to date."""
    PAGE.write_text(page(PAGE.read_text()))
