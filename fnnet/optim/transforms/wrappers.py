"""Optimizers around optimizers: each keeps the inner one's state in ``inner_state`` and passes on what it is offered.

The inner optimizer is fnnet's or any pair with the ecosystem's calling convention.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import StructureError, check_number, within
from fnnet.optim.base import (
    Optimizer,
    call_update,
    check_parameters,
    check_same_structure,
    derivative_free,
    gradients_for,
    rate,
)
from fnnet.optim.inspection import learning_rate as read_learning_rate
from fnnet.optim.masks import Mask, masked
from fnnet.optim.transforms.gradients import add_scaled
from fnnet.recipes import recipe
from fnnet.trees import tree_where, wide
from fnnet.types import Array, Integer, PyTree, Scalar, Schedule


def check_wrapped(where: str, name: str, optimizer: Any) -> None:
    """Raises unless an argument is an optimizer."""
    if not all(callable(getattr(optimizer, part, None)) for part in ("init", "update")):
        raise StructureError(
            where, f"{name} is {optimizer!r}, which is not an (init, update) pair. Call its factory: optim.adam(1e-3)."
        )


def check_call(where: str, grads: PyTree, params: PyTree, *, needed: bool = False) -> None:
    """Raises unless the gradients fit the parameters, where there are any."""
    if needed and params is None:
        raise StructureError(where, "needs the parameters. Call update(grads, state, params).")
    if params is not None:
        check_same_structure(where, grads, params)


def _zeros_like(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)


class DecoupledWeightDecayState(NamedTuple):
    """Updates done, and the state of the optimizer inside."""

    count: Array  # type: ignore[assignment]
    inner_state: PyTree


@recipe
def decoupled_weight_decay(
    optimizer: Any, weight_decay: Scalar, mask: Mask = None, learning_rate: Scalar | Schedule | None = None
) -> Optimizer:
    """Decoupled weight decay: the parameters shrink beside the optimizer, which does not see it.

    θ ← θ + Δ − α λ θ   with Δ the optimizer's update and α its learning rate

    Args:
        optimizer: what makes Δ.
        weight_decay: λ ≥ 0.
        mask: which parameters decay: a tree of booleans or a function from the parameters to one, such as
            `matrices`; None for all.
        learning_rate: α ≥ 0 or a schedule; None for the optimizer's own.

    Returns:
        Optimizer with state ``(count, inner_state)``; its update needs ``params``.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: update without ``params``, a mask of another structure, or an optimizer whose learning rate
            cannot be read and none given.

    Same as ``torch.optim.AdamW`` and `adamw` around `adam`, and in optax as ``add_decayed_weights`` that stands in a
    chain before ``scale_by_learning_rate``.

    Source: lecture 000, "Newer Adam approaches"; Loshchilov and Hutter, 2019.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = decoupled_weight_decay(optim.sgd(0.5, momentum=0.9), 0.25)
    >>> params = jnp.array([8.0])
    >>> optimizer.update(jnp.zeros(1), optimizer.init(params), params)[0].tolist()
    [-1.0]
    """
    where = "decoupled_weight_decay"
    check_wrapped(where, "optimizer", optimizer)
    check_number(where, "weight_decay", weight_decay, low=0.0)
    if learning_rate is not None:
        check_number(where, "learning_rate", learning_rate, low=0.0, schedule=True)

    def rate_now(state: DecoupledWeightDecayState) -> Array:
        if learning_rate is not None:
            return rate(learning_rate, state.count.astype(jnp.result_type(float)) + 1)
        with within(where):
            return read_learning_rate(optimizer, state.inner_state)

    def init(params: PyTree) -> DecoupledWeightDecayState:
        check_parameters(where, params)
        state = DecoupledWeightDecayState(jnp.zeros((), jnp.int32), optimizer.init(params))
        rate_now(state)  # what cannot be read is said now
        return state

    def update(grads: PyTree, state: DecoupledWeightDecayState, params: PyTree = None, **extra: Any) -> Any:
        grads = gradients_for(optimizer, grads, params)
        check_call(where, grads, params, needed=True)
        alpha = rate_now(state)
        updates, inner = call_update(optimizer, grads, state.inner_state, params, extra)
        updates = add_scaled(updates, -alpha * jnp.asarray(weight_decay, alpha.dtype), masked(where, params, mask))
        return updates, DecoupledWeightDecayState(state.count + 1, inner)

    return derivative_free(Optimizer(init, update), optimizer)


class AccumulateState(NamedTuple):
    """Gradients since the last update, updates done, the mean gradient so far, and the state inside."""

    mini_step: Array
    gradient_step: Array
    acc_grads: PyTree
    inner_state: PyTree


@recipe
def accumulate(optimizer: Any, steps: Integer) -> Optimizer:
    """One update from the mean of so many gradients; updates are zeros in between, and nothing else is computed.

    ḡ ← ḡ + (g − ḡ)/j for j = 1, …, k;  at j = k the optimizer gets ḡ, and j and ḡ are 0 again

    Equal to one update on all k batches together if these have the same weight. What else the optimizer is offered
    (``value``, ``value_fn``) belongs to the last batch.

    Args:
        optimizer: what gets the mean.
        steps: k ≥ 1, gradients an update; may be traced.

    Returns:
        Optimizer with state ``(mini_step, gradient_step, acc_grads, inner_state)``; the mean is kept in at least
        float32.

    Raises:
        HyperparameterError: ``steps`` is less than 1.
        StructureError: gradients unlike the parameters.

    Same as ``optax.MultiSteps(optimizer, every_k_schedule=k)``, and k calls of ``(loss / k).backward()`` in torch.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = accumulate(optim.sgd(1.0), steps=2)
    >>> first, state = optimizer.update(jnp.array([1.0]), optimizer.init(jnp.zeros(1)))
    >>> second, state = optimizer.update(jnp.array([3.0]), state)
    >>> first.tolist(), second.tolist()
    ([0.0], [-2.0])
    """
    check_wrapped("accumulate", "optimizer", optimizer)
    check_number("accumulate", "steps", steps, low=1)

    def init(params: PyTree) -> AccumulateState:
        check_parameters("accumulate", params)
        zero = jnp.zeros((), jnp.int32)
        empty = jax.tree.map(lambda p: jnp.zeros(p.shape, wide(p.dtype)), params)
        return AccumulateState(zero, zero, empty, optimizer.init(params))

    def update(grads: PyTree, state: AccumulateState, params: PyTree = None, **extra: Any) -> Any:
        grads = gradients_for(optimizer, grads, params)
        check_same_structure("accumulate", grads, state.acc_grads)
        check_call("accumulate", grads, params)
        number = state.mini_step + 1
        mean = jax.tree.map(
            lambda a, g: a + (g.astype(a.dtype) - a) / number.astype(a.dtype), state.acc_grads, grads
        )  # fmt: skip
        whole = jax.tree.map(lambda a, g: a.astype(g.dtype), mean, grads)
        offered = {**extra, "grad": whole} if "grad" in extra else extra

        def act() -> tuple[PyTree, PyTree]:
            return call_update(optimizer, whole, state.inner_state, params, offered)

        full = number.astype(jnp.result_type(float)) >= jnp.asarray(steps, jnp.result_type(float))
        shapes = jax.eval_shape(lambda: act()[0])
        updates, inner = lax.cond(full, act, lambda: (_zeros_like(shapes), state.inner_state))
        return updates, AccumulateState(
            mini_step=jnp.where(full, 0, number),
            gradient_step=state.gradient_step + full.astype(jnp.int32),
            acc_grads=jax.tree.map(lambda a: jnp.where(full, jnp.zeros_like(a), a), mean),
            inner_state=inner,
        )

    return derivative_free(Optimizer(init, update), optimizer)


class SkipNonfiniteState(NamedTuple):
    """Updates skipped in a row, updates with non-finite gradients in all, and the state of the optimizer inside."""

    notfinite_count: Array
    total_notfinite: Array
    inner_state: PyTree


@recipe
def skip_nonfinite(optimizer: Any, limit: Integer | None = None) -> Optimizer:
    """Leaves out updates whose gradients are not finite: parameters and state stay as they are, and it is counted.

    Args:
        optimizer: what gets the finite gradients.
        limit: how many in a row are left out, at least 0; the next is let through, so that training can report
            that it has diverged. None for no limit; may be traced.

    Returns:
        Optimizer with state ``(notfinite_count, total_notfinite, inner_state)``.

    Raises:
        HyperparameterError: ``limit`` is negative.
        StructureError: gradients unlike the parameters.

    Same as ``optax.apply_if_finite(optimizer, max_consecutive_errors=limit)``, and what
    ``torch.amp.GradScaler.step`` does.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = skip_nonfinite(optim.sgd(1.0))
    >>> updates, state = optimizer.update(jnp.array([jnp.nan, 1.0]), optimizer.init(jnp.zeros(2)))
    >>> updates.tolist(), int(state.total_notfinite), int(state.inner_state.count)
    ([0.0, 0.0], 1, 0)
    """
    check_wrapped("skip_nonfinite", "optimizer", optimizer)
    if limit is not None:
        check_number("skip_nonfinite", "limit", limit, low=0)

    def init(params: PyTree) -> SkipNonfiniteState:
        check_parameters("skip_nonfinite", params)
        zero = jnp.zeros((), jnp.int32)
        return SkipNonfiniteState(zero, zero, optimizer.init(params))

    def update(grads: PyTree, state: SkipNonfiniteState, params: PyTree = None, **extra: Any) -> Any:
        grads = gradients_for(optimizer, grads, params)
        check_call("skip_nonfinite", grads, params)
        finite = jnp.stack([jnp.isfinite(g).all() for g in jax.tree.leaves(grads)]).all()
        in_a_row = jnp.where(finite, 0, state.notfinite_count + 1)
        passed = finite if limit is None else finite | (in_a_row.astype(jnp.float32) > jnp.asarray(limit, jnp.float32))
        # Where a map turns the branch into a choice, a NaN in the branch not taken would still poison derivatives.
        shown = tree_where(passed, grads, jax.tree.map(jnp.zeros_like, grads))
        offered = {**extra, "grad": shown} if "grad" in extra else extra

        def act() -> tuple[PyTree, PyTree]:
            return call_update(optimizer, shown, state.inner_state, params, offered)

        shapes = jax.eval_shape(lambda: act()[0])
        updates, inner = lax.cond(passed, act, lambda: (_zeros_like(shapes), state.inner_state))
        return updates, SkipNonfiniteState(in_a_row, state.total_notfinite + (~finite).astype(jnp.int32), inner)

    return derivative_free(Optimizer(init, update), optimizer)
