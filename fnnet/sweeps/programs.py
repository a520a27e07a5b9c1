"""The compiled programs of a group of trials."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from fnnet.sweeps.lanes import Lanes
from fnnet.sweeps.planning import Build
from fnnet.train.core import Training, functions
from fnnet.train.learner import Monitor
from fnnet.train.programs import Programs


@functools.lru_cache(maxsize=64)
def group_programs(build: Build, batch_size: int | None, monitor: Monitor, lanes: Lanes) -> Programs:
    """The programs of a group of trials: those of a single run, mapped over lanes."""

    def make(hyperparameters: Any) -> Training:
        return functions(build(hyperparameters), batch_size=batch_size, monitor=monitor)

    def over(function: Callable[..., Any], mapped: int) -> Callable[..., Any]:
        return lanes.map(function, mapped)

    return Programs(
        init=jax.jit(over(lambda h, key, x: make(h).init(key, x), 2)),
        advance=jax.jit(over(lambda h, state, *rest: make(h).advance(state, *rest), 2), donate_argnums=1),
        evaluate=jax.jit(over(lambda h, state, data: make(h).evaluate(state, data), 2)),
        predict=jax.jit(over(lambda h, params, model_state, x: make(h).predict(params, model_state, x), 3)),
    )
