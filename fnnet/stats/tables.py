"""Joint distributions of several discrete variables, as tables whose axes have names."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError, check_number, is_concrete
from fnnet.losses.base import value_dtype
from fnnet.stats.distributions import check_equal_shapes, distribution, likelihoods, parts, shape_of
from fnnet.stats.information import in_units
from fnnet.types import Array, Integer, Scalar


@dataclasses.dataclass(frozen=True, eq=False)
class Joint:
    """Joint distribution p(x, y, …): ``table`` with an axis a variable, and ``names``, what the variables are called.

    A pytree with the names in its structure. Its constructor checks nothing, because JAX rebuilds pytrees around
    tracers; `joint` is the one that looks at values.
    """

    table: Array
    names: tuple[str, ...]

    def __repr__(self) -> str:
        sizes = (f"{name} {size}" for name, size in zip(self.names, np.shape(self.table), strict=False))
        return f"Joint({' × '.join(sizes)})"


jax.tree_util.register_dataclass(Joint, data_fields=["table"], meta_fields=["names"])


def joint(table: Any, names: Sequence[str]) -> Joint:
    """A joint distribution from its table of probabilities.

    Args:
        table: probabilities, an axis a variable; all of them together sum to 1.
        names: of the axes, in order.

    Returns:
        `Joint`. For a stack of tables call this inside of `jax.vmap`.

    Raises:
        DataError: known probabilities are negative or do not sum to 1.
        ShapeError: there is not a name for each axis.
        StructureError: a name is no string, or two are equal.

    Source: lecture 001, 2.2 "Multivariate Statistics".

    >>> joint([[0.1, 0.2], [0.3, 0.4]], ("weather", "traffic"))
    Joint(weather 2 × traffic 2)
    """
    shape = shape_of("joint", "the table", table)
    names = (names,) if isinstance(names, str) or not np.iterable(names) else tuple(names)
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise StructureError("joint", f"names are {names!r}, but they have to be different strings, one an axis.")
    if len(shape) != len(names) or 0 in shape:
        raise ShapeError(
            "joint", f"the table has shape {shape} and {len(names)} names, {names!r}, but each axis needs one."
        )
    flat = distribution("joint", "the table", np.reshape(table, -1) if is_concrete(table) else table.reshape(-1))
    return Joint(flat.reshape(shape).astype(value_dtype(flat)), names)


def marginal(joint: Joint, *names: str) -> Joint:
    """Marginal distribution of some variables: the others are summed over.

    p(x) = Σ_y p(x, y)

    Args:
        joint: of all variables.
        names: the variables that stay, in the order wanted.

    Returns:
        `Joint` of these alone.

    Raises:
        StructureError: ``joint`` is none, or has no variable of a name.

    Source: lecture 001, 2.3 "Marginalization in a Discrete Case", 2.6 "Marginalization in Multiple Dimensions".

    >>> weather = marginal(joint([[0.125, 0.125], [0.25, 0.5]], ("weather", "traffic")), "weather")
    >>> print(weather.table)
    [0.25 0.75]
    """
    axes = _axes("marginal", joint, names)
    rest = tuple(axis for axis in range(len(joint.names)) if axis not in axes)
    kept = sorted(axes)
    table = jnp.transpose(joint.table.sum(axis=rest), [kept.index(axis) for axis in axes])
    return Joint(table, tuple(names))


def conditional(joint: Joint, given: Mapping[str, Integer]) -> Joint:
    """Conditional distribution of the other variables, given values of some.

    p(x | y = y*) = p(x, y*) / p(y*)

    Args:
        joint: of all variables.
        given: number of the value (from 0) by the name of its variable; may be traced: map over it with `jax.vmap`
            for the distributions given each value.

    Returns:
        `Joint` of the variables that are not given, in their order; NaN where a traced value has probability 0.

    Raises:
        StructureError: ``joint`` is none, or has no variable of a name.
        HyperparameterError: a variable does not have so many values, or none is left.
        DataError: the probability of what is given is known to be 0.

    Source: lecture 001, 2.7 "Conditional Probability".

    >>> table = joint([[0.1, 0.2], [0.3, 0.4]], ("weather", "traffic"))
    >>> print(conditional(table, {"traffic": 0}).table.round(4))
    [0.25 0.75]
    """
    where = "conditional"
    if not isinstance(given, Mapping):
        raise StructureError(where, f"given is {given!r}, but a dict is needed, such as {{'traffic': 0}}.")
    for name, axis in zip(given, _axes(where, joint, tuple(given)), strict=True):
        _check_value(name, given[name], joint.table.shape[axis])
    rest = tuple(name for name in joint.names if name not in given)
    if not rest:
        raise HyperparameterError(where, f"all variables are given, {joint.names}. Leave one out to have its chances.")
    slice_ = joint.table[tuple(given.get(name, slice(None)) for name in joint.names)]
    evidence = slice_.sum()
    if is_concrete(evidence) and float(evidence) == 0:
        raise DataError(where, f"what is given, {dict(given)}, has probability 0, so nothing follows from it.")
    return Joint(slice_ / evidence, rest)


def bayes_posterior(prior: Any, likelihood: Any) -> Array:
    """Bayes' rule: how probable each hypothesis is after an observation x*.

    p(y | x*) = p(x* | y) p(y) / Σ_y p(x* | y) p(y)

    computed from logarithms. For many observations pass the sum of their log-likelihoods as `Logits`: a product of
    that many likelihoods underflows.

    Args:
        prior: p(y), probabilities (…, hypotheses), or `Logits`.
        likelihood: p(x* | y) of what was observed, (…, hypotheses), not negative, densities too; or `Logits` of the
            log-likelihoods, which need no normalisation.

    Returns:
        (…, hypotheses) probabilities; NaN where every traced product is 0.

    Raises:
        DataError: the known prior is no distribution, the likelihood is negative or not finite, or the observation is
            impossible under every hypothesis.
        ShapeError: the shapes differ.

    Source: lecture 001, 2.10 "Bayes Rule".

    >>> import jax.numpy as jnp
    >>> print(bayes_posterior(jnp.array([0.99, 0.01]), jnp.array([0.05, 0.9])).round(4))  # a rare disease, a good test
    [0.8462 0.1538]
    """
    where = "bayes_posterior"
    check_equal_shapes(where, prior=prior, likelihood=likelihood)
    posterior = _posterior(distribution(where, "the prior", prior), likelihoods(where, "the likelihood", likelihood))
    if is_concrete(posterior) and bool(jnp.isnan(posterior).any()):
        raise DataError(where, "what was observed is impossible under every hypothesis that the prior allows.")
    return posterior


@jax.jit
def _posterior(prior: Any, likelihood: Any) -> Array:
    before, seen = parts(prior, likelihood)
    return jax.nn.softmax(jnp.where(before.zero | seen.zero, -jnp.inf, before.logs + seen.logs), axis=-1)


def is_independent(joint: Joint, one: str | Sequence[str], other: str | Sequence[str], *, tol: Scalar = 1e-6) -> Array:
    """Whether two variables, or groups of them, are independent: their table is the product of its margins.

    max |p(x, y) − p(x) p(y)| ≤ tol

    Args:
        joint: of these and perhaps more variables, which are summed over.
        one: a name, or several.
        other: a name, or several others.
        tol: at least 0; rounding of a float32 table is about 1e-7.

    Returns:
        Boolean scalar.

    Raises:
        StructureError: ``joint`` is none, has no variable of a name, or a name stands on both sides.
        HyperparameterError: ``tol`` is negative.

    Source: lecture 001, 2.8 "Independence".

    >>> import jax.numpy as jnp
    >>> dice = joint(jnp.full((6, 6), 1 / 36), ("first", "second"))
    >>> print(is_independent(dice, "first", "second"))
    True
    """
    check_number("is_independent", "tol", tol, low=0.0)
    table = _matrix("is_independent", joint, one, other)
    product = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True)
    return jnp.max(jnp.abs(table - product)) <= jnp.asarray(tol, table.dtype)


def mutual_information(
    joint: Joint, one: str | Sequence[str], other: str | Sequence[str], *, base: Scalar = math.e
) -> Array:
    """Mutual information: how many units one variable, or a group, tells about another; 0 if they are independent.

    I(X; Y) = D_KL(p(x, y) ‖ p(x) p(y)) = H(X) + H(Y) − H(X, Y)

    Args:
        joint: of these and perhaps more variables, which are summed over.
        one: a name, or several.
        other: a name, or several others.
        base: of the logarithm, more than 1: e for nats, 2 for bits.

    Returns:
        Scalar, at least 0 up to rounding.

    Raises:
        StructureError: ``joint`` is none, has no variable of a name, or a name stands on both sides.
        HyperparameterError: ``base`` is not more than 1.

    >>> print(mutual_information(joint([[0.5, 0.0], [0.0, 0.5]], ("sent", "received")), "sent", "received", base=2))
    1.0
    """
    where = "mutual_information"
    table = _matrix(where, joint, one, other)
    # From the logarithms of the margins: the product of two small ones may underflow.
    both, x, y = parts(table, table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True))
    return in_units(where, jnp.sum(both.probabilities * (both.logs - (x.logs + y.logs))), base)


def _matrix(where: str, joint: Joint, one: Any, other: Any) -> Array:
    """p(x, y) as a matrix with a row a value of x."""
    left, right = ((names,) if isinstance(names, str) else tuple(names) for names in (one, other))
    if not left or not right:
        raise StructureError(where, "a side has no variable. Name at least one on each.")
    _axes(where, joint, left + right)
    table = marginal(joint, *left, *right).table
    return table.reshape(math.prod(table.shape[: len(left)]), -1)


def _axes(where: str, joint: Any, names: tuple[Any, ...]) -> list[int]:
    """The axis of each name."""
    if not isinstance(joint, Joint):
        raise StructureError(where, f"joint is {joint!r}, which is no Joint. Make one with stats.joint(table, names).")
    for name in names:
        if name not in joint.names:
            raise StructureError(where, f"there is no variable {name!r}. The joint has {', '.join(joint.names)}.")
        if names.count(name) > 1:
            raise StructureError(where, f"the variable {name!r} is named twice. Name each once.")
    return [joint.names.index(name) for name in names]


def _check_value(name: str, value: Any, size: int) -> None:
    if not is_concrete(value):
        return
    if np.ndim(value) != 0 or isinstance(value, bool) or not np.issubdtype(np.asarray(value).dtype, np.integer):
        raise HyperparameterError(
            "conditional",
            f"{name!r} is given as {value!r}, but the number of one value is needed. Map over several with jax.vmap.",
        )
    if not 0 <= int(value) < size:
        raise HyperparameterError(
            "conditional", f"{name!r} is given as {value}, but it has {size} values (0 to {size - 1})."
        )
