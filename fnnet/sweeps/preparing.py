"""From the arguments of a sweep to what it is made of, with every check that needs no compiling."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from fnnet.data import Dataset
from fnnet.errors import HyperparameterError, StructureError, check_size
from fnnet.sweeps.drawing import Trial, draw_trials
from fnnet.sweeps.lanes import Lanes, choose_lanes
from fnnet.sweeps.planning import Group, check_group, check_ranges, choose_monitor_of_all, group_trials
from fnnet.sweeps.plans import Share, share_of
from fnnet.sweeps.space import Dimension, is_number
from fnnet.sweeps.work import Work, check_folds, check_share
from fnnet.train.checks import check_run
from fnnet.train.every import every_so_often
from fnnet.train.learner import Learner
from fnnet.train.programs import on_device
from fnnet.train.sampling import steps_per_epoch
from fnnet.train.stopping import EarlyStopping, check_early_stopping
from fnnet.types import Array

EPOCHS = "epochs"
"""The name under which epochs are drawn, which no hyperparameter can have."""


class Ready(NamedTuple):
    """What a sweep is made of; ``data`` are the data as they were given."""

    trials: list[Trial]
    groups: list[Group]
    work: Work
    lanes: Lanes
    share: Share
    data: dict[str, Dataset | None]


def prepare(
    where: str, learner: Callable[..., Learner], space: Any, train: Any, validation: Any, *, trials: int | None,
    seeds: int, epochs: int | Dimension, batch_size: int | None, key: Array, sampler: str, folds: int | None,
    monitor: str | None, evaluate_every: int | str, early_stopping: int | EarlyStopping | None, share: Sequence[str],
    lanes: str | int, devices: Sequence[jax.Device] | None, memory: float, scheduler: Any = None,
) -> Ready:  # fmt: skip
    """Checks and draws everything; see `fnnet.sweep` for the arguments."""
    each = epochs if isinstance(epochs, Dimension) else None
    least = 1 if each is not None else epochs
    train, validation, least, size = check_run(where, train, validation, least, batch_size, key)
    check_size(where, "seeds", seeds)
    split = check_folds(train, validation, folds, key)
    examples = len(train) if split is None else split.train[0].shape[1]
    size = None if size is None or size >= examples else size
    policy = choose_lanes(lanes, devices)
    if each is None:
        drawn, limits = draw_trials(space, trials, key, sampler), None
    else:
        drawn, limits = draw_with_epochs(where, space, each, trials, key, sampler)
    groups = group_trials(learner, drawn)
    check_ranges(learner, drawn)
    check_scheduler(where, scheduler, len(groups))
    for group in groups:
        check_group(group, space, train, train if split else validation, size)
    per_epoch = steps_per_epoch(examples, size)
    on_devices = on_device(train)
    work = Work(
        train=on_devices,
        validation=on_devices if split else None if validation is None else on_device(validation),
        split=split,
        batch_size=size,
        monitor=choose_monitor_of_all(groups, monitor, split is not None or validation is not None),
        seeds=int(seeds),
        folds=None if split is None else len(split.train[0]),
        steps=(least if limits is None else max(limits)) * per_epoch,
        limits=limits,
        per_epoch=per_epoch,
        period=every_so_often(where, "evaluate_every", evaluate_every, per_epoch, clock=False).steps or per_epoch,
        stopping=check_early_stopping(where, early_stopping),
        share=check_share(share),
        key=key,
    )
    data = {"train": train, "validation": validation}
    return Ready(drawn, groups, work, policy, share_of(memory, policy), data)


def check_scheduler(where: str, scheduler: Any, structures: int) -> None:
    """Raises unless a scheduler can be asked, and can do with several structures if there are some."""
    if scheduler is None:
        return
    if getattr(scheduler, "__factory__", False):
        name = scheduler.__name__
        raise StructureError(where, f"scheduler is {name} itself, which makes one. Call it: schedulers.{name}(…).")
    try:
        inspect.signature(scheduler).bind(None, None, None)
    except (TypeError, ValueError) as error:
        raise StructureError(
            where,
            f"scheduler is {scheduler!r}, but a function of (scores, epochs, key) is needed, such as "
            f"schedulers.successive_halving().",
        ) from error
    if getattr(scheduler, "copies_states", False) and structures > 1:
        raise StructureError(
            where,
            f"the scheduler copies parameters from trial to trial, but the space has {structures} structures. Leave "
            f"hp.static and functions out of it.",
        )


def draw_with_epochs(
    where: str, space: Any, epochs: Dimension, trials: int | None, key: Array, sampler: str
) -> tuple[list[Trial], tuple[int, ...]]:  # fmt: skip
    """Trials, and the epochs of each, which are drawn with the hyperparameters but are none of the learner's."""
    if not isinstance(space, Mapping):
        raise StructureError(
            where, "epochs is a dimension, but the space lists its trials. Give both as dimensions, or one number."
        )
    if EPOCHS in space or epochs.conditions:
        what = "it is conditional" if epochs.conditions else "the space has a hyperparameter of that name too"
        raise HyperparameterError(where, f"epochs is a dimension, but {what}. Give every trial one number of epochs.")
    drawn = draw_trials({**space, EPOCHS: epochs}, trials, key, sampler)
    limits = [trial.values[EPOCHS] for trial in drawn]
    for limit in limits:
        if not is_number(limit) or limit < 1 or limit != int(limit):
            raise HyperparameterError(where, f"epochs is {limit!r} in a trial, but it has to be a positive integer.")
    without = [Trial(*({n: v for n, v in part.items() if n != EPOCHS} for part in trial)) for trial in drawn]
    return without, tuple(map(int, limits))
