"""Transformations of gradients, to stand in a chain before an optimizer."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from fnnet.errors import check_number
from fnnet.optim.base import Optimizer
from fnnet.recipes import recipe
from fnnet.trees import global_norm, tree_scale
from fnnet.types import PyTree, Scalar


@recipe
def clip_by_global_norm(max_norm: Scalar) -> Optimizer:
    """Shortens the gradient, taken as one vector, to at most ``max_norm``.

    g ← g · min(1, c / ‖g‖)

    Args:
        max_norm: c > 0.

    Returns:
        Optimizer without state, to stand in a chain.

    Raises:
        HyperparameterError: ``max_norm`` is not positive.

    Same as ``torch.nn.utils.clip_grad_norm_`` up to its 1e-6, and ``optax.clip_by_global_norm``.

    Source: Pascanu, Mikolov and Bengio, 2013.

    >>> import jax.numpy as jnp
    >>> clip = clip_by_global_norm(2.5)
    >>> clip.update({"a": jnp.array([3.0]), "b": jnp.array([4.0])}, ())[0]["b"].tolist()
    [2.0]
    """
    check_number("clip_by_global_norm", "max_norm", max_norm, low=0.0, low_open=True)

    def init(params: PyTree) -> PyTree:
        return ()

    def update(grads: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        norm = global_norm(grads)
        limit = jnp.asarray(max_norm, norm.dtype)
        factor = jnp.where(norm > limit, limit / jnp.where(norm > limit, norm, 1), 1)
        return tree_scale(factor, grads), state

    return Optimizer(init, update)
