"""The whole spectrum of a Hessian that is never formed, from random vectors: its sum and its density."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.calculus.lanczos import extended, hessian_at, started
from fnnet.calculus.points import check_value, point
from fnnet.errors import HyperparameterError, check_key, check_number, check_size, is_concrete
from fnnet.types import Array, PyTree, Scalar


class TraceEstimate(NamedTuple):
    """``value`` of the trace and its ``standard_error``; ``value ± 2·standard_error`` holds it in 19 cases of 20."""

    value: Array
    standard_error: Array


def hessian_trace(fun: Callable[[PyTree], Any], params: PyTree, *, key: Any, samples: int = 100) -> TraceEstimate:
    """Trace of the Hessian, the sum of its eigenvalues, by Hutchinson's estimator.

    tr H = E zᵀHz ≈ 1/S Σ z_sᵀ H z_s   with signs z_i = ±1, each with probability ½

    Unbiased; its variance is 2 Σ_{i≠j} H_ij², so that a diagonal Hessian is exact after one sample.

    Args:
        fun: f, from a pytree of floats to a scalar; pure.
        params: θ.
        key: root of the draws.
        samples: S, at least 2; as many Hessian-vector products, one after another.

    Returns:
        `TraceEstimate`; pure, so it may be mapped over stacked parameters.

    Raises:
        ShapeError: ``fun`` does not return a scalar.
        StructureError: ``params`` is empty or holds integers, ``key`` is no key.
        DataError: ``params`` or the value there is not finite.
        HyperparameterError: ``samples`` is less than 2.

    Source: lecture 001, "Hessian Matrix"; Hutchinson, 1990.

    >>> import jax, jax.numpy as jnp
    >>> float(hessian_trace(lambda x: x[0] ** 2 + 3 * x[1] ** 2, jnp.zeros(2), key=jax.random.key(0)).value)
    8.0
    """
    where = "hessian_trace"
    params = _asked(where, fun, params, key)
    check_size(where, "samples", samples)
    check_number(where, "samples", samples, low=2)

    def run(params: PyTree, key: Array) -> tuple[TraceEstimate, Array]:
        theta, _, value, product = hessian_at(fun, params)

        def sample(key: Array) -> Array:
            z = jax.random.rademacher(key, theta.shape, theta.dtype)
            return z @ product(z)

        found = lax.map(sample, jax.random.split(key, samples))
        return TraceEstimate(found.mean(), found.std(ddof=1) / np.sqrt(samples).astype(found.dtype)), value

    found, value = jax.jit(run)(params, key)
    check_value(where, value)
    return found


class Spectrum(NamedTuple):
    """Points on the axis of eigenvalues, (…, samples, steps), and their weights, which sum to 1 in each row.

    A weight is a share of the parameters: Σ w g(λ), averaged over rows, estimates the mean of g over all
    eigenvalues of H.
    """

    eigenvalues: Array
    weights: Array

    def density(self, points: Array, width: Scalar) -> Array:
        """Share of the eigenvalues for each unit of the axis, smoothed by Gaussian bells of a standard deviation.

        Args:
            points: where, (k,) numbers.
            width: the standard deviation, positive, in the unit of the eigenvalues.

        Returns:
            (…, k) values ≥ 0, for each model of a stack its own; the integral over the axis is 1.
        """
        check_number("density", "width", width, low=0.0, low_open=True)
        points = jnp.asarray(points, self.weights.dtype)
        width = jnp.asarray(width, self.weights.dtype)
        *models, samples, _ = self.weights.shape
        values, weights = (field.reshape(*models, -1) for field in self)
        away = (points.reshape(*(1 for _ in models), -1, 1) - values[..., None, :]) / width
        bells = jnp.exp(-jnp.square(away) / 2) / (width * np.sqrt(2 * np.pi).astype(width.dtype))
        return jnp.einsum("...kn,...n->...k", bells, weights) / samples


def curvature_spectrum(
    fun: Callable[[PyTree], Any], params: PyTree, *, key: Any, steps: int = 50, samples: int = 10
) -> Spectrum:
    """Density of the eigenvalues of the Hessian, by stochastic Lanczos quadrature.

    1/n Σ_i δ(λ − λ_i) ≈ 1/S Σ_s Σ_k w_sk δ(λ − θ_sk)

    From each of S random vectors of length 1 Lanczos' method makes a small matrix T; θ_sk are its eigenvalues and w_sk
    the squares of the first components of its eigenvectors: Gauss quadrature with exact moments up to order 2·steps − 1
    for that vector.

    Args:
        fun: f, from a pytree of floats to a scalar; pure.
        params: θ; n numbers, of which steps + 1 vectors are kept.
        key: root of the draws.
        steps: Hessian-vector products for each vector, a positive integer; no more than n are made.
        samples: S, a positive integer.

    Returns:
        `Spectrum`; pure, so it may be mapped over stacked parameters. `plot_spectrum` draws it.

    Raises:
        ShapeError: ``fun`` does not return a scalar.
        StructureError: ``params`` is empty or holds integers, ``key`` is no key.
        DataError: ``params`` or the value there is not finite.
        HyperparameterError: ``steps`` or ``samples`` is not a positive integer.

    Source: lecture 001, "Hessian Matrix"; Ghorbani et al., "An investigation into neural net optimization via Hessian
    eigenvalue density", 2019.

    >>> import jax, jax.numpy as jnp
    >>> found = curvature_spectrum(lambda x: jnp.sum(x**2), jnp.zeros(7), key=jax.random.key(0), steps=1)
    >>> print(found.eigenvalues.mean().round(4), found.weights.sum(axis=1)[0].round(4))
    2.0 1.0
    """
    where = "curvature_spectrum"
    params = _asked(where, fun, params, key)
    check_size(where, "steps", steps)
    check_size(where, "samples", samples)

    def run(params: PyTree, key: Array) -> tuple[Spectrum, Array]:
        theta, _, value, product = hessian_at(fun, params)
        size = min(steps, theta.size)

        def sample(key: Array) -> tuple[Array, Array]:
            begin, rest = jax.random.split(key)
            v = jax.random.normal(begin, theta.shape, theta.dtype)
            values, vectors = jnp.linalg.eigh(extended(product, started(v, size), 0, rest).projected)
            return values, jnp.square(vectors[0])

        return Spectrum(*lax.map(sample, jax.random.split(key, samples))), value

    found, value = jax.jit(run)(params, key)
    check_value(where, value)
    return found


def _asked(where: str, fun: Callable[[PyTree], Any], params: PyTree, key: Any) -> PyTree:
    if key is None:
        raise HyperparameterError(where, "key is None, but random vectors are drawn. Pass key=jax.random.key(0).")
    if is_concrete(key):
        check_key(where, key)
    return point(where, fun, params)
