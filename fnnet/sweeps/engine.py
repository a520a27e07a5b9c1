"""`sweep`: many networks, trained as the lanes of one program for each structure."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.data import Dataset
from fnnet.data import folds as deal
from fnnet.data.folding import row_tables
from fnnet.errors import DivergenceWarning, FnnetWarning, HyperparameterError, StructureError, within
from fnnet.sweeps.lanes import Lanes, choose_lanes, pad
from fnnet.sweeps.ledger import Ledger
from fnnet.sweeps.planning import Group, check_group, check_ranges, choose_monitor_of_all, draw_trials, group_trials
from fnnet.sweeps.programs import group_programs
from fnnet.sweeps.results import GroupResult, Sweep
from fnnet.train.checks import check_run
from fnnet.train.driving import Interruption, drive, interruption
from fnnet.train.every import every_so_often
from fnnet.train.history import Record
from fnnet.train.learner import Learner, Monitor
from fnnet.train.programs import on_device
from fnnet.train.progress import Progress
from fnnet.train.sampling import steps_per_epoch
from fnnet.train.state import DIVERGED, FINISHED, RUNNING, STOPPED_EARLY
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
    lanes: str | int = "auto",
    devices: Sequence[jax.Device] | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
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
        lanes: "map" (one lane after another), "vmap" (all at once), a number (so many at once), "auto".
        devices: to divide the lanes over; all local ones unless told.
        out: a folder for the table, histories, the best model and what was asked for.
        progress: whether to show a line of progress.

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
    seeds = int(seeds)
    split = check_folds(train, validation, folds, key)
    examples = len(train) if split is None else split.train[0].shape[1]
    size = None if size is None or size >= examples else size
    policy = choose_lanes(lanes, devices)
    drawn = draw_trials(space, trials, key, sampler)
    groups = group_trials(learner, drawn)
    check_ranges(learner, drawn)
    for group in groups:
        check_group(group, space, train, train if split else validation, size)
    chosen = choose_monitor_of_all(groups, monitor, split is not None or validation is not None)
    stopping = check_early_stopping("sweep", early_stopping)
    per_epoch = steps_per_epoch(examples, size)
    period = every_so_often("sweep", "evaluate_every", evaluate_every, per_epoch, clock=False).steps or per_epoch
    ledger = Ledger.open(
        out, learner=learner, groups=groups, space=space, trials=len(drawn), seeds=seeds, folds=folds, epochs=epochs,
        batch_size=size, key=key, sampler=sampler, monitor=chosen, evaluate_every=period, early_stopping=stopping,
        train=train, validation=validation,
    )  # fmt: skip
    device_train = on_device(train)
    checked = device_train if split else None if validation is None else on_device(validation)
    work = Work(device_train, checked, split, size, chosen, seeds, epochs * per_epoch, per_epoch, period, stopping, key)
    one = device_train.inputs[:1]
    spec = jax.ShapeDtypeStruct(one.shape[1:], one.dtype)

    results: list[GroupResult] = []
    with Progress(epochs * len(groups), "sweep", progress) as bar, interruption() as interrupted:
        for number, group in enumerate(groups):
            if interrupted():
                break
            results.append(_train_group(group, number, policy, work, bar, interrupted))
    if not results:
        raise KeyboardInterrupt
    swept = Sweep(drawn, seeds, folds, results, chosen, spec, size)
    if ledger is not None:
        try:
            ledger.write(swept)
        except OSError as error:  # a full disk must not take the finished runs along
            warnings.warn(f"sweep: {ledger.folder} could not be written: {error}", FnnetWarning, stacklevel=2)
    sentence = swept.divergence()
    if sentence:
        warnings.warn(sentence, DivergenceWarning, stacklevel=2)
    return swept


class Work(NamedTuple):
    """What the groups of a sweep have in common."""

    train: Dataset
    validation: Dataset | None
    split: Split | None
    batch_size: int | None
    monitor: Monitor
    seeds: int
    steps: int
    per_epoch: int
    period: int
    stopping: EarlyStopping | None
    key: Array

    @property
    def runs_a_trial(self) -> int:
        """Seeds, each with every fold."""
        return self.seeds * (self.folds or 1)

    @property
    def folds(self) -> int | None:
        """How many folds there are; None without a cross-validation."""
        return None if self.split is None else len(self.split.train[0])


class Split(NamedTuple):
    """The rows of each fold, (folds, n), and which of them count, None for all; see `data.folding.Selection`."""

    train: tuple[np.ndarray, np.ndarray | None]
    validation: tuple[np.ndarray, np.ndarray | None]


def check_folds(train: Dataset, validation: Any, folds: Any, key: Array) -> Split | None:
    """The rows of each fold, or None without folds."""
    if folds is None:
        return None
    if validation is not None:
        raise StructureError("sweep", "folds= takes validation data from the training data, so leave validation= out.")
    with within("sweep"):
        return Split(*row_tables(deal(train, folds, key=key)))


def places(trials: Sequence[int], seeds: int, folds: int | None = None) -> np.ndarray:
    """Trial, seed and fold of each run, (3, runs), in the order of the table."""
    return np.array(list(itertools.product(trials, range(seeds), range(folds or 1)))).T


def root_keys(key: Array, runs: np.ndarray, folds: int | None = None) -> Array:
    """The root key of each run, which depends on its trial, seed and fold and on nothing else."""
    roots = jax.vmap(lambda trial, seed: jax.random.fold_in(jax.random.fold_in(key, trial), seed))(*runs[:2])
    return roots if folds is None else jax.vmap(jax.random.fold_in)(roots, runs[2])


def _train_group(
    group: Group, number: int, policy: Lanes, work: Work, bar: Progress, interrupted: Interruption
) -> GroupResult:
    runs = len(group.trials) * work.runs_a_trial
    policy = policy.fitted(runs)
    train, validation = (policy.place(data, lanes=False) for data in (work.train, work.validation))
    lanes = policy.padded(runs)
    compiled = group_programs(group.build, work.batch_size, work.monitor, policy, work.period)

    def placed(tree: Any) -> Any:
        return policy.place(jax.tree.map(jnp.asarray, pad(tree, lanes)), lanes=True)

    hyperparameters = placed(
        {name: np.repeat(column, work.runs_a_trial) for name, column in group.hyperparameters.items()}
    )
    # Padded first, so that another number of runs in as many lanes compiles nothing.
    numbers = pad(places(group.trials, work.seeds, work.folds).T, lanes).T
    keys = policy.place(root_keys(work.key, numbers, work.folds), lanes=True)
    fold = tables = None
    if work.split is not None and work.folds is not None:
        fold = policy.place(jnp.asarray(numbers[2], jnp.int32), lanes=True)
        tables = policy.place(jax.tree.map(jnp.asarray, tuple(work.split)), lanes=False)
    state = compiled.init(hyperparameters, keys, train.inputs[:1])

    def advance(state: Any, start: int, steps: int, last: bool) -> Any:
        now = np.int32(start), np.int32(steps), np.bool_(last)
        return compiled.advance(hyperparameters, state, fold, tables, train, validation, *now, work.stopping)

    def report(step: int, record: Record, state: Any, pace: float) -> bool:
        status = np.asarray(state.status)[:runs]
        scores = np.asarray(state.best.score)[:runs]
        finite = scores[np.isfinite(scores)]
        best = {}
        if finite.size:
            best = {f"best {work.monitor.name}": float(finite.max() if work.monitor.maximize else finite.min())}
        notes = {DIVERGED: "diverged", STOPPED_EARLY: "stopped early"}
        counts = {said: int((status == code).sum()) for code, said in notes.items()}
        note = ", ".join(f"{count} of {runs} {said}" for said, count in counts.items() if count)
        bar.update((number * work.steps + step) // work.per_epoch, best, pace * runs, note)
        return not (status == RUNNING).any()

    driven = drive(
        advance,
        state,
        steps=work.steps,
        period=work.period,
        interrupted=interrupted,
        compiled=bar.compiled,
        report=report,
    )
    # One ordinary array a leaf, without the lanes that only filled up, in the host's memory: the devices are for
    # the group that comes next.
    host = jax.local_devices(backend="cpu")[0]
    states = jax.tree.map(lambda leaf: jax.device_put(leaf, host)[:runs], driven.state)
    if not driven.interrupted:
        status = np.asarray(states.status)
        states = states._replace(status=jnp.asarray(np.where(status == RUNNING, FINISHED, status), jnp.int32))
    history = {name: values[:runs] for name, values in driven.record.rows.items()}
    return GroupResult(
        group,
        states,
        history,
        driven.record.steps,
        work.per_epoch,
        driven.seconds / runs,
        driven.compile_seconds,
        policy,
    )
