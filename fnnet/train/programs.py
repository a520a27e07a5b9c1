"""The compiled programs of a learner, found again when the same structure is trained a second time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnnet.data import Dataset
from fnnet.train.core import Training, training
from fnnet.train.learner import Monitor


class Programs(NamedTuple):
    """Jitted functions whose first argument are the learner's hyperparameters."""

    init: Callable[..., Any]
    advance: Callable[..., Any]
    evaluate: Callable[..., Any]
    predict: Callable[..., Any]


@functools.lru_cache(maxsize=64)
def programs(build: Callable[[Any], Any], batch_size: int, monitor: Monitor) -> Programs:
    """Programs for a learner that ``build`` makes from its hyperparameters, which are traced.

    ``build`` is hashable and equal for equal structure (a `recipes.Skeleton`), so that `jax.jit` is asked with
    the same functions again and compiles nothing new.
    """

    def make(hyperparameters: Any) -> Training:
        return training(build(hyperparameters), batch_size=batch_size, monitor=monitor)

    return Programs(
        init=jax.jit(lambda h, key, x: make(h).init(key, x)),
        # The carry is given away, so that a run needs its state once and not twice.
        advance=jax.jit(lambda h, state, *rest: make(h).advance(state, *rest), donate_argnums=1),
        evaluate=jax.jit(lambda h, state, data: make(h).evaluate(state, data)),
        predict=jax.jit(lambda h, params, model_state, x: make(h).predict(params, model_state, x)),
    )


def on_device(data: Dataset) -> Dataset:
    """The arrays of a dataset alone, on the default device: names would only make JAX compile again."""
    weights = None if data.weights is None else jnp.asarray(data.weights)
    return Dataset(jnp.asarray(data.inputs), jnp.asarray(data.targets), weights)
