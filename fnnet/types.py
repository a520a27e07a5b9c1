"""Names for the types that signatures speak of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

Scalar: TypeAlias = float | Array
"""One number: a Python float, an array of shape () or a tracer of one."""

Integer: TypeAlias = int | Array
"""One whole number: a Python integer, an integer array of shape () or a tracer of one."""

Schedule: TypeAlias = Callable[[Any], Any]
"""A function from the number of updates done so far to a learning rate."""

Spec: TypeAlias = Array | jax.ShapeDtypeStruct
"""An array, or its shape and dtype alone."""

Elementwise: TypeAlias = Callable[[Array], Array]
"""A plain function of one array, such as an activation."""

__all__ = [
    "Array",
    "Bool",
    "Elementwise",
    "Float",
    "Int",
    "Integer",
    "Key",
    "PyTree",
    "Scalar",
    "Schedule",
    "Spec",
]
