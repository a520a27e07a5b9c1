"""Which examples a step sees."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet import draws
from fnnet.data import Dataset
from fnnet.data.dataset import counted, gathered
from fnnet.data.folding import Selection
from fnnet.data.streams import Window
from fnnet.train.state import TrainState
from fnnet.types import Array, Integer


def steps_per_epoch(examples: int, batch_size: int | None) -> int:
    """Updates an epoch: the last one may see fewer examples."""
    return 1 if batch_size is None else -(-examples // batch_size)


def positions(step: Integer, examples: int, batch_size: int) -> tuple[Any, Array]:
    """The epoch of a step, and where in the order of that epoch its batch stands; beyond the end for a short batch."""
    per_epoch = steps_per_epoch(examples, batch_size)
    return step // per_epoch, step % per_epoch * batch_size + jnp.arange(batch_size, dtype=jnp.int32)


def batch_rows(step: Integer, key: Array, examples: int, batch_size: int) -> tuple[Array, Array]:
    """The rows of the data that a step sees, and which of them count: a short last batch is filled up.

    Without replacement and in a new order each epoch: a keyed permutation of the positions, of which any part can be
    had alone, so that nothing of the size of the data is kept.
    """
    epoch, _ = positions(step, examples, batch_size)
    return _rows(step, draws.arrangement(examples, key, epoch), examples, batch_size)


def _rows(step: Integer, words: Array, examples: int, batch_size: int) -> tuple[Array, Array]:
    """The rows of a step and which of them count, from the words that all steps of its epoch have in common."""
    _, places = positions(step, examples, batch_size)
    return draws.arranged(jnp.minimum(places, examples - 1), examples, words), places < examples


class Sampler(NamedTuple):
    """Where batches come from, in three stages, so that a loop does each as seldom as it can.

    - ``order(state) -> words``: what the batches of the state's epoch have in common.
    - ``rows(state, words) -> rows``: which examples the state's next step sees.
    - ``batch(rows) -> Dataset``: these.
    - ``left(state) -> steps`` for which the order holds; None if there is but one.
    """

    order: Callable[[TrainState], Any]
    rows: Callable[[TrainState, Any], Any]
    batch: Callable[[Any], Dataset]
    left: Callable[[TrainState], Array] | None = None

    def next(self, state: TrainState) -> Dataset:
        """The batch of a state's next step, alone."""
        return self.batch(self.rows(state, self.order(state)))


def sampler(data: Dataset | Selection | Window, batch_size: int | None) -> Sampler:
    """The batches of a data set, a fold of one, or a window of a stream."""
    if isinstance(data, Window):
        return _in_window(data, batch_size)
    if batch_size is None:
        whole = data.whole() if isinstance(data, Selection) else jax.tree.map(jnp.asarray, data)
        return Sampler(lambda state: (), lambda state, words: (), lambda rows: whole)
    examples = len(data)
    take = data.take if isinstance(data, Selection) else functools.partial(gathered, data)
    per_epoch = steps_per_epoch(examples, batch_size)

    def order(state: TrainState) -> Array:
        return draws.arrangement(examples, draws.root_for(state.key, draws.ORDER), state.step // per_epoch)

    def batch(rows: tuple[Array, Array]) -> Dataset:
        found = take(rows[0])
        return found if examples % batch_size == 0 else counted(found, rows[1])

    return Sampler(
        order,
        lambda state, words: _rows(state.step, words, examples, batch_size),
        batch,
        lambda state: per_epoch - state.step % per_epoch,
    )


def _in_window(window: Window, batch_size: int | None) -> Sampler:
    """Batches that the host has drawn already and laid one after the other."""
    size = batch_size or window.rows.inputs.shape[0]

    def batch(begin: Array) -> Dataset:
        return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, begin, size), window.rows)

    return Sampler(lambda state: (), lambda state, words: (state.step - window.first) * size, batch)
