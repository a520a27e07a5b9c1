"""How a function changes along a direction: slope, curvature, and the Hessian times a vector.

All are pure and nothing of the size of the Hessian is ever there. Gradient, Jacobian and Hessian themselves are
`jax.grad`, `jax.jacobian` and `jax.hessian`. Called once, they run operation by operation; put them into `jax.jit` to
call them often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from fnnet.calculus.points import check_value, direction_at, point
from fnnet.types import Array, PyTree


def hvp(fun: Callable[[PyTree], Any], params: PyTree, vector: PyTree) -> PyTree:
    """Hessian-vector product, forward over reverse: the derivative of the gradient along a vector.

    H v = ∂/∂t ∇f(θ + t v) at t = 0

    Args:
        fun: f, from a pytree of floats to a scalar; pure.
        params: θ.
        vector: v, a pytree like θ.

    Returns:
        Pytree like θ. It costs about as much as four gradients, in time and in memory, whatever the number of
        parameters.

    Raises:
        ShapeError: ``fun`` does not return a scalar, or ``vector`` has other shapes.
        StructureError: ``params`` is empty or holds integers, ``vector`` is another tree, ``fun`` is no function.
        DataError: ``params`` or the value there is not finite.

    Source: lecture 001, "Hessian Matrix", which is the Jacobian of the gradient; Pearlmutter, "Fast exact
    multiplication by the Hessian", 1994.

    >>> import jax.numpy as jnp
    >>> hvp(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0]), jnp.array([1.0, 0.0])).tolist()
    [6.0, 2.0]
    """
    params = point("hvp", fun, params)
    vector = direction_at("hvp", params, vector, "vector")
    (value, _), (_, product) = jax.jvp(jax.value_and_grad(fun), (params,), (vector,))
    check_value("hvp", value)
    return product


def directional_derivative(fun: Callable[[PyTree], Any], params: PyTree, direction: PyTree) -> Array:
    """Slope of a function along a direction, by one forward pass.

    ∇fᵀu = lim (f(θ + αu) − f(θ)) / α for α → 0

    It is linear in u; for the slope per unit of length divide u by its norm. Of all u of length 1 the one of the
    steepest descent is −∇f/‖∇f‖, with the slope −‖∇f‖.

    Args:
        fun: f, from a pytree of floats to a scalar; pure.
        params: θ.
        direction: u, a pytree like θ.

    Returns:
        Scalar.

    Raises:
        ShapeError: ``fun`` does not return a scalar, or ``direction`` has other shapes.
        StructureError: ``params`` is empty or holds integers, ``direction`` is another tree, ``fun`` is no function.
        DataError: ``params`` or the value there is not finite.

    Source: lecture 001, "Directional Derivative", where the limit has one step with two names.

    >>> import jax.numpy as jnp
    >>> float(directional_derivative(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
    7.0
    """
    return _along("directional_derivative", fun, params, direction)[1]


def directional_curvature(fun: Callable[[PyTree], Any], params: PyTree, direction: PyTree) -> Array:
    """Second derivative of a function along a direction, by forward passes alone.

    uᵀHu = d²/dt² f(θ + t u) at t = 0

    For u of length 1 it lies between the least and the greatest eigenvalue of H, see `extreme_curvatures`; if u is an
    eigenvector, it is the eigenvalue.

    Args:
        fun: f, from a pytree of floats to a scalar; pure.
        params: θ.
        direction: u, a pytree like θ.

    Returns:
        Scalar.

    Raises:
        ShapeError: ``fun`` does not return a scalar, or ``direction`` has other shapes.
        StructureError: ``params`` is empty or holds integers, ``direction`` is another tree, ``fun`` is no function.
        DataError: ``params`` or the value there is not finite.

    Source: lecture 001, "Hessian Matrix".

    >>> import jax.numpy as jnp
    >>> float(directional_curvature(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])))
    10.0
    """
    return _along("directional_curvature", fun, params, direction)[2]


def _along(where: str, fun: Callable[[PyTree], Any], params: PyTree, direction: PyTree) -> tuple[Array, Array, Array]:
    """f(θ + t u) and its first two derivatives by t, at t = 0."""
    params = point(where, fun, params)
    direction = direction_at(where, params, direction)

    def value_and_slope(at: PyTree) -> tuple[Array, Array]:
        return jax.jvp(fun, (at,), (direction,))

    (value, slope), (_, bend) = jax.jvp(value_and_slope, (params,), (direction,))
    check_value(where, value)
    return value, slope, bend
