"""One door to all data: a bundled name, a file or a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fnnet import errors
from fnnet.data.archives import from_npz
from fnnet.data.bundled import available, load
from fnnet.data.dataset import Dataset
from fnnet.data.paths import closest
from fnnet.data.tables import from_table

_WHERE = "data.read"
_OPTIONS = {
    ".csv": (from_table, ("target", "classes", "missing")),
    ".parquet": (from_table, ("target", "classes", "missing")),
    ".npz": (from_npz, ("inputs", "targets")),
}


def read(source: str | os.PathLike[str], **options: Any) -> Dataset:
    """Reads data from wherever ``source`` points.

    Args:
        source: a name from `available` ("digits"), or the path of a ``.csv``, ``.parquet`` or ``.npz`` file.
            A bundled name wins over a file of the same name; write "./digits" for the file.
        **options: for tables ``target``, ``classes`` and ``missing``, as in `from_table`; for ``.npz`` files
            the names ``inputs`` and ``targets``, as in `from_npz`; for bundled names none.

    Returns:
        A Dataset of NumPy arrays.

    Raises:
        FileError: if the file is missing or its ending is not one of these.
        StructureError: if an option does not belong to this kind of source.
        DataError: as in `load`, `from_table` and `from_npz`.

    Example:
        >>> len(read("wine"))
        178
    """
    with errors.within(_WHERE):
        if isinstance(source, str) and source in available():
            _check_options(f"the bundled data {source!r}", options, ())
            return load(source)
        if not isinstance(source, str | os.PathLike):
            raise errors.StructureError(
                _WHERE,
                f"source is of type {type(source).__name__}; pass a name or a path. "
                f"Arrays are for data.from_arrays, DataFrames for data.from_table.",
            )
        suffix = Path(os.fspath(source)).suffix.lower()
        if suffix not in _OPTIONS:
            raise errors.FileError(
                _WHERE,
                f"{os.fspath(source)!r} is neither bundled data ({', '.join(available())}) nor a file ending "
                f"in {', '.join(_OPTIONS)}.{closest(str(source), available())}",
            )
        reader, known = _OPTIONS[suffix]
        _check_options(f"a {suffix} file", options, known)
        if reader is from_table:
            options.setdefault("target", None)  # which raises the sentence that lists the columns
        return reader(source, **options)  # type: ignore[operator]


def _check_options(what: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in options:
        if name not in known:
            allowed = f"the options {', '.join(known)}" if known else "no options"
            raise errors.StructureError(_WHERE, f"{what} takes {allowed}, not {name!r}.")
