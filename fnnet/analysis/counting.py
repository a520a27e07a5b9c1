"""How many linear regions a model has in a box: counted where that can be done, else as many as were seen."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet.analysis.pieces import joints
from fnnet.analysis.regions import corners, linear_regions
from fnnet.analysis.stages import Stages, of_stages
from fnnet.errors import HyperparameterError, check_key, check_size, within
from fnnet.nn.base import LayerLike
from fnnet.report.style import plural
from fnnet.types import PyTree

_ROOM = 2**23
"""Numbers of the derivatives of all units, at the patterns that are looked at together."""

_APART = 1e-10
"""Of their size, by which two maps have to differ to count as two."""


class RegionCount(NamedTuple):
    """How many linear regions there are; ``exact`` is False for a lower bound. ``points`` were looked at, 0 if exact.

    Of stacked models, ``regions`` is an array (models,).

    >>> print(RegionCount(7, True, 0), RegionCount(312, False, 1000), sep="; ")
    7 linear regions; at least 312 linear regions, met by 1000 points
    >>> print(RegionCount(np.array([4, 7]), True, 0))
    4 to 7 linear regions in 2 models
    """

    regions: Any
    exact: bool
    points: int

    def __str__(self) -> str:
        said = plural(int(np.max(self.regions)), "linear region")
        if np.ndim(self.regions):
            said = f"{np.min(self.regions)} to {said} in {plural(len(self.regions), 'model')}"
        return said if self.exact else f"at least {said}, met by {plural(self.points, 'point')}"


def count_linear_regions(
    model: LayerLike, params: PyTree, box: Any, *, model_state: PyTree = None, points: int = 10_000, key: Any = None
) -> RegionCount:
    """The number of linear regions of a piecewise linear model in a box: exact for one and two inputs.

    A linear region is a connected set, as large as can be, on which the model is linear; sets that only meet in a
    point are two. Activation patterns may be more: a unit that nobody hears makes patterns, but no regions.

    For more inputs points are drawn uniformly in the box, and those count together on which the model has the same
    linear map. Every map that was seen has a region, so there are at least as many; usually there are far more.

    Args:
        model: a layer from (batch, inputs) whose activations are piecewise linear.
        params: its parameters, or those of several models, stacked.
        box: ((low, high), …), an interval an input, finite.
        model_state: of the layers, where they have one; stacked like the parameters.
        points: how many are drawn, if there are more than two inputs.
        key: random key by which they are drawn; needed there.

    Returns:
        `RegionCount` with ``regions``, an array (models,) for stacked ones, whether it is ``exact``, and the number of
        ``points``.

    Raises:
        StructureError: the model is not piecewise linear, jumps, or is traced; ``key`` is no random key.
        ShapeError: the box is no list of intervals, or the parameters are not the model's for so many inputs.
        HyperparameterError: the box is empty or not finite, or a key is needed and there is none.
        DataError: a parameter is not finite.

    Source: lecture 002, "Number of linear regions per parameter".

    >>> import jax, jax.numpy as jnp
    >>> count_linear_regions(jnp.abs, (), [(-1, 1), (-1, 1)])
    RegionCount(regions=4, exact=True, points=0)
    >>> print(count_linear_regions(jnp.abs, (), [(-1, 1)] * 3, key=jax.random.key(0)))
    at least 8 linear regions, met by 10000 points
    """
    where = "count_linear_regions"
    low, high = corners(where, box)
    with within(where):
        if len(low) == 1:
            found = joints(model, params, float(low[0]), float(high[0]), model_state=model_state)
            return RegionCount(_counted(np.isfinite(found.positions).sum(axis=-1) + 1), True, 0)
        if len(low) == 2:
            regions = linear_regions(model, params, box, model_state=model_state).regions
            return RegionCount(_counted(regions.max(axis=-1) + 1), True, 0)
    check_size(where, "points", points)
    if key is None:
        raise HyperparameterError(
            where,
            f"with {len(low)} inputs regions are not counted but met by random points. Pass key=jax.random.key(0).",
        )
    check_key(where, key)
    drawn = low + np.asarray(jax.random.uniform(key, (points, len(low))), np.float64) * (high - low)
    met = of_stages(where, model, params, model_state, low.shape, lambda stages: _maps_met(stages, drawn))
    return RegionCount(met, False, points)


def _counted(number: Any) -> Any:
    return number if np.ndim(number) else int(number)


def _maps_met(stages: Stages, points: np.ndarray) -> int:
    """The number of linear maps that the model has at points, of which some may be equal up to rounding.

    All maps are compared by one number, their product with a random matrix: two that are far apart there are two.
    """
    inputs, outputs = stages.inputs, len(stages.output.constant)
    block = max(1, _ROOM // (inputs * (inputs + stages.units)))
    sides = np.concatenate([stages.values(part)[1] for part in _blocks(points, block)])
    _, some = np.unique(np.packbits(sides, axis=1), axis=0, return_index=True)
    weights = np.random.default_rng(0).uniform(1, 2, (inputs, outputs))
    told, size = [], 0.0
    for part in _blocks(sides[some], block):
        slopes, sizes = stages.derivatives(part, np.eye(inputs))
        told.append(np.einsum("nio,io->n", slopes, weights))
        size = max(size, float(np.einsum("nio,io->n", sizes, weights).max()))
    return 1 + int((np.diff(np.sort(np.concatenate(told))) > _APART * size).sum())


def _blocks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[first : first + size] for first in range(0, len(rows), size)]


__all__ = ["RegionCount", "count_linear_regions"]
