"""Answers that all lanes of a program share, so that lanes which are computed at once take the same branches."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from fnnet.types import Array


def _shared(reduce: Callable[..., Array]) -> Callable[[Array], Array]:
    """The identity for one lane; under `jax.vmap` the ``reduce`` over lanes, which itself has no lane axis.

    A condition that had one would make each loop and branch that depends on it compute both sides for every lane.
    """

    @custom_vmap
    def shared(value: Array) -> Array:
        return value

    @shared.def_vmap
    def _(size: int, batched: list[bool], value: Array) -> tuple[Array, bool]:
        return shared(reduce(value, axis=0) if batched[0] else value), False

    return shared


anywhere = _shared(jnp.any)
"""Whether a flag is set in any lane."""

least = _shared(jnp.min)
"""The least of a number over all lanes."""
