"""What a critical point is: by all eigenvalues of the Hessian, and in the plane by its determinant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.calculus.points import check_value, point
from fnnet.errors import ShapeError, check_number
from fnnet.optim.vectors import as_vector, like
from fnnet.trees import global_norm
from fnnet.types import Array, PyTree, Scalar

KINDS = ("minimum", "maximum", "saddle", "degenerate", "not critical")
MINIMUM, MAXIMUM, SADDLE, DEGENERATE, NOT_CRITICAL = range(len(KINDS))


class CriticalPoint(NamedTuple):
    """``code`` is the place of the kind in `KINDS`; ``eigenvalues`` (n,) of the Hessian ascend."""

    code: Array
    gradient_norm: Array
    eigenvalues: Array
    determinant: Array

    @property
    def kind(self) -> Any:
        """In a word: minimum, maximum, saddle, degenerate, or not critical; a list of them for mapped results."""
        return (
            np.array(KINDS, dtype=object)[np.asarray(self.code)].tolist() if jnp.ndim(self.code) else KINDS[self.code]
        )


def classify_critical_point(
    fun: Callable[[PyTree], Any],
    params: PyTree,
    *,
    tol: Scalar = 1e-5,
    gradient_tol: Scalar = 1e-3,
) -> CriticalPoint:
    """What a function does where its gradient is zero, by the signs of all eigenvalues of its Hessian.

    minimum: all λ > 0;  maximum: all λ < 0;  saddle: some λ > 0 and some λ < 0;  degenerate: some λ = 0 and the others
    of one sign, so that the Hessian does not decide

    Needs the whole Hessian, n² numbers; `extreme_curvatures` tells the signs at the ends for large n.

    Args:
        fun: f, from a pytree of floats to a scalar; pure.
        params: θ.
        tol: eigenvalues whose size is at most this share of the largest |λ| count as 0; at least 0.
        gradient_tol: norm of the gradient up to which the point counts as critical; at least 0.

    Returns:
        `CriticalPoint`; pure, so it may be mapped over points.

    Raises:
        ShapeError: ``fun`` does not return a scalar.
        StructureError: ``params`` is empty or holds integers.
        DataError: ``params`` or the value there is not finite.
        HyperparameterError: a tolerance is negative.

    Source: lecture 000, "Optimization and Gradients".

    >>> import jax.numpy as jnp
    >>> classify_critical_point(lambda x: x[0] ** 2 - x[1] ** 2, jnp.zeros(2)).kind
    'saddle'
    >>> classify_critical_point(lambda x: x[0] ** 2 + x[1] ** 4, jnp.zeros(2)).kind
    'degenerate'
    """
    where = "classify_critical_point"
    norm, values = _derivatives(where, fun, params, tol, gradient_tol)
    zero = jnp.asarray(tol, values.dtype) * jnp.abs(values).max()
    up, down = values > zero, values < -zero
    code = jnp.where(down.all(), MAXIMUM, DEGENERATE)
    code = jnp.where(up.all(), MINIMUM, code)
    code = jnp.where(up.any() & down.any(), SADDLE, code)
    return _where_critical(code, norm, values, gradient_tol)


def determinant_test(
    fun: Callable[[PyTree], Any],
    params: PyTree,
    *,
    tol: Scalar = 1e-5,
    gradient_tol: Scalar = 1e-3,
) -> CriticalPoint:
    """Second partial derivative test of a function of two variables, by the determinant of its Hessian.

    det H < 0: saddle;  det H > 0: minimum if tr H > 0, else maximum;  det H = 0: the test does not decide

    The determinant is the product of the eigenvalues, so that in more than two dimensions its sign tells nothing:
    diag(−1, −1, −1) is a maximum with a negative one and diag(−1, −1, 1) a saddle with a positive one.

    Args:
        fun: f, from a pytree of two floats to a scalar; pure.
        params: θ.
        tol: determinants up to this share of the largest |λ|² count as 0; at least 0.
        gradient_tol: norm of the gradient up to which the point counts as critical; at least 0.

    Returns:
        `CriticalPoint`; pure, so it may be mapped over points.

    Raises:
        ShapeError: there are not two variables, or ``fun`` does not return a scalar.
        StructureError: ``params`` is empty or holds integers.
        DataError: ``params`` or the value there is not finite.
        HyperparameterError: a tolerance is negative.

    Source: lecture 000, "Optimization and Gradients", where the dimension is not said.

    >>> import jax.numpy as jnp
    >>> found = determinant_test(lambda x: x[0] * x[1], jnp.zeros(2))
    >>> print(found.kind, found.determinant)
    saddle -1.0
    """
    where = "determinant_test"
    size = sum(jnp.size(leaf) for leaf in jax.tree.leaves(params))
    if size != 2:
        raise ShapeError(
            where,
            f"the point has {size} numbers, but the sign of the determinant only decides for 2. Use "
            f"classify_critical_point, which looks at each eigenvalue.",
        )
    norm, values = _derivatives(where, fun, params, tol, gradient_tol)
    determinant, trace = values.prod(), values.sum()
    zero = jnp.asarray(tol, values.dtype) * jnp.square(jnp.abs(values).max())
    code = jnp.where(determinant > zero, jnp.where(trace > 0, MINIMUM, MAXIMUM), DEGENERATE)
    code = jnp.where(determinant < -zero, SADDLE, code)
    return _where_critical(code, norm, values, gradient_tol)


def _derivatives(
    where: str, fun: Callable[[PyTree], Any], params: PyTree, tol: Scalar, gradient_tol: Scalar
) -> tuple[Array, Array]:
    """The norm of the gradient and the eigenvalues of the Hessian."""
    check_number(where, "tol", tol, low=0.0)
    check_number(where, "gradient_tol", gradient_tol, low=0.0)
    params = point(where, fun, params)
    back = like(params)

    def run(theta: Array) -> tuple[Array, Array, Array]:
        def f(v: Array) -> Array:
            return jnp.asarray(fun(back(v))).astype(theta.dtype)

        value, slope = jax.value_and_grad(f)(theta)
        return value, global_norm(slope), jnp.linalg.eigvalsh(jax.hessian(f)(theta))

    value, norm, values = jax.jit(run)(as_vector(params))
    check_value(where, value)
    return norm, values


def _where_critical(code: Array, norm: Array, values: Array, gradient_tol: Scalar) -> CriticalPoint:
    # What is not finite is neither: comparisons with NaN are false.
    known = (norm <= jnp.asarray(gradient_tol, norm.dtype)) & jnp.isfinite(values).all()
    return CriticalPoint(jnp.where(known, code, NOT_CRITICAL), norm, values, values.prod())
