"""What the evolution strategy of `cma_es` is computed from: its constants, and the root of a covariance."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.types import Array

product = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)
"""Matrix product with all digits, which some accelerators give for float32 only when told, and covariances need."""


class CmaEsConstants(NamedTuple):
    """What the size of the population and the number of parameters fix."""

    weights: np.ndarray
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float


def cma_es_population(n: int) -> int:
    """The usual number of candidates for n parameters, λ = 4 + ⌊3 ln n⌋."""
    return 4 + math.floor(3 * math.log(n))


def cma_es_constants(n: int, population: int) -> CmaEsConstants:
    """Table 1 of the tutorial (2016), with the positive weights alone."""
    better = population // 2
    w = math.log((population + 1) / 2) - np.log(np.arange(1, better + 1))
    w = w / w.sum()
    mu_eff = float(1 / np.sum(w**2))
    c_sigma = (mu_eff + 2) / (n + mu_eff + 5)
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma
    c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)
    c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)
    c_mu = min(1 - c_1, 2 * (mu_eff - 2 + 1 / mu_eff) / ((n + 2) ** 2 + mu_eff))
    chi = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))  # E‖N(0, I)‖
    return CmaEsConstants(
        np.concatenate([w, np.zeros(population - better)]), mu_eff, c_sigma, d_sigma, c_c, c_1, c_mu, chi
    )


def _decompose(matrix: Array) -> tuple[Array, Array]:
    """The roots of the eigenvalues of a covariance, and the eigenvectors as columns."""
    eigenvalues, vectors = jnp.linalg.eigh(matrix)
    floor = jnp.finfo(matrix.dtype).eps * eigenvalues[-1]  # what rounding has made negative
    return jnp.sqrt(jnp.maximum(eigenvalues, floor)), vectors


@jax.custom_jvp
def symmetric_root(matrix: Array) -> Array:
    """C^½ = B D Bᵀ of a positive definite C = B D² Bᵀ."""
    d, B = _decompose(matrix)
    return product(B * d[None, :], B.T)


@symmetric_root.defjvp
def _symmetric_root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # R R = C gives dR R + R dR = dC, which the axes of C solve. Unlike the derivative of eigenvectors, it exists
    # where eigenvalues are equal, as they all are at the start.
    d, B = _decompose(primals[0])
    inner = product(product(B.T, tangents[0]), B) / (d[:, None] + d[None, :])
    return product(B * d[None, :], B.T), product(product(B, inner), B.T)
