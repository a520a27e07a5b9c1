"""`sweep`: many networks, trained as the lanes of one program for each structure."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.data import Dataset
from fnnet.errors import DivergenceWarning, FnnetWarning, HyperparameterError
from fnnet.sweeps.lanes import Lanes, choose_lanes, pad
from fnnet.sweeps.ledger import Ledger
from fnnet.sweeps.planning import Group, check_group, check_ranges, choose_monitor_of_all, draw_trials, group_trials
from fnnet.sweeps.programs import group_programs
from fnnet.sweeps.results import GroupResult, Sweep
from fnnet.train.checks import check_run
from fnnet.train.driving import drive, interruption
from fnnet.train.history import Record
from fnnet.train.learner import Learner, Monitor
from fnnet.train.programs import on_device
from fnnet.train.progress import Progress
from fnnet.train.sampling import steps_per_epoch
from fnnet.train.state import DIVERGED, FINISHED, RUNNING
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
    monitor: str | None = None,
    lanes: str | int = "auto",
    devices: Sequence[jax.Device] | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Sweep:
    """Trains one network for each trial and seed, all of one structure as one compiled program.

    Float and integer hyperparameters are arguments of the program, so any number of trials compiles once;
    values that are structure (``hp.static``, functions, strings) make groups, one program each. Every draw of a
    run comes from (key, trial, seed) alone: run (t, s) is ``fit(learner(**hyperparameters of t), …,
    key=fold_in(fold_in(key, t), s))`` up to rounding, whatever else is in the sweep.

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
        monitor: the score that chooses; the first metric unless told, or the loss.
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
    policy = choose_lanes(lanes, devices)
    drawn = draw_trials(space, trials, key, sampler)
    groups = group_trials(learner, drawn)
    check_ranges(learner, drawn)
    for group in groups:
        check_group(group, space, train, validation, size)
    chosen = choose_monitor_of_all(groups, monitor, validation is not None)
    ledger = Ledger.open(
        out, learner=learner, groups=groups, space=space, trials=len(drawn), seeds=seeds, epochs=epochs,
        batch_size=size, key=key, sampler=sampler, monitor=chosen, train=train, validation=validation,
    )  # fmt: skip
    shared = [data and on_device(data) for data in (train, validation)]
    one = on_device(train[:1]).inputs
    spec = jax.ShapeDtypeStruct(one.shape[1:], one.dtype)

    results: list[GroupResult] = []
    with Progress(epochs * len(groups), "sweep", progress) as bar, interruption() as interrupted:
        for number, group in enumerate(groups):
            if interrupted():
                break
            results.append(
                _train_group(group, number, policy, shared, size, chosen, seeds, epochs, key, bar, interrupted)
            )
    if not results:
        raise KeyboardInterrupt
    swept = Sweep(drawn, seeds, results, chosen, spec, size)
    if ledger is not None:
        try:
            ledger.write(swept)
        except OSError as error:  # a full disk must not take the finished runs along
            warnings.warn(f"sweep: {ledger.folder} could not be written: {error}", FnnetWarning, stacklevel=2)
    sentence = swept.divergence()
    if sentence:
        warnings.warn(sentence, DivergenceWarning, stacklevel=2)
    return swept


def root_keys(key: Array, trials: Sequence[int], seeds: int) -> Array:
    """The root key of each run, trial by trial and seed by seed: it depends on nothing else of the sweep."""
    t, s = np.repeat(np.asarray(trials), seeds), np.tile(np.arange(seeds), len(trials))
    return jax.vmap(lambda a, b: jax.random.fold_in(jax.random.fold_in(key, a), b))(t, s)


def _train_group(
    group: Group, number: int, policy: Lanes, shared: list[Any], batch_size: int | None, monitor: Monitor, seeds: int,
    epochs: int, key: Array, bar: Progress, interrupted: Callable[[], bool],
) -> GroupResult:  # fmt: skip
    runs = len(group.trials) * seeds
    policy = policy.fitted(runs)
    train, validation = (policy.place(data, lanes=False) for data in shared)
    lanes = policy.padded(runs)
    compiled = group_programs(group.build, batch_size, monitor, policy)
    per_epoch = steps_per_epoch(len(train), batch_size)

    by_run = {name: np.repeat(column, seeds) for name, column in group.hyperparameters.items()}
    hyperparameters = policy.place(pad({n: jnp.asarray(c) for n, c in by_run.items()}, lanes), lanes=True)
    keys = policy.place(pad(root_keys(key, group.trials, seeds), lanes), lanes=True)
    state = compiled.init(hyperparameters, keys, train.inputs[:1])

    def advance(state: Any, start: int, steps: int, last: bool) -> Any:
        now = np.int32(start), np.int32(steps)
        return compiled.advance(hyperparameters, state, train, validation, *now, np.bool_(last))

    def report(step: int, record: Record, state: Any, pace: float) -> bool:
        status = np.asarray(state.status)[:runs]
        scores = np.asarray(state.best.score)[:runs]
        finite = scores[np.isfinite(scores)]
        best = (
            {f"best {monitor.name}": float(finite.max() if monitor.maximize else finite.min())} if finite.size else {}
        )
        diverged = int((status == DIVERGED).sum())
        note = f"{diverged} of {runs} diverged" if diverged else ""
        bar.update(number * epochs + step // per_epoch, best, pace * runs, note)
        return not (status == RUNNING).any()

    driven = drive(
        advance,
        state,
        steps=epochs * per_epoch,
        period=per_epoch,
        interrupted=interrupted,
        compiled=bar.compiled,
        report=report,
    )
    # One ordinary array a leaf, without the lanes that only filled up, in the host's memory: the devices are for
    # the group that comes next.
    host = jax.local_devices(backend="cpu")[0]
    states = jax.tree.map(lambda leaf: jax.device_put(leaf, host)[:runs], driven.state)
    if not driven.interrupted:
        states = states._replace(status=jnp.where(states.status == RUNNING, FINISHED, states.status))
    history = {name: values[:runs] for name, values in driven.record.rows.items()}
    seconds = driven.seconds / runs
    return GroupResult(group, states, history, per_epoch, seconds, driven.compile_seconds, policy)
