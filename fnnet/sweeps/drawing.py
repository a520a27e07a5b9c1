"""From a space to trials: drawn jointly, listed row by row, or descended from other trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet.errors import HyperparameterError, StructureError, check_number, check_size
from fnnet.recipes import describe
from fnnet.sweeps.conditions import UNDRAWN, as_dimensions, exists, same
from fnnet.sweeps.space import Dimension, check_hashable, is_number
from fnnet.types import Array

SAMPLERS = ("random", "sobol", "latin")

# What a generator is for: the positions of the trials, or the order of one block of combinations.
_POSITIONS, _BLOCK = 0, 1

_BELOW_ONE = math.nextafter(1.0, 0.0)


class Trial(NamedTuple):
    """The hyperparameters of one trial: numbers that are traced, and values that are structure.

    ``places`` has the position in [0, 1) of each that was drawn: rows that a user lists have none.
    """

    traced: dict[str, Any]
    static: dict[str, Any]
    places: Mapping[str, float] = {}

    @property
    def values(self) -> dict[str, Any]:
        """All hyperparameters by name."""
        return self.traced | self.static


def draw_trials(space: Any, trials: int | None, key: Array, sampler: str) -> list[Trial]:
    """The trials of a space.

    Enumerated dimensions (grid, static) are crossed and their combinations dealt out in blocks, each a permutation of
    all of them, so that each combination gets its share of any number of trials; a space of nothing else that is tried
    whole begins in order. The other dimensions are drawn jointly from a unit cube, in which each has an axis of its
    own even where it does not exist.

    With "random" and "sobol", a trial depends on the space, the key and its number alone: when more are asked for, the
    first ones stay as they are. "latin" divides the cube by the number of trials, so another number is another design;
    neither is a space of grids alone that is first tried in part and then whole.

    Args:
        space: a mapping from names to dimensions or constants, or explicit rows: dicts or a DataFrame. What a dict
            lacks, or what is an empty cell of the DataFrame, does not exist in that trial.
        trials: how many; None for one of each combination.
        key: random key.
        sampler: "random", "sobol" or "latin".
    """
    if not isinstance(space, Mapping):
        return _explicit(space, trials)
    dimensions = as_dimensions(space)
    if sampler not in SAMPLERS:
        raise HyperparameterError("sweep", f"sampler is {sampler!r}, but it has to be one of {', '.join(SAMPLERS)}.")
    drawn = [name for name, dimension in dimensions.items() if not dimension.enumerated]
    combinations = _combinations(dimensions)
    if trials is None:
        if drawn:
            raise HyperparameterError(
                "sweep", f"{drawn[0]!r} is drawn, so the number of trials has to be said: trials=64."
            )
        trials = len(combinations)
    check_size("sweep", "trials", trials)
    turns = _turns(key, len(combinations), trials, in_order=not drawn and trials >= len(combinations))
    cube = _unit_cube(sampler, trials, len(drawn), _generator(key, _POSITIONS))
    return [
        _at(dimensions, combinations[turn], dict(zip(drawn, row, strict=True)))
        for turn, row in zip(turns, cube.tolist(), strict=True)
    ]


def _combinations(dimensions: Mapping[str, Dimension]) -> list[dict[str, Any]]:
    """Every combination of enumerated values, with a mark for what may exist beside it and is drawn."""
    found: list[dict[str, Any]] = [{}]
    for name, dimension in dimensions.items():
        values = (dimension.values or ()) if dimension.enumerated else (UNDRAWN,)
        found = [
            grown
            for known in found
            for grown in ([known | {name: value} for value in values] if exists(dimension, known) else [known])
        ]
    return found


def _turns(key: Array, combinations: int, trials: int, in_order: bool) -> np.ndarray:
    """Which combination each trial has."""
    if combinations == 1:
        return np.zeros(trials, int)
    blocks = [_generator(key, _BLOCK, b).permutation(combinations) for b in range(-(-trials // combinations))]
    if in_order:
        blocks[0] = np.arange(combinations)
    return np.concatenate(blocks)[:trials]


def _generator(key: Array, *purpose: int) -> np.random.Generator:
    words = np.asarray(jax.random.key_data(key)).ravel().tolist()
    return np.random.default_rng(np.random.SeedSequence(words, spawn_key=purpose))


def _unit_cube(sampler: str, trials: int, axes: int, rng: np.random.Generator) -> np.ndarray:
    if sampler == "random" or axes == 0:
        return rng.random((trials, axes))
    from scipy.stats import qmc

    if sampler == "latin":
        return qmc.LatinHypercube(axes, rng=rng).random(trials)
    # Sobol points are balanced in powers of two; the first `trials` of the next power are taken.
    return qmc.Sobol(axes, rng=rng).random_base2(max(1, math.ceil(math.log2(trials))))[:trials]


def _at(dimensions: Mapping[str, Dimension], listed: Mapping[str, Any], places: Mapping[str, float]) -> Trial:
    """The trial of enumerated values and of positions, of both those that exist."""
    values: dict[str, Any] = {}
    for name, dimension in dimensions.items():
        if exists(dimension, values):
            values[name] = plain(listed[name]) if dimension.enumerated else _value_at(dimension, places[name])
    traced = {name for name in values if dimensions[name].traced}
    return _trial(values, traced, {name: place for name, place in places.items() if name in values})


def _value_at(dimension: Dimension, place: float) -> Any:
    # One by one: the exponential of a long array and of a short one may differ in the last bit.
    return plain(dimension.at(np.array([place]))[0])


def plain(value: Any) -> Any:
    """A number as Python's own instead of NumPy's."""
    return value.item() if isinstance(value, np.generic) else value


def _trial(values: Mapping[str, Any], traced: set[str], places: Mapping[str, float]) -> Trial:
    return Trial(
        {name: value for name, value in values.items() if name in traced},
        {name: value for name, value in values.items() if name not in traced},
        places,
    )


def _explicit(space: Any, trials: int | None) -> list[Trial]:
    rows = explicit_rows(space)
    if not isinstance(rows, Sequence) or not rows or not all(isinstance(row, Mapping) for row in rows):
        raise StructureError(
            "sweep",
            f"the space is a {type(space).__name__}; pass a dict of hp dimensions, a list of dicts or a DataFrame.",
        )
    if trials not in (None, len(rows)):
        raise HyperparameterError(
            "sweep", f"trials is {trials}, but the space lists {len(rows)} trials. Leave trials out."
        )
    # In one order, so that rows of the same names and structure are one group.
    names = list(dict.fromkeys(name for row in rows for name in row))
    traced = {name for name in names if _is_traced(name, [row[name] for row in rows if name in row])}
    return [_trial({name: plain(cell_value(row[name])) for name in names if name in row}, traced, {}) for row in rows]


def explicit_rows(space: Any) -> Any:
    """Explicit trials as a list of dicts, without the empty cells of a DataFrame."""
    if not hasattr(space, "to_dict"):
        return space
    rows = space.to_dict("records")
    there = space.notna().to_dict("records")
    return [{name: cell for name, cell in row.items() if known[name]} for row, known in zip(rows, there, strict=True)]


def cell_value(cell: Any) -> Any:
    """What a cell holds, which may be written hp.static(64) to say what it means."""
    return cell.arguments[0] if isinstance(cell, Dimension) else cell


def _is_traced(name: str, cells: list[Any]) -> bool:
    """Whether a column of explicit trials is: as its cells say, else as a constant or a choice would be."""
    said = [cell for cell in cells if isinstance(cell, Dimension)]
    for cell in said:
        if not cell.enumerated or len(cell.arguments) != 1 or cell.conditions:
            raise HyperparameterError(
                "sweep",
                f"hyperparameter {name!r} is {cell!r} in a row, but a row has one value of each: hp.static(64).",
            )
    values = [cell_value(cell) for cell in cells]
    check_hashable("sweep", values)
    if said:
        return all(cell.traced for cell in said)
    if all(value == values[0] for value in values):
        return isinstance(values[0], float | np.floating)
    return all(map(is_number, values))


def descend(space: Any, parents: Sequence[Trial], spread: float, rng: np.random.Generator) -> Trial:
    """A trial between its parents and close to them, for searches that vary what has done well.

    Each hyperparameter comes from one of the parents, at random. One that is drawn (uniform, log_uniform, normal,
    integers) then moves in its unit interval by a normal of standard deviation ``spread``, reflected at the ends; one
    whose values are listed (choice, grid, static) becomes another of them with probability ``spread``. What exists
    beside the child's values and has no parent is drawn.

    With one parent, what decides the program stays: values that are structure, and those on which others are
    conditional. So the child can go on with the parent's parameters. A spread of 0 and one parent is a copy.

    Args:
        space: the mapping from which the parents were drawn.
        parents: trials, of which each has the same chance.
        spread: at least 0; 0.1 is a tenth of each interval.
        rng: generator of all of these draws.

    Raises:
        StructureError: the space lists its trials.
        HyperparameterError: ``spread`` is out of range.

    >>> from fnnet import hp
    >>> parent = draw_trials({"rate": hp.log_uniform(1e-4, 1e-2)}, 1, jax.random.key(0), "random")[0]
    >>> child = descend({"rate": hp.log_uniform(1e-4, 1e-2)}, [parent], 0.1, np.random.default_rng(0))
    >>> round(child.places["rate"] - parent.places["rate"], 3)
    0.013
    """
    if not isinstance(space, Mapping):
        raise StructureError(
            "sweep",
            "the space lists its trials, but a search that changes hyperparameters needs dimensions: "
            "pass a dict such as {'learning_rate': hp.log_uniform(1e-4, 1e-1)}.",
        )
    check_number("sweep", "spread", spread, low=0.0)
    dimensions = as_dimensions(space)
    deciding = {name for name, d in dimensions.items() if not d.traced}
    deciding |= {condition.name for d in dimensions.values() for condition in d.conditions}
    values: dict[str, Any] = {}
    places: dict[str, float] = {}
    for name, dimension in dimensions.items():
        if not exists(dimension, values):
            continue
        having = [parent for parent in parents if name in parent.values]
        if not having:
            values[name], place = _fresh(dimension, rng)
        else:
            parent = having[rng.integers(len(having))]
            values[name], place = parent.values[name], parent.places.get(name)
            if len(parents) > 1 or name not in deciding:
                values[name], place = _moved(dimension, values[name], place, spread, rng)
        if place is not None:
            places[name] = place
    return _trial(values, {name for name in values if dimensions[name].traced}, places)


def _fresh(dimension: Dimension, rng: np.random.Generator) -> tuple[Any, float | None]:
    place = rng.random()
    return _value_at(dimension, place), None if dimension.enumerated else place


def _moved(
    dimension: Dimension, value: Any, place: float | None, spread: float, rng: np.random.Generator
) -> tuple[Any, float | None]:
    if dimension.values is not None:
        if rng.random() >= spread:
            return value, place
        others = [at for at, other in enumerate(dimension.values) if not same(value, other)]
        if not others:
            return value, place
        at = others[rng.integers(len(others))]
        new = (at + rng.random()) / len(dimension.values)
        return plain(dimension.values[at]), None if dimension.enumerated else new
    assert place is not None, f"{describe(value)} was drawn and has a place"
    moved = _reflected(place + spread * rng.normal())
    return (value, place) if moved == place else (_value_at(dimension, moved), moved)


def _reflected(place: float) -> float:
    """A position on the line, folded into [0, 1) as between two mirrors."""
    place %= 2.0
    return min(2.0 - place if place > 1.0 else place, _BELOW_ONE)
