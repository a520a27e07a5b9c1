"""The compiled programs of a learner, found again when the same structure is trained a second time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet.data import Dataset
from fnnet.errors import HyperparameterError, StructureError, check_key, check_size
from fnnet.train import options
from fnnet.train.advancing import ROWS_A_CALL
from fnnet.train.ahead import Program
from fnnet.train.core import Training, functions
from fnnet.train.learner import Learner, Monitor, choose_monitor
from fnnet.train.placement import Placement
from fnnet.train.sampling import steps_per_epoch
from fnnet.train.stopping import EarlyStopping


class Programs(NamedTuple):
    """Jitted functions whose first argument are the learner's hyperparameters."""

    init: Any
    advance: Program
    evaluate: Callable[..., Any]
    predict: Callable[..., Any]


@functools.lru_cache(maxsize=64)
def programs(
    build: Callable[[Any], Any],
    batch_size: int | None,
    monitor: Monitor,
    period: int | None = None,
    placement: Placement | None = None,
) -> Programs:
    """Programs for a learner that ``build`` makes from its hyperparameters, which are traced.

    ``build`` is hashable and equal for equal structure (a `recipes.Skeleton`), so that `jax.jit` is asked with
    the same functions again and compiles nothing new.
    """

    def make(hyperparameters: Any) -> Training:
        return functions(
            build(hyperparameters), batch_size=batch_size, monitor=monitor, period=period, placement=placement
        )

    def advance(hyperparameters: Any, state: Any, *rest: Any) -> Any:
        state, rows = make(hyperparameters).advance(state, *rest)
        return (state, rows) if placement is None else placement.held((state, rows))

    platform = jax.default_backend()
    return Programs(
        init=jax.jit(lambda h, key, x: make(h).init(key, x), compiler_options=options.once(platform)),
        # The carry is given away, so that a run needs its state once and not twice.
        advance=Program(jax.jit(advance, donate_argnums=1, compiler_options=options.loops(platform))),
        evaluate=jax.jit(lambda h, state, data: make(h).evaluate(state, data)),
        predict=jax.jit(lambda h, params, model_state, x: make(h).predict(params, model_state, x)),
    )


def training(learner: Learner, *, batch_size: int | None = None, monitor: str | None = None) -> Training:
    """The pure functions that train a learner.

    Args:
        learner: what to train; its hyperparameters may be tracers.
        batch_size: examples a step; None for all of them. The last batch of an epoch may be short: it is filled
            up with examples of weight 0.
        monitor: the score that `Training.advance` selects by; the first metric unless told, or the loss.

    Returns:
        `Training`, each function jitted. Called inside of a transformation of your own they become part of it.

    Raises:
        StructureError: the learner is not one.
        HyperparameterError: ``batch_size`` is not a positive integer, or there is no such score.

    >>> import jax, jax.numpy as jnp
    >>> import fnnet
    >>> from fnnet import data, losses, nn, optim
    >>> line = data.from_arrays(jnp.arange(8.0)[:, None] / 8, jnp.arange(8.0)[:, None] / 4)
    >>> training = fnnet.training(fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(0.5)), batch_size=3)
    >>> state = training.init(jax.random.key(0), line.inputs[:1])
    >>> state, logs = training.chunk(state, line, steps=200)
    >>> float(training.evaluate(state, line)["loss"]) < 1e-4
    True
    """
    if batch_size is not None:
        check_size("training", "batch_size", batch_size)
    chosen = None if monitor is None else choose_monitor("training", learner, monitor, validated=True)
    pure = functions(learner, batch_size=batch_size, monitor=chosen)
    jitted = Training(*(jax.jit(function) for function in pure))
    initialised = jax.jit(pure.init, static_argnums=1)
    counted = jax.jit(pure.chunk, static_argnums=2)

    def init(key: Any, x: Any) -> Any:
        check_key("training.init", key)
        if not (hasattr(x, "shape") and hasattr(x, "dtype")):
            raise StructureError("training.init", f"x is {x!r}, but an array is needed, such as train.inputs[:1].")
        return initialised(key, jax.ShapeDtypeStruct(x.shape, jax.dtypes.canonicalize_dtype(x.dtype)))

    def chunk(state: Any, data: Dataset, steps: Any) -> Any:
        # A Python number of steps is static, so that a gradient can go back through them.
        return counted(state, data, steps) if isinstance(steps, int) else jitted.chunk(state, data, steps)

    def advance(
        state: Any,
        train: Dataset,
        validation: Dataset | None,
        start: Any,
        steps: Any,
        last: Any = False,
        stopping: EarlyStopping | None = None,
        until: Any = None,
    ) -> Any:
        room = ROWS_A_CALL * steps_per_epoch(len(train), batch_size)
        if isinstance(steps, int) and steps > room:
            raise HyperparameterError(
                "training.advance",
                f"steps is {steps}, more than the {room} of {ROWS_A_CALL} epochs, for which the history of one call "
                f"has room. Call it in a loop.",
            )
        return jitted.advance(state, train, validation, start, steps, last, stopping, until)

    return jitted._replace(init=init, chunk=chunk, advance=advance)


def on_device(data: Dataset) -> Dataset:
    """The arrays of a dataset alone, on the default device: names would only make JAX compile again."""

    def put(x: Any) -> Any:
        # A copy that nobody else can change, for a device may take an array of NumPy as it is. `jnp.asarray` would copy
        # as well, by a program to compile for each shape.
        return x if isinstance(x, jax.Array) else jax.device_put(np.array(x))

    return Dataset(*jax.tree.map(put, (data.inputs, data.targets, data.weights)))
