"""Answers about stacked models, each with another number of pieces, as one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

Answer = TypeVar("Answer")


def stacked(answers: Sequence[Answer]) -> Answer:
    """One answer with a leading axis of models; rows of those with fewer end in NaN, −1 or False.

    Named tuples are stacked field by field; a tuple, of polygons say, becomes a tuple of them.
    """
    first = answers[0]
    if hasattr(first, "_fields"):
        fields = zip(*answers, strict=True)
        return type(first)(*map(stacked, fields))
    return answers if isinstance(first, tuple) else _padded([np.asarray(answer) for answer in answers])  # type: ignore[return-value]


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    if rows[0].ndim == 0:
        return np.stack(rows)
    missing: Any = {"f": np.nan, "i": -1, "b": False}[rows[0].dtype.kind]
    whole = np.full((len(rows), max(map(len, rows)), *rows[0].shape[1:]), missing, rows[0].dtype)
    for place, row in zip(whole, rows, strict=True):
        place[: len(row)] = row
    return whole


__all__ = ["stacked"]
