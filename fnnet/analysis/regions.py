"""In the plane a piecewise linear model is a patchwork of polygons with a linear map on each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fnnet.analysis.polygons import Polygon, area_and_length, halves, rectangle, touching
from fnnet.analysis.stages import Stage, Stages, of_stages
from fnnet.errors import HyperparameterError, ShapeError
from fnnet.nn.base import LayerLike
from fnnet.types import PyTree

_EQUAL = 1e-11
"""Maps that differ by less than this part of the numbers which add up to them are one."""

_THIN = 1e-12
"""Width, as a part of the box's, below which a cell is a rounding error: where three lines meet in a point, say."""


class LinearRegions(NamedTuple):
    """A model on a box in the plane: cells, convex polygons, on each of which it is W x + b.

    ``polygons`` are the cells' corners (corners, 2), anticlockwise, ``weights`` (cells, *output, 2) and ``biases``
    (cells, *output) their maps, ``areas`` (cells,) their areas, and ``regions`` (cells,) the number of the linear
    region that each is a part of: cells that touch and have one map are one region. ``sides`` (cells, units) says
    which units are on. Of stacked models there is an axis of models before these, ``polygons`` is a tuple a model, and
    rows of models with fewer cells end in NaN, regions in −1 and sides in False.
    """

    polygons: tuple[Any, ...]
    weights: np.ndarray
    biases: np.ndarray
    areas: np.ndarray
    regions: np.ndarray
    sides: np.ndarray


def linear_regions(model: LayerLike, params: PyTree, box: Any, *, model_state: PyTree = None) -> LinearRegions:
    """All linear regions of a piecewise linear model with two inputs in a box, as exact polygons with their maps.

    f(x) = W x + b on each

    The box is cut layer by layer: in a polygon on which everything before is linear, each unit that changes sides
    cuts along a straight line. All in float64, so that areas add up to that of the box and maps are the model's.

    Args:
        model: a layer from (batch, 2) whose activations are piecewise linear.
        params: its parameters, or those of several models, stacked.
        box: ((low, high), (low, high)) of the two inputs, finite.
        model_state: of the layers, where they have one; stacked like the parameters.

    Returns:
        `LinearRegions`, NumPy arrays of float64; there are ``regions.max(axis=-1) + 1`` of them.

    Raises:
        StructureError: the model is not piecewise linear, jumps, or is traced.
        ShapeError: the box is not that of two inputs, or the parameters are not the model's.
        HyperparameterError: the box is empty or not finite.
        DataError: a parameter is not finite.

    Source: lecture 002, "Shallow neural network" and "Number of linear regions per parameter".

    >>> import jax.numpy as jnp
    >>> found = linear_regions(lambda x: jnp.abs(x).sum(axis=-1), (), [(-1, 1), (-1, 3)])
    >>> sorted(zip(found.areas.tolist(), found.weights.tolist()))
    [(1.0, [-1.0, -1.0]), (1.0, [1.0, -1.0]), (3.0, [-1.0, 1.0]), (3.0, [1.0, 1.0])]
    """
    where = "linear_regions"
    low, high = corners(where, box)
    if len(low) != 2:
        raise ShapeError(
            where,
            f"the box has {len(low)} axes, but polygons need two. For one input there is joints, for more "
            f"linear_pieces along a segment.",
        )
    return of_stages(where, model, params, model_state, (2,), lambda stages: _regions(where, stages, low, high))


def _regions(where: str, stages: Stages, low: np.ndarray, high: np.ndarray) -> LinearRegions:
    cells, sides = _cells(where, stages, low, high)
    areas, lengths = np.array([area_and_length(cell.rows[:, :2]) for cell in cells]).T
    reach = float(np.hypot(*(high - low)))
    kept = areas > _THIN * reach * lengths
    cells, sides = [cell for cell, keep in zip(cells, kept, strict=True) if keep], sides[kept]
    slopes, size = (np.moveaxis(found, 1, 2) for found in stages.derivatives(sides, np.eye(2)))
    middles = np.stack([cell.rows.mean(axis=0) for cell in cells])
    biases = stages.output(middles) - np.einsum("cyx,cx->cy", slopes, middles[:, :2])
    pairs = touching(cells, least=_THIN * reach)
    return LinearRegions(
        polygons=tuple(cell.rows[:, :2] for cell in cells),
        weights=slopes.reshape(-1, *stages.output_shape, 2),
        biases=biases.reshape(-1, *stages.output_shape),
        areas=areas[kept],
        regions=_joined(slopes, size, pairs),
        sides=sides,
    )


