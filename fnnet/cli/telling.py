"""What the command says of what it has found."""

from __future__ import annotations

import contextlib
import json
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from fnnet.cli.preparing import Parts

SHOWN = 10
"""How many of the best runs of a sweep are shown, and averaged."""


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Errors and warnings of fnnet as sentences on stderr, without a traceback; an error ends with code 2."""
    from fnnet.errors import FnnetError, FnnetWarning

    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, FnnetWarning):
                typer.echo(f"Warning: {message}", err=True)
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = show
        warnings.simplefilter("always", FnnetWarning)
        try:
            yield
        except FnnetError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(2) from error
        except OSError as error:
            typer.echo(f"Error: {error.filename or 'a file'}: {error.strerror or error}.", err=True)
            raise typer.Exit(2) from error


def tell_scores(run: Any, parts: Parts, which: str) -> dict[str, float]:
    """Says how the chosen run does on the data that chose it and on data that nothing was chosen by; the latter."""
    from fnnet.cli.printing import scores

    chosen, tested = (run.evaluate(part) for part in (parts.validation, parts.test))
    typer.echo(f"{which} is the best on the {len(parts.validation)} validation rows: {scores(chosen)}.")
    typer.echo(f"On the {len(parts.test)} test rows, which played no part until now: {scores(tested)}.")
    return tested


def tell_ensemble(swept: Any, parts: Parts) -> dict[str, dict[str, float]]:
    """Says how the best runs do together: their mean is steadier than the one that a choice happened to fall on."""
    from fnnet.cli.printing import scores
    from fnnet.sweeps.ensembles import ensemble

    best = swept.top(SHOWN)
    best = best[best[swept.monitor].notna()]
    mean = ensemble([swept.run(trial, seed) for trial, seed in zip(best["trial"], best["seed"], strict=True)])
    tested = mean.evaluate(parts.test)
    typer.echo(f"The mean of the {len(best)} best runs, on the same test rows: {scores(tested)}.")
    return {f"mean of the {len(best)} best": tested}


def note_tested(folder: Path, rows: int, found: dict[str, dict[str, float]]) -> None:
    """Writes down what was found on the test rows, for the page."""
    from fnnet.sweeps.pages import TESTED

    text = json.dumps({"rows": rows, "scores": found}, indent=2) + "\n"
    (folder / TESTED).write_text(text, encoding="utf-8")


def tell_files(folder: Path, started: float) -> None:
    """Says what was written where, and how long it all took."""
    from fnnet.cli.printing import duration

    names = ", ".join(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else "nothing"
    typer.echo(f"Wrote {names} to {folder}{os.sep} in {duration(time.perf_counter() - started)}.")
