"""Entropies and divergences of discrete distributions, in nats or bits."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import check_number, is_concrete
from fnnet.stats.distributions import check_equal_shapes, distribution, parts
from fnnet.types import Array, Scalar


def entropy(p: Any, *, base: Scalar = math.e) -> Array:
    """Shannon entropy of a distribution: how many units its values need on average.

    H(p) = −Σ_x p(x) log p(x),   0·log 0 = 0,   0 ≤ H ≤ log n

    Its derivative by a probability of exactly 0, which is infinite, comes out as 0.

    Args:
        p: probabilities (…, n), or `Logits` of that shape.
        base: of the logarithm, more than 1: e for nats, 2 for bits.

    Returns:
        (…) values.

    Raises:
        DataError: known probabilities are negative or do not sum to 1.
        ShapeError: there is no axis of values.
        HyperparameterError: ``base`` is not more than 1.

    Source: lecture 001, 2.13 "Shannon Entropy"; for probabilities the same as ``scipy.stats.entropy(p, axis=-1)``.

    >>> import jax.numpy as jnp
    >>> print(entropy(jnp.array([[0.5, 0.5], [1.0, 0.0]]), base=2))
    [1. 0.]
    """
    return in_units("entropy", _entropy(distribution("entropy", "p", p)), base)


def cross_entropy(p: Any, q: Any, *, base: Scalar = math.e) -> Array:
    """Cross entropy of two distributions: what values of p need in the code that is best for q.

    H(p, q) = −Σ_x p(x) log q(x) = H(p) + D_KL(p ‖ q),   0·log 0 = 0

    It is ∞, with derivative 0, where p has a value that q excludes. With `Logits` for q nothing is excluded, however
    improbable. To train a classifier take `losses.softmax_cross_entropy`, which knows class ids and weights.

    Args:
        p: probabilities (…, n), or `Logits`.
        q: the same of the same shape.
        base: of the logarithm, more than 1: e for nats, 2 for bits.

    Returns:
        (…) values ≥ 0.

    Raises:
        DataError: known probabilities are negative or do not sum to 1.
        ShapeError: the shapes differ.
        HyperparameterError: ``base`` is not more than 1.

    Source: lecture 001, 2.14 "Cross Entropy".

    >>> import jax.numpy as jnp
    >>> print(cross_entropy(jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75]), base=2).round(4))
    1.2075
    """
    return in_units("cross_entropy", _cross_entropy(*_pair("cross_entropy", p, q)), base)


def kl_divergence(p: Any, q: Any, *, base: Scalar = math.e) -> Array:
    """Kullback-Leibler divergence: what the wrong code costs; 0 only for equal distributions.

    D_KL(p ‖ q) = Σ_x p(x) log(p(x) / q(x)) = H(p, q) − H(p),   0·log 0 = 0

    It is not symmetric, and ∞, with derivative 0 by q, where p has a value that q excludes.

    Args:
        p: probabilities (…, n), or `Logits`.
        q: the same of the same shape.
        base: of the logarithm, more than 1: e for nats, 2 for bits.

    Returns:
        (…) values, at least 0 up to rounding.

    Raises:
        DataError: known probabilities are negative or do not sum to 1.
        ShapeError: the shapes differ.
        HyperparameterError: ``base`` is not more than 1.

    Source: lecture 001, 2.15 "Kullback-Leibler Divergence"; for probabilities the same as
    ``scipy.stats.entropy(p, q, axis=-1)``. As a loss: `losses.kl_divergence`.

    >>> import jax.numpy as jnp
    >>> from fnnet import stats
    >>> print(kl_divergence(jnp.array([1.0, 0.0]), stats.Logits(jnp.array([0.0, 0.0])), base=2).round(4))
    1.0
    """
    return in_units("kl_divergence", _divergence(*_pair("kl_divergence", p, q)), base)


def jensen_shannon_divergence(p: Any, q: Any, *, base: Scalar = math.e) -> Array:
    """Jensen-Shannon divergence: symmetric, and finite also where one distribution excludes what the other has.

    D_JS(p, q) = ½ D_KL(p ‖ m) + ½ D_KL(q ‖ m),   m = (p + q) / 2,   0 ≤ D_JS ≤ log 2

    Args:
        p: probabilities (…, n), or `Logits`.
        q: the same of the same shape.
        base: of the logarithm, more than 1: e for nats, 2 for bits, in which it is at most 1.

    Returns:
        (…) values, at least 0 up to rounding.

    Raises:
        DataError: known probabilities are negative or do not sum to 1.
        ShapeError: the shapes differ.
        HyperparameterError: ``base`` is not more than 1.

    Source: Lin, 1991; the square of ``scipy.spatial.distance.jensenshannon``.

    >>> import jax.numpy as jnp
    >>> print(jensen_shannon_divergence(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), base=2).round(4))
    1.0
    """
    where = "jensen_shannon_divergence"
    return in_units(where, _jensen_shannon(*_pair(where, p, q)), base)


@jax.jit
def _entropy(p: Any) -> Array:
    (of,) = parts(p)
    return jnp.sum(of.probabilities * -of.logs, axis=-1)


@jax.jit
def _cross_entropy(p: Any, q: Any) -> Array:
    of, code = parts(p, q)
    terms = of.probabilities * -code.logs
    return jnp.sum(jnp.where(code.zero & (of.probabilities > 0), jnp.inf, terms), axis=-1)


@jax.jit
def _divergence(p: Any, q: Any) -> Array:
    of, code = parts(p, q)
    terms = of.probabilities * (of.logs - code.logs)
    return jnp.sum(jnp.where(code.zero & (of.probabilities > 0), jnp.inf, terms), axis=-1)


@jax.jit
def _jensen_shannon(p: Any, q: Any) -> Array:
    mixture = sum(of.probabilities for of in parts(p, q)) / 2
    return (_divergence(p, mixture) + _divergence(q, mixture)) / 2


def _pair(where: str, p: Any, q: Any) -> tuple[Any, Any]:
    check_equal_shapes(where, p=p, q=q)
    return distribution(where, "p", p), distribution(where, "q", q)


def in_units(where: str, nats: Array, base: Scalar) -> Array:
    """Nats in units of another logarithm."""
    check_number(where, "base", base, low=1.0, low_open=True)
    if is_concrete(base):
        return nats / math.log(float(base))
    return nats / jnp.log(jnp.asarray(base, nats.dtype))
