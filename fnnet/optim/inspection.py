"""What an optimizer is about to do, read from it and its state."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp

from fnnet.errors import StructureError
from fnnet.recipes import describe, recipe_of
from fnnet.types import Array, PyTree


def learning_rate(optimizer: Any, state: PyTree) -> Array:
    """The learning rate of the next update.

    It is found inside of chains and wrappers: a factory's argument ``learning_rate``, and where that is a schedule,
    the ``count`` of its state. Of ecosystem optimizers it is found in the state of ``optax.inject_hyperparams``,
    which holds that of the last update.

    Args:
        optimizer: fnnet's.
        state: its state, as init or update returned it; under `jax.vmap`, or with a lane axis, a rate a lane.

    Returns:
        Scalar array.

    Raises:
        StructureError: the optimizer has no learning rate, or several, or the state is not its own.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = optim.chain(optim.clip(1.0), optim.sgd(optim.schedules.linear_decay(1.0, 0.0, 10)))
    >>> state = optimizer.init(jnp.zeros(2))
    >>> for _ in range(5):
    ...     _, state = optimizer.update(jnp.ones(2), state)
    >>> print(optim.learning_rate(optimizer, state))
    0.5
    """
    found = list(_rates(optimizer, state))
    if not found:
        raise StructureError(
            "learning_rate",
            f"{describe(optimizer)} has no learning rate that can be read: no factory in it was given one.",
        )
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise StructureError(
            "learning_rate",
            f"{describe(optimizer)} has {len(found)} learning rates, of {names}. Read each from its own part and its "
            f"own part of the state.",
        )
    return found[0][1]


def has_learning_rate(optimizer: Any, state: PyTree) -> bool:
    """Whether there is one learning rate that `learning_rate` can read."""
    return len(list(_rates(optimizer, state))) == 1


def _rates(optimizer: Any, state: PyTree) -> Iterator[tuple[str, Array]]:
    """Every learning rate with the name of the factory that was given it."""
    made = recipe_of(optimizer)
    if made is None:
        injected = getattr(state, "hyperparams", None)
        if isinstance(injected, Mapping) and "learning_rate" in injected:
            yield "inject_hyperparams", jnp.asarray(injected["learning_rate"])
        return
    given = inspect.signature(made.factory).bind(*made.args, **made.kwargs)
    given.apply_defaults()
    name, arguments = made.factory.__name__, given.arguments
    inner = list(_parts(name, arguments, state))
    below = [rate for part, part_state in inner for rate in _rates(part, part_state)]
    if below:
        yield from below
    elif arguments.get("learning_rate") is not None:
        yield name, _rate_now(name, arguments["learning_rate"], state)


def _parts(name: str, arguments: Mapping[str, Any], state: PyTree) -> Iterator[tuple[Any, PyTree]]:
    """The optimizers inside an optimizer, each with its part of the state.

    A wrapper takes an ``optimizer`` and keeps its state in ``inner_state``; one of several takes ``optimizers``, and
    keeps their states in order as its own, or by label in ``inner_states``.
    """
    optimizer, optimizers = arguments.get("optimizer"), arguments.get("optimizers")
    if optimizer is not None:
        yield optimizer, _field(name, state, "inner_state")
    if isinstance(optimizers, Mapping):
        states = _field(name, state, "inner_states")
        yield from ((optimizers[label], part) for label, part in states.items())
    elif optimizers is not None:
        if not isinstance(state, tuple) or len(state) != len(optimizers):
            raise _foreign(name, state)
        yield from zip(optimizers, state, strict=True)


def _rate_now(name: str, rate: Any, state: PyTree) -> Array:
    default = jnp.result_type(float)
    now = jnp.asarray(rate(jnp.asarray(_field(name, state, "count")).astype(default)) if callable(rate) else rate)
    return now.astype(now.dtype if jnp.issubdtype(now.dtype, jnp.floating) else default)


def _field(name: str, state: PyTree, field: str) -> Any:
    found = getattr(state, field, None)
    if found is None or callable(found):  # every tuple has a method named count
        raise _foreign(name, state)
    return found


def _foreign(name: str, state: PyTree) -> StructureError:
    return StructureError(
        "learning_rate",
        f"the state of {name} is a {type(state).__name__}, which is none that its init returns. "
        f"Pass the state of this optimizer; in training it is state.optimizer_state.",
    )
