"""Transformations of gradients and of updates, to stand in a chain before or after an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import check_number
from fnnet.optim.base import Optimizer, check_parameters, check_same_structure
from fnnet.optim.masks import Mask, as_mask, masked
from fnnet.recipes import recipe
from fnnet.trees import global_norm, tree_scale, wide
from fnnet.types import Array, PyTree, Scalar


def _stateless(where: str, change: Callable[[PyTree, PyTree], PyTree]) -> Optimizer:
    """The optimizer without state that changes gradients as ``change(grads, params)`` does."""

    def init(params: PyTree) -> PyTree:
        check_parameters(where, params)
        return ()

    def update(grads: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        if params is not None:
            check_same_structure(where, grads, params)
        return change(grads, params), state

    return Optimizer(init, update)


@recipe
def clip(max_delta: Scalar) -> Optimizer:
    """Cuts every element of the gradient off at ±``max_delta``.

    g ← max(−c, min(c, g))

    Args:
        max_delta: c > 0.

    Returns:
        Optimizer without state, to stand in a chain.

    Raises:
        HyperparameterError: ``max_delta`` is not positive.

    Same as ``torch.nn.utils.clip_grad_value_`` and ``optax.clip``.

    Source: Pascanu, Mikolov and Bengio, 2013.

    >>> import jax.numpy as jnp
    >>> clip(1.0).update(jnp.array([3.0, -0.5]), ())[0].tolist()
    [1.0, -0.5]
    """
    check_number("clip", "max_delta", max_delta, low=0.0, low_open=True)

    def cut(g: Array) -> Array:
        dtype = wide(g.dtype)
        limit = jnp.asarray(max_delta, dtype)
        return jnp.clip(g.astype(dtype), -limit, limit).astype(g.dtype)

    return _stateless("clip", lambda grads, params: jax.tree.map(cut, grads))


def _shorten(tree: PyTree, max_norm: Scalar) -> PyTree:
    """X · min(1, c / ‖x‖)."""
    norm = global_norm(tree)
    limit = jnp.asarray(max_norm, norm.dtype)
    return tree_scale(jnp.where(norm > limit, limit / jnp.where(norm > limit, norm, 1), 1), tree)


@recipe
def clip_by_norm(max_norm: Scalar) -> Optimizer:
    """Shortens the gradient of each parameter array to at most ``max_norm``.

    g ← g · min(1, c / ‖g‖) for each leaf g

    Args:
        max_norm: c > 0.

    Returns:
        Optimizer without state, to stand in a chain.

    Raises:
        HyperparameterError: ``max_norm`` is not positive.

    Same as ``torch.nn.utils.clip_grad_norm_`` called for one parameter after the other, up to its 1e-6.

    Source: Pascanu, Mikolov and Bengio, 2013.

    >>> import jax.numpy as jnp
    >>> clip_by_norm(2.5).update([jnp.array([3.0, 4.0]), jnp.array([1.0])], ())[0][0].tolist()
    [1.5, 2.0]
    """
    check_number("clip_by_norm", "max_norm", max_norm, low=0.0, low_open=True)
    return _stateless("clip_by_norm", lambda grads, params: jax.tree.map(lambda g: _shorten(g, max_norm), grads))


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
    return _stateless("clip_by_global_norm", lambda grads, params: _shorten(grads, max_norm))


@recipe
def add_weight_decay(weight_decay: Scalar, mask: Mask = None) -> Optimizer:
    """Coupled weight decay: the gradient of the penalty λ‖θ‖²/2, added before an optimizer sees it.

    g ← g + λ θ

    Args:
        weight_decay: λ ≥ 0.
        mask: which parameters decay: a tree of booleans or a function from the parameters to one, such as
            `matrices`; None for all.

    Returns:
        Optimizer without state, to stand in a chain; its update needs ``params``.

    Raises:
        HyperparameterError: ``weight_decay`` is negative.
        StructureError: update without ``params``, or a mask of another structure.

    Same as ``weight_decay`` of ``torch.optim.SGD`` and ``torch.optim.Adam``, and ``optax.add_decayed_weights``, when
    it stands before the optimizer. See `decoupled_weight_decay` for the other kind.

    Source: lecture 000, "Newer Adam approaches"; lecture 004, L2 regularisation.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = optim.chain(optim.add_weight_decay(0.5, mask=optim.matrices), optim.sgd(1.0))
    >>> params = {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}
    >>> grads = {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}
    >>> updates, _ = optimizer.update(grads, optimizer.init(params), params)
    >>> updates["kernel"].tolist(), updates["bias"].tolist()
    ([[-1.5]], [-1.0])
    """
    where = "add_weight_decay"
    check_number(where, "weight_decay", weight_decay, low=0.0)

    def change(grads: PyTree, params: PyTree) -> PyTree:
        return add_scaled(grads, weight_decay, masked(where, params, mask))

    return _stateless(where, change)


def add_scaled(tree: PyTree, factor: Scalar, other: PyTree) -> PyTree:
    """X + a y, leaf by leaf, rounded once to the dtype of x."""

    def add(x: Array, y: Array) -> Array:
        dtype = wide(x.dtype)
        return (x.astype(dtype) + jnp.asarray(factor, dtype) * y.astype(dtype)).astype(x.dtype)

    return jax.tree.map(add, tree, other)


@recipe
def freeze(mask: Mask = None) -> Optimizer:
    """Holds parameters where they are: their updates become zeros.

    It stands at the end of a chain, for momentum and weight decay move a parameter that has no gradient. With
    `partition` and the label of what is frozen, nothing is stored for it either.

    Args:
        mask: which parameters are held: a tree of booleans or a function from the parameters to one; None for all.

    Returns:
        Optimizer without state.

    Raises:
        StructureError: a mask of another structure, or not of booleans.

    Same as ``optax.transforms.freeze``, and ``requires_grad = False`` in torch.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = optim.chain(optim.sgd(1.0), optim.freeze({"head": False, "body": True}))
    >>> params = {"head": jnp.ones(1), "body": jnp.ones(2)}
    >>> updates, _ = optimizer.update(params, optimizer.init(params))
    >>> updates["head"].tolist(), updates["body"].tolist()
    ([-1.0], [0.0, 0.0])
    """

    def hold(g: Array, held: Any) -> Array:
        return jnp.where(held, jnp.zeros_like(g), g)

    return _stateless("freeze", lambda grads, params: jax.tree.map(hold, grads, as_mask("freeze", mask, grads)))
