"""The ends of the spectrum of a Hessian that is never formed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.calculus.lanczos import Krylov, extended, hessian_product, started
from fnnet.calculus.points import point
from fnnet.errors import check_key, check_number, check_size, is_concrete
from fnnet.optim.vectors import as_vector, like
from fnnet.types import Array, PyTree, Scalar


class ExtremeCurvatures(NamedTuple):
    """The least and the greatest eigenvalue of a Hessian, and directions of length 1 in which they are the curvature.

    An eigenvalue lies within ``least_error`` of ``least``, likewise for the greatest: ‖Hu − λu‖ of the direction u.
    ``products`` is the number of Hessian-vector products, and ``converged`` whether both errors met the tolerance.
    """

    least: Array
    greatest: Array
    least_direction: PyTree
    greatest_direction: PyTree
    least_error: Array
    greatest_error: Array
    products: Array
    converged: Array


class _Search(NamedTuple):
    space: Krylov
    values: Array
    vectors: Array
    errors: Array
    products: Array


def extreme_curvatures(
    fun: Callable[[PyTree], Any],
    params: PyTree,
    *,
    tolerance: Scalar = 1e-5,
    memory: int = 20,
    most: int = 1000,
    key: Any = None,
) -> ExtremeCurvatures:
    """Least and greatest eigenvalue of the Hessian, by Lanczos' method from Hessian-vector products.

    λ_min ≤ uᵀHu ≤ λ_max for every u of length 1

    Each vector is made orthogonal to all that are kept. When ``memory`` of them are there, the half that comes closest
    to the ends of the spectrum stays and the search goes on from them (a thick restart), so that memory is bounded
    however many products are needed.

    Args:
        fun: f, from a pytree of floats to a scalar; pure. A loss over data is best taken of all of them.
        params: θ. The arithmetic is in their widest dtype, at least float32.
        tolerance: of ‖Hu − λu‖, as a share of the largest |λ|; positive. In float32 less than 1e-6 is not to be had.
        memory: how many vectors of the size of θ are kept, at least 4; there are about twice as many at a restart.
        most: Hessian-vector products after which the search ends, converged or not; a positive integer.
        key: of the vector to begin with; None for ``jax.random.key(0)``.

    Returns:
        `ExtremeCurvatures`; pure, so it may be mapped over stacked parameters. Each call compiles once; put it into
        `jax.jit` to call it again at other points.

    Raises:
        ShapeError: ``fun`` does not return a scalar.
        StructureError: ``params`` is empty or holds integers, ``key`` is no key.
        DataError: ``params`` is not finite.
        HyperparameterError: ``tolerance``, ``memory`` or ``most`` is out of range.

    Source: lecture 001, "Hessian Matrix"; Wu and Simon, "Thick-restart Lanczos method", 2000.

    >>> import jax.numpy as jnp
    >>> found = extreme_curvatures(lambda x: x[0] ** 2 - 3 * x[1] ** 2 + x[2] ** 2 / 2, jnp.zeros(3))
    >>> print(found.least.round(4), found.greatest.round(4))
    -6.0 2.0
    """
    where = "extreme_curvatures"
    params = point(where, fun, params)
    check_number(where, "tolerance", tolerance, low=0.0, low_open=True)
    check_size(where, "memory", memory)
    check_number(where, "memory", memory, low=4)
    check_size(where, "most", most)
    key = jax.random.key(0) if key is None else key
    if is_concrete(key):
        check_key(where, key)
    back = like(params)

    def run(params: PyTree, tolerance: Array, key: Array) -> ExtremeCurvatures:
        theta = as_vector(params)
        size = min(memory, theta.size)
        product = hessian_product(lambda v: jnp.asarray(fun(back(v))).astype(theta.dtype), theta)
        begin, key = jax.random.split(key)
        space = started(jax.random.normal(begin, theta.shape, theta.dtype), size)
        search = _judged(extended(product, space, 0, key), size)
        # With as many vectors as parameters everything is known, and there is nothing left to restart with.
        if size < theta.size:
            kept = max(2, size // 2)

            def again(search: _Search) -> _Search:
                key_here = jax.random.fold_in(key, search.products)
                space = extended(product, _restarted(search, kept), kept, key_here)
                return _judged(space, search.products + size - kept)

            def unfinished(search: _Search) -> Array:
                return ~_within(search, tolerance) & (search.products + size - kept <= most)

            search = lax.while_loop(unfinished, again, search)
        ends = jnp.matmul(search.vectors[:, jnp.array([0, -1])].T, search.space.basis[:-1])
        return ExtremeCurvatures(
            least=search.values[0],
            greatest=search.values[-1],
            least_direction=back(ends[0]),
            greatest_direction=back(ends[1]),
            least_error=search.errors[0],
            greatest_error=search.errors[-1],
            products=search.products,
            converged=_within(search, tolerance),
        )

    return jax.jit(run)(params, jnp.asarray(tolerance, jnp.zeros(()).dtype), key)


def _judged(space: Krylov, products: Any) -> _Search:
    """The eigenvalues that the vectors show, and how far H is from agreeing."""
    values, vectors = jnp.linalg.eigh(space.projected)
    # No residual is known to better than the rounding of the products.
    rounding = jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values))
    errors = jnp.maximum(space.beta * jnp.abs(vectors[-1]), rounding)
    return _Search(space, values, vectors, errors, jnp.asarray(products, jnp.int32))


def _within(search: _Search, tolerance: Array) -> Array:
    """Whether both ends are known; what is not finite will never be, so False."""
    worst = jnp.maximum(search.errors[0], search.errors[-1])
    return worst <= tolerance.astype(worst.dtype) * jnp.max(jnp.abs(search.values))


def _restarted(search: _Search, kept: int) -> Krylov:
    """The Ritz vectors nearest to the ends, and the vector that was next; T is diagonal on them."""
    low = jnp.arange(kept // 2)
    chosen = jnp.concatenate([low, len(search.values) - 1 - jnp.arange(kept - kept // 2)])
    basis = search.space.basis
    ritz = jnp.matmul(search.vectors[:, chosen].T, basis[:-1], precision=lax.Precision.HIGHEST)
    basis = basis.at[kept].set(basis[-1]).at[:kept].set(ritz)
    projected = jnp.zeros_like(search.space.projected).at[:kept, :kept].set(jnp.diag(search.values[chosen]))
    return Krylov(basis, projected, search.space.beta)
