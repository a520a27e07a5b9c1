"""Maximum likelihood and maximum a posteriori: what a statistical model is, and its fit by minimisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fnnet import optim
from fnnet.errors import StructureError
from fnnet.types import Array, PyTree, Scalar


class Model(NamedTuple):
    """A statistical model that has its best parameters in closed form: pure functions, no arrays.

    ``closed_form(data)`` gives the parameters, a dict by name. For a fit by minimisation they are functions of free
    ones, which may take any value (a variance is the exponential of a logarithm) and whose unit is the spread of the
    data, so that one tolerance serves data of any size: ``start(data)`` gives free ones to begin with,
    ``parameters(free, data)`` the dict, ``log_likelihood(free, data)`` one value an example, and
    ``log_prior(free, data)`` that of all parameters over their number, as `losses.gaussian_prior` has it.
    """

    closed_form: Callable[[PyTree], dict[str, Array]]
    start: Callable[[PyTree], PyTree]
    log_likelihood: Callable[[PyTree, PyTree], Array]
    log_prior: Callable[[PyTree, PyTree], Any]
    parameters: Callable[[PyTree, PyTree], dict[str, Array]]


class Fit(NamedTuple):
    """``parameters``, a dict by name, and ``result``, how the minimisation went: `optim.Result` of the free ones."""

    parameters: dict[str, Array]
    result: optim.Result


def fit_by_minimize(
    model: Model, data: PyTree, optimizer: Any = None, *, steps: int = 500, tol: Scalar = 1e-5, key: Any = None
) -> Fit:
    """Maximum a posteriori by minimisation, as a network is trained; maximum likelihood if the model has no prior.

    θ* = argmin −(1/n) Σᵢ log p(xᵢ | θ) − (1/n) log p(θ)

    Args:
        model: such as `gaussian()`; of any other kind too, as long as its functions are there.
        data: what the model takes.
        optimizer: an (init, update) pair; None for `optim.lbfgs()`. The objective of `laplace` has corners, at which
            no gradient is small: the solution is found, but the steps may be used up.
        steps: the most updates.
        tol: of the gradient's norm.
        key: root of the draws of an optimizer that draws.

    Returns:
        `Fit`; pure, so it may be mapped over stacked data.

    Raises:
        StructureError: ``model`` is no `Model`; and what the model and `optim.minimize` raise.

    Source: lecture 001, 3.6 "Maximum Likelihood Estimation", 3.7 "(Negative) Log Likelihood", 3.14 "Maximum A
    Posteriori Estimation"; lecture 000, "Estimating function parameters".

    >>> import jax.numpy as jnp
    >>> from fnnet import stats
    >>> fit = stats.fit_by_minimize(stats.bernoulli(), jnp.array([1, 0, 1, 1]))
    >>> print(fit.parameters["probability"].round(4), fit.result.sentence)
    0.75 converged: the tolerance was reached
    """
    if not isinstance(model, Model):
        raise StructureError(
            "fit_by_minimize", f"model is {model!r}, which is no Model. Call its factory: stats.gaussian()."
        )
    free = model.start(data)

    def objective(free: PyTree) -> Array:
        return -model.log_likelihood(free, data).mean() - model.log_prior(free, data)

    optimizer = optim.lbfgs() if optimizer is None else optimizer
    result = optim.minimize(objective, free, optimizer, steps=steps, tol=tol, key=key)
    return Fit(model.parameters(result.solution, data), result)
