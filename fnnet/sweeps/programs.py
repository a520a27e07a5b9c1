"""The compiled programs of a group of trials."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from fnnet.data.folding import Selection
from fnnet.sweeps.lanes import Lanes
from fnnet.sweeps.planning import Build
from fnnet.train.core import Training, functions
from fnnet.train.learner import Monitor
from fnnet.train.programs import Programs


@functools.lru_cache(maxsize=64)
def group_programs(
    build: Build, batch_size: int | None, monitor: Monitor, lanes: Lanes, period: int | None = None
) -> Programs:
    """The programs of a group of trials: those of a single run, mapped over lanes.

    ``advance(hyperparameters, state, fold, tables, train, validation, …)`` has two arguments more than that of a
    single run: the number of a lane's fold, and the rows of all folds for training and for validation; or None.
    """

    def make(hyperparameters: Any) -> Training:
        return functions(build(hyperparameters), batch_size=batch_size, monitor=monitor, period=period)

    def advance(h: Any, state: Any, fold: Any, tables: Any, train: Any, validation: Any, *rest: Any) -> Any:
        if fold is not None:
            train, validation = (Selection(train, rows, inside, fold) for rows, inside in tables)
        return make(h).advance(state, train, validation, *rest)

    def over(function: Callable[..., Any], mapped: int) -> Callable[..., Any]:
        return lanes.map(function, mapped)

    return Programs(
        init=jax.jit(over(lambda h, key, x: make(h).init(key, x), 2)),
        advance=jax.jit(over(advance, 3), donate_argnums=1),
        evaluate=jax.jit(over(lambda h, state, data: make(h).evaluate(state, data), 2)),
        predict=jax.jit(over(lambda h, params, model_state, x: make(h).predict(params, model_state, x), 3)),
    )
