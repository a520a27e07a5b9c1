"""What training recorded: one array a score, one value an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


class History(Mapping[str, np.ndarray]):
    """Scores by name, each an array whose last axis is the epoch; ``to_frame()`` has them as a table.

    >>> history = History({"train/loss": [2.0, 1.0]})
    >>> history["train/loss"].tolist(), history.epochs
    ([2.0, 1.0], 2)
    """

    def __init__(self, scores: Mapping[str, Any]) -> None:
        # A jitted function returns dicts in alphabetical order; the losses belong before what they led to.
        names = sorted(scores, key=lambda name: (name != "train/loss", name != "validation/loss"))
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
        """How many epochs were recorded."""
        return next(iter(self._scores.values())).shape[-1] if self._scores else 0

    def to_frame(self) -> Any:
        """A `pandas.DataFrame` with a row per epoch, numbered from 1; of a sweep, per run and epoch."""
        import pandas as pd

        epochs = pd.RangeIndex(1, self.epochs + 1, name="epoch")
        runs = [values.shape[0] for values in self._scores.values() if values.ndim == 2]
        index = pd.MultiIndex.from_product([range(runs[0]), epochs], names=["run", "epoch"]) if runs else epochs
        return pd.DataFrame({name: values.ravel() for name, values in self._scores.items()}, index=index)