def corners(where: str, box: Any) -> tuple[np.ndarray, np.ndarray]:
    """The low and the high corner of a box ((low, high), …), an interval an input.

    Raises:
        ShapeError: it is no list of intervals.
        HyperparameterError: an interval is empty or not finite.
    """
    intervals = np.asarray(box, np.float64)
    if intervals.ndim != 2 or intervals.shape[1] != 2 or not len(intervals):
        raise ShapeError(
            where, f"the box has shape {intervals.shape}, but (inputs, 2) is needed: ((low, high), …), one an input."
        )
    low, high = intervals.T
    if not np.isfinite(intervals).all() or not (low < high).all():
        raise HyperparameterError(where, f"the box is {intervals.tolist()}, but low < high has to be finite numbers.")
    return low, high


def _cells(where: str, stages: Stages, low: np.ndarray, high: np.ndarray) -> tuple[list[Polygon], np.ndarray]:
    """Polygons on which no unit changes sides, and the sides (cells, units)."""
    cells, sides = [rectangle(low, high)], np.zeros((1, 0), bool)
    cuts = itertools.count()
    for stage in stages.stages:
        before = cells[0].rows.shape[1]
        found = [_divided(cell, before, cuts) for cell in _with_bends(stage, cells)]
        parents = np.repeat(np.arange(len(cells)), [len(parts) for parts in found])
        cells, own = _bent(where, stage, list(itertools.chain(*found)), before)
        sides = np.hstack([sides[parents], own])
    return cells, sides


def _with_bends(stage: Stage, cells: list[Polygon]) -> list[Polygon]:
    """The polygons with the pre-activations of a stage as further columns."""
    rows = np.concatenate([cell.rows for cell in cells])
    ends = np.cumsum([len(cell.rows) for cell in cells])[:-1]
    both = np.hstack([rows, stage.rounded(rows)])
    return [Polygon(part, cell.tags) for part, cell in zip(np.split(both, ends), cells, strict=True)]


def _divided(cell: Polygon, first: int, cuts: Iterator[int]) -> list[Polygon]:
    """A polygon cut wherever one of the columns from ``first`` on changes sign."""
    waiting, whole = [cell], []
    while waiting:
        part = waiting.pop()
        z = part.rows[:, first:]
        mixed = (z.max(axis=0) > 0) & (z.min(axis=0) < 0)
        if not mixed.any():
            whole.append(part)
            continue
        waiting += halves(part, first + int(mixed.argmax()), next(cuts))
    return whole


def _bent(where: str, stage: Stage, cells: list[Polygon], before: int) -> tuple[list[Polygon], np.ndarray]:
    """The polygons with the stage's values in place of its pre-activations, and which of its units are on."""
    rows = np.concatenate([cell.rows for cell in cells])
    counts = [len(cell.rows) for cell in cells]
    ends = np.cumsum(counts)[:-1]
    values, z = np.split(rows, [before], axis=1)
    # A unit whose rounding error is of the other sign than the rest has the side of the rest.
    sides = np.add.reduceat(z, np.concatenate([[0], ends]), axis=0) > 0
    stage.check_continuous(where, values, z)
    values = np.hstack([values, np.where(z > 0, stage.on(values), stage.off(values))])
    made = [Polygon(part, cell.tags) for part, cell in zip(np.split(values, ends), cells, strict=True)]
    return made, sides


def _joined(weights: np.ndarray, size: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The number of each cell's region: of cells that touch, those with equal maps are together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = pairs.T
    same = (np.abs(weights[one] - weights[other]) <= _EQUAL * size.max(axis=0)).all(axis=(1, 2))
    count = len(weights)
    graph = coo_array((np.ones(int(same.sum())), (one[same], other[same])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


__all__ = ["LinearRegions", "corners", "linear_regions"]
