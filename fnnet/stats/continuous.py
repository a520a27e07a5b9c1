"""Models of numbers: their best parameters in closed form, with and without a prior."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from fnnet import losses, optim
from fnnet.errors import HyperparameterError, ShapeError, check_number
from fnnet.stats.fitting import Model
from fnnet.stats.samples import finite, numbers
from fnnet.types import Array, PyTree, Scalar


def gaussian(variance: Scalar | None = None, prior_variance: Scalar | None = None) -> Model:
    """Gaussian N(m, σ²), with a prior N(0, τ²) of its mean or without.

    m = x̄,  σ² = (1/n) Σ (xᵢ − x̄)²   by maximum likelihood;   m = n x̄ / (n + σ²/τ²)   a posteriori

    Args:
        variance: σ² > 0; None to estimate it too, by maximum likelihood, which is biased by −σ²/n.
        prior_variance: τ² > 0, for which σ² has to be given; None for no prior.

    Returns:
        `Model` of data (n,) with the parameters ``mean`` and, unless given, ``variance``.

    Raises:
        HyperparameterError: a variance is not positive, or there is a prior and no σ².

    Source: lecture 001, 3.12 "Mean Squared Error for Regression", 3.14 "Maximum A Posteriori Estimation".

    >>> import jax.numpy as jnp
    >>> print(gaussian(variance=1.0, prior_variance=0.5).closed_form(jnp.array([1.0, 2.0, 3.0, 2.0])))
    {'mean': Array(1.3333334, dtype=float32)}
    """
    where = "gaussian"
    _check_scales(where, "variance", variance, prior_variance)

    def closed_form(data: Any) -> dict[str, Array]:
        x = numbers(where, data)
        if variance is None:
            return {"mean": x.mean(), "variance": x.var()}
        return {"mean": x.sum() / (x.shape[0] + _ridge(variance, prior_variance, x.dtype))}

    def start(data: Any) -> PyTree:
        return _zeros("mean", (), variance is None, numbers(where, data).dtype)

    def parameters(free: PyTree, data: Any) -> dict[str, Array]:
        x = numbers(where, data)
        middle = jnp.median(x)
        unit = _unit(x - middle)
        return {"mean": middle + unit * free["mean"]} | _spread("variance", free, jnp.square(unit))

    def log_likelihood(free: PyTree, data: Any) -> Array:
        return _gaussian(parameters(free, data), numbers(where, data), variance)

    def log_prior(free: PyTree, data: Any) -> Any:
        return _gaussian_prior(prior_variance, len(data), parameters(free, data)["mean"])

    return Model(closed_form, start, log_likelihood, log_prior, parameters)


def laplace(scale: Scalar | None = None, prior_scale: Scalar | None = None) -> Model:
    """Laplace distribution of median m and scale b, with a Laplace prior of scale c around 0 of its median or without.

    m = median(x),  b = (1/n) Σ |xᵢ − m|   by maximum likelihood;
    m = the median of the data and of 0, which counts as b/c examples   a posteriori

    Args:
        scale: b > 0; None to estimate it too, by maximum likelihood.
        prior_scale: c > 0, for which b has to be given; None for no prior.

    Returns:
        `Model` of data (n,) with the parameters ``median``, in the middle where a whole interval is best, and, unless
        given, ``scale``.

    Raises:
        HyperparameterError: a scale is not positive, or there is a prior and no b.

    Source: lecture 001, 3.13 "Mean Absolute Error", 3.14 "Maximum A Posteriori Estimation".

    >>> import jax.numpy as jnp
    >>> print(laplace(scale=4.0, prior_scale=1.0).closed_form(jnp.array([1.0, 2.0, 3.0, 4.0, 5.0])))
    {'median': Array(1., dtype=float32)}
    """
    where = "laplace"
    _check_scales(where, "scale", scale, prior_scale)

    def closed_form(data: Any) -> dict[str, Array]:
        x = numbers(where, data)
        weights = jnp.ones((x.shape[0] + 1,), x.dtype).at[-1].set(_ridge(scale, prior_scale, x.dtype))
        median = _weighted_median(jnp.append(x, 0), weights)
        return {"median": median} | ({"scale": jnp.abs(x - median).mean()} if scale is None else {})

    def start(data: Any) -> PyTree:
        return _zeros("median", (), scale is None, numbers(where, data).dtype)

    def parameters(free: PyTree, data: Any) -> dict[str, Array]:
        x = numbers(where, data)
        middle = x.mean()
        unit = _unit(x - middle)
        return {"median": middle + unit * free["median"]} | _spread("scale", free, unit)

    def log_likelihood(free: PyTree, data: Any) -> Array:
        x, at = numbers(where, data), parameters(free, data)
        b: Any = at.get("scale", scale)
        return -losses.laplace_nll(jnp.broadcast_to(at["median"], x.shape), x, scale=b)

    def log_prior(free: PyTree, data: Any) -> Any:
        if prior_scale is None:
            return 0
        return losses.laplace_prior(1 / (len(data) * prior_scale))(parameters(free, data)["median"])

    return Model(closed_form, start, log_likelihood, log_prior, parameters)


def linear(variance: Scalar | None = None, prior_variance: Scalar | None = None) -> Model:
    """Linear model y = xᵀw + N(0, σ²), with a prior N(0, τ²) of each coefficient or without.

    w = argmin ‖Xw − y‖² + (σ²/τ²) ‖w‖²,  σ² = (1/n) ‖Xw − y‖²   (least squares, a posteriori ridge regression)

    Args:
        variance: σ² > 0 of the noise; None to estimate it too, by maximum likelihood.
        prior_variance: τ² > 0, for which σ² has to be given; None for no prior.

    Returns:
        `Model` of data (X, y) of shapes (n, d) and (n,) with the parameters ``coefficients`` (d,) and, unless given,
        ``variance``. For an intercept give X a column of ones.

    Raises:
        HyperparameterError: a variance is not positive, or there is a prior and no σ².

    Source: lecture 001, 3.9 "Conditional Negative Log-Likelihood", 4.3.1 "Least Squares", 3.14 "Maximum A Posteriori
    Estimation".

    >>> import jax.numpy as jnp
    >>> X = jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> print(linear(variance=1.0).closed_form((X, jnp.array([1.0, 3.0, 5.0])))["coefficients"].round(4))
    [1. 2.]
    """
    where = "linear"
    _check_scales(where, "variance", variance, prior_variance)

    def sample(data: Any) -> tuple[Array, Array]:
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise ShapeError(where, "the data have to be a pair (X, y).")
        X, y = finite(where, data[0]), numbers(where, data[1])
        if X.ndim != 2 or X.shape[0] != y.shape[0]:
            raise ShapeError(where, f"X has shape {X.shape} and y {y.shape}, but (n, d) and (n,) are needed.")
        dtype = max(X.dtype, y.dtype, key=lambda dtype: dtype.itemsize)
        return X.astype(dtype), y.astype(dtype)

    def closed_form(data: Any) -> dict[str, Array]:
        X, y = sample(data)
        found = optim.least_squares(X, y, _ridge(variance, prior_variance, X.dtype))
        spread = {"variance": jnp.square(found.residual) / y.shape[0]} if variance is None else {}
        return {"coefficients": found.solution} | spread

    def start(data: Any) -> PyTree:
        X, _ = sample(data)
        return _zeros("coefficients", (X.shape[1],), variance is None, X.dtype)

    def parameters(free: PyTree, data: Any) -> dict[str, Array]:
        X, y = sample(data)
        unit = _unit(y)
        return {"coefficients": free["coefficients"] * unit / _unit(X)} | _spread("variance", free, jnp.square(unit))

    def log_likelihood(free: PyTree, data: Any) -> Array:
        X, y = sample(data)
        at = parameters(free, data)
        return _gaussian(at | {"mean": X @ at["coefficients"]}, y, variance)

    def log_prior(free: PyTree, data: Any) -> Any:
        return _gaussian_prior(prior_variance, len(data[1]), parameters(free, data)["coefficients"])

    return Model(closed_form, start, log_likelihood, log_prior, parameters)


def _check_scales(where: str, name: str, scale: Any, prior: Any) -> None:
    if scale is not None:
        check_number(where, name, scale, low=0.0, low_open=True)
    if prior is not None:
        check_number(where, f"prior_{name}", prior, low=0.0, low_open=True)
        if scale is None:
            raise HyperparameterError(
                where, f"with a prior there is a closed form only for a known {name}. Pass {name}=… too."
            )


def _ridge(scale: Any, prior: Any, dtype: Any) -> Array:
    """How many examples a prior around 0 counts for; 0 if there is none."""
    return jnp.zeros((), dtype) if prior is None else jnp.asarray(scale, dtype) / jnp.asarray(prior, dtype)


def _unit(values: Array) -> Array:
    """The root mean square along the first axis, in which free parameters are counted; 1 where all are 0."""
    largest = jnp.abs(values).max(axis=0)
    largest = jnp.where(largest > 0, largest, 1)  # whose square may overflow
    found = largest * jnp.sqrt(jnp.square(values / largest[None]).mean(axis=0))
    return lax.stop_gradient(jnp.where(found > 0, found, 1))


def _zeros(name: str, shape: tuple[int, ...], with_spread: bool, dtype: Any) -> PyTree:
    """Free parameters to begin with: 0, and with the unit of the data for the spread, if that is unknown."""
    free = {name: jnp.zeros(shape, dtype)}
    return free | {"log_spread": jnp.zeros((), dtype)} if with_spread else free


def _spread(name: str, free: PyTree, unit: Array) -> dict[str, Array]:
    """The variance or scale, if it is among the free parameters."""
    return {name: unit * jnp.exp(free["log_spread"])} if "log_spread" in free else {}


def _gaussian(at: dict[str, Array], x: Array, variance: Any) -> Array:
    """The logarithm of N(x; mean, variance), of the variance in the parameters or of one that is known."""
    mean = jnp.broadcast_to(at["mean"], x.shape)
    if variance is None:
        return -losses.gaussian_nll((mean, jnp.broadcast_to(jnp.log(at["variance"]), x.shape)), x)
    return -losses.gaussian_nll(mean, x, variance=variance)


def _gaussian_prior(prior_variance: Any, n: int, parameter: Array) -> Any:
    return 0 if prior_variance is None else losses.gaussian_prior(1 / (n * prior_variance))(parameter)


def _weighted_median(values: Array, weights: Array) -> Array:
    """The middle of all points with at most half of the weight on either side."""
    order = jnp.argsort(values)
    values, below = values[order], jnp.cumsum(weights[order])
    half = below[-1] / 2
    positive = weights[order] > 0
    first = jnp.argmax(positive & (below >= half))
    last = jnp.argmax(positive & (below > half))
    return (values[first] + values[last]) / 2
