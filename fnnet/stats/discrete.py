"""Models of classes: their best parameters in closed form, with and without a prior."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import losses
from fnnet.errors import DataError, check_number, check_size, is_concrete
from fnnet.stats.fitting import Model
from fnnet.stats.samples import numbers, vector
from fnnet.types import Array, PyTree, Scalar


def bernoulli(a: Scalar = 1.0, b: Scalar = 1.0) -> Model:
    """Bernoulli distribution of a coin, with a prior Beta(a, b) of the probability of 1; Beta(1, 1) is none.

    p = (k + a − 1) / (n + a + b − 2)   for k ones among n: as if a − 1 ones and b − 1 zeros had been seen before

    Args:
        a: at least 1.
        b: at least 1.

    Returns:
        `Model` of data (n,) of 0 and 1 with the parameter ``probability``. By minimisation a probability of 0 or 1,
        whose logit is infinite, is only approached.

    Raises:
        HyperparameterError: ``a`` or ``b`` is less than 1.

    Source: lecture 001, 3.6 "Maximum Likelihood Estimation", 3.14 "Maximum A Posteriori Estimation".

    >>> import jax.numpy as jnp
    >>> print(bernoulli(a=2.0, b=2.0).closed_form(jnp.array([1, 1, 1]))["probability"])
    0.8
    """
    where = "bernoulli"
    check_number(where, "a", a, low=1.0)
    check_number(where, "b", b, low=1.0)

    def sample(data: Any) -> Array:
        x = numbers(where, data)
        if is_concrete(x) and not bool(((x == 0) | (x == 1)).all()):
            raise DataError(where, "the data hold more than 0 and 1. For other classes use stats.categorical.")
        return x

    def closed_form(data: Any) -> dict[str, Array]:
        x = sample(data)
        ones, zeros = (jnp.asarray(count, x.dtype) - 1 for count in (a, b))
        return {"probability": (x.sum() + ones) / (x.shape[0] + ones + zeros)}

    def start(data: Any) -> PyTree:
        return {"logit": jnp.zeros((), sample(data).dtype)}

    def log_likelihood(free: PyTree, data: Any) -> Array:
        x = numbers(where, data)
        return -losses.sigmoid_binary_cross_entropy(jnp.broadcast_to(free["logit"], x.shape), x)

    def log_prior(free: PyTree, data: Any) -> Any:
        z = free["logit"]
        ones, zeros = (jnp.asarray(count, z.dtype) - 1 for count in (a, b))
        return (ones * jax.nn.log_sigmoid(z) + zeros * jax.nn.log_sigmoid(-z)) / len(data)

    def parameters(free: PyTree, data: Any) -> dict[str, Array]:
        return {"probability": jax.nn.sigmoid(free["logit"])}

    return Model(closed_form, start, log_likelihood, log_prior, parameters)


def categorical(classes: int, concentration: Scalar = 1.0) -> Model:
    """Categorical distribution of class ids, with a prior Dirichlet(α, …, α) of its probabilities; α = 1 is none.

    p_c = (n_c + α − 1) / (n + K (α − 1))   for n_c examples of class c: as if α − 1 of each had been seen before

    Args:
        classes: K.
        concentration: α ≥ 1.

    Returns:
        `Model` of data (n,) of integers 0 … K − 1 with the parameter ``probabilities`` (K,).

    Raises:
        HyperparameterError: ``classes`` is no positive integer, or ``concentration`` less than 1.

    Source: lecture 001, 3.8 "Negative Log-Likelihood and Cross Entropy", 3.14 "Maximum A Posteriori Estimation".

    >>> import jax.numpy as jnp
    >>> print(categorical(3).closed_form(jnp.array([0, 2, 2, 2]))["probabilities"])
    [0.25 0.   0.75]
    """
    where = "categorical"
    check_size(where, "classes", classes)
    check_number(where, "concentration", concentration, low=1.0)

    def sample(data: Any) -> Array:
        ids = jnp.asarray(data)
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise DataError(where, f"the data have dtype {ids.dtype}, but class ids are integers.")
        if is_concrete(ids):
            wrong = np.asarray(ids)[(np.asarray(ids) < 0) | (np.asarray(ids) >= classes)]
            if wrong.size:
                raise DataError(where, f"the data hold class {wrong[0]}, but there are classes 0 to {classes - 1}.")
        return vector(where, ids)

    def closed_form(data: Any) -> dict[str, Array]:
        ids = sample(data)
        counts = jnp.bincount(ids, length=classes).astype(jnp.result_type(float))
        seen_before = jnp.asarray(concentration, counts.dtype) - 1
        return {"probabilities": (counts + seen_before) / (ids.shape[0] + classes * seen_before)}

    def start(data: Any) -> PyTree:
        sample(data)
        return {"logits": jnp.zeros((classes,))}

    def log_likelihood(free: PyTree, data: Any) -> Array:
        ids = jnp.asarray(data)
        return -losses.categorical(jnp.broadcast_to(free["logits"], (ids.shape[0], classes)), ids)

    def log_prior(free: PyTree, data: Any) -> Any:
        logs = jax.nn.log_softmax(free["logits"])
        return (jnp.asarray(concentration, logs.dtype) - 1) * logs.sum() / len(data)

    def parameters(free: PyTree, data: Any) -> dict[str, Array]:
        return {"probabilities": jax.nn.softmax(free["logits"])}

    return Model(closed_form, start, log_likelihood, log_prior, parameters)
