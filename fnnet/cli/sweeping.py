"""``fnnet sweep``. What is heavy is imported inside of it, so that ``--help`` is quick."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from fnnet.cli.grammar import parse_scheduler, parse_spaces
from fnnet.cli.options import BatchSize, Data, Epochs, Missing, Seed, Space, Target
from fnnet.cli.telling import SHOWN, note_tested, sentences, tell_ensemble, tell_files, tell_scores


def sweep(
    source: Data,
    target: Target = None,
    space: Space = None,
    trials: Annotated[int, typer.Option(min=1, metavar="N", help="Points of the space to try.")] = 64,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Runs of each trial.")] = 2,
    epochs: Epochs = 30,
    batch_size: BatchSize = 32,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who decides which trials go on: halving, hyperband or median.  [default: all do]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the results; after a crash the same command goes on.  [default: a new runs/sweep-DATA]",
        ),
    ] = None,
    seed: Seed = 0,
    missing: Missing = "error",
) -> None:
    """Search hyperparameters: train many networks as one program, keep a table, figures, a page and the best.

    Unless told, learning_rate=log:1e-3:3e-2, drop_rate=uniform:0:0.5 and width=static:64,128. The data are
    split into 64 % to train, 16 % to choose and 20 % to test, or as they were published; the test part is used
    once, after the choice.
    """
    started = time.perf_counter()
    with sentences():
        from fnnet.cli.preparing import use_every_core

        use_every_core()
        from fnnet import hp, report, write_report
        from fnnet import sweep as run_sweep
        from fnnet.cli.perceptron import Perceptron
        from fnnet.cli.preparing import prepare
        from fnnet.cli.printing import best_rows, described
        from fnnet.errors import require

        default = {
            "learning_rate": hp.log_uniform(1e-3, 3e-2),
            "drop_rate": hp.uniform(0.0, 0.5),
            "width": hp.static(64, 128),
        }
        dimensions = parse_spaces(space or [], default)
        require("fnnet sweep", "matplotlib", "experiments")  # before the work, not after it
        decide = None if scheduler is None else parse_scheduler(scheduler, epochs)
        folder, parts, key = prepare("sweep", source, target, missing, out, seed, resumable="asked.json")
        typer.echo(described(parts))
        swept = run_sweep(
            Perceptron.fitted(parts.train), dimensions, parts.train, validation=parts.validation,
            trials=trials, seeds=seeds, epochs=epochs, batch_size=batch_size, key=key, sampler="sobol",
            scheduler=decide, out=folder, command=shlex.join(["fnnet", *sys.argv[1:]]),
        )  # fmt: skip
        table, history, names = swept.table, swept.history, swept.hyperparameters
        cut_short = int((table["status"] == "running").sum())
        if cut_short:
            typer.echo(f"\nInterrupted: {cut_short} of {len(table)} runs are not finished. What there is:", err=True)
        if table[swept.monitor].notna().any():
            aim: dict[str, Any] = {"monitor": swept.monitor, "maximize": swept.maximize}
            report.plot_curves(history, table=table, path=folder / "curves.png", **aim)
            report.plot_space(table, names, path=folder / "space.png", **aim)
            report.plot_sweep(table, history, names, path=folder / "sweep.png", **aim)
            typer.echo(f"\n{best_rows(swept, SHOWN)}\n")
            best = swept.best
            tested = tell_scores(
                swept.run(best["trial"], best["seed"]), parts, f"Trial {best['trial']}, seed {best['seed']}"
            )
            note_tested(folder, len(parts.test), {"best": tested, **tell_ensemble(swept, parts)})
            write_report(folder)
        else:
            typer.echo("No run has a score, so there is no best one and nothing to draw.", err=True)
        tell_files(folder, started)
