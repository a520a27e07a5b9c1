"""Datasets from the ``.npz`` files of NumPy."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from fnnet import errors
from fnnet.data.arrays import checked
from fnnet.data.dataset import About, Dataset
from fnnet.data.paths import existing_file


def from_npz(path: str | os.PathLike[str], inputs: str = "inputs", targets: str = "targets") -> Dataset:
    """Reads a Dataset from a file that ``numpy.savez`` wrote, without pickle.

    The arrays ``inputs`` and ``targets`` are needed (by their default names, ``X`` and ``y`` do as well);
    ``weights`` (N,) and ``classes`` (texts) are read where present. Dtypes and shapes follow `from_arrays`.

    Args:
        path: the file.
        inputs: the name of the array of inputs in the file.
        targets: the name of the array of targets in the file.

    Returns:
        A Dataset of NumPy arrays, named after the file.

    Raises:
        FileError: if the file is missing or not an ``.npz`` file, lacks an array, or needs pickle.
        DataError: as in `from_arrays`.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "xor.npz"
        ...     np.savez(path, X=np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), y=[0, 1, 1, 0])
        ...     from_npz(path)
        Dataset(xor, 4 rows: inputs (4, 2) float32, targets (4,) int32)
    """
    where = "data.from_npz"
    file = existing_file(where, path)
    arrays = _read_npz(where, file, {inputs, targets, "X", "y", "weights", "classes"})
    found_inputs = _pick(where, file, arrays, inputs, ("inputs", "X"))
    found_targets = _pick(where, file, arrays, targets, ("targets", "y"))
    names = arrays["contents"].get("classes")
    classes = None if names is None else [str(name) for name in np.ravel(names)]
    weights = arrays["contents"].get("weights")
    return checked(where, found_inputs, found_targets, weights, classes, About(name=file.stem))


def _read_npz(where: str, file: Path, wanted: set[str]) -> dict[str, Any]:
    # Opened here, because NumPy leaves a file open that it cannot read.
    with open(file, "rb") as stream:
        try:
            archive = np.load(stream, allow_pickle=False)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise errors.FileError(
                where,
                f"{str(file)!r} is not an .npz file. Write one with numpy.savez(path, inputs=..., targets=...).",
            ) from error
        if isinstance(archive, np.ndarray):
            raise errors.FileError(
                where,
                f"{str(file)!r} holds one array (.npy), but inputs and targets are needed; use numpy.savez.",
            )
        contents = {}
        for key in archive.files:
            if key not in wanted:
                continue
            try:
                contents[key] = archive[key]
            except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
                raise errors.FileError(
                    where,
                    f"the array {key!r} of {str(file)!r} cannot be read: it is damaged, or it holds Python "
                    f"objects, which need pickle, and fnnet reads no pickle. Save it with a plain dtype.",
                ) from error
        return {"names": list(archive.files), "contents": contents}


def _pick(where: str, file: Path, arrays: dict[str, Any], name: str, synonyms: tuple[str, str]) -> Any:
    contents = arrays["contents"]
    # The synonym stands in only for the default name: who asks for a name gets that one or an error.
    for candidate in synonyms if name == synonyms[0] else (name,):
        if candidate in contents:
            return contents[candidate]
    field = synonyms[0]
    raise errors.FileError(
        where,
        f"{str(file)!r} has no array {name!r}; it has {', '.join(map(repr, arrays['names'])) or 'none'}. "
        f"Say which one to use with {field}=...",
    )
