"""Cross-validation: every row is for validation once."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import errors
from fnnet.data.dataset import Dataset, check_dataset, counted, gathered
from fnnet.data.splitting import by_class
from fnnet.types import Array, Key


def folds(dataset: Dataset, count: int, *, key: Key[Array, ""], stratify: Any = "auto") -> np.ndarray:
    """Deals the rows out to folds at random, so that each fold has its share of every class.

    The sizes of any two folds differ by at most one row, and so do their numbers of rows of each class.

    Args:
        dataset: the rows.
        count: k, how many folds, from 2 to the number of rows.
        key: a random key; the same key and data give the same folds.
        stratify: "auto" stratifies if the targets are class ids (integers (N,)); True insists on it; False
            deals rows regardless of their class.

    Returns:
        Array (N,) of int32: the fold, 0 to k − 1, in which each row is for validation.

    Raises:
        HyperparameterError: ``count`` is out of range.
        DataError: as `split`.

    Source: lecture 001, cross-validation.

    >>> import jax, numpy as np
    >>> from fnnet import data
    >>> iris = data.load("iris")
    >>> parts = data.folds(iris, 5, key=jax.random.key(0))
    >>> np.bincount(parts).tolist(), np.bincount(iris.targets[parts == 3]).tolist()
    ([30, 30, 30, 30, 30], [10, 10, 10])
    """
    where = "data.folds"
    check_dataset(where, "dataset", dataset)
    errors.check_key(where, key)
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 2 <= count <= len(dataset):
        raise errors.HyperparameterError(
            where, f"count is {count!r}, but it has to be a whole number from 2 to the {len(dataset)} rows."
        )
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
    order = generator.permutation(len(dataset))
    if by_class(where, stratify, dataset.targets):
        # Class by class, each in random order: dealing out in turn then gives every fold its share of each.
        order = order[np.argsort(np.asarray(dataset.targets)[order], kind="stable")]
    dealt = np.empty(len(dataset), np.int32)
    dealt[order] = np.arange(len(dataset)) % count
    return dealt


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """The rows of one fold: a lane of a cross-validation sees one, and data and tables stay shared.

    ``rows`` (folds, n) has the numbers of the rows of each fold. ``inside`` (folds, n) is False where a row only
    fills up, since folds differ by a row; None if none does.
    """

    data: Dataset
    rows: Any
    inside: Any
    fold: Any

    def __len__(self) -> int:
        return int(self.rows.shape[1])

    def take(self, positions: Any) -> Dataset:
        """The rows at these positions; those that only fill up have the weight 0."""
        taken = gathered(self.data, self.rows[self.fold, positions])
        return taken if self.inside is None else counted(taken, self.inside[self.fold, positions])

    def whole(self) -> Dataset:
        """All of its rows."""
        return self.take(jnp.arange(len(self)))


jax.tree_util.register_dataclass(Selection, data_fields=["data", "rows", "inside", "fold"], meta_fields=[])


def row_tables(parts: np.ndarray) -> tuple[tuple[np.ndarray, Any], tuple[np.ndarray, Any]]:
    """For training and for validation: the numbers of the rows of each fold, (k, n), and which of them count.

    The second is None where all folds have as many rows.
    """
    count = int(parts.max()) + 1
    return _table([np.flatnonzero(parts != f) for f in range(count)]), _table(
        [np.flatnonzero(parts == f) for f in range(count)]
    )


def _table(rows: list[np.ndarray]) -> tuple[np.ndarray, Any]:
    longest = max(map(len, rows))
    table = np.stack([np.pad(r, (0, longest - len(r)), mode="edge") for r in rows]).astype(np.int32)
    inside = np.stack([np.arange(longest) < len(r) for r in rows])
    return table, None if inside.all() else inside
