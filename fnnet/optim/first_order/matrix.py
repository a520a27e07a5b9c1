"""Optimizers that see a matrix of parameters as a matrix."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnnet.errors import check_number, check_size, within
from fnnet.optim.base import Optimizer, check_parameters, lift, rate
from fnnet.optim.first_order.newer_moments import adamw
from fnnet.optim.transforms.partitioning import PartitionState, partition
from fnnet.recipes import recipe
from fnnet.trees import global_norm, safe_divide
from fnnet.types import Array, PyTree, Scalar, Schedule

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of Keller Jordan's quintic: as steep at 0 as can be, for which singular values end near 1 rather than at 1."""


class MuonState(NamedTuple):
    """Updates done, and the states by label: ``matrix`` is ``(count, mu)``, ``other`` is the fallback's."""

    count: Array  # type: ignore[assignment]
    inner_states: dict[str, PyTree]


@recipe
def muon(
    learning_rate: Scalar | Schedule,
    momentum: Scalar = 0.95,
    nesterov: bool = True,
    weight_decay: Scalar = 0.0,
    eps: Scalar = 1e-7,
    ns_steps: int = 5,
    fallback: Any = None,
) -> Optimizer:
    """Muon: momentum made orthogonal, for parameters of two axes; another optimizer for all others.

    m ← μ m + (1 − μ) g
    X₀ = (μ m + (1 − μ) g) / (‖·‖ + ε)   with Nesterov, otherwise m / (‖m‖ + ε), in the Frobenius norm
    Xₖ₊₁ = a Xₖ + (b A + c A²) Xₖ   with A = Xₖ Xₖᵀ and (a, b, c) = (3.4445, −4.7750, 2.0315)
    θ ← θ − α (√max(1, columns/rows) X_K + λ θ)

    X_K has the singular vectors of X₀ and singular values near 1. It is for hidden layers: embeddings and the last
    layer are better off with the fallback, by `partition`.

    Args:
        learning_rate: α ≥ 0, or a schedule; about 0.02.
        momentum: μ in [0, 1), memory of the mean.
        nesterov: whether to look ahead.
        weight_decay: λ ≥ 0, of the matrices.
        eps: ε ≥ 0, outside of the norm.
        ns_steps: K ≥ 1, Newton–Schulz steps.
        fallback: optimizer for parameters that have not two axes; None for ``adamw(learning_rate, weight_decay=0)``.

    Returns:
        Optimizer with state ``(count, inner_states)``, where ``inner_states["matrix"]`` is ``(count, mu)`` with None in
        place of what is no matrix, and ``inner_states["other"]`` the fallback's; a label that no parameter has is
        missing. Its update needs ``params``.

    Raises:
        HyperparameterError: a number out of range.
        StructureError: update without ``params``.

    Same as Keller Jordan's ``SingleDeviceMuon(params, lr, weight_decay, momentum)``, which computes X in bfloat16, as
    ``torch.optim.Muon`` does, whose weight_decay is 0.1 unless told; rows and columns are turned, since torch's
    matrices are. ``optax.contrib.muon(learning_rate, beta=momentum, nesterov=False)`` for nesterov = False and small ε;
    with Nesterov optax corrects the bias of m and g each by its own factor, which turns their sum.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, and their code.

    >>> import jax.numpy as jnp
    >>> optimizer = muon(1.0)
    >>> params = {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    >>> grads = {"kernel": jnp.array([[30.0, 0.0], [0.0, 5.0]]), "bias": jnp.ones(2)}
    >>> updates, state = optimizer.update(grads, optimizer.init(params), params)
    >>> print(updates["kernel"].round(1) + 0.0)
    [[-0.7  0. ]
     [ 0.  -1. ]]
    """
    check_number("muon", "learning_rate", learning_rate, low=0.0, schedule=True)
    check_number("muon", "momentum", momentum, low=0.0, high=1.0, high_open=True)
    check_number("muon", "weight_decay", weight_decay, low=0.0)
    check_number("muon", "eps", eps, low=0.0)
    check_size("muon", "ns_steps", ns_steps)

    def update_matrix(t: Any, g: Any, m: Any, *, params: Any) -> Any:
        m = momentum * m + (1 - momentum) * g
        x = _orthogonalize(momentum * m + (1 - momentum) * g if nesterov else m, eps, ns_steps)
        rows, columns = g.shape
        step = -rate(learning_rate, t) * (math.sqrt(max(1, columns / rows)) * x + weight_decay * params)
        return step, m

    with within("muon"):
        parts = partition(
            {
                "matrix": lift("muon", ("mu",), update_matrix),
                "other": adamw(learning_rate, weight_decay=0.0) if fallback is None else fallback,
            },
            lambda params: jax.tree.map(lambda p: "matrix" if jnp.ndim(p) == 2 else "other", params),
        )

    def init(params: PyTree) -> MuonState:
        check_parameters("muon", params)
        with within("muon"):
            return MuonState(jnp.zeros((), jnp.int32), parts.init(params).inner_states)

    def update(grads: PyTree, state: MuonState, params: PyTree = None, **extra: Any) -> tuple[PyTree, MuonState]:
        with within("muon"):
            updates, after = parts.update(grads, PartitionState(state.inner_states), params, **extra)
        return updates, MuonState(state.count + 1, after.inner_states)

    return Optimizer(init, update)


def _orthogonalize(matrix: Array, eps: Scalar, steps: int) -> Array:
    """Newton–Schulz: X₀ = G / (‖G‖ + ε), then X ← a X + (b A + c A²) X with A = X Xᵀ."""
    a, b, c = COEFFICIENTS
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T  # the iteration commutes with the transpose, and A is the smaller of the two
    x = safe_divide(x, global_norm(x) + eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.T
