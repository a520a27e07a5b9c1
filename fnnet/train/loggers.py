"""Callbacks that write down the history while it grows, for people and for other programs.

Each gets the rows that are new since its last call. After a resume a file is written anew, so that no row is in it
twice.
"""

from __future__ import annotations

import csv as csv_files
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fnnet.errors import require
from fnnet.train.run import Run

Logger = Callable[[Run], None]


def csv(path: str | os.PathLike[str]) -> Logger:
    """A table with a row an evaluation: the step, and every score.

    Args:
        path: of the file; an existing one is replaced.

    Returns:
        A callback for `fnnet.fit`.

    >>> import jax, pathlib, tempfile, fnnet
    >>> from fnnet import data, losses, nn, optim
    >>> learner = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.sgd(0.01))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "history.csv"
    ...     run = fnnet.fit(
    ...         learner, data.load("iris"), epochs=2, key=jax.random.key(0), progress=False,
    ...         callbacks=[fnnet.loggers.csv(path)],
    ...     )
    ...     path.read_text().splitlines()[0]
    'step,train/loss,gradient_norm,learning_rate'
    """

    def write(file: Any, row: dict[str, float], first: bool) -> None:
        writer = csv_files.DictWriter(file, list(row))
        if first:
            writer.writeheader()
        writer.writerow(row)

    return _to_file(path, write)


def json_lines(path: str | os.PathLike[str]) -> Logger:
    """An object a line and evaluation: the step, and every score; null where it is NaN or infinite.

    Args:
        path: of the file; an existing one is replaced.

    Returns:
        A callback for `fnnet.fit`.
    """

    def write(file: Any, row: dict[str, float], first: bool) -> None:
        # JSON has no word for the others.
        file.write(json.dumps({name: value if math.isfinite(value) else None for name, value in row.items()}) + "\n")

    return _to_file(path, write)


def tensorboard(folder: str | os.PathLike[str]) -> Logger:
    """Event files for TensorBoard, with a scalar a score.

    Args:
        folder: where they go; each run belongs into one of its own.

    Returns:
        A callback for `fnnet.fit`.

    Raises:
        MissingPackageError: tensorboardX is not installed (extra ``loggers``).
    """
    writer = require("loggers.tensorboard", "tensorboardX", "loggers").SummaryWriter(os.fspath(folder))
    rows = _new_rows()

    def log(run: Run) -> None:
        for row in rows(run):
            step = int(row.pop("step"))
            for name, value in row.items():
                writer.add_scalar(name, value, step)
        writer.flush()

    return log


def _to_file(path: str | os.PathLike[str], write: Callable[[Any, dict[str, float], bool], None]) -> Logger:
    rows, begun = _new_rows(), list[bool]()

    def log(run: Run) -> None:
        if not begun:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        # Opened anew each time, so that what is written is there whatever happens next.
        with open(path, "a" if begun else "w", newline="", encoding="utf-8") as file:
            for row in rows(run):
                write(file, row, not begun)
                begun.append(True)

    return log


def _new_rows() -> Callable[[Run], Iterator[dict[str, float]]]:
    seen = 0

    def rows(run: Run) -> Iterator[dict[str, float]]:
        nonlocal seen
        history = run.history
        steps = range(history.epochs) if history.steps is None else history.steps
        for index in range(seen, history.epochs):
            yield {"step": int(steps[index])} | {name: float(v[index]) for name, v in history.items()}
        seen = history.epochs

    return rows


__all__ = ["csv", "json_lines", "tensorboard"]
