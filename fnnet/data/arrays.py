"""Datasets from arrays in memory, looked at on the host before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import errors
from fnnet.data.dataset import About, Dataset


def from_arrays(
    inputs: Any,
    targets: Any,
    *,
    weights: Any = None,
    classes: Sequence[str] | None = None,
    name: str = "",
) -> Dataset:
    """Makes a Dataset of arrays after looking at every value.

    Dtypes and shapes are brought to the few forms that training knows:

    - Floats keep their dtype, except that float64 becomes float32 unless ``jax_enable_x64`` is on, as
      everywhere in JAX.
    - Integer inputs are token ids and become int32. ``bool`` and ``uint8`` inputs are measurements (pixels)
      and become float32 of the same values; other integers that measure something (an age) have to be passed
      as floats.
    - Integer targets are class ids and become int32. Texts become class ids in the sorted order of their
      names, or in the order of ``classes``. Booleans (N,) become the class ids 0 and 1; booleans of higher
      rank (several labels a row) become float32.
    - Float targets keep their shape. For a model that ends in ``nn.dense(1)`` it is (N, 1): pass ``y[:, None]``.

    Args:
        inputs: array (N, ...) of numbers, or nested lists of them.
        targets: array (N, ...) of class ids, numbers or texts.
        weights: array (N,) of numbers at least 0, not all 0; None lets all rows count the same.
        classes: the name of every class id; None if they have none.
        name: what to call the data.

    Returns:
        A Dataset of NumPy arrays.

    Raises:
        DataError: if there are no rows, the lengths differ, a value is NaN or infinite, a class id is not
            among ``classes`` or a weight is negative.
        StructureError: if something is not an array of numbers.
        ShapeError: if ``weights`` or text targets are not of shape (N,).

    Example:
        >>> import numpy as np
        >>> x = np.eye(2, dtype=np.float32)
        >>> from_arrays(x, ["no", "yes"])
        Dataset(2 rows: inputs (2, 2) float32, targets (2,) int32, 2 classes (no, yes))
        >>> from_arrays(x, [[0.5], [-0.5]]).targets.shape
        (2, 1)
    """
    return checked("data.from_arrays", inputs, targets, weights, classes, About(name=name))


def checked(
    where: str, inputs: Any, targets: Any, weights: Any, classes: Sequence[str] | None, about: About
) -> Dataset:
    """What `from_arrays` does, for the other readers of arrays."""
    x = _plain(where, "inputs", inputs)
    y = _plain(where, "targets", targets)
    if isinstance(classes, str):
        raise errors.StructureError(where, f"classes is the text {classes!r}; pass a list of names.")
    names = None if classes is None else tuple(str(c) for c in classes)
    if len(x) == 0:
        raise errors.DataError(where, f"inputs have shape {x.shape}: there are no rows.")
    if len(x) != len(y):
        transposed = x.ndim == 2 and x.shape[1] == len(y)
        hint = " Rows are examples: pass inputs.T." if transposed else ""
        raise errors.DataError(where, f"inputs have {len(x)} rows and targets {len(y)}.{hint}")
    x = _as_inputs(where, x)
    y, names = _as_targets(where, y, names)
    return Dataset(x, y, _as_weights(where, weights, len(x)), About(about.name, names, None, about.target))


def _plain(where: str, name: str, value: Any) -> np.ndarray:
    """A NumPy array of numbers, booleans or texts."""
    if not errors.is_concrete(value):
        raise errors.StructureError(
            where, f"{name} are traced, so their values cannot be checked. Inside jit, use data.Dataset(...)."
        )
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, jax.errors.TracerArrayConversionError) as error:
        raise errors.StructureError(
            where, f"{name} do not form one array: {error} Rows must all have the same length."
        ) from error
    if array.dtype == object and array.ndim == 1 and all(isinstance(v, str) for v in array):
        array = array.astype(str)
    if array.ndim == 0 or not (
        array.dtype == bool or jnp.issubdtype(array.dtype, np.number) or array.dtype.kind in "UT"
    ):
        raise errors.StructureError(
            where,
            f"{name} of type {type(value).__name__} make an array of shape {array.shape} and dtype "
            f"{array.dtype}, but rows of numbers are needed. A sparse matrix has .toarray(), "
            f"a table with texts is for data.from_table.",
        )
    if jnp.issubdtype(array.dtype, np.complexfloating):
        raise errors.StructureError(where, f"{name} are complex; pass real and imaginary part as features.")
    return array


def _as_inputs(where: str, x: np.ndarray) -> np.ndarray:
    if x.dtype.kind in "UT":
        raise errors.StructureError(
            where, f"inputs are texts, such as {str(x.flat[0])!r}. For a table, use data.from_table."
        )
    if x.dtype in (bool, np.uint8):
        return x.astype(np.float32)
    if jnp.issubdtype(x.dtype, np.integer):
        return _as_int32(where, "inputs", x)
    return _as_floats(where, "inputs", x)


def _as_targets(where: str, y: np.ndarray, names: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...] | None]:
    if y.dtype.kind in "UT":
        return _ids_of_texts(where, y, names)
    if y.dtype == bool:
        y = y.astype(np.int32 if y.ndim == 1 else np.float32)
    if jnp.issubdtype(y.dtype, np.integer):
        y = _as_int32(where, "targets", y)
        outside = _rows((y < 0) | (y >= len(names))) if names is not None else np.zeros(0, int)
        if names is not None and outside.size:
            wrong = y[outside[0]].flat[0] if y.ndim == 1 else y[outside[0]].tolist()
            raise errors.DataError(
                where,
                f"targets contain {wrong} but classes names {len(names)} (ids 0 to {len(names) - 1}): "
                f"{count_rows(outside)}. Class ids count from 0.",
            )
        return y, names
    if names is not None and y.ndim == 1:
        raise errors.DataError(
            where, f"targets are {y.dtype}, but class ids are integers. Pass targets.astype('int32')."
        )
    y = _as_floats(where, "targets", y)
    return y, names


def _ids_of_texts(where: str, y: np.ndarray, names: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    if y.ndim != 1:
        raise errors.ShapeError(where, f"targets are texts of shape {y.shape}; one a row, (N,), is needed.")
    if names is None:
        names = tuple(str(c) for c in np.unique(y))
    ids = {c: i for i, c in enumerate(names)}
    unknown = [row for row, text in enumerate(y) if str(text) not in ids]
    if unknown:
        raise errors.DataError(
            where,
            f"targets contain {str(y[unknown[0]])!r}, which is not among the classes {', '.join(names)}: "
            f"{count_rows(unknown)}.",
        )
    return np.array([ids[str(text)] for text in y], np.int32), names


def _as_weights(where: str, weights: Any, count: int) -> np.ndarray | None:
    if weights is None:
        return None
    w = _plain(where, "weights", weights)
    if w.shape != (count,):
        raise errors.ShapeError(where, f"weights have shape {w.shape}, but one a row, ({count},), is needed.")
    if w.dtype.kind in "UT":
        raise errors.StructureError(where, "weights are texts, but numbers are needed.")
    w = _as_floats(where, "weights", w if jnp.issubdtype(w.dtype, np.floating) else w.astype(np.float32))
    negative = _rows(w < 0)
    if negative.size:
        raise errors.DataError(where, f"weights are negative in {count_rows(negative)}.")
    if not np.any(w > 0):
        raise errors.DataError(where, "all weights are 0, so no row counts.")
    return w


def _as_int32(where: str, name: str, values: np.ndarray) -> np.ndarray:
    info = np.iinfo(np.int32)
    large = _rows((values < info.min) | (values > info.max))
    if large.size:
        raise errors.DataError(where, f"{name} hold integers beyond int32 in {count_rows(large)}.")
    return values.astype(np.int32)


def _as_floats(where: str, name: str, values: np.ndarray) -> np.ndarray:
    check_finite(where, name, values)
    with np.errstate(over="ignore"):
        floats = values.astype(jax.dtypes.canonicalize_dtype(values.dtype))
    check_finite(where, name, floats, f"too large for {floats.dtype}")
    return floats


def check_finite(where: str, name: str, values: np.ndarray, what: str = "NaN or infinite") -> None:
    """Raises if a value is not finite, saying how many are and where the first one is."""
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return
    rows = _rows(wrong)
    raise errors.DataError(
        where,
        f"{name} are {what} in {int(wrong.sum())} of {values.size} values "
        f"({count_rows(rows)}). Take these rows out or fill in the values before training.",
    )


def count_rows(rows: Sequence[int] | np.ndarray) -> str:
    """How many rows, and which is the first: ``3 rows, first row 17``."""
    return f"{len(rows)} row{'s' if len(rows) > 1 else ''}, first row {rows[0]}"


def _rows(wrong: np.ndarray) -> np.ndarray:
    """The numbers of the rows in which anything is wrong."""
    return np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
