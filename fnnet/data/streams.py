"""Data that stay on disk: rows are read when a step needs them, and never all at once."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fnnet import errors
from fnnet.data.arrays import checked
from fnnet.data.dataset import About, Dataset
from fnnet.data.paths import existing_file


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Stream:
    """Rows that are read on demand: what `Dataset` is to data in memory.

    Made by `from_memmap`, `from_directory` or `from_parquet`. ``stream.read(rows)`` is a `Dataset` of the rows with
    these numbers, checked as `from_arrays` checks them. `fnnet.fit` trains on one as on a `Dataset`, with the same
    draws; while a part of it is trained on, a thread reads the next.
    """

    inputs: _Column
    targets: _Column
    weights: _Column | None = None
    about: About = dataclasses.field(default_factory=About)

    def __len__(self) -> int:
        return len(self.inputs)

    def read(self, rows: Any) -> Dataset:
        """The rows of these numbers, in their order."""
        index = np.asarray(rows)
        weights = None if self.weights is None else self.weights.read(index)
        where = f"rows of {self.about.name or 'a stream'}"
        classes = self.about.classes
        found = checked(where, self.inputs.read(index), self.targets.read(index), None, classes, self.about)
        return dataclasses.replace(found, weights=weights)

    def __repr__(self) -> str:
        return f"Stream({self.about.name}, {len(self)} rows: inputs {self.inputs}, targets {self.targets})"


class _Column:
    """Arrays on disk, one after the other along their first axis."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        self.ends = np.cumsum([len(part) for part in parts])
        self.shape = (int(self.ends[-1]), *parts[0].shape[1:])
        self.dtype = parts[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        # Ascending, so that the disk is read in one direction.
        order = np.argsort(rows, kind="stable")
        part_of = np.searchsorted(self.ends, rows[order], side="right")
        for number, part in enumerate(self.parts):
            mine = order[part_of == number]
            begin = self.ends[number] - len(part)
            out[mine] = part[rows[mine] - begin]
        return out

    def __repr__(self) -> str:
        return f"{self.shape} {self.dtype}"


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """The batches of the steps from ``first`` on, one after the other: what training sees of a stream at a time."""

    rows: Dataset
    first: Any


jax.tree_util.register_dataclass(Window, data_fields=["rows", "first"], meta_fields=[])


def from_memmap(inputs: Any, targets: Any, *, weights: Any = None, classes: Any = None, name: str = "") -> Stream:
    """Data that stay on disk.

    Args:
        inputs: a ``.npy`` file, an `np.memmap` or any array (N, …); or a list of these, taken one after the other.
        targets: likewise.
        weights: likewise (N,); None lets all rows count the same.
        classes: the name of every class id; None if they have none.
        name: what to call the data.

    Returns:
        `Stream`. Values are looked at when they are read, not now.

    Raises:
        FileError: a file is missing or not an ``.npy`` file.
        DataError: the numbers of rows differ.
        ShapeError: parts of one field differ in shape or dtype.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "x.npy"
    ...     np.save(path, np.arange(6, dtype=np.float32).reshape(3, 2))
    ...     from_memmap(path, np.array([0, 1, 0])).read([2, 0]).inputs.tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    where = "data.from_memmap"
    columns = {"inputs": _column(where, "inputs", inputs), "targets": _column(where, "targets", targets)}
    if weights is not None:
        columns["weights"] = _column(where, "weights", weights)
    rows = {field: len(column) for field, column in columns.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{count} {field}" for field, count in rows.items())
        raise errors.DataError(where, f"there are {counts}; there has to be one of each for every row.")
    return Stream(**columns, about=About(name, None if classes is None else tuple(map(str, classes))))


def from_directory(folder: str | os.PathLike[str], *, classes: Any = None) -> Stream:
    """Data in a folder of ``.npy`` files: ``inputs*.npy``, ``targets*.npy`` and maybe ``weights*.npy``.

    Files of one field are taken one after the other in the order of their names: ``inputs-00.npy``,
    ``inputs-01.npy``, ….

    Args:
        folder: where they are.
        classes: the name of every class id; None if they have none.

    Returns:
        `Stream`, named after the folder.

    Raises:
        FileError: the folder or one of the two fields is missing.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part in range(2):
    ...         np.save(pathlib.Path(folder) / f"inputs-{part}.npy", np.ones((5, 2), np.float32))
    ...         np.save(pathlib.Path(folder) / f"targets-{part}.npy", np.zeros(5, np.int32))
    ...     len(from_directory(folder))
    10
    """
    where, path = "data.from_directory", Path(folder)
    if not path.is_dir():
        raise errors.FileError(where, f"there is no folder {str(folder)!r}.")
    found = {field: sorted(path.glob(f"{field}*.npy")) for field in ("inputs", "targets", "weights")}
    for field in ("inputs", "targets"):
        if not found[field]:
            raise errors.FileError(where, f"{str(folder)!r} has no {field}*.npy. Write one with numpy.save.")
    with errors.within(where):
        weights = found["weights"] or None
        return from_memmap(found["inputs"], found["targets"], weights=weights, classes=classes, name=path.name)


def from_parquet(path: str | os.PathLike[str], target: str, *, scratch: str | os.PathLike[str] | None = None) -> Stream:
    """A Parquet file of numbers that need not fit into memory.

    Parquet cannot be read a row at a time, so the file is copied once, group of rows by group of rows, to
    memory-mapped files in ``scratch``.

    Args:
        path: the file; every column has to be numbers.
        target: the name of the column that is predicted: class ids if it holds integers.
        scratch: a folder for the copy; a temporary one unless told.

    Returns:
        `Stream` with inputs (N, columns − 1), named after the file.

    Raises:
        FileError: the file is missing or not Parquet.
        DataError: there is no column ``target``, or a column is not numbers.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    where, file = "data.from_parquet", existing_file("data.from_parquet", path)
    try:
        table = parquet.ParquetFile(file)
    except pyarrow.ArrowInvalid as error:
        raise errors.FileError(where, f"{str(path)!r} is not a Parquet file: {error}") from error
    names = table.schema_arrow.names
    if target not in names:
        raise errors.DataError(where, f"{str(path)!r} has no column {target!r}; it has {', '.join(names)}.")
    for field in table.schema_arrow:
        if not (pyarrow.types.is_integer(field.type) or pyarrow.types.is_floating(field.type)):
            raise errors.DataError(
                where, f"column {field.name!r} is {field.type}, not numbers. For a table with texts, data.from_table."
            )
    features = [name for name in names if name != target]
    whole = pyarrow.types.is_integer(table.schema_arrow.field(target).type)
    folder = Path(tempfile.mkdtemp(prefix="fnnet-") if scratch is None else scratch)
    folder.mkdir(parents=True, exist_ok=True)
    rows = table.metadata.num_rows
    files = {
        "inputs": np.lib.format.open_memmap(folder / "inputs.npy", "w+", np.float32, (rows, len(features))),
        "targets": np.lib.format.open_memmap(
            folder / "targets.npy", "w+", np.int32 if whole else np.float32, (rows,) if whole else (rows, 1)
        ),
    }
    begin = 0
    for batch in table.iter_batches():
        end = begin + batch.num_rows
        columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in features]
        files["inputs"][begin:end] = np.stack(columns, axis=1)
        y = batch.column(target).to_numpy(zero_copy_only=False)
        files["targets"][begin:end] = y if whole else y[:, None]
        begin = end
    for memmap in files.values():
        memmap.flush()
    stream = from_memmap(folder / "inputs.npy", folder / "targets.npy", name=file.stem)
    return dataclasses.replace(stream, about=About(file.stem, None, tuple(features), target))


def _column(where: str, field: str, source: Any) -> _Column:
    parts = [_open(where, field, part) for part in (source if isinstance(source, list) else [source])]
    for part in parts:
        if part.shape[1:] != parts[0].shape[1:] or part.dtype != parts[0].dtype:
            raise errors.ShapeError(
                where,
                f"parts of the {field} are {parts[0].dtype}{parts[0].shape[1:]} and {part.dtype}{part.shape[1:]} a "
                f"row; they have to be alike.",
            )
    if sum(len(part) for part in parts) == 0:
        raise errors.DataError(where, f"the {field} have no rows.")
    return _Column(parts)


def _open(where: str, field: str, source: Any) -> Any:
    if not isinstance(source, str | os.PathLike):
        array = source if hasattr(source, "dtype") else np.asarray(source)
        if array.ndim == 0:
            raise errors.ShapeError(where, f"the {field} are a single number; there has to be an axis of rows.")
        return array
    file = existing_file(where, source)
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise errors.FileError(
            where, f"{str(source)!r} is not an .npy file of numbers. Write one with numpy.save."
        ) from error
