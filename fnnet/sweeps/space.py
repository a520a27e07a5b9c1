"""Search spaces: what a hyperparameter may be, exported as `fnnet.hp`.

A number is traced, so that all of its values share one compiled program. What is not a number (a function, a
string, a boolean) is static: each value is a group of trials with a program of its own. A number that fixes a
shape, such as a width, cannot be traced and is declared `static`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnnet.errors import HyperparameterError
from fnnet.recipes import describe


@dataclasses.dataclass(frozen=True, repr=False)
class Dimension:
    """One axis of a search space.

    Attributes:
        text: the call that makes it.
        at: from uniform draws in [0, 1), an array, to values, an array or a list.
        values: the values if there are finitely many, else None.
        enumerated: whether every value is tried (grid, static) instead of drawn.
        traced: whether values are arguments of the compiled program.
    """

    text: str
    at: Callable[[np.ndarray], Any]
    values: tuple[Any, ...] | None = None
    enumerated: bool = False
    traced: bool = True

    def __repr__(self) -> str:
        return self.text

    def examples(self) -> str:
        """Values as the arguments of a call, for a sentence that proposes `static`."""
        if self.values is not None:
            return ", ".join(describe(value) for value in self.values)
        values = [f"{value:.3g}" for value in self.at(np.array([0.0, 0.5, 0.999999]))]
        return ", ".join(dict.fromkeys(values))


def uniform(low: float, high: float) -> Dimension:
    """Uniform on [low, high).

    >>> uniform(0.0, 0.5).at(np.array([0.5])).tolist()
    [0.25]
    """
    _check_interval("hp.uniform", low, high)
    return Dimension(f"uniform({low!r}, {high!r})", lambda u: low + (high - low) * u)


def log_uniform(low: float, high: float) -> Dimension:
    """Uniform in the logarithm on [low, high), for scales such as learning rates.

    Raises:
        HyperparameterError: ``low`` is not positive.

    >>> log_uniform(1e-4, 1.0).at(np.array([0.5])).round(4).tolist()
    [0.01]
    """
    _check_interval("hp.log_uniform", low, high)
    if low <= 0:
        raise HyperparameterError("hp.log_uniform", f"low is {low}, but a logarithm needs more than 0. Use hp.uniform.")
    return Dimension(f"log_uniform({low!r}, {high!r})", lambda u: np.exp(math.log(low) + math.log(high / low) * u))


def normal(mean: float, standard_deviation: float) -> Dimension:
    """Normal with the given mean and standard deviation.

    >>> normal(1.0, 2.0).at(np.array([0.5])).tolist()
    [1.0]
    """
    if not (math.isfinite(mean) and math.isfinite(standard_deviation) and standard_deviation > 0):
        raise HyperparameterError(
            "hp.normal",
            f"mean is {mean} and standard_deviation {standard_deviation}; both are finite and the latter is positive.",
        )

    def at(u: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        return mean + standard_deviation * ndtri(np.clip(u, 1e-12, 1 - 1e-12))

    return Dimension(f"normal({mean!r}, {standard_deviation!r})", at)


def integers(low: int, high: int) -> Dimension:
    """Whole numbers from low to high, both included, all equally likely; traced as int32.

    >>> integers(1, 4).at(np.array([0.0, 0.99])).tolist()
    [1, 4]
    """
    if not (_is_whole(low) and _is_whole(high)) or low > high:
        raise HyperparameterError(
            "hp.integers", f"low is {low!r} and high {high!r}; whole numbers with low ≤ high are needed."
        )
    return Dimension(f"integers({low}, {high})", lambda u: low + np.floor(u * (high - low + 1)).astype(int))


def choice(*values: Any) -> Dimension:
    """One of the values, drawn; numbers are traced, anything else makes groups.

    >>> choice(0.9, 0.99).traced, choice("relu", "tanh").traced
    (True, False)
    """
    return _finite("choice", values, enumerated=False, traced=all(map(_is_number, values)))


def grid(*values: Any) -> Dimension:
    """Every one of the values, combined with every value of the other grids and statics.

    >>> grid(0.1, 0.2, 0.4).values
    (0.1, 0.2, 0.4)
    """
    return _finite("grid", values, enumerated=True, traced=all(map(_is_number, values)))


def static(*values: Any) -> Dimension:
    """Every one of the values, each with a compiled program of its own: for widths, depths and other structure.

    >>> static(32, 64, 128).traced
    False
    """
    return _finite("static", values, enumerated=True, traced=False)


def _finite(kind: str, values: tuple[Any, ...], *, enumerated: bool, traced: bool) -> Dimension:
    if not values:
        raise HyperparameterError(f"hp.{kind}", f"there are no values. Pass them one by one: hp.{kind}(32, 64).")
    if len(values) == 1 and isinstance(values[0], list | tuple | np.ndarray):
        raise HyperparameterError(
            f"hp.{kind}",
            f"the only value is {values[0]!r}. Pass values one by one: hp.{kind}({', '.join(map(repr, values[0]))}).",
        )
    for value in values:
        try:
            hash(value)
        except TypeError:
            raise HyperparameterError(
                f"hp.{kind}",
                f"{value!r} is a {type(value).__name__}, which can change and so cannot name a group. Use a tuple.",
            ) from None
    text = f"{kind}({', '.join(describe(value) for value in values)})"

    def at(u: np.ndarray) -> list[Any]:
        return [values[int(place * len(values))] for place in u]

    return Dimension(text, at, values, enumerated, traced)


def as_dimension(name: str, value: Any) -> Dimension:
    """A dimension as it is; any other value as a constant, which is structure unless it is a float.

    A whole number that never changes may fix a shape at no cost.
    """
    if isinstance(value, Dimension):
        return value
    if isinstance(value, list | tuple | range | np.ndarray):
        kind = "static" if not all(isinstance(v, float | np.floating) for v in value) else "grid"
        raise HyperparameterError(
            "sweep",
            f"hyperparameter {name!r} is {value!r}. Say what its values mean, for example "
            f"hp.{kind}({', '.join(map(repr, value))}).",
        )
    return grid(value) if isinstance(value, float | np.floating) else static(value)


def _check_interval(where: str, low: Any, high: Any) -> None:
    if not (_is_number(low) and _is_number(high) and math.isfinite(low) and math.isfinite(high) and low < high):
        raise HyperparameterError(
            where, f"low is {low!r} and high {high!r}; two finite numbers with low < high are needed."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


__all__ = ["Dimension", "choice", "grid", "integers", "log_uniform", "normal", "static", "uniform"]
