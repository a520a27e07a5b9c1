"""``fnnet report``: the folder of a sweep as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fnnet.cli.telling import sentences

Folder = Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="The folder of a sweep.")]
File = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The page.  [default: report.html in DIR]")]


def report(folder: Folder, out: File = None) -> None:
    """Write the page of a sweep: one HTML file with its tables, curves and what was asked for."""
    with sentences():
        from fnnet import write_report

        typer.echo(f"Wrote {write_report(folder, out)}.")
