"""What a row of the catalogue is, and what the laws do with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest


class Wrong(NamedTuple):
    """``call(value)`` has to be refused for each of the values, in a sentence that names factory and argument."""

    call: Callable[[Any], Any]
    values: tuple[Any, ...]


SIZES = (0, -1, 2.5, True, "3")
"""What is no size: a positive integer is."""

NUMBERS = (math.nan, math.inf, "1", (0.1, 0.2))
"""What is no number of any range; a row adds the ones outside of its own."""


class Case(NamedTuple):
    """``build(**numbers)`` makes the part; every number comes with two values that the laws compare.

    ``extra`` is what the update of an optimizer is offered by name beside gradients and parameters.

    For layers, ``shape`` is the inputs' with the batch, ``integers`` makes them whole numbers below it, and ``wrong``
    says for the arguments by name what is refused: one row of a layer has to for every size and number it takes.
    """

    build: Callable[..., Any]
    numbers: Mapping[str, tuple[float, float]] = MappingProxyType({})
    shape: tuple[int, ...] = (4, 3)
    extra: Mapping[str, Any] = MappingProxyType({})
    integers: int | None = None
    wrong: Mapping[str, Wrong] = MappingProxyType({})


class Scored(NamedTuple):
    """A loss or a metric with predictions, targets and predictions that are as good as can be.

    Every number that a loss takes by name comes with two values that the laws compare.
    """

    function: Callable[..., Any]
    predictions: Any
    targets: Any
    perfect: Any
    numbers: Mapping[str, tuple[float, float]] = MappingProxyType({})


SOLVERS = {
    "cma_es", "conjugate_gradient", "genetic", "lbfgs", "levenberg_marquardt", "line_search_descent", "newton",
    "random_search",
}  # fmt: skip


def rows(table: dict[str, list[Any]]) -> list[Any]:
    """The table as pytest parameters, with readable names; whole solvers take long to compile and are marked."""
    return [
        pytest.param(
            case,
            id=name if len(cases) == 1 else f"{name}-{index}",
            marks=[pytest.mark.exhaustive] if name in SOLVERS else [],
        )
        for name, cases in table.items()
        for index, case in enumerate(cases)
    ]


def first(case: Case) -> dict[str, Any]:
    """The first value of every number, as float32 scalars."""
    return {name: jnp.float32(values[0]) for name, values in case.numbers.items()}


def second(case: Case) -> dict[str, Any]:
    """The second value of every number, as float32 scalars."""
    return {name: jnp.float32(values[1]) for name, values in case.numbers.items()}


def both(case: Case) -> dict[str, Any]:
    """Both values of every number, stacked for `jax.vmap`."""
    return {name: jnp.asarray(values, jnp.float32) for name, values in case.numbers.items()}


def lane(tree: Any, index: int) -> Any:
    """One entry of a mapped result."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def traced_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under `jax.jit`, failing at a second trace."""
    traces = []

    def counted(*args: Any) -> Any:
        traces.append(args)
        assert len(traces) == 1, "traced again for new values"
        return function(*args)

    return jax.jit(counted)
