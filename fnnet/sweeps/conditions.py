"""Which hyperparameters exist beside which values of the others, as `fnnet.hp.when` declares it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fnnet.errors import HyperparameterError
from fnnet.recipes import describe
from fnnet.sweeps.space import Condition, Dimension, as_dimension, is_whole


def as_dimensions(space: Mapping[str, Any]) -> dict[str, Dimension]:
    """The dimensions of a space, each behind those that its conditions name.

    Raises:
        HyperparameterError: a condition names what is not there, what never has that value, or goes in a circle.
    """
    dimensions = {name: as_dimension(name, value) for name, value in space.items()}
    for name, dimension in dimensions.items():
        for condition in dimension.conditions:
            _check_condition(name, condition, dimensions)
    ordered: dict[str, Dimension] = {}
    while len(ordered) < len(dimensions):
        left = {name: dimension for name, dimension in dimensions.items() if name not in ordered}
        ready = [name for name in left if all(condition.name in ordered for condition in left[name].conditions)]
        if not ready:
            raise HyperparameterError(
                "sweep",
                f"the conditions of {' and '.join(map(repr, left))} go in a circle, so that none of them can be "
                f"drawn first. Leave hp.when out of one of them.",
            )
        ordered[ready[0]] = dimensions[ready[0]]
    return ordered


def _check_condition(name: str, condition: Condition, dimensions: Mapping[str, Dimension]) -> None:
    rule = f"hyperparameter {name!r} exists where {condition}, but"
    other = dimensions.get(condition.name)
    if other is None:
        close = difflib.get_close_matches(condition.name, dimensions, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        has = ", ".join(map(repr, dimensions))
        raise HyperparameterError("sweep", f"{rule} the space has no {condition.name!r}; it has {has}.{hint}")
    if other.values is None and other.kind != "integers":
        raise HyperparameterError(
            "sweep", f"{rule} a draw from {other!r} hardly ever is a given number. Use hp.choice, hp.grid or hp.static."
        )
    never = [value for value in condition.values if not _has(other, value)]
    if never:
        raise HyperparameterError(
            "sweep",
            f"{rule} {condition.name!r} never is {describe(never[0])}: it is {other!r}. (A tuple in hp.when is several "
            f"values; one value that is a tuple is written ((8, 8),).)",
        )


def _has(dimension: Dimension, value: Any) -> bool:
    if dimension.values is None:
        low, high = dimension.arguments
        return is_whole(value) and low <= value <= high
    return any(same(value, other) for other in dimension.values)


UNDRAWN = object()
"""Stands for a value that may be any."""


def exists(dimension: Dimension, values: Mapping[str, Any]) -> bool:
    """Whether a hyperparameter exists beside these values of those before it."""
    return all(
        name in values and (values[name] is UNDRAWN or any(same(values[name], value) for value in wanted))
        for name, wanted in dimension.conditions
    )


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal; True is not 1."""
    return isinstance(one, bool | np.bool_) == isinstance(other, bool | np.bool_) and bool(one == other)
