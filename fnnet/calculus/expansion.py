"""Taylor's models of a function around a point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.calculus.points import check_value, direction_at, inner, point
from fnnet.errors import HyperparameterError
from fnnet.types import Array, PyTree


def taylor(fun: Callable[[PyTree], Any], at: PyTree, order: int = 2) -> Callable[[PyTree], Array]:
    """Taylor's linear or quadratic model of a function around a point.

    m₁(θ) = f(a) + ∇f(a)ᵀ(θ − a)
    m₂(θ) = m₁(θ) + ½ (θ − a)ᵀ H(a) (θ − a)

    The error of the model of order k falls like ‖θ − a‖ᵏ⁺¹. The minimum of m₂, where H is positive definite, is where
    Newton's method goes.

    Args:
        fun: f, from a pytree of floats to a scalar; pure.
        at: a, the point.
        order: 1 or 2.

    Returns:
        Function from a pytree like a to a scalar: pure, and may be mapped and differentiated. The value and the
        gradient at a are computed once; of the Hessian, only its product with θ − a at each call.

    Raises:
        HyperparameterError: another order.
        ShapeError: ``fun`` does not return a scalar; when called, a point of other shapes.
        StructureError: ``at`` is empty or holds integers; when called, a point of another structure.
        DataError: ``at`` or the value there is not finite.

    Source: lecture 004, "Taylor's expansion".

    >>> import jax.numpy as jnp
    >>> model = taylor(jnp.exp, 0.0)
    >>> float(model(2.0))
    5.0
    """
    if isinstance(order, bool) or order not in (1, 2):
        raise HyperparameterError(
            "taylor", f"order is {order!r}, but it has to be 1 or 2. For higher ones see jax.experimental.jet."
        )
    center = point("taylor", fun, at)
    value, slope = jax.value_and_grad(lambda p: jnp.asarray(fun(p)))(center)
    check_value("taylor", value)

    def model(params: PyTree) -> Array:
        there = direction_at("taylor", center, params, "the point")
        step = jax.tree.map(lambda x, a: x - a, there, center)
        linear = value + inner(slope, step).astype(value.dtype)
        if order == 1:
            return linear
        bend = jax.jvp(jax.grad(fun), (center,), (step,))[1]
        return linear + inner(step, bend).astype(value.dtype) / 2

    return model
