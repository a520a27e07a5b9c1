"""Log-priors of parameters, which turn maximum likelihood into maximum a posteriori.

Of N examples with likelihoods p(yᵢ | θ), the posterior is p(θ) Π p(yᵢ | θ) up to a factor. Its negative logarithm
over N is

    mean NLL − log p(θ) / N

and this is what training minimises, with ``Learner(prior=…)`` for log p(θ) / N up to constants. So the strength of a
prior is 1/(N σ²) for a Gaussian of variance σ², and 1/(N b) for a Laplace distribution of scale b.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import check_number
from fnnet.losses.base import magnitude
from fnnet.optim.masks import Mask, masked
from fnnet.recipes import recipe
from fnnet.trees import squared_norm, wide
from fnnet.types import Array, PyTree, Scalar

Prior = Callable[[PyTree], Array]
"""A function from the parameters to a log-density an example, up to a constant."""


@recipe
def gaussian_prior(strength: Scalar, mask: Mask = None) -> Prior:
    """Gaussian prior around 0 (L2 regularisation).

    log p(θ) / N = −(λ/2) Σ θ² up to a constant, λ = 1/(N σ²)

    Its gradient is −λ θ. With stochastic gradient descent it is the same as `optim.add_weight_decay` of λ.

    Args:
        strength: λ ≥ 0: 1/(N σ²) for N examples and a standard deviation σ of the parameters.
        mask: which parameters have a prior, as `optim.by_path` or `optim.matrices` say, or a tree of booleans; None
            for all of them.

    Returns:
        Function from the parameters to one number, for ``Learner(prior=…)``.

    Raises:
        HyperparameterError: ``strength`` is negative.
        StructureError: when called, for a mask of another structure.

    Source: lecture 001, maximum a posteriori.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> params = {"kernel": jnp.array([[3.0, 4.0]]), "bias": jnp.array([9.0])}
    >>> float(gaussian_prior(0.1, mask=optim.matrices)(params))
    -1.25
    """
    check_number("gaussian_prior", "strength", strength, low=0.0)

    def prior(params: PyTree) -> Array:
        squares = squared_norm(masked("gaussian_prior", params, mask))
        return -jnp.asarray(strength, squares.dtype) / 2 * squares

    return prior


@recipe
def laplace_prior(strength: Scalar, mask: Mask = None) -> Prior:
    """Laplace prior around 0 (L1 regularisation), which favours parameters near 0.

    log p(θ) / N = −λ Σ |θ| up to a constant, λ = 1/(N b)

    Its gradient is −λ sign θ, and 0 at 0. Descent does not stop at 0 but hops around it by up to 2 · learning rate · λ,
    so parameters that the data do not ask for become small, and with a learning rate that falls to 0 vanish.

    Args:
        strength: λ ≥ 0: 1/(N b) for N examples and the scale b of the parameters.
        mask: which parameters have a prior, as `optim.by_path` or `optim.matrices` say, or a tree of booleans; None
            for all of them.

    Returns:
        Function from the parameters to one number, for ``Learner(prior=…)``.

    Raises:
        HyperparameterError: ``strength`` is negative.
        StructureError: when called, for a mask of another structure.

    Source: lecture 001, maximum a posteriori.

    >>> import jax.numpy as jnp
    >>> float(laplace_prior(0.5)({"kernel": jnp.array([[3.0, -4.0]])}))
    -3.5
    """
    check_number("laplace_prior", "strength", strength, low=0.0)

    def prior(params: PyTree) -> Array:
        leaves = jax.tree.leaves(masked("laplace_prior", params, mask))
        dtype = max((wide(leaf.dtype) for leaf in leaves), key=lambda d: d.itemsize, default=jnp.result_type(float))
        total: Any = sum((magnitude(leaf.astype(dtype)).sum() for leaf in leaves), start=jnp.zeros((), dtype))
        return -jnp.asarray(strength, dtype) * total

    return prior
