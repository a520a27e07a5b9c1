"""Real data that come with installed packages, so that nothing is downloaded."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fnnet import errors
from fnnet.data.dataset import About, Dataset
from fnnet.data.idx import fashion_mnist
from fnnet.data.paths import closest

_WHERE = "data.load"
_EXTRA = "experiments"

TEST_ROWS = {"fashion_mnist": 10_000, "mnist1d": 1_000}
"""Of the data that were published with a test part of their own, how many of the last rows it is."""


def available() -> dict[str, str]:
    """The names that `load` knows, each with one line about the data.

    Returns:
        A dict from name to description.

    Example:
        >>> sorted(available())
        ['breast_cancer', 'diabetes', 'digits', 'fashion_mnist', 'iris', 'mnist1d', 'wine']
    """
    return {name: description for name, (description, _) in _BUNDLED.items()}


def load(name: str) -> Dataset:
    """Loads real data by name, without a download.

    Inputs are float32 and raw, except that pixels are divided by the largest there can be, into [0, 1]; scale the
    others with `fnnet.data.standardizer`. Those of fashion_mnist are images (28, 28, 1), as `fnnet.nn.conv` takes
    them; `fnnet.nn.flatten` makes rows of them, as those of digits are. Classes are int32 ids from 0, with names
    in ``about.classes``. Numeric targets (diabetes) are float32 of shape (N, 1), so that they match the output of
    ``nn.dense(1)`` exactly. Rows come in the order of the source, sorted by class in some; `fnnet.data.split`
    shuffles.

    Args:
        name: one of the keys of `available`. For "mnist1d" the first 4000 rows are the training part of the
            original and the last 1000 its test part: ``d[:4000], d[4000:]``; so for "fashion_mnist" with 60,000
            and 10,000. Its files are looked for in the folder that the environment variable FNNET_DATA names,
            and where Debian's package dataset-fashion-mnist puts them.

    Returns:
        A Dataset of NumPy arrays.

    Raises:
        DataError: if there is no data of that name.
        MissingPackageError: if scikit-learn, mnist1d or the files of fashion_mnist are not installed.
        FileError: if these are damaged.

    Source:
        scikit-learn's bundled datasets; Greydanus and Kobak, "Scaling down deep learning with MNIST-1D", 2024
        (arXiv 2011.14439); Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017 (arXiv 1708.07747).

    Example:
        >>> load("iris")
        Dataset(iris, 150 rows: inputs (150, 4) float32, targets (150,) int32, 3 classes (setosa, ...))
    """
    if not isinstance(name, str):
        raise errors.StructureError(_WHERE, f"name is of type {type(name).__name__}; pass one of {_names()}.")
    if name not in _BUNDLED:
        hint = closest(name, _BUNDLED)
        raise errors.DataError(
            _WHERE, f"there is no data named {name!r}; there are {_names()}.{hint} For a file, use data.read."
        )
    return _BUNDLED[name][1](name)


def _names() -> str:
    return ", ".join(sorted(_BUNDLED))


def _from_sklearn(name: str, divisor: float = 1.0) -> Dataset:
    datasets = errors.require(_WHERE, "sklearn.datasets", _EXTRA)
    bunch = getattr(datasets, f"load_{name}")()
    inputs = np.asarray(bunch.data / divisor, np.float32)
    features = tuple(str(feature) for feature in bunch.feature_names)
    if "target_names" in bunch:
        classes = tuple(str(c) for c in bunch.target_names)
        return Dataset(inputs, np.asarray(bunch.target, np.int32), None, About(name, classes, features))
    return Dataset(inputs, np.asarray(bunch.target, np.float32)[:, None], None, About(name, None, features))


def _digits(name: str) -> Dataset:
    """The file that scikit-learn reads, without the second and a half that importing scikit-learn takes."""
    found = importlib.util.find_spec("sklearn")
    folders = [] if found is None else found.submodule_search_locations or []
    path = next((p for p in (Path(f, "datasets", "data", "digits.csv.gz") for f in folders) if p.is_file()), None)
    if path is None:  # another version keeps it elsewhere, or there is none, which is then said
        return _from_sklearn(name, 16.0)
    rows = np.loadtxt(path, delimiter=",", dtype=np.float32)
    features = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
    classes = tuple(str(digit) for digit in range(10))
    return Dataset(rows[:, :-1] / np.float32(16), rows[:, -1].astype(np.int32), None, About(name, classes, features))


def _mnist1d(name: str) -> Dataset:
    generator = errors.require(_WHERE, "mnist1d.data", _EXTRA)
    # The package draws from the global generators and sets their seeds, which are not ours to change.
    states = np.random.get_state(), random.getstate()
    try:
        made: dict[str, Any] = generator.make_dataset(generator.get_dataset_args())
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
    inputs = np.concatenate([made["x"], made["x_test"]]).astype(np.float32)
    targets = np.concatenate([made["y"], made["y_test"]]).astype(np.int32)
    return Dataset(inputs, targets, None, About(name, tuple(str(digit) for digit in range(10))))


_BUNDLED: dict[str, tuple[str, Callable[[str], Dataset]]] = {
    "breast_cancer": ("569 tumours, 30 measurements each; 2 classes", _from_sklearn),
    "diabetes": ("442 patients, 10 measurements each; progression after a year, a number", _from_sklearn),
    "digits": (
        "1797 handwritten digits, 8 x 8 pixels in [0, 1]; 10 classes",
        _digits,
    ),
    "fashion_mnist": (
        "70000 clothes, 28 x 28 pixels in [0, 1], 60000 to train and 10000 to test; 10 classes",
        lambda n: fashion_mnist(_WHERE, n),
    ),
    "iris": ("150 flowers, 4 lengths each; 3 classes", _from_sklearn),
    "mnist1d": ("5000 generated signals of 40 values, 4000 to train and 1000 to test; 10 classes", _mnist1d),
    "wine": ("178 wines, 13 measurements each; 3 classes", _from_sklearn),
}
