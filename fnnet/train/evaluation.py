"""Scores and predictions over every example, in parts that fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.data import Dataset
from fnnet.metrics import Metric
from fnnet.types import Array, PyTree

EVALUATION_BATCH = 1024
"""Examples that are evaluated at once, at least."""


def _evaluation_parts(examples: int, batch_size: int | None) -> tuple[int, int]:
    """How many examples are evaluated at once, and in how many parts."""
    size = max(1, min(examples, max(batch_size or examples, EVALUATION_BATCH)))
    return size, -(-examples // size)


def evaluated(
    scores: dict[str, Metric],
    apply: Any,
    params: PyTree,
    model_state: PyTree,
    data: Dataset,
    batch_size: int | None,
    divide: Callable[[PyTree], PyTree] = lambda rows: rows,
) -> dict[str, Array]:
    """Every score over every example: sums over parts of equal length, the last one moved back to fit.

    Of metrics that are no function of sums the rows of all parts are joined instead. ``divide`` says over which
    devices rows are divided.
    """
    examples = len(data)
    size, parts = _evaluation_parts(examples, batch_size)

    def sums(batch: Dataset, fresh: Array) -> dict[str, PyTree]:
        batch, fresh = divide((batch, fresh))
        predictions, _ = apply(params, model_state, batch.inputs, train=False)
        weights = fresh if batch.weights is None else fresh * jnp.asarray(batch.weights, fresh.dtype)
        return {name: metric.sums(predictions, jnp.asarray(batch.targets), weights) for name, metric in scores.items()}

    def part(index: Array) -> dict[str, PyTree]:
        begin = jnp.minimum(index * size, examples - size)
        batch = jax.tree.map(lambda x: lax.dynamic_slice_in_dim(jnp.asarray(x), begin, size), data)
        # Rows that the part before has counted already do not count again.
        fresh = (begin + jnp.arange(size) >= index * size).astype(jnp.result_type(float))
        return sums(batch, fresh)

    def add(total: dict[str, PyTree], index: Array) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
        found = part(index)
        rows = {name: found.pop(name) for name, metric in scores.items() if metric.rows}
        return {name: scores[name].merge(total[name], found[name]) for name in found}, rows

    if parts == 1:
        total = sums(jax.tree.map(jnp.asarray, data), jnp.ones(size))
    else:
        shapes = jax.eval_shape(part, jax.ShapeDtypeStruct((), jnp.int32))
        zeros = {
            name: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape)
            for name, shape in shapes.items()
            if not scores[name].rows
        }
        total, rows = lax.scan(add, zeros, jnp.arange(parts))
        total |= jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), rows)
    return {name: metric.compute(total[name]) for name, metric in scores.items()}


def predicted(apply: Any, params: PyTree, model_state: PyTree, inputs: Array, batch_size: int | None) -> Any:
    """The model's output for every row, computed in parts so that large inputs need little memory."""
    examples = inputs.shape[0]
    size, parts = _evaluation_parts(examples, batch_size)
    if parts <= 1:
        return apply(params, model_state, inputs, train=False)[0]

    def part(index: Array) -> Any:
        begin = jnp.minimum(index * size, examples - size)
        return apply(params, model_state, lax.dynamic_slice_in_dim(inputs, begin, size), train=False)[0]

    def join(y: Array) -> Array:
        tail = examples - (parts - 1) * size
        return jnp.concatenate([y[:-1].reshape(-1, *y.shape[2:]), y[-1, size - tail :]])

    return jax.tree.map(join, lax.map(part, jnp.arange(parts)))
