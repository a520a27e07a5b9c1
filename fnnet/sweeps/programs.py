"""The compiled programs of a group of trials."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from fnnet.data.folding import Selection
from fnnet.sweeps.lanes import Lanes
from fnnet.sweeps.planning import Build
from fnnet.sweeps.work import Roots
from fnnet.train import options
from fnnet.train.ahead import Program
from fnnet.train.core import Training, functions
from fnnet.train.learner import Monitor
from fnnet.train.programs import Programs


@functools.lru_cache(maxsize=64)
def group_programs(
    build: Build, batch_size: int | None, monitor: Monitor, lanes: Lanes, period: int | None = None
) -> Programs:
    """The programs of a group of trials: those of a single run, mapped over lanes.

    The first argument of each is how many parts of its lanes every device computes (see `Lanes.map`), the second the
    hyperparameters.

    - ``init(roots, parts, hyperparameters, run, key, x)``, whose first is static, has by lane the numbers of its run,
      and for all the key of the sweep: keys compile here in a quarter of the time that a program of their own takes.
    - ``advance(parts, hyperparameters, state, fold, until, tables, train, validation, start, steps, stopping)`` has by
      lane the number of its fold and the step at which it ends, and for all lanes the rows of every fold for training
      and for validation; or None.
    """

    def make(hyperparameters: Any) -> Training:
        return functions(build(hyperparameters), batch_size=batch_size, monitor=monitor, period=period)

    def advance(
        h: Any, state: Any, fold: Any, until: Any, tables: Any, train: Any, validation: Any, start: Any, steps: Any,
        stopping: Any,
    ) -> Any:  # fmt: skip
        if fold is not None:
            train, validation = (Selection(train, rows, inside, fold) for rows, inside in tables)
        return make(h).advance(state, train, validation, start, steps, False, stopping, until)

    def over(function: Callable[..., Any], mapped: int, kept: int | None = None) -> Callable[..., Any]:
        return lanes.map(function, mapped, kept)

    def init(roots: Roots, *arguments: Any) -> Any:
        return over(lambda h, run, key, x: make(h).init(roots.key(key, run), x), 2)(*arguments)

    platform = lanes.mesh.devices.flat[0].platform
    return Programs(
        init=jax.jit(init, static_argnums=0, compiler_options=options.once(platform)),
        advance=Program(jax.jit(over(advance, 4, kept=1), donate_argnums=2, compiler_options=options.loops(platform))),
        evaluate=jax.jit(over(lambda h, state, data: make(h).evaluate(state, data), 2)),
        predict=jax.jit(over(lambda h, params, model_state, x: make(h).predict(params, model_state, x), 3)),
    )
