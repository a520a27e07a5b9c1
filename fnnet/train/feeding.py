"""How training data reach the compiled chunk: all at once, or window by window from a stream."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.data import Dataset
from fnnet.data.dataset import counted
from fnnet.data.streams import Stream, Window
from fnnet.train.advancing import ROWS_A_CALL
from fnnet.train.programs import on_device
from fnnet.train.sampling import batch_rows, steps_per_epoch
from fnnet.types import Array

WINDOW_BYTES = 64 * 2**20
"""How much of a stream is on the device at a time; twice that while the next part arrives."""


def feeding(
    train: Dataset | Stream,
    key: Array,
    batch_size: int | None,
    steps: int,
    place: Callable[[Any], Any],
    check: Callable[[Dataset], None],
) -> InMemory | Streamed:
    """What feeds a run of so many steps; ``place`` puts arrays on devices, ``check`` raises for rows that are wrong."""
    if isinstance(train, Stream):
        return Streamed(train, key, batch_size or len(train), steps, place, check)
    return InMemory(place(on_device(train)))


class InMemory:
    """Data that are on the device for the whole run."""

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def data(self, step: int) -> Dataset:
        """What the steps from ``step`` on draw from."""
        return self._data

    def limit(self, step: int) -> int:
        """For how many steps that serves."""
        return 2**31 - 1

    def close(self) -> None:
        """Nothing runs that would have to end."""


class Streamed:
    """Windows of a stream: the batches of the next steps, drawn by the host in the order that training would draw.

    While one window is trained on, a thread reads the next. It reads and nothing else: JAX's settings belong to the
    thread that made them.
    """

    def __init__(
        self,
        stream: Stream,
        key: Array,
        batch_size: int,
        steps: int,
        place: Callable[[Any], Any],
        check: Callable[[Dataset], None],
    ) -> None:
        self._stream, self._key, self._size, self._steps = stream, key, batch_size, steps
        self._place, self._check = place, check
        row = sum(leaf.nbytes for leaf in jax.tree.leaves(stream.read([0])))
        # Not shorter for a short run, so that a longer one compiles nothing.
        few = ROWS_A_CALL * steps_per_epoch(len(stream), batch_size)
        self._width = max(1, min(few, WINDOW_BYTES // (row * batch_size)))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fnnet-stream")
        self._reading: dict[int, Future[Dataset]] = {}
        self._current: tuple[int, Window] | None = None

    def data(self, step: int) -> Window:
        """The window in which a step lies; the next one is asked for."""
        number = min(step, self._steps - 1) // self._width
        wanted = [n for n in (number, number + 1) if n * self._width < self._steps]
        self._reading = {n: self._reading.get(n) or self._ask(n) for n in wanted}
        if self._current is None or self._current[0] != number:
            window = Window(self._reading[number].result(), np.int32(number * self._width))
            self._current = number, self._place(window)
        return self._current[1]

    def limit(self, step: int) -> int:
        """The steps up to the end of the window."""
        return self._width - step % self._width

    def close(self) -> None:
        """Ends the thread, so that nothing is read any more."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _ask(self, number: int) -> Future[Dataset]:
        first = number * self._width
        rows, inside = _order(np.int32(first), self._key, self._width, len(self._stream), self._size)
        needed = min(self._width, self._steps - first) * self._size
        wide = jax.dtypes.canonicalize_dtype(np.float64) == np.float64
        return self._thread.submit(self._read, rows, inside, needed, wide)

    def _read(self, rows: Array, inside: Array, needed: int, wide: bool) -> Dataset:
        with jax.enable_x64(wide):
            batch = self._stream.read(np.asarray(rows)[:needed])
            self._check(batch)
            if len(self._stream) % self._size:
                batch = counted(batch, np.asarray(inside)[:needed])
        # The last window is as long as the others, so that nothing is compiled again for it.
        missing = len(rows) - needed

        def filled(leaf: Any) -> np.ndarray:
            return np.concatenate([leaf, np.zeros((missing, *leaf.shape[1:]), leaf.dtype)]) if missing else leaf

        weights = None if batch.weights is None else filled(batch.weights)
        return Dataset(filled(batch.inputs), filled(batch.targets), weights)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _order(first: Array, key: Array, width: int, examples: int, batch_size: int) -> tuple[Array, Array]:
    """The rows that so many steps see, one after the other, and which of them count."""
    steps = first + jnp.arange(width, dtype=jnp.int32)
    rows, inside = jax.vmap(lambda step: batch_rows(step, key, examples, batch_size))(steps)
    return rows.reshape(-1), inside.reshape(-1)
