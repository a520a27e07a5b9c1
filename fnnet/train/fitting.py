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
from fnnet.data.streams import Stream
from fnnet.errors import DivergenceWarning, FileError, FnnetWarning, HyperparameterError, StructureError, within
from fnnet.nn.precision import mixed_precision
from fnnet.recipes import split
from fnnet.train.checkpoints import Checkpoints, Saved
from fnnet.train.checks import check_callbacks, check_fit, check_run
from fnnet.train.driving import drive
from fnnet.train.driving import interruption as interrupted_by
from fnnet.train.every import every_so_often
from fnnet.train.feeding import feeding
from fnnet.train.history import Record
from fnnet.train.identity import identity
from fnnet.train.learner import Learner, Monitor, check_learner, choose_monitor
from fnnet.train.placement import Rule, agreement, check_placement, ordinary
from fnnet.train.programs import on_device, programs
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
            other devices up to rounding. Without one, training starts. A finished run goes on if there are more
            epochs now; the evaluation at its old end stays, also where ``evaluate_every`` would have none.
        callbacks: functions ``(run) -> None | "stop"``, called after each evaluation, such as those of
            `fnnet.loggers`. Of several processes the first calls them.
        progress: whether to show a line of progress.

    Returns:
        `Run` with history, best parameters and final state. After Ctrl-C it holds what there is. With a checkpoint,
        SIGTERM writes one and ends the process with status 143.

    Raises:
        DataError, ShapeError, StructureError, HyperparameterError: before anything is compiled.
        FileError: the checkpoint belongs to another run (the first difference is named), or cannot be read.

    Warns:
        DivergenceWarning: the loss or the new parameters were not finite; the run holds its last finite state.

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
    sample = train.read(range(size or 1)) if isinstance(train, Stream) else train
    check_rows = check_fit("fit", learner, sample, validation, size)
    callbacks = check_callbacks("fit", callbacks)
    stopping = check_early_stopping("fit", early_stopping)
    placement = check_placement("fit", mesh, sharding, size, len(train))
    agree = agreement(placement)
    first = placement is None or placement.processes == 1 or jax.process_index() == 0
    per_epoch = steps_per_epoch(len(train), size)
    steps = epochs * per_epoch
    period = every_so_often("fit", "evaluate_every", evaluate_every, per_epoch, clock=False).steps or per_epoch

    folder = None
    if checkpoint is not None:
        belongs = identity(learner, train, validation, size, chosen, period, stopping, key)
        folder = Checkpoints(checkpoint, every_so_often("fit", "every", every, per_epoch), keep, belongs, first)
    elif resume:
        raise StructureError("fit", "resume=True goes on from a folder, but there is no checkpoint=.")

    numbers, skeleton = split(learner)
    # A window of a stream does not say how long an epoch is.
    given = None if period == per_epoch and not isinstance(train, Stream) else period
    compiled = programs(skeleton, size, chosen, given, placement)
    example = sample.inputs[:1]
    spec = jax.ShapeDtypeStruct(np.shape(example)[1:], jax.dtypes.canonicalize_dtype(example.dtype))
    place = jax.device_put if placement is None else placement.copied
    begins = numbers, key, np.zeros((1, *spec.shape), spec.dtype)
    like = compiled.init.eval_shape(*begins)

    def made(state: TrainState, record: Record, seconds: float, compile_seconds: float = 0.0) -> Run:
        history = record.history(int(state.step))
        return Run(skeleton, numbers, state, history, chosen, spec, size, seconds, compile_seconds)

    def write(state: TrainState, record: Record, seconds: float) -> None:
        """The state, and the best so far where it is new."""
        assert folder is not None
        state = ordinary(state)
        folder.write(Saved(state, record.rows, record.steps, seconds))
        if folder.writes and int(state.best.step) > folder.best_step:
            folder.best_step = int(state.best.step)
            made(state, record, seconds).save(folder.folder / "best.safetensors")
        agree(0)  # no process goes on to read what is not there yet

    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(Progress(epochs, "fit", progress and first))
        interruption = stack.enter_context(interrupted_by([signal.SIGINT] + ([signal.SIGTERM] if folder else [])))
        checked = None if validation is None else place(on_device(validation))
        feed = feeding(train, key, size, steps, place, check_rows)
        stack.callback(feed.close)

        def call(state: Any, start: int, steps: int, last: bool) -> tuple[Any, ...]:
            return numbers, state, feed.data(start), checked, np.int32(start), np.int32(steps), np.bool_(last), stopping

        def begin() -> TrainState:
            """The first state; the program that trains it takes longer to compile, and is begun before."""
            began = time.perf_counter()
            if placement is None:
                compiled.advance.ahead(*call(like, 0, 0, False))
            state = jax.block_until_ready(compiled.init(*begins))
            bar.compiled(time.perf_counter() - began)
            return state

        found = folder.found(like, resume) if folder else None
        begun = found or Saved(begin(), {}, np.zeros(0, np.int64), 0.0)
        done = int(begun.state.step)
        _check_begun(begun.state, steps, per_epoch, folder, agree)
        state = begun.state if placement is None else placement.place(begun.state)
        record, began = Record(begun.rows, begun.steps), time.perf_counter() - begun.seconds

        def interrupted() -> bool:
            interruption.signal = agree(interruption.signal or 0) or None
            return interruption()

        def limit(done: int) -> int:
            limits = [feed.limit(done)]
            limits += [folder.limit(done)] if folder else []
            limits += [period - done % period] if callbacks else []
            return min(limits)

        def report(step: int, record: Record, state: Any, pace: float) -> bool:
            shown = {name: record.latest(name) for name in ("train/loss", chosen.name)}
            bar.update(step // per_epoch, {name: value for name, value in shown.items() if value is not None}, pace)
            seconds = time.perf_counter() - began
            if folder and step < steps and agree(folder.due(step)):
                write(state, record, seconds)
            asked = False
            if callbacks and (step % period == 0 or step == steps):
                now = made(ordinary(jax.tree.map(jnp.copy, state)), record, seconds)
                asked = bool(agree(first and _asked(callbacks, now)))
            return asked or int(state.status) != RUNNING

        driven = drive(
            lambda *given: compiled.advance(*call(*given)),
            state,
            start=done if int(begun.state.status) == RUNNING else steps,
            steps=steps,
            period=period,
            interrupted=interrupted,
            compiled=bar.compiled,
            report=report,
            limit=limit,
            record=record,
            agree=agree,
        )
        state = ordinary(driven.state)
        seconds = begun.seconds + driven.seconds
        if folder:
            write(state, record, seconds)
    if interruption.signal == signal.SIGTERM:
        raise SystemExit(128 + signal.SIGTERM)
    if int(state.status) == RUNNING and not driven.interrupted:
        status = STOPPED_EARLY if driven.stopped else FINISHED
        state = state._replace(status=jax.device_put(np.int32(status)))
    return _told(made(_with_best(state, chosen), record, seconds, bar.compile_seconds))


def _check_begun(
    begun: TrainState, steps: int, per_epoch: int, folder: Checkpoints | None, agree: Callable[[int], int]
) -> None:
    """Raises unless every process begins at the same step, from which the last one with its evaluation can be had."""
    if folder is None:
        return
    done = int(begun.step)
    if agree(done) != -agree(-done):
        raise FileError(
            "fit", f"the processes find different states in {folder.folder}. They have to share the folder."
        )
    # On its way to a later end it was not evaluated where this one would be, unless a period ended there.
    passed = done == steps and int(begun.status) == RUNNING and float(begun.tally.weight) > 0
    if done > steps or passed:
        raise HyperparameterError(
            "fit",
            f"epochs is {steps // per_epoch}, but the run in {folder.folder} has done {done / per_epoch:g} already"
            f"{' without an evaluation there' if passed else ''}. Ask for more, or load best.safetensors.",
        )


def _asked(callbacks: Sequence[Callback], run: Run) -> bool:
    """Calls each with the run; whether one asks to stop."""
    answers = [callback(run) for callback in callbacks]
    for answer in answers:
        if answer not in (None, "stop"):
            raise StructureError("fit", f"a callback returned {answer!r}, but None or 'stop' is understood.")
    return "stop" in answers


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
