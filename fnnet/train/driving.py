"""The host's loop between compiled chunks: pace, progress, interruption. `fit` and `sweep` share it."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax

from fnnet.train.advancing import ROWS_A_CALL
from fnnet.train.history import Record
from fnnet.trees import nbytes

SECONDS_A_CALL = 0.5
"""How long a chunk may keep the host waiting: short enough for progress and Ctrl-C, long enough to cost nothing."""

BYTES_A_SECOND, MOST_SECONDS = 4e7, 3.0
"""A call copies its state: for each so many bytes of it a chunk may take a second, up to the most.

On a CPU the memory for the copy is new, and a second makes and fills 2 GB of it: calls cost a fiftieth of the time."""

FIRST_STEPS = 8
"""Steps of the first chunk, which tells what a step costs."""


class Driven(NamedTuple):
    """What the loop brings back: state, what was recorded, and the seconds without compiling."""

    state: Any
    record: Record
    seconds: float
    interrupted: bool
    stopped: bool


Report = Callable[[int, Record, Any, float], bool]
"""``report(step, record, state, steps a second) -> stop?``, called after each chunk."""


def drive(
    advance: Callable[[Any, int, int, bool], tuple[Any, dict[str, Any]]],
    state: Any,
    *,
    start: int = 0,
    steps: int,
    period: int,
    interrupted: Callable[[], bool],
    compiled: Callable[[float], None],
    report: Report,
    limit: Callable[[int], int] = lambda done: 2**31 - 1,
    record: Record | None = None,
    agree: Callable[[int], int] = int,
    seconds_a_step: float | None = None,
) -> Driven:
    """Calls ``advance(state, start, steps, last)`` until all are done, the report says stop, or it is interrupted.

    A first call of no steps compiles, so that compile time and training time are told apart; there is none if it is
    known how many ``seconds_a_step`` takes. How the steps are cut into chunks follows the clock and ``limit(done)``,
    the most steps of the next call, and changes no result (`Training.advance` is invariant to it). Several processes
    ``agree`` on it.
    """
    record = Record() if record is None else record
    seconds_a_call = min(max(SECONDS_A_CALL, nbytes(state) / BYTES_A_SECOND), MOST_SECONDS)
    done, stopped = start, False
    if seconds_a_step is None:
        began = time.perf_counter()
        state, rows = advance(state, start, 0, False)
        jax.block_until_ready(rows)
        compiled(time.perf_counter() - began)
        record.add(rows, [])
        now = min(FIRST_STEPS, period, steps - start)
    else:
        now = _next_chunk(done, steps, period, int(seconds_a_call / seconds_a_step))
    began, quickest = time.perf_counter(), float("inf")
    while done < steps and not stopped and not interrupted():
        now = agree(min(now, limit(done)))
        started = time.perf_counter()
        last = done + now == steps
        state, rows = advance(state, done, now, last)
        record.add(rows, ends(done, done + now, period, last))  # waits for the chunk
        done += now
        pace = (time.perf_counter() - started) / now
        stopped = report(done, record, state, 1 / pace)
        # By the quickest so far: what a call costs besides its steps would make ever shorter ones of a short one.
        quickest = min(quickest, pace)
        now = _next_chunk(done, steps, period, max(FIRST_STEPS, int(seconds_a_call / quickest)))
    seconds, unfinished = time.perf_counter() - began, done < steps
    return Driven(state, record, seconds, unfinished and not stopped and interrupted(), unfinished and stopped)


def ends(start: int, stop: int, period: int, last: bool) -> list[int]:
    """The steps after ``start`` and up to ``stop`` at which a period ends; the last steps end with one."""
    found = list(range(start // period * period + period, stop + 1, period))
    return [*found, stop] if last and stop % period else found


def _next_chunk(done: int, steps: int, period: int, affordable: int) -> int:
    """Steps of the next call: whole periods where the time allows one, no more than there is room for."""
    to_end = period - done % period
    whole = to_end + min((affordable - to_end) // period, ROWS_A_CALL - 1) * period
    return max(1, min(affordable if affordable < to_end else whole, steps - done))


@contextlib.contextmanager
def interruption(signals: Sequence[signal.Signals] = (signal.SIGINT,)) -> Iterator[Interruption]:
    """Turns the first Ctrl-C into a flag that is read between chunks, so that nothing is lost in flight.

    It spans the whole of a fit or a sweep, compiling too. A second Ctrl-C raises KeyboardInterrupt as usual.
    """
    found = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = {number: signal.getsignal(number) for number in signals}

    def handle(number: int, frame: Any) -> None:
        found.signal = number
        # None stands for a handler that Python does not know.
        signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

    for number in signals:
        signal.signal(number, handle)
    try:
        yield found
    finally:
        for number in signals:
            signal.signal(number, before[number] or signal.SIG_DFL)


class Interruption:
    """Whether a signal came, and which; calling it asks."""

    signal: int | None = None

    def __call__(self) -> bool:
        """Whether one came."""
        return self.signal is not None
