"""How many linear regions a network can have, by its widths alone: whole numbers of any length."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from fnnet.errors import HyperparameterError, check_size


def max_linear_regions(inputs: int, widths: Iterable[int]) -> int:
    """As many linear regions as a ReLU network with these hidden layers can have, by the lecture's formula.

    N = (Π_{k<K} (⌊D_k/D_i⌋ + 1)^{D_i}) · Σ_{j≤D_i} C(D_K, j), which for K equal layers of D units, D_i a divisor of
    D, is (D/D_i + 1)^{D_i (K−1)} · Σ_{j≤D_i} C(D, j)

    For one hidden layer it is the maximum (Zaslavsky): so many cells have D_1 hyperplanes in general position. For one
    input and layers of three units or more it is the maximum, too. For more of both, some network with layers of
    3 D_i units or more has so many, and none has more than `linear_regions_upper_bound`.

    Args:
        inputs: D_i, a positive integer.
        widths: D_1 to D_K, units of the hidden layers, positive integers.

    Returns:
        A Python integer, exact whatever its length.

    Raises:
        HyperparameterError: there is no layer, or a number that is not a positive integer.

    Source: lecture 002, "Number of linear regions per parameter", whose 161,501 and 10¹³⁴ are misprints of
    161,051 = 11⁵ and about 10⁴¹; Montúfar et al., "On the number of linear regions of deep neural networks", 2014;
    Serra et al., "Bounding and counting linear regions of deep neural networks", 2018, Theorem 7.

    >>> max_linear_regions(1, [10] * 5), f"{max_linear_regions(10, [50] * 5):.1e}"
    (161051, '1.8e+41')
    """
    inputs, widths = _checked("max_linear_regions", inputs, widths)
    folds = math.prod((width // inputs + 1) ** inputs for width in widths[:-1])
    return folds * _zaslavsky(widths[-1], inputs)


def linear_regions_upper_bound(inputs: int, widths: Iterable[int]) -> int:
    """More linear regions than this no ReLU network with these hidden layers has.

    Σ Π_k C(D_k, j_k) over all j with 0 ≤ j_k ≤ min(D_i, D_1 − j_1, …, D_{k−1} − j_{k−1}, D_k)

    Args:
        inputs: D_i, a positive integer.
        widths: D_1 to D_K, units of the hidden layers, positive integers.

    Returns:
        A Python integer, exact whatever its length.

    Raises:
        HyperparameterError: there is no layer, or a number that is not a positive integer.

    Source: Serra et al., "Bounding and counting linear regions of deep neural networks", 2018, Theorem 1.

    >>> linear_regions_upper_bound(2, [3]), linear_regions_upper_bound(1, [1, 5])
    (7, 7)
    """
    inputs, widths = _checked("linear_regions_upper_bound", inputs, widths)
    # How many ways there are by the dimension that is left: it is all that later layers know of earlier ones.
    ways = {inputs: 1}
    for width in widths:
        after: dict[int, int] = {}
        for (left, count), on in itertools.product(ways.items(), range(width + 1)):
            if on <= min(left, width):
                rest = min(left, width - on)
                after[rest] = after.get(rest, 0) + count * math.comb(width, on)
        ways = after
    return sum(ways.values())


def _zaslavsky(hyperplanes: int, inputs: int) -> int:
    """Σ_{j≤D_i} C(D, j): the cells of so many hyperplanes in general position."""
    return sum(math.comb(hyperplanes, j) for j in range(inputs + 1))


def _checked(where: str, inputs: int, widths: Iterable[int]) -> tuple[int, tuple[int, ...]]:
    """Both as integers of Python's, as products of NumPy's would wrap around."""
    check_size(where, "inputs", inputs)
    if isinstance(widths, str) or not isinstance(widths, Iterable) or not (widths := tuple(widths)):
        raise HyperparameterError(where, f"widths is {widths!r}, but the units of one hidden layer or more are needed.")
    for width in widths:
        check_size(where, "widths", width)
    return int(inputs), tuple(map(int, widths))


__all__ = ["linear_regions_upper_bound", "max_linear_regions"]
