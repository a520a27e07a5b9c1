"""From the arguments of a sweep to what it is made of, with every check that needs no compiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet.data import Dataset
from fnnet.errors import HyperparameterError
from fnnet.sweeps.drawing import Trial, draw_trials
from fnnet.sweeps.lanes import Lanes, choose_lanes
from fnnet.sweeps.planning import Group, check_group, check_ranges, choose_monitor_of_all, group_trials
from fnnet.sweeps.plans import Share, share_of
from fnnet.sweeps.work import Work, check_folds, check_share
from fnnet.train.checks import check_run
from fnnet.train.every import every_so_often
from fnnet.train.learner import Learner
from fnnet.train.programs import on_device
from fnnet.train.sampling import steps_per_epoch
from fnnet.train.stopping import EarlyStopping, check_early_stopping
from fnnet.types import Array


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
    seeds: int, epochs: int, batch_size: int | None, key: Array, sampler: str, folds: int | None, monitor: str | None,
    evaluate_every: int | str, early_stopping: int | EarlyStopping | None, share: Sequence[str], lanes: str | int,
    devices: Sequence[jax.Device] | None, memory: float,
) -> Ready:  # fmt: skip
    """Checks and draws everything; see `fnnet.sweep` for the arguments."""
    train, validation, epochs, size = check_run(where, train, validation, epochs, batch_size, key)
    if isinstance(seeds, bool) or not isinstance(seeds, int | np.integer) or seeds < 1:
        raise HyperparameterError(where, f"seeds is {seeds!r}, but it has to be a positive integer.")
    split = check_folds(train, validation, folds, key)
    examples = len(train) if split is None else split.train[0].shape[1]
    size = None if size is None or size >= examples else size
    policy = choose_lanes(lanes, devices)
    drawn = draw_trials(space, trials, key, sampler)
    groups = group_trials(learner, drawn)
    check_ranges(learner, drawn)
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
        steps=epochs * per_epoch,
        per_epoch=per_epoch,
        period=every_so_often(where, "evaluate_every", evaluate_every, per_epoch, clock=False).steps or per_epoch,
        stopping=check_early_stopping(where, early_stopping),
        share=check_share(share),
        key=key,
    )
    data = {"train": train, "validation": validation}
    return Ready(drawn, groups, work, policy, share_of(memory, policy), data)
