"""What a discrete distribution is given as: probabilities along the last axis, or logits marked as such."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, ShapeError, StructureError, is_concrete
from fnnet.losses.base import value_dtype
from fnnet.stats.samples import known
from fnnet.types import Array


class Logits(NamedTuple):
    """Logits or log-probabilities (…, values), where a distribution or a likelihood may stand.

    p = softmax(z) and log p = log softmax(z), computed from z, so that the logarithm of what underflows is known. A
    logit of −∞ is a probability of exactly 0.

    >>> import jax.numpy as jnp
    >>> from fnnet import stats
    >>> print(stats.entropy(stats.Logits(jnp.array([0.0, 0.0, -1e4])), base=2).round(4))
    1.0
    """

    values: Any


class Parts(NamedTuple):
    """Probabilities, their logarithms with 0 for log 0, and where they are exactly 0."""

    probabilities: Array
    logs: Array
    zero: Array


def parts(*given: Any) -> tuple[Parts, ...]:
    """Distributions in their widest dtype, at least float32; derivatives are finite, and 0 by log p where p is 0."""
    dtype = max((value_dtype(leaf) for leaf in jax.tree.leaves(given)), key=lambda dtype: dtype.itemsize)
    return tuple(_parts(one, dtype) for one in given)


def _parts(given: Any, dtype: Any) -> Parts:
    if isinstance(given, Logits):
        logs = jax.nn.log_softmax(given.values.astype(dtype), axis=-1)
        zero = jnp.isneginf(logs)
        return Parts(jnp.exp(logs), jnp.where(zero, 0, logs), zero)
    p = given.astype(dtype)
    zero = p == 0
    return Parts(p, jnp.log(jnp.where(zero, 1, p)), zero)


def shape_of(where: str, name: str, given: Any) -> tuple[int, ...]:
    """The shape of probabilities or of logits."""
    try:
        return np.shape(given.values if isinstance(given, Logits) else given)
    except ValueError as error:  # rows of different lengths
        raise StructureError(where, f"{name} is {given!r}, which is not an array of numbers.") from error


def distribution(where: str, name: str, given: Any) -> Any:
    """Probabilities or `Logits` as arrays, if what is known of them now is a distribution along the last axis."""
    _check_axis(where, name, given)
    if isinstance(given, Logits):
        return _logits(where, name, given)
    if is_concrete(given):
        _check_probabilities(where, name, given)
    return jnp.asarray(given)


def likelihoods(where: str, name: str, given: Any) -> Any:
    """Likelihoods or `Logits` of them as arrays; unlike probabilities they need not sum to 1.

    Known ones are divided by the largest of their row, which changes no posterior: float32 has no 1e-50.
    """
    _check_axis(where, name, given)
    if isinstance(given, Logits):
        return _logits(where, name, given)
    if is_concrete(given):
        values = known(where, name, given)
        wrong = ~(np.isfinite(values) & (values >= 0))
        if wrong.any():
            raise DataError(
                where,
                f"{name} holds {values[wrong][0]:g}, but likelihoods are finite and not negative. "
                f"Mark log-likelihoods with stats.Logits(values).",
            )
        largest = values.max(axis=-1, keepdims=True)
        given = (values / np.where(largest > 0, largest, 1)).astype(value_dtype(jnp.asarray(given)))
    return jnp.asarray(given)


def _check_probabilities(where: str, name: str, given: Any) -> None:
    p = known(where, name, given)
    sums = p.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.isfinite(p) & (p >= 0)).all(axis=-1) | ~(abs(sums - 1) <= _tolerance(given))
    if not wrong.any():
        return
    row = tuple(int(i) for i in np.argwhere(wrong)[0])
    worst = p[row][~(np.isfinite(p[row]) & (p[row] >= 0))]
    holds = f"holds {worst[0]:g}" if worst.size else f"sums to {sums[row]:.6g}"
    raise DataError(
        where,
        f"{name} is no distribution: {_called(row)} {holds}, but probabilities are not negative and sum to 1 along the "
        f"last axis. Divide counts by their sum, or mark logits with stats.Logits(z).",
    )


def _check_axis(where: str, name: str, given: Any) -> None:
    """Raises unless there is a last axis with something in it."""
    shape = shape_of(where, name, given)
    if not shape or shape[-1] == 0:
        raise ShapeError(where, f"{name} has shape {shape}, but the last axis is that of the values, at least one.")


def _logits(where: str, name: str, given: Logits) -> Logits:
    """Logits as arrays; raises if known ones hold NaN or +∞, or nothing but −∞."""
    if not is_concrete(given.values):
        return given
    z = known(where, name, given.values)
    wrong = np.isnan(z).any(axis=-1) | np.isposinf(z).any(axis=-1) | np.isneginf(z).all(axis=-1)
    if wrong.any():
        row = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            where,
            f"{name} has logits without a softmax: {_called(row)} holds NaN or ∞, or −∞ alone. Logits are numbers, or "
            f"−∞ for what is impossible.",
        )
    return Logits(jnp.asarray(given.values))


def check_equal_shapes(where: str, **given: Any) -> None:
    """Raises unless two distributions are over the same values, row by row."""
    (one, p), (other, q) = ((name, shape_of(where, name, value)) for name, value in given.items())
    if p != q:
        raise ShapeError(
            where, f"{one} has shape {p} and {other} {q}, but they have to agree. Repeat rows with jnp.broadcast_to."
        )


def _tolerance(given: Any) -> float:
    """How far a sum may be from 1: rounding of narrow floats, and what a softmax over many values leaves."""
    dtype = getattr(given, "dtype", np.dtype(float))
    return max(1e-5, 2 * float(jnp.finfo(dtype).eps)) if jnp.issubdtype(dtype, jnp.floating) else 1e-5


def _called(row: tuple[int, ...]) -> str:
    return "it" if not row else f"row {row[0] if len(row) == 1 else row}"
