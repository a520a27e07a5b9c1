"""One column of a table at a time: what kind it is, and the numbers it becomes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnnet import errors

MOST_CATEGORIES = 100
"""More values than this in a column of texts are taken for names or free text."""

MOST_INTEGER_CLASSES = 20
"""Integers with more values than this are taken for numbers."""

_DATE = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?:[T ].*)?"
_KINDS_BY_INFERENCE = {
    "boolean": "truth",
    "string": "text",
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "datetime64": "date",
    "datetime": "date",
    "date": "date",
    "timedelta64": "date",
    "timedelta": "date",
    "time": "date",
    "period": "date",
}


def kind_of(where: str, name: str, column: Any) -> str:
    """The kind of a column: "number", "truth", "text" or "category"; a sentence for any other.

    Missing values are looked past.
    """
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return "category"
    # The values say more than the dtype: before pandas 3 texts are objects, and so are booleans with holes.
    kind = _KINDS_BY_INFERENCE.get(pd.api.types.infer_dtype(column, skipna=True))
    if kind == "text" and column.dropna().astype(str).str.fullmatch(_DATE).all():
        kind = "date"
    if kind == "date":
        raise errors.DataError(
            where,
            f"column {name!r} holds dates or times (such as {str(column.dropna().iloc[0])!r}), which are not "
            f"features yet. Leave it out, or turn it into numbers: days since the first, month, hour.",
        )
    if kind is None:
        kinds = sorted({type(value).__name__ for value in column.dropna().head(1000)})
        raise errors.DataError(
            where,
            f"column {name!r} (dtype {column.dtype}) holds values of type {', '.join(kinds)}, but numbers, "
            f"texts, booleans or categories are needed, one kind a column. Convert it or leave it out.",
        )
    return kind


def numbers(where: str, name: str, column: Any) -> np.ndarray:
    """A column of numbers as float32 (N,)."""
    wide = column.to_numpy(dtype=np.float64)
    with np.errstate(over="ignore"):
        values = wide.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise errors.DataError(
            where,
            f"column {name!r} is infinite or too large for float32 in {wrong.size} of {len(values)} rows, "
            f"first row {wrong[0]} ({wide[wrong[0]]:g}). Take these rows out, or mark the values as missing.",
        )
    return values


def category_columns(where: str, name: str, column: Any) -> dict[str, np.ndarray]:
    """One column of 0 and 1 a value, float32 (N,), by the name ``column=value``."""
    kind = kind_of(where, name, column)
    if kind == "text":
        _check_not_numbers(where, name, column)
    ids, names = _ids(column, kind)
    if len(names) > MOST_CATEGORIES:
        raise errors.DataError(
            where,
            f"column {name!r} holds {len(names)} different values in {len(column)} rows (such as "
            f"{names[0]!r}), too many for a feature each (at most {MOST_CATEGORIES}). It may be a "
            f"name or free text: leave it out, or group its values.",
        )
    return {f"{name}={value}": (ids == i).astype(np.float32) for i, value in enumerate(names)}


def target_column(where: str, name: str, column: Any, classes: bool | str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """The targets, and the names of the classes if they are classes."""
    kind = kind_of(where, name, column)
    count = column.nunique()
    if count < 2:
        raise errors.DataError(
            where,
            f"the target {name!r} has the same value, {column.iloc[0]!s}, in all {len(column)} rows, "
            f"so there is nothing to learn.",
        )
    if kind == "number":
        values = numbers(where, name, column)
        if classes is False or (classes == "auto" and not _counts_as_classes(column, count)):
            return values[:, None], None
    elif classes is False:
        if kind != "truth":
            raise errors.DataError(
                where,
                f"the target {name!r} holds {column.dtype} values such as {column.iloc[0]!r}, which are not "
                f"numbers; classes=False needs numbers.",
            )
        return column.to_numpy(dtype=np.float32)[:, None], None
    elif kind == "text" and classes == "auto" and count > max(MOST_INTEGER_CLASSES, len(column) // 2):
        raise errors.DataError(
            where,
            f"the target {name!r} holds {count} different texts in {len(column)} rows (such as "
            f"{column.iloc[0]!r}), which looks like a name. If these are classes, pass classes=True.",
        )
    ids, names = _ids(column, kind)
    return ids.astype(np.int32), names


def _counts_as_classes(column: Any, count: int) -> bool:
    values = column.to_numpy(dtype=np.float64)
    # An integer column of a CSV that had missing values arrives here as whole floats in a float column;
    # it cannot be told from measured whole numbers, so only integer dtypes count.
    integer = column.dtype.kind in "iu" or (column.dtype == object and np.all(values == np.rint(values)))
    return bool(integer and count <= min(MOST_INTEGER_CLASSES, len(column) // 2))


def _ids(column: Any, kind: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Ids from 0 and the name of each; categories keep their order, other values are sorted."""
    if kind == "category":
        return column.cat.codes.to_numpy(), tuple(str(value) for value in column.cat.categories)
    dtype: Any = {"text": str, "truth": bool, "number": None}[kind]
    values = np.asarray(column.tolist(), dtype=dtype)
    unique, ids = np.unique(values, return_inverse=True)
    return ids, tuple(str(value) for value in unique.tolist())


def _check_not_numbers(where: str, name: str, column: Any) -> None:
    """Raises for a column of numbers that a few other values have turned into texts."""
    import pandas as pd

    parsed = pd.to_numeric(column.astype(str), errors="coerce")
    texts = parsed.isna().to_numpy()
    if 0 < texts.sum() < len(column) / 2:
        first = int(np.argmax(texts))
        raise errors.DataError(
            where,
            f"column {name!r} is numbers but for {texts.sum()} of {len(column)} rows, first row {first} "
            f"({column.iloc[first]!r}). Correct them, or mark them as missing: "
            f"pandas.read_csv(path, na_values=[{str(column.iloc[first])!r}]).",
        )
