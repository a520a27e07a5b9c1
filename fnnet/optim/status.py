"""How an iteration ends, as a code inside of compiled code and as a sentence outside."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from fnnet.types import Array, PyTree

RUNNING, CONVERGED, EXHAUSTED, NOT_FINITE, SINGULAR, NOT_POSITIVE_DEFINITE, NO_DESCENT, INFEASIBLE = range(8)
"""Codes of ``status``; a method in `minimize` reports one of the last four in a state field named ``status``."""

SENTENCES = (
    "still running",
    "converged: the tolerance was reached",
    "the steps were used up before the tolerance was reached; the solution is the best point so far",
    "the value or the step was not finite; the solution is the best finite point so far",
    "the linear system of the step is singular; the solution is the point where it was",
    "the matrix of second derivatives is not positive definite, so the step need not lead down; the solution is the "
    "point where it was",
    "no step along the search direction decreases the value enough; the solution is the point where the search began",
    "the steps were used up and the constraints are still violated: they may contradict each other",
)

WHERE_IT_STANDS = (CONVERGED, SINGULAR, NOT_POSITIVE_DEFINITE, NO_DESCENT)
"""Codes that speak of the last point, so that this is the solution, and not the best point on the way."""


def sentence_of(status: Array) -> str | list[Any]:
    """The status in words; for mapped results a list with an entry a lane."""
    codes = np.asarray(status)
    return SENTENCES[int(codes)] if codes.ndim == 0 else [sentence_of(code) for code in codes]


def stands(status: Array) -> Array:
    """Whether the solution is the last point."""
    return jnp.isin(status, jnp.array(WHERE_IT_STANDS, status.dtype))


def code(value: Any) -> Array:
    """A status as it is kept in states: an int32 scalar."""
    return jnp.asarray(value, jnp.int32)


def method_status(state: PyTree) -> Array:
    """The largest code in a field named ``status`` of any part of an optimizer's state; 0 without one."""
    return functools.reduce(jnp.maximum, fields(state, "status"), code(RUNNING))


def skipped(state: PyTree) -> Array:
    """Whether an optimizer has just left out an update on purpose, since something in it was not finite."""
    return functools.reduce(jnp.maximum, fields(state, "notfinite_count"), code(0)) > 0


def fields(state: PyTree, wanted: str) -> Iterator[Any]:
    """Every field of a name in the NamedTuples that an optimizer's state is made of."""
    if isinstance(state, Mapping):
        parts: Any = [(None, part) for part in state.values()]
    elif isinstance(state, tuple | list):
        parts = zip(getattr(state, "_fields", (None,) * len(state)), state, strict=True)
    else:
        return
    for name, part in parts:
        if name == wanted:
            yield part
        else:
            yield from fields(part, wanted)
