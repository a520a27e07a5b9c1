"""Datasets from tables: a CSV file, a Parquet file or a DataFrame. Nothing is dropped or guessed silently."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fnnet import errors
from fnnet.data.columns import category_columns, kind_of, numbers, target_column
from fnnet.data.dataset import About, Dataset
from fnnet.data.paths import closest, existing_file

_WHERE = "data.from_table"
_SHOWN = 5


def from_table(table: Any, target: str | None, *, classes: bool | str = "auto", missing: str = "error") -> Dataset:
    """Makes a Dataset of a table: one column is the target, all others are features.

    Columns of numbers become one float32 feature each. Columns of texts, categories or booleans become one
    feature of 0 and 1 a value, named ``colour=red``, in sorted order (categories in their own order). Dates,
    texts with over 100 values, and texts that are mostly numbers raise an error that says what to do.

    The target becomes class ids, int32 (N,), with names in ``about.classes``, if it holds texts, categories,
    booleans, or integers with at most 20 different values and at least two rows a value on average. Otherwise
    it becomes float32 of shape (N, 1), which matches the output of ``nn.dense(1)`` exactly.

    Args:
        table: the path of a ``.csv`` (comma, UTF-8, names in the first line) or ``.parquet`` file, or a
            ``pandas.DataFrame``.
        target: the name of the column to predict.
        classes: whether the target is classes; "auto" applies the rule above.
        missing: what to do with missing values. "error" raises and counts them; "drop" leaves those rows out
            and warns; "impute" fills in the column's median or most frequent value and adds the feature
            ``age is missing`` of 0 and 1. The fill-in comes from the whole table, also from rows that are
            later split off for testing; where that matters, impute after splitting. A missing target is
            never imputed.

    Returns:
        A Dataset of NumPy arrays, with ``about.features`` and ``about.target`` named.

    Raises:
        FileError: if the file is missing or cannot be read as what its name says.
        DataError: if the target is not a column, or a column holds what training cannot use.
        StructureError: if ``table`` is neither a path nor a DataFrame, or ``target`` is None.
        HyperparameterError: if ``classes`` or ``missing`` is not one of the values above.

    Warns:
        FnnetWarning: if rows are dropped, a feature is constant, or a column is only an index.

    Example:
        >>> import pandas as pd
        >>> fruit = pd.DataFrame({"grams": [120.0, 8.0, 150.0], "colour": ["red", "red", "green"],
        ...                       "kind": ["apple", "cherry", "apple"]})
        >>> d = from_table(fruit, "kind")
        >>> d
        Dataset(3 rows: inputs (3, 3) float32, targets (3,) int32, 2 classes (apple, cherry))
        >>> d.about.features
        ('grams', 'colour=green', 'colour=red')
    """
    if not (isinstance(classes, bool) or classes == "auto"):
        raise errors.HyperparameterError(_WHERE, f'classes is {classes!r}; it is "auto", True or False.')
    if missing not in ("error", "drop", "impute"):
        raise errors.HyperparameterError(_WHERE, f'missing is {missing!r}; it is "error", "drop" or "impute".')
    frame, name = _read(table)
    frame = _named(frame, target)
    frame, indicators = _without_missing(frame, str(target), missing)

    columns: dict[str, np.ndarray] = {}
    for column in frame.columns:
        if column == str(target):
            continue
        values = frame[column]
        if kind_of(_WHERE, column, values) == "number":
            columns[column] = numbers(_WHERE, column, values)
        else:
            columns.update(category_columns(_WHERE, column, values))
    _report_constant(columns)
    columns.update(indicators)
    targets, names = target_column(_WHERE, str(target), frame[str(target)], classes)
    inputs = np.stack(list(columns.values()), axis=1)
    return Dataset(inputs, targets, None, About(name, names, tuple(columns), str(target)))


def _read(table: Any) -> tuple[Any, str]:
    """The table as a DataFrame, and what to call it."""
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return table, ""
    if not isinstance(table, str | os.PathLike):
        raise errors.StructureError(
            _WHERE, f"the table is of type {type(table).__name__}; pass a path or a pandas.DataFrame."
        )
    file = existing_file(_WHERE, table)
    if file.suffix.lower() == ".csv":
        return _read_csv(file), file.stem
    if file.suffix.lower() == ".parquet":
        try:
            return pd.read_parquet(file), file.stem
        except (ValueError, OSError) as error:  # pyarrow's errors are among these
            raise errors.FileError(_WHERE, f"{str(file)!r} is not a Parquet file: {error}") from error
    raise errors.FileError(
        _WHERE,
        f"{file.name!r} ends neither in .csv nor in .parquet. Read it with pandas and pass the DataFrame.",
    )


def _read_csv(file: Path) -> Any:
    import pandas as pd

    options: dict[str, Any] = {"skipinitialspace": True, "index_col": False}
    try:
        # pandas renames a second column 'a' to 'a.1', so the names are read as they are in the file.
        header = pd.read_csv(file, header=None, nrows=1, dtype=str, keep_default_na=False, **options).iloc[0]
        with warnings.catch_warnings():
            # Rows longer than the first line: pandas would cut them off with a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(file, low_memory=False, **options)
    except pd.errors.EmptyDataError as error:
        raise errors.FileError(_WHERE, f"{str(file)!r} is empty.") from error
    except UnicodeDecodeError as error:
        raise errors.FileError(
            _WHERE,
            f"{str(file)!r} is not text in UTF-8. If it has another encoding, "
            f"read it with pandas.read_csv(path, encoding='latin-1') and pass the DataFrame.",
        ) from error
    except (ValueError, pd.errors.ParserWarning) as error:  # ParserError is a ValueError
        raise errors.FileError(
            _WHERE, f"{str(file)!r} cannot be read as comma-separated values: {str(error).strip()}"
        ) from error
    names = [str(name) for name in header]
    if len(names) == 1 and re.search("[;\t|]", names[0]):
        raise errors.FileError(
            _WHERE,
            f"{file.name!r} has only one column, named {names[0]!r}: its values seem not to be separated by "
            f"commas. Read it with pandas.read_csv(path, sep=...) and pass the DataFrame.",
        )
    if all(_is_number(name) for name in names):
        raise errors.FileError(
            _WHERE,
            f"the first line of {file.name!r} holds numbers ({', '.join(names[:_SHOWN])}), but it has to "
            f"hold the names of the columns. Add them, or pass pandas.read_csv(path, header=None).",
        )
    _check_duplicates(names)
    return frame


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_duplicates(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise errors.DataError(
            _WHERE,
            f"several columns are named {', '.join(map(repr, twice[:_SHOWN]))}. Give each its own name.",
        )


def _named(frame: Any, target: str | None) -> Any:
    """The table with texts for names, rows counted from 0, and the target among its columns."""
    names = [str(column) for column in frame.columns]
    _check_duplicates(names)
    frame = frame.set_axis(names, axis=1).reset_index(drop=True)
    listed = ", ".join(map(repr, names[:20])) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    if not names:
        raise errors.DataError(_WHERE, "the table has no columns.")
    if target is None:
        raise errors.StructureError(_WHERE, f"which column is to be predicted? Pass target=..., one of {listed}.")
    if str(target) not in names:
        raise errors.DataError(
            _WHERE, f"there is no column {target!r}; there are {listed}.{closest(str(target), names)}"
        )
    if len(frame) == 0:
        raise errors.DataError(_WHERE, f"the table has the columns {listed}, but no rows.")
    first = names[0]
    counts = first != str(target) and first in ("", "Unnamed: 0")
    if counts and np.array_equal(frame[first].to_numpy(), np.arange(len(frame))):
        warnings.warn(
            f"{_WHERE}: left out the first column, which has no name and counts the rows. "
            f"Write tables with to_csv(path, index=False).",
            errors.FnnetWarning,
            stacklevel=3,
        )
        frame, names = frame.drop(columns=first), names[1:]
    if len(names) == 1:
        raise errors.DataError(_WHERE, f"the table has no column besides the target {target!r}.")
    return frame


def _without_missing(frame: Any, target: str, missing: str) -> tuple[Any, dict[str, np.ndarray]]:
    """The table without missing values, and an indicator feature for every column that was filled in."""
    absent = frame.isna()
    counts = absent.sum()
    holes = [column for column in frame.columns if counts[column] > 0]
    if not holes:
        return frame, {}
    for column in holes:
        if counts[column] == len(frame):
            raise errors.DataError(_WHERE, f"column {column!r} holds no value in any row. Leave it out.")
    rows = absent.any(axis=1).to_numpy()
    found = "; ".join(
        f"{column!r} in {counts[column]} row{'s' if counts[column] > 1 else ''}, "
        f"first row {int(np.argmax(absent[column].to_numpy()))}"
        for column in holes[:_SHOWN]
    ) + (f"; ... ({len(holes)} columns in all)" if len(holes) > _SHOWN else "")
    if missing == "error":
        raise errors.DataError(
            _WHERE,
            f"values are missing: {found} (rows count from 0). "
            f"missing='drop' leaves out these {rows.sum()} of {len(frame)} rows; missing='impute' fills in "
            f"the median or the most frequent value and adds a feature that says where.",
        )
    if missing == "drop":
        if rows.all():
            raise errors.DataError(
                _WHERE,
                f"every row misses a value: {found}. Leave out these columns, or use missing='impute'.",
            )
        warnings.warn(
            f"{_WHERE}: dropped {rows.sum()} of {len(frame)} rows with missing values: {found}.",
            errors.FnnetWarning,
            stacklevel=3,
        )
        return frame[~rows].reset_index(drop=True), {}
    if target in holes:
        raise errors.DataError(
            _WHERE,
            f"the target {target!r} is missing in {counts[target]} rows, and a target cannot be imputed. "
            f"Take these rows out: table.dropna(subset=[{target!r}]).",
        )
    frame = frame.copy()
    indicators = {}
    for column in holes:
        values = frame[column]
        if kind_of(_WHERE, column, values) == "number":
            known = values.to_numpy(dtype=np.float64, na_value=np.nan)
            frame[column] = np.where(np.isnan(known), np.nanmedian(known), known)
        else:
            frame[column] = values.where(values.notna(), values.mode(dropna=True).iloc[0])
        indicators[f"{column} is missing"] = absent[column].to_numpy(np.float32)
    return frame, indicators


def _report_constant(columns: dict[str, np.ndarray]) -> None:
    constant = [name for name, values in columns.items() if np.all(values == values[0])]
    if constant:
        shown = ", ".join(map(repr, constant[:_SHOWN])) + (", ..." if len(constant) > _SHOWN else "")
        warnings.warn(
            f"{_WHERE}: {len(constant)} of {len(columns)} features have the same value in every row: "
            f"{shown}. They say nothing about the target; leave them out.",
            errors.FnnetWarning,
            stacklevel=3,
        )
