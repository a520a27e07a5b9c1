"""Errors as sentences: the rule, the value, the likely cause, the fix.

Every error of fnnet is a class of this module and also a ValueError, TypeError or ImportError, so that
code which knows nothing of fnnet can still catch it. Its text reads ``where: sentence``.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np


class FnnetError(Exception):
    """The base of all errors.

    ``where`` names the public function, ``sentence`` says what is wrong and what to do, and ``layer`` is the
    path of the layer of a model in which it was found, outermost first.
    """

    def __init__(self, where: str, sentence: str, layer: tuple[str, ...] = ()) -> None:
        place = f"layer {'/'.join(layer)}: " if layer else ""
        super().__init__(f"{where}: {place}{sentence}")
        self.where = where
        self.sentence = sentence
        self.layer = layer

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.where, self.sentence, self.layer)


class ShapeError(FnnetError, ValueError):
    """Two shapes that have to agree do not."""


class DataError(FnnetError, ValueError):
    """The data hold something that training cannot use: nothing, NaN, a class out of range."""


class HyperparameterError(FnnetError, ValueError):
    """A hyperparameter is out of its range or of the wrong kind for the space it stands in."""


class StructureError(FnnetError, TypeError):
    """An argument is not the kind of thing that belongs there."""


class FileError(FnnetError, ValueError):
    """A file cannot be read as what it should be."""


class MissingPackageError(FnnetError, ImportError):
    """A package of an optional extra is not installed."""


class FnnetWarning(UserWarning):
    """The base of all warnings."""


class DivergenceWarning(FnnetWarning):
    """Runs ended because their loss or their update was no longer finite."""


@contextlib.contextmanager
def within(where: str) -> Iterator[None]:
    """Names the public function that a user called, whatever inner function found the mistake."""
    try:
        yield
    except FnnetError as error:
        if error.where == where:
            raise
        raise type(error)(where, error.sentence, error.layer) from error


@contextlib.contextmanager
def inside(part: int | str) -> Iterator[None]:
    """Adds to an error the part of the model in which it was raised."""
    try:
        yield
    except FnnetError as error:
        raise type(error)(error.where, error.sentence, (str(part), *error.layer)) from error


def is_concrete(value: Any) -> bool:
    """Whether a value is known now, outside of any trace, so that a Python ``if`` may look at it."""
    return not isinstance(value, jax.core.Tracer)


def check_number(
    where: str,
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
    schedule: bool = False,
) -> None:
    """Raises unless a concrete ``value`` is a scalar number inside the interval; tracers pass.

    NaN and infinity never are. Where a ``schedule`` may stand, functions pass: their values are
    only known at run time.
    """
    if (schedule and callable(value)) or not is_concrete(value):
        return
    if isinstance(value, bool) or not isinstance(value, int | float | np.ndarray | np.generic | jax.Array):
        raise StructureError(where, f"{name} is {value!r}, which is not a number.")
    if np.ndim(value) != 0:
        raise ShapeError(
            where,
            f"{name} has shape {np.shape(value)}, but one number is needed. "
            f"To train with several values at once, map over them with jax.vmap or fnnet.sweep.",
        )
    number = float(value)
    above = number > low if low_open else number >= low
    below = number < high if high_open else number <= high
    if not (above and below and math.isfinite(number)):
        lower = f"{'more than' if low_open else 'at least'} {low:g}" if low > -math.inf else ""
        upper = f"{'less than' if high_open else 'at most'} {high:g}" if high < math.inf else ""
        rule = (
            " and ".join(part for part in ("finite" if math.isinf(number) else "", lower, upper) if part) or "a number"
        )
        raise HyperparameterError(where, f"{name} is {number:g}, but it has to be {rule}.")


def check_size(where: str, name: str, value: Any) -> None:
    """Raises unless ``value``, which fixes the shape of an array, is a positive Python integer.

    A tracer cannot fix a shape; `fnnet.sweep` turns this error into the one that names ``hp.static``.
    """
    if not is_concrete(value):
        raise HyperparameterError(
            where,
            f"{name} fixes a shape, so it cannot be traced. Pass a Python integer; "
            f"in a sweep, declare its hyperparameter hp.static(...).",
        )
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise HyperparameterError(where, f"{name} is {value!r}, but it has to be a positive integer.")


def check_key(where: str, key: Any) -> None:
    """Raises unless ``key`` is one typed JAX random key."""
    if not (isinstance(key, jax.Array) and jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)):
        raise StructureError(where, f"key is {key!r}, which is not a random key. Make one with jax.random.key(0).")
    if key.ndim != 0:
        raise ShapeError(
            where,
            f"key has shape {key.shape}, but one key is needed. Pass key[0], or map over the keys.",
        )


def require(where: str, package: str, extra: str) -> Any:
    """Imports an optional package, or says which extra brings it."""
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            where, f"needs the package {package}. Install it with: pip install 'fnnet[{extra}]'"
        ) from error


__all__ = [
    "DataError",
    "DivergenceWarning",
    "FileError",
    "FnnetError",
    "FnnetWarning",
    "HyperparameterError",
    "MissingPackageError",
    "ShapeError",
    "StructureError",
    "check_number",
    "check_size",
]
