"""From a space to trials, and from trials to groups that share one compiled program."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet.data import Dataset
from fnnet.errors import FnnetError, HyperparameterError, StructureError
from fnnet.recipes import describe
from fnnet.sweeps.space import Dimension, as_dimension, choice, static
from fnnet.train.checks import check_fit
from fnnet.train.learner import Learner, Monitor, check_learner, choose_monitor
from fnnet.types import Array

COLUMNS = ("trial", "seed", "fold", "status", "epochs", "seconds")
"""Columns of the table besides hyperparameters and scores."""

SAMPLERS = ("random", "sobol", "latin")


class Trial(NamedTuple):
    """The hyperparameters of one trial: numbers that are traced, and values that are structure."""

    traced: dict[str, Any]
    static: dict[str, Any]

    @property
    def values(self) -> dict[str, Any]:
        """All hyperparameters by name."""
        return self.traced | self.static


@dataclasses.dataclass(frozen=True)
class Build:
    """Makes the learner of one group from traced hyperparameters; equal for equal function and structure."""

    function: Callable[..., Learner]
    static: tuple[tuple[str, Any], ...]
    # Types of the static values: 1, 1.0 and True are equal to Python but not to a program.
    kinds: tuple[type, ...] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(type(value) for _, value in self.static))

    def __call__(self, hyperparameters: Any) -> Learner:
        """The learner with these hyperparameters and the group's structure."""
        learner = self.function(**hyperparameters, **dict(self.static))
        check_learner("sweep", learner)
        return learner


class Group(NamedTuple):
    """Trials that differ in traced numbers only: they are lanes of one program."""

    build: Build
    trials: list[int]
    hyperparameters: dict[str, np.ndarray]


def draw_trials(space: Any, trials: int | None, key: Array, sampler: str) -> list[Trial]:
    """The trials of a space.

    Enumerated dimensions (grid, static) are crossed and dealt out in turn, so that each combination gets its
    share of the trials; in order if each is tried once, else shuffled. The other dimensions are drawn jointly
    from a unit cube by the sampler.

    Args:
        space: a mapping from names to dimensions or constants, or explicit rows: dicts or a DataFrame.
        trials: how many; None for one of each combination.
        key: random key.
        sampler: "random", "sobol" or "latin".
    """
    if not isinstance(space, Mapping):
        return _explicit(space, trials)
    dimensions = {name: as_dimension(name, value) for name, value in space.items()}
    if sampler not in SAMPLERS:
        raise HyperparameterError("sweep", f"sampler is {sampler!r}, but it has to be one of {', '.join(SAMPLERS)}.")
    crossed = {name: d.values for name, d in dimensions.items() if d.enumerated and d.values is not None}
    drawn = {name: d for name, d in dimensions.items() if not d.enumerated}
    combinations = list(itertools.product(*crossed.values()))
    if trials is None:
        if drawn:
            raise HyperparameterError(
                "sweep", f"{next(iter(drawn))!r} is drawn, so the number of trials has to be said: trials=64."
            )
        trials = len(combinations)
    if isinstance(trials, bool) or not isinstance(trials, int | np.integer) or trials < 1:
        raise HyperparameterError("sweep", f"trials is {trials!r}, but it has to be a positive integer.")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    turns = np.arange(trials)
    if drawn or trials != len(combinations):
        # Shuffled twice: which combinations get one trial more, and which trials they are, since neighbours in a
        # Sobol sequence lie in opposite halves of the cube and taking turns would tie these to the combinations.
        turns = rng.permutation(rng.permutation(len(combinations))[turns % len(combinations)])
    cube = _unit_cube(sampler, trials, len(drawn), rng)
    columns = {name: list(d.at(cube[:, axis])) for axis, (name, d) in enumerate(drawn.items())}
    rows = []
    for i in range(trials):
        values = dict(zip(crossed, combinations[turns[i]], strict=True))
        values |= {name: column[i] for name, column in columns.items()}
        rows.append(_trial({name: values[name] for name in dimensions}, dimensions))
    return rows


