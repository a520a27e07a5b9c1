"""Two parts of one dataset, drawn at random and true to the share of each class."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from fnnet import errors
from fnnet.data.dataset import Dataset, check_dataset
from fnnet.types import Array, Key

_WHERE = "data.split"


def split(
    dataset: Dataset, *, fraction: float = 0.2, key: Key[Array, ""], stratify: Any = "auto"
) -> tuple[Dataset, Dataset]:
    """Splits the rows at random into two parts, by default 80 % for training and 20 % for testing.

    The second part has exactly ⌊fraction · N + 1/2⌋ rows. Stratified, it has fraction · N_c rows of each
    class c to within one row (the largest remainders are rounded up), and every class of two rows or more
    stays in the first part. Every row is in exactly one part; both parts are shuffled.

    Args:
        dataset: the rows to split.
        fraction: the share of the second part, in (0, 1).
        key: a random key; the same key and data give the same parts.
        stratify: "auto" stratifies if the targets are class ids (integers (N,)); True insists on it; False
            draws rows regardless of their class.

    Returns:
        The pair (training part, second part).

    Raises:
        HyperparameterError: if ``fraction`` is not in (0, 1).
        DataError: if a part would be empty, or the classes have too few rows.
        StructureError: if ``key`` is no random key, or the data are traced.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> from fnnet import data
        >>> train, test = data.split(data.load("iris"), fraction=0.2, key=jax.random.key(0))
        >>> len(train), np.bincount(test.targets)
        (120, array([10, 10, 10]))
    """
    check_dataset(_WHERE, "dataset", dataset)
    errors.check_key(_WHERE, key)
    if callable(fraction) or not all(map(errors.is_concrete, (key, fraction, dataset.targets))):
        raise errors.StructureError(
            _WHERE, "it has to know its arguments' values, so it cannot run inside jit or vmap. Split before."
        )
    errors.check_number(_WHERE, "fraction", fraction, low=0.0, high=1.0, low_open=True, high_open=True)
    count = len(dataset)
    second = math.floor(float(fraction) * count + 0.5)
    if not 0 < second < count:
        raise errors.DataError(
            _WHERE,
            f"fraction {float(fraction):g} of {count} rows would leave {second} for the second part and "
            f"{count - second} for training. Each part needs a row: change fraction.",
        )
    # NumPy draws on the host without compiling; its seed is the key, so nothing else decides.
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
    order = generator.permutation(count)
    if not by_class(_WHERE, stratify, dataset.targets):
        return dataset[order[second:]], dataset[order[:second]]
    _, class_of = np.unique(np.asarray(dataset.targets), return_inverse=True)
    taken = _rows_per_class(np.bincount(class_of), float(fraction), second, generator)
    # The rank of a row among those of its class, in the shuffled order: the first ranks are taken.
    shuffled = class_of[order]
    rank = np.zeros(count, int)
    for c in range(len(taken)):
        members = shuffled == c
        rank[members] = np.arange(members.sum())
    in_second = rank < taken[shuffled]
    return dataset[order[~in_second]], dataset[order[in_second]]


def by_class(where: str, stratify: Any, targets: Any) -> bool:
    """Whether rows are to be dealt out class by class, as ``stratify`` asks for."""
    if not (isinstance(stratify, bool) or (isinstance(stratify, str) and stratify == "auto")):
        raise errors.HyperparameterError(where, f'stratify is {stratify!r}; it is "auto", True or False.')
    are_classes = targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer)
    if stratify is True and not are_classes:
        raise errors.DataError(
            where,
            f"stratify=True needs class ids (N,), but targets are {targets.dtype} of shape {targets.shape}.",
        )
    return are_classes and stratify is not False


def _rows_per_class(sizes: np.ndarray, fraction: float, total: int, generator: np.random.Generator) -> np.ndarray:
    """How many rows of each class go to the second part: the method of largest remainders."""
    quota = fraction * sizes
    # 0.29 · 100 is 28.999… in floating point; the small number undoes that.
    most = np.minimum(np.floor(quota + 1e-9).astype(int), sizes - 1)
    remainder = quota - most
    missing = total - int(most.sum())
    # A last row stays in training; the single row of a class may go where there is no other choice.
    shy = most == sizes - 1
    # Equal remainders are served in random order, so that no class is favoured for its number.
    ranking = np.lexsort((generator.permutation(len(sizes)), -remainder, shy))
    allowed = ranking[~shy[ranking] | (sizes[ranking] == 1)]
    if missing > len(allowed):
        raise errors.DataError(
            _WHERE,
            f"the {len(sizes)} classes have too few rows (the smallest has {int(sizes.min())}) for {total} "
            f"of {int(sizes.sum())} rows in the second part, if each class is to keep its share and a row in "
            f"training. Lower fraction, or pass stratify=False.",
        )
    most[allowed[:missing]] += 1
    return most
