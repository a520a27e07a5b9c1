"""Search spaces: what a hyperparameter may be, exported as `fnnet.hp`.

A number is traced, so that all of its values share one compiled program. What is not a number (a function, a
string, a boolean) is static: each value is a group of trials with a program of its own. A number that fixes a
shape, such as a width, cannot be traced and is declared `static`. What exists only beside some value of another
hyperparameter is declared `when`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from fnnet.errors import HyperparameterError
from fnnet.recipes import describe


class Condition(NamedTuple):
    """Another hyperparameter, and the values of it beside which a hyperparameter exists."""

    name: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.name!r} is {' or '.join(map(describe, self.values))}"


@dataclasses.dataclass(frozen=True, repr=False)
class Dimension:
    """One axis of a search space.

    Attributes:
        kind: the name of the function that makes it.
        arguments: the arguments of that function.
        at: from uniform draws in [0, 1), an array, to values, an array or a list.
        traced: whether values are arguments of the compiled program.
        conditions: all have to hold where the hyperparameter exists; none where it always does.
    """

    kind: str
    arguments: tuple[Any, ...]
    at: Callable[[np.ndarray], Any]
    traced: bool = True
    conditions: tuple[Condition, ...] = ()

    @property
    def values(self) -> tuple[Any, ...] | None:
        """The values if they are listed, else None."""
        return self.arguments if self.kind in ("choice", "grid", "static") else None

    @property
    def enumerated(self) -> bool:
        """Whether every value is tried (grid, static) instead of drawn."""
        return self.kind in ("grid", "static")

    def __repr__(self) -> str:
        text = f"{self.kind}({', '.join(map(describe, self.arguments))})"
        for name, values in reversed(self.conditions):
            several = len(values) > 1 or isinstance(values[0], tuple)
            text = f"when({name!r}, {describe(values if several else values[0])}, {text})"
        return text

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
    return Dimension("uniform", (low, high), lambda u: low + (high - low) * u)


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
    return Dimension("log_uniform", (low, high), lambda u: np.exp(math.log(low) + math.log(high / low) * u))


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

    return Dimension("normal", (mean, standard_deviation), at)


def integers(low: int, high: int) -> Dimension:
    """Whole numbers from low to high, both included, all equally likely; traced as int32.

    >>> integers(1, 4).at(np.array([0.0, 0.99])).tolist()
    [1, 4]
    """
    if not (is_whole(low) and is_whole(high)) or low > high:
        raise HyperparameterError(
            "hp.integers", f"low is {low!r} and high {high!r}; whole numbers with low ≤ high are needed."
        )
    return Dimension("integers", (low, high), lambda u: low + np.floor(u * (high - low + 1)).astype(int))


def choice(*values: Any) -> Dimension:
    """One of the values, drawn; numbers are traced, anything else makes groups.

    >>> choice(0.9, 0.99).traced, choice("relu", "tanh").traced
    (True, False)
    """
    return _listed("choice", values)


def grid(*values: Any) -> Dimension:
    """Values of which every one is combined with every value of the other grids and statics.

    With ``trials=`` the combinations are dealt out in turn: fewer trials leave some out, more repeat them with other
    draws of what is random.

    >>> grid(0.1, 0.2, 0.4).values
    (0.1, 0.2, 0.4)
    """
    return _listed("grid", values)


def static(*values: Any) -> Dimension:
    """Values with a compiled program each: for widths, depths and other structure; combined like a `grid`.

    >>> static(32, 64, 128).traced
    False
    """
    return _listed("static", values)


def when(name: str, value: Any, dimension: Any) -> Dimension:
    """A hyperparameter that exists only where another one has a certain value.

    Elsewhere the learner is not given it, so it needs a default. If the other one is conditional too, it has to exist.
    A grid or static in here multiplies only the combinations where it exists.

    Args:
        name: of the other hyperparameter, which takes listed values or `integers`.
        value: its value, or a tuple of several; ``((8, 8),)`` for one value that is a tuple.
        dimension: what the hyperparameter is where it exists; a `when` again for several conditions.

    Raises:
        HyperparameterError: ``dimension`` is a list, or there are no values.

    >>> space = {"optimizer": static("sgd", "adam"), "momentum": when("optimizer", "sgd", uniform(0.0, 0.99))}
    >>> space["momentum"]
    when('optimizer', 'sgd', uniform(0.0, 0.99))
    """
    values = tuple(value) if _is_list(value) else (value,)
    if not isinstance(name, str) or not values:
        raise HyperparameterError(
            "hp.when",
            f"name is {name!r} and value {value!r}; the name and a value of another hyperparameter are needed.",
        )
    if _is_list(dimension):
        raise HyperparameterError("hp.when", f"the dimension is {dimension!r}. {_proposal(dimension)}")
    inner = dimension if isinstance(dimension, Dimension) else constant(dimension)
    return dataclasses.replace(inner, conditions=(Condition(name, values), *inner.conditions))


def _listed(kind: str, values: tuple[Any, ...]) -> Dimension:
    if not values:
        raise HyperparameterError(f"hp.{kind}", f"there are no values. Pass them one by one: hp.{kind}(32, 64).")
    if len(values) == 1 and _is_list(values[0]):
        raise HyperparameterError(
            f"hp.{kind}",
            f"the only value is {values[0]!r}. Pass values one by one: hp.{kind}({', '.join(map(repr, values[0]))}).",
        )
    check_hashable(f"hp.{kind}", values)
    traced = kind != "static" and all(map(is_number, values))
    if traced and not all(map(is_whole, values)):
        values = tuple(map(float, values))  # one dtype, whichever of them a group of trials has
    return _of(kind, values, traced)


def _of(kind: str, values: tuple[Any, ...], traced: bool) -> Dimension:
    return Dimension(kind, values, lambda u: [values[int(place * len(values))] for place in u], traced)


def check_hashable(where: str, values: Iterable[Any]) -> None:
    """Raises unless every value can name a group."""
    for value in values:
        try:
            hash(value)
        except TypeError:
            raise HyperparameterError(
                where,
                f"{value!r} is a {type(value).__name__}, which can change and so cannot name a group. Use a tuple.",
            ) from None


def constant(value: Any, *, traced: bool | None = None) -> Dimension:
    """One value, which is structure unless it is a float, or unless told.

    A whole number that never changes may fix a shape at no cost.
    """
    check_hashable("sweep", (value,))
    traced = isinstance(value, float | np.floating) if traced is None else traced
    return _of("grid" if traced else "static", (value,), traced)


def as_dimension(name: str, value: Any) -> Dimension:
    """A dimension as it is; any other value as a constant."""
    if isinstance(value, Dimension):
        return value
    if _is_list(value):
        raise HyperparameterError("sweep", f"hyperparameter {name!r} is {value!r}. {_proposal(value)}")
    return constant(value)


def _proposal(values: Any) -> str:
    kind = "static" if not all(isinstance(value, float | np.floating) for value in values) else "grid"
    return f"Say what its values mean, for example hp.{kind}({', '.join(map(repr, values))})."


def _check_interval(where: str, low: Any, high: Any) -> None:
    if not (is_number(low) and is_number(high) and math.isfinite(low) and math.isfinite(high) and low < high):
        raise HyperparameterError(
            where, f"low is {low!r} and high {high!r}; two finite numbers with low < high are needed."
        )


def is_number(value: Any) -> bool:
    """Whether a value is a number, which True is not."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, which True is not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    """Whether a value lists several; a layer, which is a named tuple, does not."""
    return type(value) in (list, tuple, range) or isinstance(value, np.ndarray)


__all__ = ["Dimension", "choice", "grid", "integers", "log_uniform", "normal", "static", "uniform", "when"]
