"""How training data reach the compiled chunk: all at once, or window by window from a stream."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from fnnet.data import Dataset
from fnnet.data.streams import Stream, Window
from fnnet.train.sampling import batch_rows, counted
from fnnet.types import Array

WINDOW_BYTES = 64 * 2**20
"""How much of a stream is on the device at a time; twice that while the next part arrives."""


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

    While one window is trained on, a thread reads the next.
    """

    def __init__(
        self, stream: Stream, key: Array, batch_size: int, steps: int, place: Callable[[Any], Any] = lambda x: x
    ) -> None:
        self._stream, self._batch_size, self._steps, self._place = stream, batch_size, steps, place
        row = sum(leaf.nbytes for leaf in jax.tree.leaves(stream.read([0])))
        self._width = max(1, min(steps, WINDOW_BYTES // (row * batch_size)))
        examples = len(stream)
        self._order = jax.jit(
            jax.vmap(functools.partial(batch_rows, key=key, examples=examples, batch_size=batch_size))
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fnnet-stream")
        self._windows: dict[int, Future[Window]] = {}

    def data(self, step: int) -> Window:
        """The window in which a step lies; the next one is asked for."""
        number = min(step, self._steps - 1) // self._width
        wanted = [n for n in (number, number + 1) if n * self._width < self._steps]
        self._windows = {n: self._windows.get(n) or self._thread.submit(self._read, n) for n in wanted}
        return self._windows[number].result()

    def limit(self, step: int) -> int:
        """The steps up to the end of the window."""
        return self._width - step % self._width

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _read(self, number: int) -> Window:
        first = number * self._width
        rows, inside = (
            np.asarray(part).reshape(-1) for part in self._order(first + np.arange(self._width, dtype=np.int32))
        )
        needed = min(self._width, self._steps - first) * self._batch_size
        batch = self._stream.read(rows[:needed])
        if len(self._stream) % self._batch_size:
            batch = jax.tree.map(np.asarray, counted(batch, inside[:needed]))
        # The last window is as long as the others, so that nothing is compiled again for it.
        missing = len(rows) - needed

        def filled(leaf: Any) -> np.ndarray:
            return np.concatenate([leaf, np.zeros((missing, *leaf.shape[1:]), leaf.dtype)]) if missing else leaf

        weights = None if batch.weights is None else filled(batch.weights)
        return self._place(Window(Dataset(filled(batch.inputs), filled(batch.targets), weights), np.int32(first)))
