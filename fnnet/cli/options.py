"""What the options of several commands are called and say in the help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", show_default=False, help="A name from 'fnnet data', or a .csv, .parquet or .npz file."
    ),
]
Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to predict, for a file.")]
Missing = Annotated[str, typer.Option(metavar="WHAT", help="Missing values in a table: error, drop (rows) or impute.")]
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
