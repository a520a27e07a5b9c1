"""``fnnet train``. What is heavy is imported inside of it, so that ``--help`` is quick."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from fnnet.cli.grammar import MANY_ROWS, PRECISIONS, SCHEDULES, USUAL, check_values, check_word, usual
from fnnet.cli.options import Data, Missing, Out, Seed, Target
from fnnet.cli.telling import sentences, tell_files, tell_scores


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
