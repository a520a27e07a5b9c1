"""`sweep`: many networks, trained as the lanes of one program for each structure."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from fnnet.data import Dataset
from fnnet.errors import DivergenceWarning, HyperparameterError
from fnnet.sweeps.campaign import Campaign
from fnnet.sweeps.drawing import draw_trials
from fnnet.sweeps.generations import Scheduler
from fnnet.sweeps.lanes import choose_lanes
from fnnet.sweeps.ledger import Ledger
from fnnet.sweeps.planning import check_group, check_ranges, choose_monitor_of_all, group_trials
from fnnet.sweeps.request import request
from fnnet.sweeps.results import Sweep
from fnnet.sweeps.work import Work, check_folds, check_share
from fnnet.train.checks import check_run
from fnnet.train.driving import interruption
from fnnet.train.every import every_so_often
from fnnet.train.learner import Learner
from fnnet.train.programs import on_device
from fnnet.train.progress import Progress
from fnnet.train.sampling import steps_per_epoch
from fnnet.train.stopping import EarlyStopping, check_early_stopping
from fnnet.types import Array


def sweep(
    learner: Callable[..., Learner],
    space: Any,
    train: Dataset,
    *,
    validation: Dataset | None = None,
    trials: int | None = None,
    seeds: int = 1,
    epochs: int,
    batch_size: int | None = 32,
    key: Array,
    sampler: str = "random",
    folds: int | None = None,
    monitor: str | None = None,
    evaluate_every: int | str = 1,
    early_stopping: int | EarlyStopping | None = None,
    scheduler: Scheduler | None = None,
    share: Sequence[str] = (),
    lanes: str | int = "auto",
    devices: Sequence[jax.Device] | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    command: str | None = None,
) -> Sweep:
    """Trains one network for each trial and seed, all of one structure as one compiled program.

    Float and integer hyperparameters are arguments of the program, so any number of trials compiles once;
    values that are structure (``hp.static``, functions, strings) make groups, one program each. Every draw of a
    run comes from (key, trial, seed) alone: run (t, s) is ``fit(learner(**hyperparameters of t), …,
    key=fold_in(fold_in(key, t), s))`` up to rounding, whatever else is in the sweep; fold f is folded in last.

    Args:
        learner: the function from hyperparameters to a `Learner`.
        space: from names to dimensions of `fnnet.hp` or constants; or trials as a list of dicts or a DataFrame.
        train: training data, or the pair (inputs, targets).
        validation: data that choose the best parameters of each run, and the best run.
        trials: how many; None for every combination of an enumerated space.
        seeds: runs a trial.
        epochs: how often each run sees each example.
        batch_size: examples a step; None for all.
        key: root of every draw, of the trials too.
        sampler: "random", "sobol" or "latin", for dimensions that are drawn.
        folds: k of a k-fold cross-validation, in place of ``validation``: each trial and seed is trained k times, and
            each row is for validation once, as `data.folds` deals them out by ``key``.
        monitor: the score that chooses; the first metric unless told, or the loss.
        evaluate_every: epochs between evaluations, or "500 steps".
        early_stopping: evaluations without improvement after which a run stops, or `EarlyStopping`.
        scheduler: who decides which trials go on and how far, such as `fnnet.schedulers.successive_halving`; None
            trains all to the end.
        share: what trials of the same seed and fold draw in common, any of "initialization", "data" and "dropout", so
            that they are compared in pairs; nothing unless told.
        lanes: "map" (one lane after another), "vmap" (all at once), a number (so many at once), "auto".
        devices: to divide the lanes over; all local ones unless told.
        out: a folder for every run, the tables and the best model. After a crash the same call goes on where it was;
            one that asks for more trials, seeds or epochs goes on with what there is.
        progress: whether to show a line of progress.
        command: the command line that this call comes from, kept in ``out`` for reports.

    Returns:
        `Sweep`. After Ctrl-C it holds what there is.

    Raises:
        HyperparameterError, StructureError, ShapeError, DataError: before anything is compiled.

    Warns:
        DivergenceWarning: runs whose loss or update was not finite; the others are unaffected.

    >>> import jax, fnnet
    >>> from fnnet import data, hp, losses, metrics, nn, optim
    >>> train, test = data.split(data.load("iris"), fraction=0.2, key=jax.random.key(0))
    >>> def learner(learning_rate):
    ...     return fnnet.Learner(
    ...         nn.dense(3), losses.softmax_cross_entropy, optim.adam(learning_rate), {"accuracy": metrics.accuracy}
    ...     )
    >>> result = fnnet.sweep(
    ...     learner, {"learning_rate": hp.log_uniform(1e-3, 1e-1)}, train, validation=test,
    ...     trials=4, epochs=5, key=jax.random.key(1), progress=False,
    ... )
    >>> len(result.table), result.best["status"]
    (4, 'finished')
    """
    train, validation, epochs, size = check_run("sweep", train, validation, epochs, batch_size, key)
    if isinstance(seeds, bool) or not isinstance(seeds, int | np.integer) or seeds < 1:
        raise HyperparameterError("sweep", f"seeds is {seeds!r}, but it has to be a positive integer.")
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
    device_train = on_device(train)
    work = Work(
        train=device_train,
        validation=device_train if split else None if validation is None else on_device(validation),
        split=split,
        batch_size=size,
        monitor=choose_monitor_of_all(groups, monitor, split is not None or validation is not None),
        seeds=int(seeds),
        folds=None if split is None else len(split.train[0]),
        steps=epochs * per_epoch,
        per_epoch=per_epoch,
        period=every_so_often("sweep", "evaluate_every", evaluate_every, per_epoch, clock=False).steps or per_epoch,
        stopping=check_early_stopping("sweep", early_stopping),
        share=check_share(share),
        key=key,
    )
    data = {"train": train, "validation": validation}
    asked = request(learner, groups, space, data, len(drawn), sampler, scheduler, work, command)
    ledger = Ledger.open(out, asked, work.period)
    try:
        with Progress(epochs, "sweep", progress) as bar, interruption() as interrupted:
            campaign = Campaign(learner, space, drawn, work, scheduler, policy, ledger, bar, interrupted)
            campaign.checked.update(group.build for group in groups)
            swept = campaign.go()
        if not swept.begun:
            raise KeyboardInterrupt
        if ledger is not None:
            ledger.finish(swept)
    finally:
        if ledger is not None:
            ledger.close()
    sentence = swept.divergence()
    if sentence:
        warnings.warn(sentence, DivergenceWarning, stacklevel=2)
    return swept
