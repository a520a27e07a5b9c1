"""Every point of a descent; `optim.minimize` keeps values alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnnet import optim
from fnnet.types import Array


def descent_path(fun: Callable[[Any], Any], start: Array, optimizer: Any, steps: int) -> Array:
    """The points before and after each of the steps, (steps + 1, parameters)."""

    def body(carry: Any, _: Any) -> Any:
        theta, state = carry
        updates, state = optimizer.update(jax.grad(fun)(theta), state, theta, value_fn=fun)
        return (optim.apply_updates(theta, updates), state), theta

    (last, _), points = jax.lax.scan(body, (start, optimizer.init(start)), length=steps)
    return jnp.concatenate([points, last[None]])
