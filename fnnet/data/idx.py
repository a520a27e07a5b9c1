"""Images and labels in IDX files, the format of MNIST and its kin: a magic number, the sizes, the values."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from fnnet import errors
from fnnet.data.dataset import About, Dataset

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_FASHION = Path("/usr/share/datasets/fashion-mnist")
_CLOTHES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_PARTS = ("train", "t10k")


def read_idx(where: str, path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, compressed by gzip or not.

    Args:
        where: the public function that asks, for errors.
        path: of the file.

    Returns:
        Array of the sizes and the dtype that the file states, in the machine's byte order.

    Raises:
        FileError: the file is missing, damaged, or no IDX file.

    Source: LeCun, Cortes and Burges, "The MNIST database", the IDX file format.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "labels-idx1-ubyte"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9]))
    ...     read_idx("read", path).tolist()
    [7, 0, 9]
    """
    file = Path(path)
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise errors.FileError(where, f"{str(file)!r} cannot be read: {error}. Get it once more.") from error
    axes = content[3] if len(content) >= 4 else 0
    if content[:2] != b"\0\0" or len(content) < 4 + 4 * axes or content[2] not in _DTYPES:
        raise errors.FileError(
            where, f"{str(file)!r} is not an IDX file: it does not begin with two zeros, a known type and the sizes."
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", axes, offset=4))
    dtype, start = np.dtype(_DTYPES[content[2]]), 4 + 4 * axes
    needed = math.prod(shape) * dtype.itemsize
    if len(content) - start != needed:
        raise errors.FileError(
            where,
            f"{str(file)!r} states sizes {shape}, which take {needed} bytes, but holds {len(content) - start}. It was "
            f"cut off or is damaged; get it once more.",
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def fashion_mnist(where: str, name: str) -> Dataset:
    """Fashion-MNIST from its four IDX files: 60,000 images to train, then 10,000 to test.

    The files are looked for in ``$FNNET_DATA/fashion-mnist``, in ``$FNNET_DATA``, and where Debian's package
    ``dataset-fashion-mnist`` puts them; compressed by gzip or not.

    Raises:
        MissingPackageError: the files are in none of these places.
        FileError: a file is damaged, or they do not belong together.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017 (arXiv 1708.07747).
    """
    folder = _folder(where)
    images, labels = (
        [read_idx(where, _file(folder, f"{part}-{kind}") or folder) for part in _PARTS]
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    for part, pixels, ids in zip(_PARTS, images, labels, strict=True):
        fits = pixels.shape[1:] == (28, 28) and ids.shape == pixels.shape[:1] and len(ids) > 0
        if not fits or {pixels.dtype, ids.dtype} != {np.dtype(np.uint8)} or ids.max() >= len(_CLOTHES):
            raise errors.FileError(
                where,
                f"the files {part}-* in {str(folder)!r} hold {pixels.dtype} images {pixels.shape} and {ids.dtype} "
                f"labels {ids.shape}, but bytes (rows, 28, 28) and a class from 0 to 9 for each are needed. These are "
                f"other data, or damaged.",
            )
    inputs = np.concatenate(images)[..., None].astype(np.float32) / np.float32(255)
    return Dataset(inputs, np.concatenate(labels).astype(np.int32), None, About(name, _CLOTHES))


def _folder(where: str) -> Path:
    """The first place that holds all four files."""
    told = os.environ.get("FNNET_DATA")
    places = [Path(told).expanduser() / "fashion-mnist", Path(told).expanduser()] if told else []
    for folder in [*places, _FASHION]:
        found = [_file(folder, f"{p}-{k}") for p in _PARTS for k in ("images-idx3-ubyte", "labels-idx1-ubyte")]
        if all(found):
            return folder
    raise errors.MissingPackageError(
        where,
        f"needs the four files of Fashion-MNIST, {_PARTS[0]}-images-idx3-ubyte.gz and so on, which are not in "
        f"{' or '.join(repr(str(place)) for place in [*places, _FASHION])}. Install them with: apt-get install "
        f"dataset-fashion-mnist, or name their folder in the environment variable FNNET_DATA.",
    )


def _file(folder: Path, name: str) -> Path | None:
    return next((file for file in (folder / f"{name}.gz", folder / name) if file.is_file()), None)
