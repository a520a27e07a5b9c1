"""A sweep's table and histories as JSON: every digit of the table, and of the curves what a screen can show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fnnet.errors import DataError

RUN = ("trial", "seed", "fold")
"""The columns that say which run a row is."""

TIMES = ("epoch", "step")
"""The columns of a history that say when a score was taken, the latter in updates."""

FACTS = ("status", "epochs", "seconds")
"""The columns that say what became of a run; any other without a slash is a hyperparameter."""

MOST_POINTS = 60
"""Points of a curve: a panel of a page is a few hundred pixels wide."""

MOST_NUMBERS = 600_000
"""Numbers of all curves together: six or seven bytes each, so that a page stays below some 5 MB."""

DIGITS = 4
"""Of a number of a curve; an axis of 250 pixels shows less than three."""


def hyperparameters_of(table: Any, asked: Mapping[str, Any]) -> list[str]:
    """The table's columns that the space names, in its order; what is neither run, score nor fact without one."""
    space = asked.get("space") or {}
    rows = [space] if isinstance(space, Mapping) else space
    named = list(dict.fromkeys(name for row in rows if isinstance(row, Mapping) for name in row))
    others = [str(name) for name in table if name not in (*RUN, *FACTS) and "/" not in str(name)]
    return [name for name in named if name in table] or others


def kind_of(name: str, hyperparameters: Sequence[str]) -> str:
    """What a column tells: which run, one of its hyperparameters, a score, or what became of it."""
    if name in RUN:
        return "run"
    if name in hyperparameters:
        return "hyperparameter"
    return "score" if "/" in name else "fact"


def columns(table: Any, hyperparameters: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The columns of a table, each with name, kind, whether it holds numbers, and its cells."""
    made = []
    for name in table:
        numeric = table[name].dtype.kind in "iuf"
        kind = kind_of(str(name), hyperparameters)
        made.append({"name": str(name), "kind": kind, "numeric": numeric, "values": cells(table[name])})
    return made


def cells(column: Any) -> list[Any]:
    """The cells of a column as JSON has them: numbers and text; null where there is none, or none that is finite.

    >>> import pandas as pd
    >>> cells(pd.Series([0.1, float("nan")], dtype="float32")), cells(pd.Series([True, None, "relu"]))
    ([0.1, None], ['True', None, 'relu'])
    """
    missing = column.isna()
    if column.dtype.kind in "iu" and not missing.any():
        return [int(value) for value in column]
    if column.dtype.kind in "iuf":
        values = column.to_numpy(dtype=column.dtype if column.dtype.kind == "f" else float, na_value=np.nan)
        # The shortest decimals that name this number in its own precision: 0.1 and not 0.10000000149011612.
        return [float(str(value)) if np.isfinite(value) else None for value in values]
    return [None if gone else str(value) for value, gone in zip(column, missing, strict=True)]


def curves(where: str, table: Any, history: Any) -> dict[str, Any] | None:
    """The histories, a list a run in the table's order, thinned to evaluations that are the same for all.

    Args:
        where: names the public function in errors.
        table: one row a run, with the columns trial, seed and fold if there are folds.
        history: tidy, one row a run and evaluation; ``epoch`` is how many epochs it has seen. None or empty gives None.

    Returns:
        ``epochs``, those that were picked, ``counts``, what these are in words, and ``scores``, a list of
        numbers a run under each name; a list ends where its run did.

    Raises:
        DataError: the history does not say to which run or epoch a row belongs.
    """
    import pandas as pd

    if history is None or len(history) == 0:
        return None
    by = [name for name in RUN if name in table]
    lacking = [name for name in (*by, "epoch") if name not in history]
    if lacking or not by:
        raise DataError(
            where,
            f"the history has no column {', '.join(map(repr, lacking)) or repr('trial')}, "
            f"so its rows belong to no run. It has {', '.join(str(name) for name in history)}.",
        )
    known = pd.MultiIndex.from_frame(table[by])
    if not known.is_unique:
        raise DataError(where, f"two rows of the table have the same {', '.join(by)}, so curves belong to no run.")
    names = [name for name in history if name not in (*by, *TIMES) and history[name].dtype.kind in "iuf"]
    every = np.unique(history["epoch"])
    count = min(MOST_POINTS, max(2, MOST_NUMBERS // max(1, len(table) * len(names))))
    picked = every[np.unique(np.linspace(0, len(every) - 1, min(count, len(every))).round().astype(int))]
    history = history[history["epoch"].isin(picked)]
    rows = known.get_indexer(pd.MultiIndex.from_frame(history[by]))
    places = np.searchsorted(picked, history["epoch"])[rows >= 0]
    scores = {}
    for name in names:
        array = np.full((len(table), len(picked)), np.nan)
        array[rows[rows >= 0], places] = history[name].to_numpy(dtype=float)[rows >= 0]
        scores[str(name)] = [_curve(values) for values in array]
    # A file that lacks the steps may have numbered the evaluations.
    told = "step" in history or "epochs" not in table or table["epochs"].max() == every[-1]
    return {"epochs": picked.tolist(), "counts": "epoch" if told else "evaluation", "scores": scores}


def _curve(values: np.ndarray) -> list[float | None]:
    """One curve in few digits, without the epochs after its end."""
    reached = np.flatnonzero(np.isfinite(values))
    end = reached[-1] + 1 if len(reached) else 0
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values[:end]]
