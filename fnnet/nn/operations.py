"""How many floating-point operations a function takes, read off its jaxpr."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax

_FREE = frozenset(
    [
        "bitcast_convert_type",
        "broadcast_in_dim",
        "concatenate",
        "convert_element_type",
        "copy",
        "copy_p",
        "dynamic_slice",
        "dynamic_update_slice",
        "gather",
        "iota",
        "pad",
        "reshape",
        "rev",
        "select_n",
        "slice",
        "split",
        "squeeze",
        "stop_gradient",
        "transpose",
    ]
)
"""What only moves numbers."""


def operations(function: Callable[..., Any], *specs: Any) -> int:
    """Floating-point operations of one call, for arguments like ``specs``; nothing is computed.

    A product of matrices (m, k) and (k, n) counts 2·m·k·n, every function of one or two numbers, and every term of a
    sum, counts 1, moving numbers counts 0. The body of a loop counts as often as it runs; where that depends on
    values, once; of the branches of a choice the dearest counts.

    >>> import jax.numpy as jnp
    >>> operations(lambda x, w: jnp.tanh(x @ w), jnp.ones((50, 64)), jnp.ones((64, 100)))
    645000
    """
    return _count(jax.make_jaxpr(function)(*specs).jaxpr)


def _count(jaxpr: Any) -> int:
    return sum(_of(equation) for equation in jaxpr.eqns)


def _of(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    inner = [_count(part) for part in _inner(params)]
    results = max((math.prod(getattr(out.aval, "shape", ())) for out in equation.outvars), default=0)
    if name == "scan":
        return params["length"] * sum(inner)
    if name == "cond":
        return max(inner)
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return 2 * results * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel, numbers = equation.invars[1].aval.shape, params["dimension_numbers"]
        return 2 * results * math.prod(kernel) // kernel[numbers.rhs_spec[0]]
    if name.startswith(("reduce_", "arg", "cum", "scatter")) or name == "sort":
        return sum(inner) if name == "reduce_precision" else _terms(equation)
    if inner:
        return sum(inner)
    return 0 if name in _FREE or name.startswith("random_") else results


def _terms(equation: Any) -> int:
    """The numbers that go into a sum; for a scatter those that are put somewhere."""
    operand = equation.invars[2 if equation.primitive.name.startswith("scatter") else 0]
    return math.prod(operand.aval.shape)


def _inner(params: Any) -> Iterator[Any]:
    """The jaxprs of loops, branches and functions inside of an equation."""
    # Imported where operations are counted, for it brings all of Pallas along.
    from jax.extend.core import ClosedJaxpr, Jaxpr

    for value in params.values():
        for part in value if isinstance(value, tuple | list) else [value]:
            if isinstance(part, ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, Jaxpr):
                yield part
