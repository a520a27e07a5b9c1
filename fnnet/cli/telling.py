"""What the command says of what it has found."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from fnnet.cli.preparing import Parts

SHOWN = 10
"""How many of the best runs of a sweep are shown, and averaged."""


def tell_scores(run: Any, parts: Parts, which: str) -> None:
    """Says how the chosen run does on the data that chose it and on data that nothing was chosen by."""
    from fnnet.cli.printing import scores

    chosen, tested = (scores(run.evaluate(part)) for part in (parts.validation, parts.test))
    typer.echo(f"{which} is the best on the {len(parts.validation)} validation rows: {chosen}.")
    typer.echo(f"On the {len(parts.test)} test rows, which played no part until now: {tested}.")


def tell_ensemble(swept: Any, parts: Parts) -> None:
    """Says how the best runs do together: their mean is steadier than the one that a choice happened to fall on."""
    from fnnet.cli.printing import scores
    from fnnet.sweeps.ensembles import ensemble

    best = swept.top(SHOWN)
    best = best[best[swept.monitor].notna()]
    mean = ensemble([swept.run(trial, seed) for trial, seed in zip(best["trial"], best["seed"], strict=True)])
    tested = scores(mean.evaluate(parts.test))
    typer.echo(f"The mean of the {len(best)} best runs, on the same test rows: {tested}.")


def tell_files(folder: Path, started: float) -> None:
    """Says what was written where, and how long it all took."""
    from fnnet.cli.printing import duration

    names = ", ".join(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else "nothing"
    typer.echo(f"Wrote {names} to {folder}{os.sep} in {duration(time.perf_counter() - started)}.")
