"""The commands. What is heavy is imported inside of them, so that ``--help`` and ``--version`` are quick."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fnnet._version import __version__
from fnnet.cli.grammar import (
    MANY_ROWS,
    PRECISIONS,
    SCHEDULES,
    USUAL,
    check_values,
    check_word,
    parse_scheduler,
    parse_spaces,
    usual,
)

try:
    import typer
except ImportError:  # it comes with an extra; `main` says so
    typer = None  # type: ignore[assignment]

if typer is not None:
    Data = Annotated[
        str,
        typer.Argument(
            metavar="DATA", show_default=False, help="A name from 'fnnet data', or a .csv, .parquet or .npz file."
        ),
    ]
    Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to predict, for a file.")]
    Missing = Annotated[
        str, typer.Option(metavar="WHAT", help="Missing values in a table: error, drop (rows) or impute.")
    ]
    Out = Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the results, new or empty.  [default: runs/COMMAND-DATA]"),
    ]
    Seed = Annotated[int, typer.Option(metavar="N", help="The root of every random draw.")]
    BatchSize = Annotated[int, typer.Option(min=1, metavar="N", help="Examples a step.")]
    Epochs = Annotated[int, typer.Option(min=1, metavar="N", help="How often each example is seen.")]
    Space = Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=…",
            help="What a hyperparameter may be: NAME=log:LOW:HIGH, uniform:LOW:HIGH, choice:A,B, grid:A,B, "
            "static:A,B, int:LOW:HIGH, or one VALUE. NAME is learning_rate, drop_rate, weight_decay, width, "
            "depth or activation. Repeatable; the others keep their default.",
        ),
    ]


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
        from fnnet import hp, report
        from fnnet import sweep as run_sweep
        from fnnet.cli.perceptron import Perceptron
        from fnnet.cli.preparing import prepare
        from fnnet.cli.printing import best_rows, described
        from fnnet.cli.reporting import page_of
        from fnnet.cli.telling import SHOWN, tell_ensemble, tell_files, tell_scores
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
            page_of(folder)
            typer.echo(f"\n{best_rows(swept, SHOWN)}\n")
            best = swept.best
            tell_scores(swept.run(best["trial"], best["seed"]), parts, f"Trial {best['trial']}, seed {best['seed']}")
            tell_ensemble(swept, parts)
        else:
            typer.echo("No run has a score, so there is no best one and nothing to draw.", err=True)
        tell_files(folder, started)


def train(
    source: Data,
    target: Target = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="mlp, a multilayer perceptron, or conv, convolutions for images.")
    ] = "mlp",
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"How often each example is seen.  {usual('epochs')}")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="X", help=f"Of AdamW, above 0.  {usual('learning_rate')}")
    ] = None,
    schedule: Annotated[
        str, typer.Option(metavar="NAME", help="The learning rate falls to 0 as a cosine, or is constant.")
    ] = "cosine",
    width: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help=f"Units of a hidden layer; channels of the first convolution.  {usual('width')}"
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help=f"Hidden layers, 0 for a linear model; convolutions.  {usual('depth')}"),
    ] = None,
    drop_rate: Annotated[
        float | None,
        typer.Option(metavar="X", help=f"Dropout after each hidden layer, from 0 to below 1.  {usual('drop_rate')}"),
    ] = None,
    weight_decay: Annotated[float, typer.Option(metavar="X", help="Of AdamW.")] = 0.0,
    activation: Annotated[
        str, typer.Option(metavar="NAME", help="A function of fnnet.nn, such as relu, tanh or gelu.")
    ] = "relu",
    batch_size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Examples a step.  [default: 32; 128 from 10000 rows on]")
    ] = None,
    early_stopping: Annotated[
        int | None, typer.Option(metavar="N", help="Stop after N epochs without a better score.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="DTYPE", help="Compute in bfloat16 or float16; parameters stay float32.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the state, written every 30 seconds and at the end.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the latest state in --checkpoint.")] = False,
    out: Out = None,
    seed: Seed = 0,
    missing: Missing = "error",
) -> None:
    """Train one network, keep it with its history and learning curves.

    The data are split into 64 % to train, 16 % to choose the best epoch and 20 % to test; data that were published
    with a test part are tested on it, and 20 % of the others choose.
    """
    started = time.perf_counter()
    with sentences():
        check_word("--model", model, USUAL)
        check_word("--schedule", schedule, SCHEDULES)
        if precision is not None:
            check_word("--precision", precision, PRECISIONS)
        given = {
            "epochs": epochs, "learning_rate": learning_rate, "width": width, "depth": depth, "drop_rate": drop_rate,
        }  # fmt: skip
        numbers = USUAL[model] | {name: value for name, value in given.items() if value is not None}
        epochs = numbers.pop("epochs")
        hyperparameters = numbers | {"weight_decay": weight_decay, "activation": activation}
        check_values(hyperparameters)
        hyperparameters["precision"] = precision
        from fnnet import errors, fit, optim, report
        from fnnet.cli.networks import STRUCTURES
        from fnnet.cli.preparing import as_options, prepare
        from fnnet.cli.printing import described
        from fnnet.cli.telling import tell_files, tell_scores

        if resume and checkpoint is None:
            raise errors.StructureError("--resume", "there is no folder to go on from. Name it with --checkpoint DIR.")
        errors.require("fnnet train", "matplotlib", "experiments")
        folder, parts, key = prepare("train", source, target, missing, out, seed)
        typer.echo(described(parts))
        batch_size = batch_size or (32 if len(parts.train) < MANY_ROWS else 128)
        if schedule == "cosine":
            steps = epochs * -(-len(parts.train) // batch_size)
            hyperparameters["learning_rate"] = optim.schedules.cosine(hyperparameters["learning_rate"], steps)
        learner = STRUCTURES[model].fitted(parts.train)(**hyperparameters)
        with as_options():
            run = fit(
                learner, parts.train, validation=parts.validation, epochs=epochs, batch_size=batch_size, key=key,
                early_stopping=early_stopping, checkpoint=checkpoint, resume=resume,
            )  # fmt: skip
        if not run.history.epochs:
            typer.echo("The run has no score, so there is nothing to keep.", err=True)
            raise typer.Exit(1)
        folder.mkdir(parents=True, exist_ok=True)
        run.save(folder / "best.safetensors")
        run.history.to_frame().to_csv(folder / "history.csv")
        chosen: dict[str, Any] = {"monitor": run.monitor.name, "maximize": run.monitor.maximize}
        report.plot_history(run.history, folder / "curves.png", **chosen)
        if run.status == "running":
            typer.echo(f"\nInterrupted after epoch {run.history.epochs} of {epochs}. What there is:", err=True)
        elif run.status == "stopped_early":
            typer.echo(f"Stopped early, after epoch {run.history.epochs} of {epochs}.")
        tell_scores(run, parts, f"Step {int(run.state.best.step)}")
        tell_files(folder, started)


def data() -> None:
    """List the data that come with the installed packages."""
    with sentences():
        from fnnet.data import available

        known = available()
        width = max(map(len, known))
        for name, description in known.items():
            typer.echo(f"{name:{width}}  {description}")
        typer.echo("\nAny .csv or .parquet file (with --target COLUMN) and any .npz file will do as well.")


def version(wanted: bool) -> None:
    """Prints the version and ends."""
    if wanted:
        typer.echo(f"fnnet {__version__}")
        raise typer.Exit


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


def application() -> Any:
    """The command as a typer application."""
    from fnnet.cli.reporting import report

    app = typer.Typer(
        name="fnnet",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    def root(
        version: Annotated[
            bool,
            typer.Option("--version", callback=version, is_eager=True, help="Print the version and exit."),
        ] = False,
    ) -> None:
        pass

    app.callback(help="Train neural networks in JAX: one net, or a whole sweep as one program.")(root)
    for command in (sweep, train, data, report):
        app.command(command.__name__)(command)
    return app


def main() -> None:
    """The entry point of ``fnnet``."""
    if typer is None:
        sys.exit("fnnet: the command needs the package typer. Install it with: pip install 'fnnet[experiments]'")
    application()()
