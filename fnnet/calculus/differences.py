"""Derivatives as the limits that they are: central differences in float64, whatever precision the caller works in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.calculus.points import check_point, check_value
from fnnet.errors import StructureError, check_number, is_concrete
from fnnet.optim.driver import check_scalar, starting_point
from fnnet.optim.vectors import as_vector, like
from fnnet.precision import double_precision
from fnnet.types import PyTree, Scalar

_AT_ONCE = 2**20
"""Numbers that the points of one batch of evaluations may have together."""


def in_double(where: str, fun: Callable[[PyTree], Any], params: PyTree) -> PyTree:
    """The point in float64; raises unless it and the function are what `finite_difference` needs."""
    if not all(is_concrete(leaf) for leaf in jax.tree.leaves(params)):
        raise StructureError(
            where,
            "the parameters are traced, but it computes in float64 on the host. Call it outside of jax.jit, jax.vmap "
            "and jax.grad.",
        )
    check_point(where, starting_point(where, params))
    wide = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, dtype=np.float64)), params)
    check_scalar(where, fun, wide)
    return wide


class Differences(NamedTuple):
    """Values of f at θ, and a step above and below in each of some entries; all NumPy float64."""

    here: np.ndarray
    above: np.ndarray
    below: np.ndarray
    steps_above: np.ndarray
    steps_below: np.ndarray

    @property
    def slopes(self) -> np.ndarray:
        """(f(θ + h) − f(θ − h)) / 2h."""
        return (self.above - self.below) / (self.steps_above + self.steps_below)


def precision_of(fun: Callable[[PyTree], Any], params: PyTree) -> Any:
    """The dtype in which the function gives its value of float64 parameters: float32 if it casts them."""
    return jax.eval_shape(lambda p: fun(p), params).dtype


def relative_step(dtype: Any) -> float:
    """ε^⅓, where the errors of cutting off Taylor's series (∝ h²) and of rounding (∝ ε/h) are about equal."""
    return float(jnp.finfo(dtype).eps) ** (1 / 3)


def central(fun: Callable[[PyTree], Any], params: PyTree, entries: np.ndarray, step: float) -> Differences:
    """Evaluates a function above and below a point in the entries of its vector that are asked for."""
    theta, back = as_vector(params), like(params)
    x = np.asarray(theta)[entries]
    h = step * np.maximum(1, np.abs(x))
    above, below = x + h, x - h

    def evaluate(theta: Any, entries: Any, above: Any, below: Any) -> Any:
        def both(one: Any) -> Any:
            entry, *values = one
            return [fun(back(theta.at[entry].set(value))) for value in values]

        size = int(np.clip(_AT_ONCE // max(1, theta.size), 1, 256))
        return fun(back(theta)), *lax.map(both, (entries, above, below), batch_size=size)

    here, ups, downs = (np.asarray(f, np.float64) for f in jax.jit(evaluate)(theta, entries, above, below))
    # The steps as they were taken, after rounding.
    return Differences(here, ups, downs, above - x, x - below)


def finite_difference(fun: Callable[[PyTree], Any], params: PyTree, *, step: Scalar | None = None) -> PyTree:
    """Gradient by central differences, two evaluations a parameter.

    ∂f/∂θ_i ≈ (f(θ + h_i e_i) − f(θ − h_i e_i)) / (2 h_i)   with h_i = step · max(1, |θ_i|)

    Computed in float64, whatever precision the parameters have. For a smooth function with values
    near 1 the error is about 1e-10; at a kink it is the mean of the slopes to both sides.

    Args:
        fun: f, from a pytree of floats to a scalar; pure. What it closes over may be float32.
        params: θ, concrete.
        step: relative step, positive; None for ε^⅓ ≈ 6e-6, or that of the precision in which ``fun`` gives its value.

    Returns:
        Pytree like θ, in its dtypes.

    Raises:
        ShapeError: ``fun`` does not return a scalar.
        StructureError: ``params`` is empty, traced or holds integers; ``fun`` is no function.
        DataError: ``params`` or the value there is not finite.
        HyperparameterError: ``step`` is not positive.

    Source: lecture 000, "Differential Calculus", partial derivatives as limits.

    >>> import jax.numpy as jnp
    >>> print(finite_difference(lambda p: p["w"] ** 3 + p["b"], {"w": jnp.array(2.0), "b": jnp.array(1.0)}))
    {'b': Array(1., dtype=float32), 'w': Array(12., dtype=float32)}
    """
    where = "finite_difference"
    if step is not None:
        check_number(where, "step", step, low=0.0, low_open=True)
    with double_precision():
        wide = in_double(where, fun, params)
        h = relative_step(precision_of(fun, wide)) if step is None else float(step)
        size = sum(leaf.size for leaf in jax.tree.leaves(wide))
        found = central(fun, wide, np.arange(size), h)
        check_value(where, found.here)
    parts = np.split(found.slopes, np.cumsum([leaf.size for leaf in jax.tree.leaves(wide)])[:-1])
    leaves, structure = jax.tree.flatten(starting_point(where, params))
    shaped = [jnp.asarray(part.reshape(leaf.shape), leaf.dtype) for part, leaf in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(structure, shaped)
