"""The folder of a sweep as a page."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fnnet.errors import FileError
from fnnet.report.embedding import hyperparameters_of
from fnnet.report.page import write_page
from fnnet.sweeps.comparing import summary

TESTED = "tested.json"
"""The file with what came of rows that chose nothing, if they were asked."""

_WHERE = "fnnet report"


def write_report(folder: str | os.PathLike[str], path: str | os.PathLike[str] | None = None) -> Path:
    """Writes the page of a sweep: one HTML file with its tables, curves and what was asked for.

    ``fnnet report`` does the same. A sweep on its way, or one that was killed, has a page as soon as its first tables
    are written, after half a minute.

    Args:
        folder: the ``out=`` of a sweep.
        path: of the page; report.html in the folder unless told.

    Returns:
        The path of the page.

    Raises:
        FileError: the folder is not a sweep's, its tables are not written yet, or a file of it is damaged.
        DataError: its files do not belong together.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise FileError(_WHERE, f"{str(folder)!r} {what}, but the folder of a sweep is needed: its --out DIR, or out=.")
    asked = _json(folder / "asked.json", dict)
    if asked is None:
        raise FileError(
            _WHERE,
            f"{str(folder)!r} has no asked.json, so it is not the folder of a sweep. "
            f"Name the folder that was given to 'fnnet sweep --out DIR' or to fnnet.sweep(out=DIR).",
        )
    monitor = asked.get("monitor")
    if not (isinstance(monitor, dict) and {"name", "maximize"} <= set(monitor)):
        raise FileError(_WHERE, f"{str(folder / 'asked.json')!r} does not say which score chooses (its 'monitor').")
    table = _parquet(folder / "table.parquet")
    if table is None:
        raise FileError(
            _WHERE,
            f"{str(folder)!r} has no table.parquet yet: the sweep is still running, or was stopped before its first "
            f"results. Wait for it, or run it again.",
        )
    several = "trial" in table and monitor["name"] in table and table["trial"].duplicated().any()
    names = hyperparameters_of(table, asked)
    return write_page(
        table,
        _parquet(folder / "history.parquet"),
        asked,
        path or folder / "report.html",
        # Of one run a trial it would say again what the table says.
        summary=summary(table, names, monitor["name"], bool(monitor["maximize"]), 0.95) if several else None,
        plan=_json(folder / "plan.json", dict),
        cost=_json(folder / "cost.json", list),
        tested=_json(folder / TESTED, dict),
    )


def _json(path: Path, kind: type) -> Any:
    """What a JSON file holds; None if there is none."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileError(_WHERE, f"{str(path)!r} is damaged: it is not JSON ({error}). Run the sweep again.") from error
    flat = not isinstance(found, list) or all(isinstance(row, dict) for row in found)
    if not (isinstance(found, kind) and flat):
        shape = "an object" if kind is dict else "a list of objects"
        raise FileError(_WHERE, f"{str(path)!r} is damaged: {shape} is needed. Run the sweep again.")
    return found


def _parquet(path: Path) -> Any:
    """The table of a Parquet file; None if there is none."""
    import pandas as pd

    if not path.exists():
        return None
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        said = str(error).split("\n")[0].rstrip(".")
        raise FileError(_WHERE, f"{str(path)!r} is damaged: {said}. Run the sweep again.") from error
