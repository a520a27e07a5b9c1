"""Which examples a step sees."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

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
    epoch, places = positions(step, examples, batch_size)
    rows = draws.permuted(jnp.minimum(places, examples - 1), examples, key, epoch)
    return rows, places < examples


def sampler(data: Dataset | Selection | Window, batch_size: int | None) -> Callable[[TrainState], Dataset]:
    """The batch of a state's next step."""
    if isinstance(data, Window):
        return _in_window(data, batch_size)
    if batch_size is None:
        whole = data.whole() if isinstance(data, Selection) else jax.tree.map(jnp.asarray, data)
        return lambda state: whole
    examples = len(data)
    take = data.take if isinstance(data, Selection) else functools.partial(gathered, data)

    def draw(state: TrainState) -> Dataset:
        rows, inside = batch_rows(state.step, draws.root_for(state.key, draws.ORDER), examples, batch_size)
        batch = take(rows)
        return batch if examples % batch_size == 0 else counted(batch, inside)

    return draw


def _in_window(window: Window, batch_size: int | None) -> Callable[[TrainState], Dataset]:
    """Batches that the host has drawn already and laid one after the other."""
    size = batch_size or window.rows.inputs.shape[0]

    def draw(state: TrainState) -> Dataset:
        begin = (state.step - window.first) * size
        return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, begin, size), window.rows)

    return draw
