"""Where a file is, or a sentence that says why it is not there."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fnnet import errors


def closest(name: str, names: Iterable[str]) -> str:
    """A question that offers the most similar name, or nothing if none is similar."""
    matches = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def existing_file(where: str, path: Any) -> Path:
    """The path of a file that is there."""
    if not isinstance(path, str | os.PathLike):
        raise errors.StructureError(where, f"the path is of type {type(path).__name__}; pass a text or a Path.")
    file = Path(os.fspath(path)).expanduser()
    if file.is_file():
        return file
    if file.is_dir():
        raise errors.FileError(where, f"{str(file)!r} is a folder, but a file is needed.")
    folder = file.parent
    if not folder.is_dir():
        raise errors.FileError(where, f"there is no file {str(file)!r}: its folder does not exist.")
    hint = closest(file.name, (entry.name for entry in folder.iterdir() if entry.is_file()))
    raise errors.FileError(where, f"there is no file {file.name!r} in {str(folder.resolve())!r}.{hint}")
