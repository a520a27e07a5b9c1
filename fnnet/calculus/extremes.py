"""The ends of the spectrum of a Hessian that is never formed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.calculus.lanczos import Krylov, extended, hessian_at, started
from fnnet.calculus.points import check_value, point
from fnnet.errors import check_key, check_number, check_size, is_concrete
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
    """``space`` is ready to go on from its row ``first``; values and errors are of the least and of the greatest."""

    space: Krylov
    first: Array
    ends: Array
    errors: Array
    products: Array


def extreme_curvatures(
    fun: Callable[[PyTree], Any],
    params: PyTree,
    *,
    tol: Scalar = 1e-5,
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
        tol: of ‖Hu − λu‖, as a share of the largest |λ|; positive. In float32 less than 1e-6 is not to be had.
        memory: how many vectors of the size of θ are kept, at least 4; a restart needs half as many besides.
        most: Hessian-vector products after which the search ends, converged or not; a positive integer.
        key: of the vector to begin with; None for ``jax.random.key(0)``.

    Returns:
        `ExtremeCurvatures`; pure, so it may be mapped over stacked parameters. Each call compiles once; put it into
        `jax.jit` to call it again at other points.

    Raises:
        ShapeError: ``fun`` does not return a scalar.
        StructureError: ``params`` is empty or holds integers, ``key`` is no key.
        DataError: ``params`` or the value there is not finite.
        HyperparameterError: ``tol``, ``memory`` or ``most`` is out of range.

    Source: lecture 001, "Hessian Matrix"; Wu and Simon, "Thick-restart Lanczos method", 2000.

    >>> import jax.numpy as jnp
    >>> found = extreme_curvatures(lambda x: x[0] ** 2 - 3 * x[1] ** 2 + x[2] ** 2 / 2, jnp.zeros(3))
    >>> print(found.least.round(4), found.greatest.round(4))
    -6.0 2.0
    """
    where = "extreme_curvatures"
    params = point(where, fun, params)
    check_number(where, "tol", tol, low=0.0, low_open=True)
    check_size(where, "memory", memory)
    check_number(where, "memory", memory, low=4)
    check_size(where, "most", most)
    key = jax.random.key(0) if key is None else key
    if is_concrete(key):
        check_key(where, key)

    def run(params: PyTree, tol: Array, key: Array) -> tuple[ExtremeCurvatures, Array]:
        theta, back, value, product = hessian_at(fun, params)
        size = min(memory, theta.size)
        kept = min(size, max(2, size // 2))
        begin, key = jax.random.split(key)
        space = started(jax.random.normal(begin, theta.shape, theta.dtype), size)

        def body(search: _Search) -> _Search:
            space = extended(product, search.space, search.first, jax.random.fold_in(key, search.products))
            products = search.products + size - search.first
            values, vectors = jnp.linalg.eigh(space.projected)
            # No residual is known to better than the rounding of the products.
            rounding = jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values))
            errors = jnp.maximum(space.beta * jnp.abs(vectors[-1]), rounding)
            first, ends = jnp.asarray(kept, jnp.int32), jnp.array([0, -1])
            return _Search(_restarted(space, values, vectors, kept), first, values[ends], errors[ends], products)

        def unfinished(search: _Search) -> Array:
            # With as many vectors as parameters everything is known, and there is nothing left to go on with.
            room = (size < theta.size) & (search.products + size - kept <= most)
            return (search.products == 0) | (room & ~_within(search, tol))

        zero = jnp.zeros((), jnp.int32)
        nothing = jnp.zeros(2, theta.dtype)
        found = lax.while_loop(unfinished, body, _Search(space, zero, nothing, nothing, zero))
        ends = ExtremeCurvatures(
            least=found.ends[0],
            greatest=found.ends[1],
            least_direction=back(found.space.basis[0]),
            greatest_direction=back(found.space.basis[kept // 2]),
            least_error=found.errors[0],
            greatest_error=found.errors[1],
            products=found.products,
            converged=_within(found, tol),
        )
        return ends, value

    found, value = jax.jit(run)(params, jnp.asarray(tol, jnp.result_type(float)), key)
    check_value(where, value)
    return found


def _within(search: _Search, tol: Array) -> Array:
    """Whether both ends are known; what is not finite will never be, so False."""
    return jnp.max(search.errors) <= tol.astype(search.errors.dtype) * jnp.max(jnp.abs(search.ends))


def _restarted(space: Krylov, values: Array, vectors: Array, kept: int) -> Krylov:
    """First the Ritz vectors of the least values, then those of the greatest from the top, then what was next.

    T is diagonal on them.
    """
    low, high = jnp.arange(kept // 2), len(values) - 1 - jnp.arange(kept - kept // 2)
    chosen = jnp.concatenate([low, high])
    size = len(values)
    rows = (
        jnp.zeros((kept + 1, size + 1), values.dtype).at[:kept, :size].set(vectors[:, chosen].T).at[kept, size].set(1)
    )
    # One product and one update, which the compiler can make in place.
    basis = space.basis.at[: kept + 1].set(jnp.matmul(rows, space.basis, precision=lax.Precision.HIGHEST))
    projected = jnp.zeros_like(space.projected).at[:kept, :kept].set(jnp.diag(values[chosen]))
    return Krylov(basis, projected, space.beta)
