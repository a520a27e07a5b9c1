"""Lanczos' method: a symmetric operator seen through a few vectors that it makes of one.

With orthonormal rows V = (v_0, …, v_{m−1}) of the space of v, Hv, H²v, … the small matrix T = V H Vᵀ has eigenvalues
that come close to those of H, at its ends first. In exact arithmetic T is tridiagonal and each new vector need only be
made orthogonal to the last two; in floating-point arithmetic the rows would lose their orthogonality as soon as an
eigenvalue is found, and it would be found again and again. So each is made orthogonal to all before it, twice, and T is
taken from the products themselves. It is then right for any orthonormal rows, also for those of a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.optim.second_order.curvature import safe_norm
from fnnet.optim.vectors import as_vector, like
from fnnet.types import Array, PyTree

Product = Callable[[Array], Array]


class Krylov(NamedTuple):
    """Orthonormal rows ``basis`` (m + 1, n), of which the last is next; T (m, m); and the norm β that v_m had.

    H V = T V + β e_m v_mᵀ holds when all rows are filled, so a Ritz vector sᵀV has the residual β |s_m|.
    """

    basis: Array
    projected: Array
    beta: Array


def started(v: Array, size: int) -> Krylov:
    """Room for ``size`` products, and the first vector, scaled to length 1."""
    basis = jnp.zeros((size + 1, v.size), v.dtype).at[0].set(v / safe_norm(v))
    return Krylov(basis, jnp.zeros((size, size), v.dtype), jnp.zeros((), v.dtype))


def extended(product: Product, space: Krylov, first: Any, key: Array) -> Krylov:
    """Fills the rows from ``first`` on, one product each; those before it are given."""
    size = space.projected.shape[0]
    eps = jnp.finfo(space.basis.dtype).eps

    def orthogonal(w: Array, basis: Array, filled: Array) -> tuple[Array, Array]:
        # Rows that are not filled yet may hold anything, so that a restart need not clear them.
        # Row by row: a product of matrix and vector adds up millions of float32 in order, which leaves three digits.
        c = jnp.where(filled, lax.map(lambda row: jnp.vdot(row, w, precision=lax.Precision.HIGHEST), basis), 0)
        return w - jnp.matmul(c, basis, precision=lax.Precision.HIGHEST), c

    def step(j: Array, space: Krylov) -> Krylov:
        basis, projected, _ = space
        filled = jnp.arange(size + 1, dtype=jnp.int32) <= j.astype(jnp.int32)
        hv = product(basis[j])
        w, c = orthogonal(hv, basis, filled)
        w, more = orthogonal(w, basis, filled)
        beta = safe_norm(w)
        column = (c + more)[:size]
        projected = projected.at[:, j].set(column).at[j, :].set(column)
        # An invariant subspace: another vector goes on in what is orthogonal to it.
        ended = beta <= 10 * eps * safe_norm(hv)

        def fresh() -> Array:
            u = jax.random.normal(jax.random.fold_in(key, j), w.shape, w.dtype)
            u = orthogonal(orthogonal(u, basis, filled)[0], basis, filled)[0]
            return u / jnp.maximum(safe_norm(u), jnp.finfo(u.dtype).tiny)

        following = lax.cond(ended, fresh, lambda: w / jnp.where(ended, 1, beta))
        return Krylov(basis.at[j + 1].set(following), projected, jnp.where(ended, 0, beta))

    return lax.fori_loop(first, size, step, space)


class Hessian(NamedTuple):
    """H at a point, as ``product`` v ↦ H v; ``back`` makes a pytree of a vector, and ``value`` is that of f there."""

    theta: Array
    back: Callable[[Array], PyTree]
    value: Array
    product: Product


def hessian_at(fun: Callable[[PyTree], Any], params: PyTree) -> Hessian:
    """The Hessian of a function of a pytree; the gradient's forward pass is done once for all products."""
    theta, back = as_vector(params), like(params)
    slope = jax.value_and_grad(lambda v: jnp.asarray(fun(back(v))).astype(theta.dtype))
    (value, _), derivative = jax.linearize(slope, theta)
    return Hessian(theta, back, value, lambda v: derivative(v)[1])
