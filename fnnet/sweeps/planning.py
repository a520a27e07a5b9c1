"""From trials to groups that share one compiled program, and what is checked before it is compiled."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from fnnet.data import Dataset
from fnnet.errors import FnnetError, HyperparameterError, StructureError
from fnnet.recipes import describe
from fnnet.sweeps.drawing import Trial, cell_value, explicit_rows
from fnnet.sweeps.space import as_dimension
from fnnet.train.checks import check_fit
from fnnet.train.learner import Learner, Monitor, check_learner, choose_monitor

COLUMNS = ("trial", "seed", "fold", "status", "epochs", "seconds")
"""Columns of the table besides hyperparameters and scores."""


@dataclasses.dataclass(frozen=True)
class Build:
    """Makes the learner of one group from traced hyperparameters; equal for equal function and structure."""

    function: Callable[..., Learner]
    static: tuple[tuple[str, Any], ...]
    # Types of the static values: 1, 1.0 and True are equal to Python but not to a program.
    kinds: tuple[type, ...] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(type(value) for _, value in self.static))

    @property
    def shown(self) -> dict[str, Any]:
        """The structure as cells of a table."""
        return {name: cell(value) for name, value in self.static}

    def __call__(self, hyperparameters: Any) -> Learner:
        """The learner with these hyperparameters and the group's structure."""
        learner = self.function(**hyperparameters, **dict(self.static))
        check_learner("sweep", learner)
        return learner


GroupKey: TypeAlias = tuple[Build, tuple[str, ...]]
"""A structure, and the names of the numbers that are traced."""


class Group(NamedTuple):
    """Trials that differ in traced numbers only: they are lanes of one program."""

    build: Build
    trials: list[int]
    hyperparameters: dict[str, np.ndarray]

    @property
    def key(self) -> GroupKey:
        """What the trials have in common."""
        return self.build, tuple(self.hyperparameters)

    @property
    def first(self) -> dict[str, Any]:
        """The traced hyperparameters of the first trial, whose shapes are those of all."""
        return {name: column[0] for name, column in self.hyperparameters.items()}


def cell(value: Any) -> Any:
    """A hyperparameter as a table holds it: numbers, strings and booleans as they are, anything else by name."""
    return value if isinstance(value, int | float | str | bool | None) else describe(value)


def group_trials(learner: Callable[..., Learner], trials: list[Trial]) -> list[Group]:
    """Trials by structure and by which numbers they have, in the order in which each first appears."""
    _check_names(learner, trials)
    members: dict[tuple[Build, tuple[str, ...]], list[int]] = {}
    for number, trial in enumerate(trials):
        build = Build(learner, tuple(trial.static.items()))
        members.setdefault((build, tuple(trial.traced)), []).append(number)
    groups = []
    for (build, names), numbers in members.items():
        columns = {name: np.asarray([trials[n].traced[name] for n in numbers]) for name in names}
        groups.append(Group(build, numbers, {name: narrowed(name, column) for name, column in columns.items()}))
    return groups


def labelled(groups: Sequence[Group], known: Mapping[GroupKey, str]) -> dict[GroupKey, str]:
    """A label for each structure, which another process finds too, beside those that are ``known``.

    Structures of the same words, such as two lambdas, are numbered in the order in which they appear.
    """
    labels = dict(known)
    for group in groups:
        if group.key in labels:
            continue
        static = [f"{name}={describe(value)}" for name, value in group.build.static]
        words, taken = ", ".join([*static, *group.hyperparameters]), set(labels.values())
        numbered = (f"{words} ({number})" for number in itertools.count(2))
        labels[group.key] = next(label for label in itertools.chain([words], numbered) if label not in taken)
    return labels


def narrowed(name: str, column: np.ndarray) -> np.ndarray:
    """The values in the dtype that JAX gives them, which has to hold them."""
    narrow = column.astype(jax.dtypes.canonicalize_dtype(column.dtype))
    lost = (narrow != column) if column.dtype.kind in "iu" else (np.isinf(narrow) & np.isfinite(column))
    if lost.any():
        raise HyperparameterError(
            "sweep", f"hyperparameter {name!r} is {column[lost][0]}, which {narrow.dtype} does not hold."
        )
    return narrow


def _check_names(learner: Callable[..., Learner], trials: list[Trial]) -> None:
    for name in dict.fromkeys(name for trial in trials for name in trial.values):
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
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    checked = set()
    for number, trial in enumerate(trials):
        names = frozenset(trial.values)
        if names in checked:
            continue
        checked.add(names)
        for name in trial.values:
            if name not in parameters and not takes_any:
                close = difflib.get_close_matches(name, parameters, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise HyperparameterError(
                    "sweep",
                    f"the learner has no hyperparameter {name!r}; it has {', '.join(map(repr, parameters))}.{hint}",
                )
        for name in needed:
            if name not in names:
                raise _missing(name, number, trials)


def _missing(name: str, number: int, trials: list[Trial]) -> HyperparameterError:
    if not any(name in trial.values for trial in trials):
        return HyperparameterError(
            "sweep", f"the learner needs {name!r}, which is neither in the space nor has a default."
        )
    return HyperparameterError(
        "sweep",
        f"the learner needs {name!r}, which does not exist in trial {number} ({_said(trials[number].values)}). "
        f"Give it a default in the learner.",
    )


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={describe(value)}" for name, value in values.items())


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
            raise HyperparameterError(
                "sweep", f"trial {number} ({_said(trial.values)}): {error.where}: {error.sentence} Narrow the space."
            ) from error


def described(group: Group) -> str:
    """The learner of a group in words, its traced hyperparameters as ``array()``."""
    said: list[str] = []

    def ask(hyperparameters: dict[str, Any]) -> None:
        said.append(describe(group.build(hyperparameters)))

    jax.eval_shape(ask, group.first)
    return said[0]


def choose_monitor_of_all(groups: list[Group], wanted: str | None, validated: bool) -> Monitor:
    """The monitor of the learners of all groups, which has to be one; see `choose_monitor`."""
    said: list[Monitor] = []
    for group in groups:

        def ask(hyperparameters: dict[str, Any], group: Group = group) -> None:
            said.append(choose_monitor("sweep", group.build(hyperparameters), wanted, validated))

        jax.eval_shape(ask, group.first)
        if said[-1] != said[0]:
            which = _said(dict(group.build.static)) or ", ".join(group.hyperparameters)
            raise HyperparameterError(
                "sweep",
                f"runs with {which} are judged by {said[-1].name!r} and the first ones by {said[0].name!r}. "
                f"Give every learner the same first metric, or say monitor=….",
            )
    return said[0]


def check_group(group: Group, space: Any, train: Dataset, validation: Dataset | None, batch_size: int | None) -> None:
    """Raises what tracing would find, in terms of hyperparameters, before anything is compiled.

    Numbers are tracers here, so that a value such as NaN is left to its own lane.
    """
    first = group.first

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
        dimension = as_dimension(name, space[name])
        values, where = dimension.examples(), " inside of hp.when" if dimension.conditions else ""
    else:
        cells = [row[name] for row in explicit_rows(space) if name in row]
        values, where = describe(cell_value(cells[0])), " in each row"
    if isinstance(error, jax.errors.TracerBoolConversionError):
        what = "decides a Python branch"
    elif isinstance(error, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError):
        what = "is turned into a number of Python or NumPy (compute with jax.numpy instead)"
    else:
        what = "fixes a shape"
    return HyperparameterError(
        "sweep", f"hyperparameter {name!r} {what}, so it cannot be traced. Declare it hp.static({values}){where}."
    )
