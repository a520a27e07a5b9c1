"""Problems that linear algebra solves in one step: least squares and quadratics."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnnet.errors import ShapeError, StructureError, check_number
from fnnet.optim.driver import Result
from fnnet.optim.second_order.curvature import safe_norm, solve_positive_definite
from fnnet.optim.status import CONVERGED, NOT_FINITE, RUNNING, code
from fnnet.optim.vectors import wide_dtype
from fnnet.types import Array, Scalar


class LeastSquares(NamedTuple):
    """``solution`` (n,) or (n, k), ``residual`` ‖Ax − b‖ () or (k,), ``rank`` () and ``singular_values`` of A."""

    solution: Array
    residual: Array
    rank: Array
    singular_values: Array


def least_squares(matrix: Array, b: Array, ridge: Scalar = 0.0) -> LeastSquares:
    """Linear least squares in closed form, by the singular value decomposition.

    x = argmin ‖Ax − b‖² + λ‖x‖² = V diag(σ / (σ² + λ)) Uᵀb   with A = U diag(σ) Vᵀ

    Without λ, singular values below ε·max(m, n)·max σ count as 0, which gives the shortest of all minimisers. The
    lecture's (AᵀA)⁻¹Aᵀb squares the condition number of A and fails where columns depend on each other.

    Args:
        matrix: A, (m, n), a row an example; any m and n.
        b: (m,), or (m, k) for k problems with one matrix.
        ridge: λ ≥ 0.

    Returns:
        `LeastSquares`; differentiable, also at equal singular values, where the rank does not change.

    Raises:
        ShapeError: A is not a matrix or b does not have its rows.
        StructureError: integers or booleans in place of floats.
        HyperparameterError: ``ridge`` is negative.

    Source: lecture 001, 4.3.1 "Least Squares"; same as ``numpy.linalg.lstsq`` for λ = 0.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> A = jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> print(optim.least_squares(A, jnp.array([1.0, 3.0, 5.0])).solution.round(4))
    [1. 2.]
    """
    where = "least_squares"
    A, right = _floats(where, "the matrix", matrix), _floats(where, "b", b)
    check_number(where, "ridge", ridge, low=0.0)
    if A.ndim != 2 or 0 in A.shape:
        raise ShapeError(
            where, f"the matrix has shape {A.shape}, but it has to be (examples, unknowns), neither of them 0."
        )
    if right.ndim not in (1, 2) or right.shape[0] != A.shape[0]:
        raise ShapeError(where, f"b has shape {right.shape}, but the matrix has {A.shape[0]} rows: {A.shape}.")
    dtype = wide_dtype((A, right))
    A, right = A.astype(dtype), right.astype(dtype)
    columns = right if right.ndim == 2 else right[:, None]
    x, sigma = _solve(A, columns, jnp.asarray(ridge, dtype))
    residual = jax.vmap(safe_norm, in_axes=1)(A @ x - columns)
    rank = jnp.sum(sigma > _cutoff(A, sigma)).astype(jnp.int32)
    return LeastSquares(x.reshape(A.shape[1:] + right.shape[1:]), residual.reshape(right.shape[1:]), rank, sigma)


def _cutoff(A: Array, sigma: Array) -> Array:
    return max(A.shape) * jnp.finfo(A.dtype).eps * sigma[0]


@jax.custom_jvp
def _solve(A: Array, b: Array, ridge: Array) -> tuple[Array, Array]:
    return _decompose(A, b, ridge)[:2]


def _decompose(A: Array, b: Array, ridge: Array) -> tuple[Any, ...]:
    U, sigma, Vt = jnp.linalg.svd(A, full_matrices=False)
    kept = (sigma > _cutoff(A, sigma)) | ((ridge > 0) & (sigma > 0))
    inverse = jnp.where(kept, sigma / jnp.where(kept, sigma**2 + ridge, 1), 0)[:, None]
    return Vt.T @ (inverse * (U.T @ b)), sigma, U, Vt, kept[:, None], inverse


@_solve.defjvp
def _solve_jvp(primals: Any, tangents: Any) -> Any:
    """Differentiates (AᵀA + λ)x = Aᵀb, not the decomposition, which has no derivative at equal singular values."""
    (A, b, ridge), (dA, db, dridge) = primals, tangents
    x, sigma, U, Vt, kept, inverse = _decompose(A, b, ridge)
    square = jnp.where(kept, 1 / jnp.where(kept, sigma[:, None] ** 2 + ridge, 1), 0)
    r = b - A @ x
    # The part of x's change inside of the row space of A …
    turned = dA.T @ r
    dx = Vt.T @ (inverse * (U.T @ (db - dA @ x)) + square * (Vt @ (turned - dridge * x)))
    # … and orthogonal to it, where AᵀA + λ is λ and, without λ, the shortest solution follows the turning space.
    positive = ridge > 0
    out = jnp.where(positive, turned / jnp.where(positive, ridge, 1), dA.T @ (U @ (inverse * (Vt @ x))))
    span = jnp.where(kept, Vt, 0)
    dx = dx + out - span.T @ (span @ out)
    dsigma = jnp.sum((U.T @ dA) * Vt, axis=1)
    return (x, sigma), (dx, dsigma)


def minimize_quadratic(matrix: Array, b: Array) -> Result:
    """The minimum of a quadratic in closed form, by Cholesky's factorisation.

    x = argmin ½xᵀAx − bᵀx,   where Ax = b

    Of A only the symmetric part (A + Aᵀ) / 2 counts, as in the function itself.

    Args:
        matrix: A, (n, n).
        b: (n,).

    Returns:
        `Result` after one step from 0. If A is not positive definite there is no minimum or more than one: the
        solution is then 0 and the sentence says why.

    Raises:
        ShapeError: A is not square or does not fit b.
        StructureError: integers or booleans in place of floats.

    Source: lecture 000, "quadratic solvers".

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> print(optim.minimize_quadratic(jnp.diag(jnp.array([2.0, 4.0])), jnp.array([2.0, 4.0])).solution.round(4))
    [1. 1.]
    """
    where = "minimize_quadratic"
    right = _floats(where, "b", b)
    A = check_square(where, matrix, right)
    dtype = wide_dtype((A, right))
    A, right = A.astype(dtype), right.astype(dtype)
    A = (A + A.T) / 2
    x, failed = solve_positive_definite(A, right)
    status = jnp.where(failed != RUNNING, failed, jnp.where(jnp.all(jnp.isfinite(x)), CONVERGED, NOT_FINITE))
    value = x @ (A @ x / 2 - right)
    steps = jnp.where(status == CONVERGED, 1, 0)
    return Result(x, value, safe_norm(A @ x - right), code(steps), code(status))


def check_square(where: str, matrix: Any, b: Any) -> Array:
    """The matrix as an array, if it is square and fits the vector b."""
    A = _floats(where, "the matrix", matrix)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.shape[0] == 0:
        raise ShapeError(where, f"the matrix has shape {A.shape}, but it has to be square.")
    if getattr(b, "shape", None) != A.shape[:1]:
        raise ShapeError(
            where,
            f"b has shape {getattr(b, 'shape', type(b).__name__)}, but for a matrix of shape {A.shape} it has to be "
            f"{A.shape[:1]}.",
        )
    return A


def _floats(where: str, name: str, value: Any) -> Array:
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise StructureError(where, f"{name} is {value!r}, which is not an array.") from error
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise StructureError(
            where, f"{name} has dtype {array.dtype}, but floats are needed. Cast it with .astype(float)."
        )
    return array
