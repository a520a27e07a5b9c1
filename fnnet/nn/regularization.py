"""Layers that regularise: they do something in training only."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from fnnet import draws
from fnnet.errors import StructureError, check_key, check_number, is_concrete
from fnnet.nn.base import Layer
from fnnet.recipes import recipe
from fnnet.trees import wide
from fnnet.types import Array, PyTree, Scalar


@recipe
def dropout(drop_rate: Scalar) -> Layer:
    """Dropout: in training each unit is zero with probability ``drop_rate``.

    training: y = x · mask / (1 − drop_rate) with mask ~ Bernoulli(1 − drop_rate); inference: y = x.

    The scale in training keeps the expectation, so that inference needs none; the lecture scales at inference
    instead, which gives the same expectation.

    Args:
        drop_rate: probability of zero, in [0, 1]; may be traced. With the Python number 0 nothing is drawn.

    Returns:
        Layer that keeps shape and dtype; it needs ``key=`` when ``train=True``.

    Raises:
        HyperparameterError: ``drop_rate`` outside [0, 1].
        StructureError: ``train=True`` without a key.

    Source: lecture 000, "Regularization via Dropout"; lecture 004.

    >>> import jax, jax.numpy as jnp
    >>> layer = dropout(0.5)
    >>> y, _ = layer.apply((), (), jnp.ones((2, 4)), key=jax.random.key(0), train=True)
    >>> sorted(set(y.ravel().tolist()))
    [0.0, 2.0]
    """
    check_number("dropout", "drop_rate", drop_rate, low=0.0, high=1.0)
    never = is_concrete(drop_rate) and drop_rate == 0

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        return (), ()

    def apply(params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False) -> tuple[Array, PyTree]:
        if not train or never:
            return x, state
        if key is None:
            raise StructureError(
                "dropout",
                "there is no random key, but train=True draws a mask. Pass apply(..., key=jax.random.key(0)).",
            )
        check_key("dropout", key)
        keep = 1 - jnp.asarray(drop_rate, wide(x.dtype))
        mask = draws.bernoulli(key, 1 - drop_rate, x.shape)
        # At drop_rate 1 nothing is kept; the inner choice keeps 0/0 out of the value and of the gradient.
        scale = jnp.where(keep > 0, 1 / jnp.where(keep > 0, keep, 1), 0)
        return jnp.where(mask, (x * scale.astype(x.dtype)), 0), state

    return Layer(init, apply)
