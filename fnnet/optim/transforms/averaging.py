"""A moving mean of the parameters, to evaluate with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnnet.errors import StructureError, check_number
from fnnet.optim.base import (
    Optimizer,
    apply_updates,
    call_update,
    check_parameters,
    derivative_free,
    gradients_for,
)
from fnnet.optim.transforms.wrappers import check_call, check_wrapped
from fnnet.recipes import recipe
from fnnet.trees import path_name, wide
from fnnet.types import Array, PyTree, Scalar


class EmaParametersState(NamedTuple):
    """The mean of the parameters, the weight of what it has seen (1 − dᵗ), and the state of the optimizer inside."""

    weight: Array
    ema: PyTree
    inner_state: PyTree


@recipe
def ema_parameters(optimizer: Any, decay: Scalar, debias: bool = True) -> Optimizer:
    """Keeps a moving mean of the parameters to evaluate with, and trains as the optimizer does.

    θ̄ₜ = Σ wₛ θₛ / Σ wₛ   with wₛ = (1 − d) dᵗ⁻ˢ over s = 1, …, t; if not debiased, also over s = 0 with w₀ = dᵗ

    Read it with `evaluation_parameters`. The mean is over the parameters after each update of the optimizer, so this
    is the outermost wrapper but for those that skip updates (`accumulate`, `skip_nonfinite`).

    Args:
        optimizer: what trains.
        decay: d in [0, 1), memory of the mean.
        debias: whether to leave out the initial parameters. Otherwise the mean starts there.

    Returns:
        Optimizer with state ``(weight, ema, inner_state)``, in at least float32; its update needs ``params``.

    Raises:
        HyperparameterError: ``decay`` out of range.
        StructureError: update without ``params``.

    Same as ``optax.ema(decay, debias)`` fed with the parameters for ``debias=True``, and
    ``torch.optim.swa_utils.get_ema_multi_avg_fn(decay)`` started at the initial parameters for ``debias=False``.

    Source: lecture 004, "EMA" (where the memory is 1 − β); Polyak and Juditsky, 1992.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = ema_parameters(optim.sgd(1.0), decay=0.5)
    >>> params, state = jnp.array([0.0]), optimizer.init(jnp.array([0.0]))
    >>> for _ in range(2):
    ...     updates, state = optimizer.update(jnp.array([-3.0]), state, params)
    ...     params = optim.apply_updates(params, updates)
    >>> params.tolist(), optim.evaluation_parameters(state, params).tolist()
    ([6.0], [5.0])
    """
    check_wrapped("ema_parameters", "optimizer", optimizer)
    check_number("ema_parameters", "decay", decay, low=0.0, high=1.0, high_open=True)

    def init(params: PyTree) -> EmaParametersState:
        check_parameters("ema_parameters", params)
        mean = jax.tree.map(lambda p: jnp.array(p, wide(p.dtype)), params)
        dtype = max((leaf.dtype for leaf in jax.tree.leaves(mean)), key=lambda d: d.itemsize)
        return EmaParametersState(jnp.full((), 0 if debias else 1, dtype), mean, optimizer.init(params))

    def update(grads: PyTree, state: EmaParametersState, params: PyTree = None, **extra: Any) -> Any:
        grads = gradients_for(optimizer, grads, params)
        check_call("ema_parameters", grads, params, needed=True)
        updates, inner = call_update(optimizer, grads, state.inner_state, params, extra)
        fresh = 1 - jnp.asarray(decay, state.weight.dtype)
        weight = state.weight + fresh * (1 - state.weight)
        share = fresh / weight  # 1 for the first parameters of a debiased mean
        after = apply_updates(params, updates)
        mean = jax.tree.map(
            lambda m, p: m + share.astype(m.dtype) * (p.astype(m.dtype) - m), state.ema, after
        )  # fmt: skip
        return updates, EmaParametersState(weight, mean, inner)

    return derivative_free(Optimizer(init, update), optimizer)


def evaluation_parameters(state: PyTree, params: PyTree) -> PyTree:
    """The parameters to evaluate with: the means that `ema_parameters` keeps, wherever it stands in the optimizer.

    Args:
        state: an optimizer's state, or whatever contains one, such as a `TrainState`.
        params: the parameters that are trained.

    Returns:
        A tree like ``params``: the mean where one is kept, the parameter itself where none is.

    Raises:
        StructureError: two means of one parameter, or a mean of something that is not a parameter.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> evaluation_parameters(optim.sgd(1.0).init(jnp.ones(1)), jnp.ones(1)).tolist()
    [1.0]
    """
    where = "evaluation_parameters"
    means: dict[Any, Array] = {}
    for mean in _means(state):
        for path, leaf in jax.tree_util.tree_leaves_with_path(mean):
            if path in means:
                raise StructureError(
                    where, f"two means are kept of parameter {path_name(path) or '(the only one)'}. Keep one."
                )
            means[path] = leaf
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    foreign = means.keys() - {path for path, _ in leaves}
    if foreign:
        name = min(path_name(path) for path in foreign)
        raise StructureError(where, f"the state keeps a mean of {name or 'one array'}, which is not in params.")
    return jax.tree.unflatten(structure, [jnp.asarray(means.get(path, p), p.dtype) for path, p in leaves])


def _means(state: PyTree) -> Iterator[PyTree]:
    """The means that are kept anywhere in a state; the others of a `partition` have None for what is not theirs."""
    for node in jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, EmaParametersState)):
        if isinstance(node, EmaParametersState):
            yield node.ema
            yield from _means(node.inner_state)
