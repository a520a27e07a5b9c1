"""`fit`: one network, trained."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.data import Dataset
from fnnet.errors import DivergenceWarning, FnnetWarning
from fnnet.recipes import split
from fnnet.train.checks import check_fit, check_run
from fnnet.train.core import steps_per_epoch
from fnnet.train.driving import drive, interruption
from fnnet.train.history import History
from fnnet.train.learner import Learner, check_learner, choose_monitor
from fnnet.train.programs import on_device, programs
from fnnet.train.progress import Progress
from fnnet.train.run import Run
from fnnet.train.state import DIVERGED, FINISHED, RUNNING, Best
from fnnet.types import Array


def fit(
    learner: Learner,
    train: Dataset,
    *,
    validation: Dataset | None = None,
    epochs: int,
    batch_size: int | None = 32,
    key: Array,
    monitor: str | None = None,
    progress: bool = True,
) -> Run:
    """Trains one network by stochastic gradient descent.

    Each epoch sees every training example once, in a new order; the last batch may be short. After each epoch
    the validation data are evaluated, every example of them, and the best parameters so far are kept.

    Args:
        learner: model, loss, optimizer and metrics.
        train: training data, or the pair (inputs, targets).
        validation: data that choose the best parameters; None to keep the last ones.
        epochs: how often each example is seen, a positive integer.
        batch_size: examples a step; None for all of them.
        key: the root of every random draw; the same key gives the same run.
        monitor: the score that chooses, such as "validation/loss"; the first metric unless told, or the loss.
        progress: whether to show a line of progress.

    Returns:
        `Run` with history, best parameters and final state. After Ctrl-C it holds what there is.

    Raises:
        DataError, ShapeError, StructureError, HyperparameterError: before anything is compiled.

    Warns:
        DivergenceWarning: the loss or the update was not finite; the run holds its last finite state.

    >>> import jax, fnnet
    >>> from fnnet import data, losses, metrics, nn, optim
    >>> train, test = data.split(data.load("iris"), fraction=0.2, key=jax.random.key(0))
    >>> learner = fnnet.Learner(
    ...     nn.mlp([16, 3]), losses.softmax_cross_entropy, optim.adam(1e-2), {"accuracy": metrics.accuracy}
    ... )
    >>> run = fnnet.fit(
    ...     learner, train, validation=test, epochs=30, batch_size=16, key=jax.random.key(1), progress=False
    ... )
    >>> run.history["validation/accuracy"].shape, run.predict(test.inputs).shape
    ((30,), (30, 3))
    """
    train, validation, epochs, size = check_run("fit", train, validation, epochs, batch_size, key)
    check_learner("fit", learner)
    chosen = choose_monitor("fit", learner, monitor, validation is not None)
    check_fit("fit", learner, train, validation, size)

    numbers, skeleton = split(learner)
    compiled = programs(skeleton, size, chosen)
    device_train, device_validation = on_device(train), None if validation is None else on_device(validation)
    per_epoch = steps_per_epoch(len(train), size)

    with Progress(epochs, "fit", progress) as bar, interruption() as interrupted:
        state = compiled.init(numbers, key, device_train.inputs[:1])

        def advance(state: Any, start: int, steps: int) -> Any:
            return compiled.advance(numbers, state, device_train, device_validation, np.int32(start), np.int32(steps))

        def report(step: int, rows: dict[str, np.ndarray], state: Any, pace: float) -> bool:
            latest = {name: float(rows[name][-1]) for name in ("train/loss", chosen.name) if rows[name].size}
            bar.update(step // per_epoch, latest, pace)
            return int(state.status) != RUNNING

        driven = drive(
            advance,
            state,
            steps=epochs * per_epoch,
            per_epoch=per_epoch,
            interrupted=interrupted,
            compiled=bar.compiled,
            report=report,
        )

    state, history = driven.state, History(driven.rows)
    if int(state.status) == DIVERGED:
        finished = int(state.step) // per_epoch
        history = History({name: values[:finished] for name, values in history.items()})
    elif not driven.interrupted:
        state = state._replace(status=jnp.full((), FINISHED, jnp.int32))
        if int(state.best.step) == 0:
            best = Best(state.params, state.model_state, jnp.full_like(state.best.score, jnp.nan), state.step)
            state = state._replace(best=best)
            warnings.warn(
                f"fit: {chosen.name} was never a number that can be compared, so the last parameters are kept.",
                FnnetWarning,
                stacklevel=2,
            )
    spec = jax.ShapeDtypeStruct(device_train.inputs.shape[1:], device_train.inputs.dtype)
    run = Run(skeleton, numbers, state, history, chosen, spec, size, driven.seconds, driven.compile_seconds)
    if int(state.status) == DIVERGED:
        warnings.warn(
            f"fit: the run {run.sentence} A smaller learning rate or optim.clip_by_global_norm may help.",
            DivergenceWarning,
            stacklevel=2,
        )
    return run
