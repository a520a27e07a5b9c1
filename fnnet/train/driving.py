"""The host's loop between compiled chunks: pace, progress, interruption. `fit` and `sweep` share it."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet.train.core import EPOCHS_A_CALL

SECONDS_A_CALL = 0.5
"""How long a chunk may keep the host waiting: short enough for progress and Ctrl-C, long enough to cost nothing."""


FIRST_STEPS = 8
"""Steps of the first chunk, which tells what a step costs."""


class Driven(NamedTuple):
    """What the loop brings back: state, rows of each score along the last axis, and times in seconds."""

    state: Any
    rows: dict[str, np.ndarray]
    compile_seconds: float
    seconds: float
    interrupted: bool


Report = Callable[[int, dict[str, np.ndarray], Any, float], bool]
"""``report(step, rows so far, state, steps a second) -> stop?``, called after each chunk."""


def drive(
    advance: Callable[[Any, int, int], tuple[Any, dict[str, Any]]],
    state: Any,
    *,
    steps: int,
    per_epoch: int,
    interrupted: Callable[[], bool],
    compiled: Callable[[float], None],
    report: Report,
) -> Driven:
    """Calls ``advance(state, start, steps)`` until all steps are done, the report says stop, or it is interrupted.

    A first call of no steps compiles, so that compile time and training time are told apart. How the steps are
    cut into chunks follows the clock and changes no result (`Training.advance` is invariant to it).
    """
    began = time.perf_counter()
    state, rows = advance(state, 0, 0)
    jax.block_until_ready(rows)
    compile_seconds = time.perf_counter() - began
    compiled(compile_seconds)

    parts = {name: [np.asarray(values)[..., :0]] for name, values in rows.items()}
    done, now = 0, min(FIRST_STEPS, per_epoch, steps)
    began = time.perf_counter()
    while done < steps and not interrupted():
        started = time.perf_counter()
        state, rows = advance(state, done, now)
        rows = {name: np.asarray(values) for name, values in rows.items()}
        ended = (done + now) // per_epoch - done // per_epoch
        for name, values in rows.items():
            parts[name].append(values[..., :ended])
        done += now
        pace = (time.perf_counter() - started) / now
        if report(done, {name: values[-1] for name, values in parts.items()}, state, 1 / pace):
            break
        now = _next_chunk(done, steps, per_epoch, int(SECONDS_A_CALL / pace))
    joined = {name: np.concatenate(values, axis=-1) for name, values in parts.items()}
    return Driven(state, joined, compile_seconds, time.perf_counter() - began, done < steps and interrupted())


def _next_chunk(done: int, steps: int, per_epoch: int, affordable: int) -> int:
    """Steps of the next call: whole epochs where the time allows one, no more than there is room for."""
    to_epoch_end = per_epoch - done % per_epoch
    if affordable < to_epoch_end:
        now = affordable
    else:
        now = to_epoch_end + min((affordable - to_epoch_end) // per_epoch, EPOCHS_A_CALL - 1) * per_epoch
    return max(1, min(now, steps - done))


@contextlib.contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C into a flag that is read between chunks, so that nothing is lost in flight.

    It spans the whole of a fit or a sweep, compiling too.

    A second Ctrl-C raises KeyboardInterrupt as usual.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag.is_set
        return
    previous = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: Any) -> None:
        flag.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, handle)
    try:
        yield flag.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
