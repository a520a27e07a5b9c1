"""What training recorded: one array a score, one value an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


class History(Mapping[str, np.ndarray]):
    """Scores by name, each an array whose last axis is the evaluation; ``to_frame()`` has them as a table.

    There is one evaluation an epoch unless ``evaluate_every=`` says otherwise; ``steps`` has the number of updates
    before each, or None where nobody has kept it.

    - ``train/loss``: mean over the examples since the evaluation before, of the parameters on the way;
    - ``validation/…``: loss and metrics over every validation example;
    - ``gradient_norm``: of the last batch before the evaluation, at the parameters before its update;
    - ``learning_rate``: of the update that comes next, where the optimizer has one that can be read.

    >>> history = History({"train/loss": [2.0, 1.0]})
    >>> history["train/loss"].tolist(), history.epochs
    ([2.0, 1.0], 2)
    """

    def __init__(self, scores: Mapping[str, Any], steps: Any = None) -> None:
        self.steps = None if steps is None else np.asarray(steps)
        # A jitted function returns dicts in alphabetical order; the losses belong before what they led to.
        names = sorted(scores, key=_rank)
        self._scores = {name: np.asarray(scores[name]) for name in names}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._scores:
            raise KeyError(f"no score {name!r} was recorded; there are {', '.join(map(repr, self._scores))}")
        return self._scores[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)

    def __repr__(self) -> str:
        return f"History({self.epochs} epochs of {', '.join(self._scores)})"

    @property
    def epochs(self) -> int:
        """How many evaluations were recorded: epochs, unless told otherwise."""
        return next(iter(self._scores.values())).shape[-1] if self._scores else 0

    def to_frame(self) -> Any:
        """A `pandas.DataFrame` with a row per epoch, numbered from 1; of a sweep, per run and epoch."""
        import pandas as pd

        epochs = pd.RangeIndex(1, self.epochs + 1, name="epoch")
        runs = [values.shape[0] for values in self._scores.values() if values.ndim == 2]
        index = pd.MultiIndex.from_product([range(runs[0]), epochs], names=["run", "epoch"]) if runs else epochs
        return pd.DataFrame({name: values.ravel() for name, values in self._scores.items()}, index=index)


def _rank(name: str) -> tuple[bool, ...]:
    return name != "train/loss", name != "validation/loss", "/" not in name


class Record:
    """History while it grows: rows, and the step at which each was taken; its room is doubled when it is full."""

    def __init__(self, rows: Mapping[str, Any] | None = None, steps: Any = ()) -> None:
        self._rows = {name: np.asarray(values) for name, values in (rows or {}).items()}
        self._steps = np.asarray(steps, np.int64)
        self._count = len(self._steps)

    def add(self, rows: Mapping[str, Any], steps: list[int]) -> None:
        """Adds the rows that were taken at these steps: the first of each array, which may have room for more."""
        before, self._count = self._count, self._count + len(steps)
        for name, values in rows.items():
            values = np.asarray(values)[..., : len(steps)]
            self._rows[name] = _with_room(self._rows.get(name, values[..., :0]), self._count)
            self._rows[name][..., before : self._count] = values
        self._steps = _with_room(self._steps, self._count)
        self._steps[before : self._count] = steps

    def latest(self, name: str) -> float | None:
        """The last value of a score, if there is one."""
        return float(self._rows[name][..., self._count - 1]) if name in self._rows and self._count else None

    @property
    def rows(self) -> dict[str, np.ndarray]:
        """All rows."""
        return {name: values[..., : self._count] for name, values in self._rows.items()}

    @property
    def steps(self) -> np.ndarray:
        """The step of each row."""
        return self._steps[: self._count]

    def history(self, until: int) -> History:
        """What was taken up to a step."""
        kept = int(np.searchsorted(self.steps, until, side="right"))
        return History({name: values[..., :kept] for name, values in self._rows.items()}, self.steps[:kept])


def _with_room(values: np.ndarray, count: int) -> np.ndarray:
    """The array, with room for so many along its last axis; what was there before stays where it is."""
    if values.shape[-1] >= count and values.flags.writeable:
        return values
    wider = np.zeros((*values.shape[:-1], max(2 * count, 16)), values.dtype)
    wider[..., : values.shape[-1]] = values
    return wider