def _unit_cube(sampler: str, trials: int, axes: int, rng: np.random.Generator) -> np.ndarray:
    if sampler == "random" or axes == 0:
        return rng.random((trials, axes))
    from scipy.stats import qmc

    if sampler == "latin":
        return qmc.LatinHypercube(axes, rng=rng).random(trials)
    # Sobol points are balanced in powers of two; the first `trials` of the next power are taken.
    return qmc.Sobol(axes, rng=rng).random_base2(max(1, math.ceil(math.log2(trials))))[:trials]


def _explicit(space: Any, trials: int | None) -> list[Trial]:
    rows = _rows(space)
    if not isinstance(rows, Sequence) or not rows or not all(isinstance(row, Mapping) for row in rows):
        raise StructureError(
            "sweep",
            f"the space is a {type(space).__name__}; pass a dict of hp dimensions, a list of dicts or a DataFrame.",
        )
    if trials not in (None, len(rows)):
        raise HyperparameterError(
            "sweep", f"trials is {trials}, but the space lists {len(rows)} trials. Leave trials out."
        )
    for row in rows:
        if row.keys() != rows[0].keys():
            names = ", ".join(sorted(map(str, row.keys() ^ rows[0].keys())))
            raise HyperparameterError(
                "sweep", f"the rows of the space differ in {names}. Give every row the same names."
            )
    dimensions = {name: _column(name, [row[name] for row in rows]) for name in rows[0]}
    return [_trial({name: _value(value) for name, value in row.items()}, dimensions) for row in rows]


def _column(name: str, cells: list[Any]) -> Dimension:
    """A column of explicit trials as a dimension: static where it says so, else as a constant or a choice."""
    values = [_value(cell) for cell in cells]
    if any(isinstance(cell, Dimension) and not cell.traced for cell in cells):
        return static(*values)
    return as_dimension(name, values[0]) if all(value == values[0] for value in values) else choice(*values)


def _value(cell: Any) -> Any:
    """What a cell holds, which may be written hp.static(64) to say what it means."""
    return cell.values[0] if isinstance(cell, Dimension) and cell.values else cell


def _rows(space: Any) -> Any:
    """Explicit trials as a list of dicts."""
    return space.to_dict("records") if hasattr(space, "to_dict") else space


def _trial(values: dict[str, Any], dimensions: dict[str, Dimension]) -> Trial:
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
    return Trial(
        {name: value for name, value in plain.items() if dimensions[name].traced},
        {name: value for name, value in plain.items() if not dimensions[name].traced},
    )


def group_trials(learner: Callable[..., Learner], trials: list[Trial]) -> list[Group]:
    """Trials by structure, in the order in which each structure first appears."""
    _check_names(learner, trials[0].values)
    members: dict[Build, list[int]] = {}
    for number, trial in enumerate(trials):
        build = Build(learner, tuple(trial.static.items()))
        members.setdefault(build, []).append(number)
    groups = []
    for build, numbers in members.items():
        names = trials[numbers[0]].traced
        columns = {name: np.asarray([trials[n].traced[name] for n in numbers]) for name in names}
        groups.append(Group(build, numbers, {name: narrowed(name, column) for name, column in columns.items()}))
    return groups


def narrowed(name: str, column: np.ndarray) -> np.ndarray:
    """The values in the dtype that JAX gives them, which has to hold them."""
    narrow = column.astype(jax.dtypes.canonicalize_dtype(column.dtype))
    lost = (narrow != column) if column.dtype.kind in "iu" else (np.isinf(narrow) & np.isfinite(column))
    if lost.any():
        raise HyperparameterError(
            "sweep", f"hyperparameter {name!r} is {column[lost][0]}, which {narrow.dtype} does not hold."
        )
    return narrow


