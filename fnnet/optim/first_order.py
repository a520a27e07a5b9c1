"""Gradient descent and its momentum forms."""

from __future__ import annotations

from typing import Any

from fnnet.errors import StructureError, check_number
from fnnet.optim.base import Optimizer, elementwise, rate
from fnnet.recipes import recipe
from fnnet.types import Scalar, Schedule


@recipe
def sgd(learning_rate: Scalar | Schedule, momentum: Scalar | None = None, nesterov: bool = False) -> Optimizer:
    """(Stochastic) gradient descent, with momentum and Nesterov's look-ahead.

    plain:     θ ← θ − α g
    momentum:  v ← γ v + g,  θ ← θ − α v
    Nesterov:  v ← γ v + g,  θ ← θ − α (g + γ v)

    With a constant α this v is the lectures' v divided by α. Nesterov is written in the variable θ′ = θ − αγv at
    which the gradient is taken, as everywhere in the field; the lecture writes it in θ.

    Args:
        learning_rate: α > 0, or a schedule.
        momentum: γ in [0, 1), or None for none and no accumulator.
        nesterov: whether to look ahead; needs momentum.

    Returns:
        Optimizer with state ``(count)`` or ``(count, trace)``.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: ``nesterov`` without momentum.

    Same as ``torch.optim.SGD(lr, momentum, nesterov=nesterov)`` and ``optax.sgd``.

    Source: lecture 000, "First order optimization", "Momentum"; lectures 001, 002, 004.

    >>> import jax.numpy as jnp
    >>> optimizer = sgd(0.5)
    >>> updates, state = optimizer.update(jnp.array([2.0]), optimizer.init(jnp.zeros(1)))
    >>> updates.tolist()
    [-1.0]
    """
    if momentum is None:
        if nesterov:
            raise StructureError("sgd", "nesterov=True looks ahead along the momentum. Pass momentum=0.9, say.")
        return _gradient_descent(learning_rate)
    return _momentum(learning_rate, momentum, nesterov)


@elementwise()
def _gradient_descent(learning_rate: Scalar | Schedule) -> Any:
    check_number("sgd", "learning_rate", learning_rate, low=0.0)

    def update(t: Any, g: Any) -> Any:
        return (-rate(learning_rate, t) * g,)

    return update


@elementwise("trace")
def _momentum(learning_rate: Scalar | Schedule, momentum: Scalar, nesterov: bool) -> Any:
    check_number("sgd", "learning_rate", learning_rate, low=0.0)
    check_number("sgd", "momentum", momentum, low=0.0, high=1.0, high_open=True)

    def update(t: Any, g: Any, v: Any) -> Any:
        v = momentum * v + g
        step = -rate(learning_rate, t) * (g + momentum * v if nesterov else v)
        return step, v

    return update
