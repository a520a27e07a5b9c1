"""`sweep`: many networks, trained as the lanes of one program for each structure; and `plan`, what it will be."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax

from fnnet.data import Dataset
from fnnet.errors import DivergenceWarning, StructureError
from fnnet.sweeps.campaign import Campaign
from fnnet.sweeps.ledger import Ledger
from fnnet.sweeps.plans import Plan, make_plan
from fnnet.sweeps.preparing import prepare
from fnnet.sweeps.request import request
from fnnet.sweeps.results import Sweep
from fnnet.sweeps.schedulers import Scheduler
from fnnet.sweeps.space import Dimension
from fnnet.train.driving import interruption
from fnnet.train.learner import Learner
from fnnet.train.progress import Progress
from fnnet.train.stopping import EarlyStopping
from fnnet.types import Array


def sweep(
    learner: Callable[..., Learner],
    space: Any,
    train: Dataset,
    *,
    validation: Dataset | None = None,
    trials: int | None = None,
    seeds: int = 1,
    epochs: int | Dimension,
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
    memory: float = 0.5,
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
        epochs: how often each run sees each example; a dimension such as ``hp.integers(5, 50)`` gives every trial its
            own.
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
        lanes: "map" (one lane after another), "vmap" (all at once), a number (so many at once), or "auto": what a
            short timing finds best, if there is enough to do for it to pay.
        devices: to divide the lanes over; all local ones unless told.
        memory: the share of each device's memory that may be used; runs that do not fit wait.
        out: a folder for every run, the tables and the best model. After a crash the same call goes on where it was;
            one that asks for more trials, seeds or epochs goes on with what there is.
        progress: whether to show a line of progress.
        command: the command line that this call comes from, kept in ``out`` for reports.

    Returns:
        `Sweep`. After Ctrl-C it holds what there is.

    Raises:
        HyperparameterError, StructureError, ShapeError, DataError: before anything is compiled.

    Warns:
        DivergenceWarning: runs whose loss or new parameters were not finite; the others are unaffected.

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
    ready = prepare(
        "sweep", learner, space, train, validation, trials=trials, seeds=seeds, epochs=epochs, batch_size=batch_size,
        key=key, sampler=sampler, folds=folds, monitor=monitor, evaluate_every=evaluate_every,
        early_stopping=early_stopping, share=share, lanes=lanes, devices=devices, memory=memory,
        scheduler=scheduler,
    )  # fmt: skip
    asked = request(
        learner, ready.groups, space, ready.data, ready.trials, sampler, scheduler, ready.work, command
    )  # fmt: skip
    with Ledger.open(out, asked) as ledger:
        planned = make_plan(ready.trials, ready.groups, ready.work, ready.lanes, ready.share, exactly=False)
        with Progress(planned.epochs, "sweep", progress) as bar, interruption() as interrupted:
            bar.say(str(planned))
            swept = Campaign(
                learner, space, ready.trials, ready.work, planned, ready.lanes, scheduler, ledger, bar, interrupted
            ).go()
        if not swept.begun:
            if swept.over:
                raise StructureError(
                    "sweep",
                    "the scheduler sent no trial anywhere when it was first asked, so nothing was trained. Its "
                    "Decisions need epochs above 0 where scores.shape[1] == 0.",
                )
            raise KeyboardInterrupt
        if ledger is not None:
            ledger.finish(swept)
    sentence = swept.divergence()
    if sentence:
        warnings.warn(sentence, DivergenceWarning, stacklevel=2)
    return swept


def plan(
    learner: Callable[..., Learner],
    space: Any,
    train: Dataset,
    *,
    validation: Dataset | None = None,
    trials: int | None = None,
    seeds: int = 1,
    epochs: int | Dimension,
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
    memory: float = 0.5,
) -> Plan:
    """What `sweep` with these arguments will be: runs, programs, lanes at once, bytes, floating-point operations.

    Nothing is trained. Of each structure the program is compiled for two small numbers of lanes, which says what a
    lane needs; `sweep` does so itself only if its estimate comes near the memory that it may use.

    Args:
        learner, space, train, validation, trials, seeds, epochs, batch_size, key, sampler, folds: as in `sweep`.
        monitor, evaluate_every, early_stopping, scheduler, share, lanes, devices, memory: as in `sweep`. The plan is of
            the most: every trial to its end.

    Returns:
        `Plan`; printed, it says all of this in a few lines.

    Raises:
        HyperparameterError, StructureError, ShapeError, DataError: as `sweep` would.

    >>> import jax, fnnet
    >>> from fnnet import data, hp, losses, nn, optim
    >>> def learner(learning_rate):
    ...     return fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.adam(learning_rate))
    >>> planned = fnnet.plan(
    ...     learner, {"learning_rate": hp.log_uniform(1e-3, 1e-1)}, data.load("iris"), trials=100, seeds=2, epochs=5,
    ...     key=jax.random.key(1), folds=5,
    ... )
    >>> planned.runs, planned.updates, planned.groups[0].parameters
    (1000, 20, 15)
    """
    ready = prepare(
        "plan", learner, space, train, validation, trials=trials, seeds=seeds, epochs=epochs, batch_size=batch_size,
        key=key, sampler=sampler, folds=folds, monitor=monitor, evaluate_every=evaluate_every,
        early_stopping=early_stopping, share=share, lanes=lanes, devices=devices, memory=memory, scheduler=scheduler,
    )  # fmt: skip
    return make_plan(ready.trials, ready.groups, ready.work, ready.lanes, ready.share, exactly=True)
