"""`fit`: one network, trained."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.data import Dataset
from fnnet.data.identity import facts
from fnnet.data.streams import Stream
from fnnet.errors import DivergenceWarning, FnnetWarning, StructureError, within
from fnnet.nn.precision import mixed_precision
from fnnet.recipes import describe, split
from fnnet.train.checkpoints import Checkpoints, Saved, every_so_often
from fnnet.train.checks import check_fit, check_run
from fnnet.train.driving import drive, interruption
from fnnet.train.feeding import InMemory, Streamed
from fnnet.train.history import Record
from fnnet.train.learner import Learner, Monitor, check_learner, choose_monitor
from fnnet.train.placement import Rule, check_placement, ordinary
from fnnet.train.programs import Programs, on_device, programs
from fnnet.train.progress import Progress
from fnnet.train.run import Run
from fnnet.train.sampling import steps_per_epoch
from fnnet.train.state import DIVERGED, FINISHED, RUNNING, STOPPED_EARLY, Best, TrainState
from fnnet.train.stopping import EarlyStopping, check_early_stopping
from fnnet.types import Array

Callback = Callable[[Run], str | None]
"""``callback(run) -> None | "stop"``: called after each evaluation with the run so far."""


def fit(
    learner: Learner,
    train: Dataset | Stream,
    *,
    validation: Dataset | None = None,
    epochs: int,
    batch_size: int | None = 32,
    key: Array,
    monitor: str | None = None,
    evaluate_every: int | str = 1,
    early_stopping: int | EarlyStopping | None = None,
    precision: str | None = None,
    mesh: Any = None,
    sharding: Rule | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | str = "30 seconds",
    keep: int = 3,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
) -> Run:
    """Trains one network by stochastic gradient descent.

    Each epoch sees every training example once, in a new order; the last batch may be short. After each epoch
    the validation data are evaluated, every example of them, and the best parameters so far are kept.

    Args:
        learner: model, loss, optimizer and metrics.
        train: training data: a dataset, the pair (inputs, targets), or a stream of data that stay on disk.
        validation: data that choose the best parameters; None to keep the last ones.
        epochs: how often each example is seen, a positive integer.
        batch_size: examples a step; None for all of them.
        key: the root of every random draw; the same key gives the same run.
        monitor: the score that chooses, such as "validation/loss"; the first metric unless told, or the loss.
        evaluate_every: epochs between evaluations, or "500 steps"; the history has a value for each, and one more
            for the end.
        early_stopping: evaluations without improvement of the monitored score after which to stop, or
            `EarlyStopping`.
        precision: "bfloat16" or "float16" to compute in, as by `nn.mixed_precision`; parameters keep theirs.
        mesh: a `jax.sharding.Mesh` whose first axis divides each batch, or a list of devices; None for one device.
        sharding: ``rule(path, parameter) -> PartitionSpec | None``, which divides parameters, and what the
            optimizer keeps of them, over the mesh; None for a copy on each device.
        checkpoint: a folder for the whole state, written now and then and at the end; `best.safetensors` in it is
            the best so far, for `fnnet.load`.
        every: how often it is written: epochs, "500 steps" or "10 minutes".
        keep: how many states are kept, besides the best.
        resume: whether to go on from the latest state in the folder, to the last bit as if nothing had happened; on
            other devices up to rounding. Without one, training starts.
        callbacks: functions ``(run) -> None | "stop"``, called after each evaluation, such as those of
            `fnnet.loggers`.
        progress: whether to show a line of progress.

    Returns:
        `Run` with history, best parameters and final state. After Ctrl-C it holds what there is. With a checkpoint,
        SIGTERM writes one and ends the process with status 143.

    Raises:
        DataError, ShapeError, StructureError, HyperparameterError: before anything is compiled.
        FileError: the checkpoint belongs to another run (the first difference is named), or cannot be read.

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
    if precision is not None:
        with within("fit"):
            learner = learner._replace(model=mixed_precision(learner.model, precision))
    chosen = choose_monitor("fit", learner, monitor, validation is not None)
    sample = train.read(range(min(len(train), size or 1))) if isinstance(train, Stream) else train
    check_fit("fit", learner, sample, validation, size)
    stopping = check_early_stopping("fit", early_stopping)
    placement = check_placement("fit", mesh, sharding, size, len(train))
    per_epoch = steps_per_epoch(len(train), size)
    steps = epochs * per_epoch
    period = every_so_often("fit", "evaluate_every", evaluate_every, per_epoch, clock=False).steps or per_epoch

    folder = None
    if checkpoint is not None:
        belongs = _identity(learner, train, validation, size, chosen, period, stopping, key)
        folder = Checkpoints(checkpoint, every_so_often("fit", "every", every, per_epoch), keep, belongs)
    elif resume:
        raise StructureError("fit", "resume=True goes on from a folder, but there is no checkpoint=.")

    numbers, skeleton = split(learner)
    # A window of a stream does not say how long an epoch is.
    given = None if period == per_epoch and not isinstance(train, Stream) else period
    compiled = programs(skeleton, size, chosen, given, placement)
    example = sample.inputs[:1]
    spec = jax.ShapeDtypeStruct(np.shape(example)[1:], jax.dtypes.canonicalize_dtype(example.dtype))
    place = jax.device_put if placement is None else placement.copied

    def made(state: TrainState, record: Record, seconds: float, compile_seconds: float) -> Run:
        history = record.history(int(state.step))
        return Run(skeleton, numbers, state, history, chosen, spec, size, seconds, compile_seconds)

    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(Progress(epochs, "fit", progress))
        interrupted = stack.enter_context(interruption([signal.SIGINT] + ([signal.SIGTERM] if folder else [])))
        begun = _begin(compiled, numbers, key, spec, folder, resume)
        state = begun.state if placement is None else placement.place(begun.state)
        record, began = Record(begun.rows, begun.steps), time.perf_counter() - begun.seconds
        checked = None if validation is None else place(on_device(validation))
        feed = (
            Streamed(train, key, size or len(train), steps, place)
            if isinstance(train, Stream)
            else InMemory(place(on_device(train)))
        )
        stack.callback(feed.close)

        def advance(state: Any, start: int, steps: int, last: bool) -> Any:
            data = feed.data(start)
            return compiled.advance(
                numbers, state, data, checked, np.int32(start), np.int32(steps), np.bool_(last), stopping
            )

        def limit(done: int) -> int:
            to_evaluation = period - done % period if callbacks else feed.limit(done)
            return min(feed.limit(done), to_evaluation, folder.limit(done) if folder else to_evaluation)

        def report(step: int, record: Record, state: Any, pace: float) -> bool:
            shown = {name: record.latest(name) for name in ("train/loss", chosen.name)}
            bar.update(step // per_epoch, {name: value for name, value in shown.items() if value is not None}, pace)
            if folder and folder.due(step):
                _write(folder, state, record, time.perf_counter() - began, made)
            asked = False
            if (callbacks and step % period == 0) or step == steps:
                now = made(jax.tree.map(jnp.copy, state), record, time.perf_counter() - began, 0.0)
                asked = "stop" in [callback(now) for callback in callbacks]
            stopped.append(asked)
            return asked or int(state.status) != RUNNING

        stopped: list[bool] = []
        driven = drive(
            advance,
            state,
            start=int(begun.state.step) if int(begun.state.status) == RUNNING else steps,
            steps=steps,
            period=period,
            interrupted=interrupted,
            compiled=bar.compiled,
            report=report,
            limit=limit,
            record=record,
        )
        state = ordinary(driven.state)
        seconds = begun.seconds + driven.seconds
        if folder:
            _write(folder, state, record, seconds, made)
    if interrupted.signal == signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)
    if any(stopped):
        state = state._replace(status=jnp.full((), STOPPED_EARLY, jnp.int32))
    elif int(state.status) == RUNNING and not driven.interrupted:
        state = state._replace(status=jnp.full((), FINISHED, jnp.int32))
    return _told(made(_with_best(state, chosen), record, seconds, driven.compile_seconds))


