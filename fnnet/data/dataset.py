"""What every part of fnnet calls data: rows of inputs and targets, as one pytree."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import errors


@dataclasses.dataclass(frozen=True)
class About:
    """What is known of a dataset besides its numbers. Hashable, so that it can be static under ``jit``.

    Args:
        name: what to call the data in tables and figures.
        classes: the name of every class id, in order; None if the targets are not classes.
        features: the name of every input column, in order; None if they have none.
        target: the name of what is predicted; None if it has none.

    Example:
        >>> About(name="coins", classes=("heads", "tails")).classes[1]
        'tails'
    """

    name: str = ""
    classes: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    target: str | None = None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows of inputs and targets: a pytree whose leaves are arrays and whose axis 0 is the example.

    The constructor checks nothing and changes nothing, because JAX rebuilds pytrees around tracers;
    `fnnet.data.from_arrays` is the one that looks at values. ``len(d)`` is the number of rows, and
    ``d[1:5]``, ``d[indices]`` and ``d[mask]`` take rows of every field at once, also inside ``jit``.
    Like all of JAX, an index that is a JAX array is not checked against the number of rows.

    Args:
        inputs: array (N, ...).
        targets: array (N, ...): integer class ids (N,), or numbers, (N, 1) for one number a row.
        weights: array (N,), how much each row counts; None means that all count the same.
        about: names, which stay the same when rows are taken.

    Raises:
        StructureError: on indexing with an integer or anything else that does not keep the row axis.
        DataError: on indexing with rows that are not there.

    Example:
        >>> import numpy as np
        >>> d = Dataset(np.zeros((6, 2), np.float32), np.array([0, 1, 0, 1, 0, 1], np.int32))
        >>> d[:4]
        Dataset(4 rows: inputs (4, 2) float32, targets (4,) int32)
        >>> d[d.targets == 1].targets
        array([1, 1, 1], dtype=int32)
    """

    inputs: Any
    targets: Any
    weights: Any = None
    about: About = About()

    def __len__(self) -> int:
        return int(self.inputs.shape[0])

    def __getitem__(self, rows: Any) -> Dataset:
        index = _row_index(rows, len(self))
        traced = not errors.is_concrete(index)

        def take(field: Any) -> Any:
            # A tracer cannot index a NumPy array.
            return jnp.asarray(field)[index] if traced and isinstance(field, np.ndarray) else field[index]

        weights = None if self.weights is None else take(self.weights)
        return Dataset(take(self.inputs), take(self.targets), weights, self.about)

    def __repr__(self) -> str:
        name = f"{self.about.name}, " if self.about.name else ""
        shape = getattr(self.inputs, "shape", None)
        rows = f"{shape[0]} rows: " if shape else ""
        fields = [f"inputs {_kind(self.inputs)}", f"targets {_kind(self.targets)}"]
        if self.weights is not None:
            fields.append(f"weights {_kind(self.weights)}")
        if self.about.classes is not None:
            shown = ", ".join(self.about.classes[:3]) + (", ..." if len(self.about.classes) > 3 else "")
            fields.append(f"{len(self.about.classes)} classes ({shown})")
        return f"Dataset({name}{rows}{', '.join(fields)})"


jax.tree_util.register_dataclass(Dataset, data_fields=["inputs", "targets", "weights"], meta_fields=["about"])


def gathered(data: Dataset, rows: Any) -> Dataset:
    """Rows by numbers that are known to be there, which nothing checks: for compiled code."""
    return jax.tree.map(lambda field: jnp.asarray(field).at[rows].get(mode="promise_in_bounds"), data)


def counted(batch: Dataset, inside: Any) -> Dataset:
    """A batch whose rows outside have the weight 0."""
    weights = inside.astype(jnp.result_type(float))
    if batch.weights is not None:
        weights = inside.astype(batch.weights.dtype) * batch.weights
    return Dataset(batch.inputs, batch.targets, weights, batch.about)


def check_dataset(where: str, name: str, value: Any) -> None:
    """Raises unless ``value`` is a Dataset with at least one row."""
    if not isinstance(value, Dataset):
        raise errors.StructureError(
            where,
            f"{name} is of type {type(value).__name__}, but a Dataset is needed. "
            f"Make one with data.from_arrays(inputs, targets).",
        )
    if len(value) == 0:
        raise errors.DataError(where, f"{name} has no rows.")


def _kind(leaf: Any) -> str:
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    return type(leaf).__name__ if shape is None else f"{tuple(shape)} {dtype}"


def _row_index(rows: Any, count: int) -> Any:
    """The index in a form that keeps the row axis, checked as far as its values are known."""
    where = "Dataset[...]"
    if isinstance(rows, slice):
        return rows
    if isinstance(rows, int | np.integer) and not isinstance(rows, bool):
        i = int(rows)
        fix = f"d[{i}:{i + 1}]" if i != -1 else "d[-1:]"
        raise errors.StructureError(
            where,
            f"the integer {i} would take away the row axis. For one row use d[i:i+1], here {fix}; "
            f"the arrays themselves are d.inputs and d.targets.",
        )
    if isinstance(rows, list):
        # An empty list means no rows, but NumPy would make floats of it.
        rows = np.asarray(rows) if rows else np.zeros(0, np.int32)
    if not isinstance(rows, np.ndarray | jax.Array):
        raise errors.StructureError(
            where,
            f"{rows!r} does not say which rows. Use a slice, an array of row numbers or a boolean mask; "
            f"the fields are d.inputs, d.targets and d.weights.",
        )
    boolean = rows.dtype == bool
    if rows.ndim == 0 or not (boolean or jnp.issubdtype(rows.dtype, jnp.integer)):
        raise errors.StructureError(
            where,
            f"an index of shape {rows.shape} and dtype {rows.dtype} does not say which rows. "
            f"Use an array of integers or a boolean mask of shape ({count},).",
        )
    if boolean and rows.shape != (count,):
        raise errors.DataError(where, f"the mask has shape {rows.shape}, but there are {count} rows.")
    if boolean and not errors.is_concrete(rows):
        raise errors.StructureError(
            where,
            "inside jit a mask cannot pick rows, because their number would not be known. "
            "Give the rows that should not count the weight 0.",
        )
    if isinstance(rows, np.ndarray) and not boolean and rows.size:
        lowest, highest = int(rows.min()), int(rows.max())
        if lowest < -count or highest >= count:
            wrong = highest if highest >= count else lowest
            raise errors.DataError(where, f"row {wrong} does not exist: there are {count} rows, from 0.")
    return rows