def _check_names(learner: Callable[..., Learner], values: dict[str, Any]) -> None:
    for name in values:
        if name in COLUMNS or "/" in name:
            raise HyperparameterError(
                "sweep",
                f"a hyperparameter is named {name!r}, which is a column of the table. Rename it in the learner.",
            )
    if not callable(learner):
        raise StructureError(
            "sweep",
            f"learner is {learner!r}, but a sweep needs the function that makes one from hyperparameters. "
            f"Pass learner, not learner().",
        )
    parameters = inspect.signature(learner).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in values:
        if name not in parameters and not takes_any:
            close = difflib.get_close_matches(name, parameters, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise HyperparameterError(
                "sweep",
                f"the learner has no hyperparameter {name!r}; it has {', '.join(map(repr, parameters))}.{hint}",
            )
    missing = [
        n
        for n, p in parameters.items()
        if p.default is p.empty and n not in values and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    if missing:
        raise HyperparameterError(
            "sweep", f"the learner needs {missing[0]!r}, which is neither in the space nor has a default."
        )


def check_ranges(learner: Callable[..., Learner], trials: list[Trial]) -> None:
    """Raises if a learner refuses a trial's numbers: traced, they would pass.

    A number that is not finite is left to its lane, where it harms nobody else.
    """
    for number, trial in enumerate(trials):
        if not all(np.isfinite(value) for value in trial.traced.values()):
            continue
        try:
            check_learner("sweep", learner(**trial.values))
        except HyperparameterError as error:
            values = ", ".join(f"{name}={describe(value)}" for name, value in trial.values.items())
            raise HyperparameterError(
                "sweep", f"trial {number} ({values}): {error.where}: {error.sentence} Narrow the space."
            ) from error


def described(group: Group) -> str:
    """The learner of a group in words, its traced hyperparameters as ``array()``."""
    said: list[str] = []

    def ask(hyperparameters: dict[str, Any]) -> None:
        said.append(describe(group.build(hyperparameters)))

    jax.eval_shape(ask, {name: column[0] for name, column in group.hyperparameters.items()})
    return said[0]


def choose_monitor_of_all(groups: list[Group], wanted: str | None, validated: bool) -> Monitor:
    """The monitor of the learners of all groups, which has to be one; see `choose_monitor`."""
    said: list[Monitor] = []
    for group in groups:

        def ask(hyperparameters: dict[str, Any], group: Group = group) -> None:
            said.append(choose_monitor("sweep", group.build(hyperparameters), wanted, validated))

        jax.eval_shape(ask, {name: column[0] for name, column in group.hyperparameters.items()})
        if said[-1] != said[0]:
            static = ", ".join(f"{name}={describe(value)}" for name, value in group.build.static)
            raise HyperparameterError(
                "sweep",
                f"runs with {static} are judged by {said[-1].name!r} and the first ones by {said[0].name!r}. "
                f"Give every learner the same first metric, or say monitor=….",
            )
    return said[0]


def check_group(group: Group, space: Any, train: Dataset, validation: Dataset | None, batch_size: int | None) -> None:
    """Raises what tracing would find, in terms of hyperparameters, before anything is compiled.

    Numbers are tracers here, so that a value such as NaN is left to its own lane.
    """
    first = {name: column[0] for name, column in group.hyperparameters.items()}

    def check(traced: Sequence[str]) -> None:
        known = {name: value.item() for name, value in first.items() if name not in traced}

        def body(unknown: dict[str, Any]) -> None:
            check_fit("sweep", group.build({**unknown, **known}), train, validation, batch_size)

        jax.eval_shape(body, {name: first[name] for name in traced})

    try:
        check(list(first))
    except (FnnetError, TypeError, ValueError, jax.errors.JAXTypeError) as error:
        for name in first:
            try:
                check([name])
            except (FnnetError, TypeError, ValueError, jax.errors.JAXTypeError) as alone:
                if not _works(check):
                    break
                raise _untraceable(name, space, alone) from error
        raise


def _works(check: Callable[[Sequence[str]], None]) -> bool:
    """Whether the group is sound once nothing is traced, so that tracing is the cause."""
    try:
        check([])
    except (FnnetError, TypeError, ValueError):
        return False
    return True


def _untraceable(name: str, space: Any, error: Exception) -> HyperparameterError:
    if isinstance(space, Mapping):
        values, where = as_dimension(name, space[name]).examples(), ""
    else:
        values, where = describe(_value(_rows(space)[0][name])), " in each row"
    if isinstance(error, jax.errors.TracerBoolConversionError):
        what = "decides a Python branch"
    elif isinstance(error, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError):
        what = "is turned into a number of Python or NumPy (compute with jax.numpy instead)"
    else:
        what = "fixes a shape"
    return HyperparameterError(
        "sweep", f"hyperparameter {name!r} {what}, so it cannot be traced. Declare it hp.static({values}){where}."
    )