def _identity(
    learner: Learner, train: Any, validation: Any, batch_size: int | None, monitor: Monitor, period: int,
    stopping: EarlyStopping | None, key: Array,
) -> dict[str, Any]:  # fmt: skip
    """What a checkpoint belongs to: everything that decides the next step, but not how many there are to be."""
    return {
        "learner": describe(learner),
        "data": {"train": facts(train)} | ({} if validation is None else {"validation": facts(validation)}),
        "batch_size": batch_size,
        "monitor": {"name": monitor.name, "maximize": monitor.maximize},
        "evaluate_every": period,
        "early_stopping": None if stopping is None else [float(number) for number in stopping],
        "key": np.asarray(jax.random.key_data(key)).ravel().tolist(),
    }


def _begin(
    compiled: Programs, numbers: Any, key: Array, spec: jax.ShapeDtypeStruct, folder: Checkpoints | None, resume: bool
) -> Saved:
    """The state to start from: a new one, or the latest of the folder."""
    x = jax.ShapeDtypeStruct((1, *spec.shape), spec.dtype)
    if folder is not None and not resume:
        folder.refuse_others()
    if folder is not None and resume:
        saved = folder.latest(jax.eval_shape(compiled.init, numbers, key, x))
        if saved is not None:
            return saved
    return Saved(compiled.init(numbers, key, jnp.zeros(x.shape, x.dtype)), {}, np.zeros(0, np.int64), 0.0)


def _write(folder: Checkpoints, state: TrainState, record: Record, seconds: float, made: Callable[..., Run]) -> None:
    """The state, and the best so far where it is new."""
    state = ordinary(state)
    folder.write(Saved(state, record.rows, record.steps, seconds))
    if int(state.best.step) > folder.best_step:
        folder.best_step = int(state.best.step)
        made(state, record, seconds, 0.0).save(folder.folder / "best.safetensors")


def _with_best(state: TrainState, monitor: Monitor) -> TrainState:
    """The state, with the last parameters as the best if none were ever better than nothing."""
    if int(state.status) not in (FINISHED, STOPPED_EARLY) or int(state.best.step) > 0:
        return state
    warnings.warn(
        f"fit: {monitor.name} was never a number that can be compared, so the last parameters are kept.",
        FnnetWarning,
        stacklevel=3,
    )
    return state._replace(
        best=Best(state.params, state.model_state, jnp.full_like(state.best.score, jnp.nan), state.step)
    )


def _told(run: Run) -> Run:
    """The run, after a warning if it diverged."""
    if int(run.state.status) == DIVERGED:
        warnings.warn(
            f"fit: the run {run.sentence} A smaller learning rate or optim.clip_by_global_norm may help.",
            DivergenceWarning,
            stacklevel=3,
        )
    return run
