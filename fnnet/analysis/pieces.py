"""Along a line a piecewise linear model is a path of straight pieces: where they meet, exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fnnet.analysis.stages import Stages, of_stages
from fnnet.errors import HyperparameterError, ShapeError, check_number
from fnnet.nn.base import LayerLike
from fnnet.types import PyTree

_EQUAL = 1e-11
"""Slopes that differ by less than this part of the numbers which add up to them are one."""


class LinearPieces(NamedTuple):
    """A model along the segment start + t (stop − start), 0 ≤ t ≤ 1, cut where its slope changes.

    ``positions`` (joints,) are the t of the joints, ``points`` (joints, *input) the inputs there, ``values``
    (joints, *output) the outputs there, and ``slopes`` (joints + 1, *output) the derivatives by t between them.
    Of stacked models there is an axis of models before these, and rows of those with fewer joints end in NaN.
    """

    positions: np.ndarray
    points: np.ndarray
    values: np.ndarray
    slopes: np.ndarray


class Joints(NamedTuple):
    """Where a function of one number bends: ``positions`` (joints,) in order, ``values`` (joints, *output) there.

    ``slopes`` (joints + 1, *output) are the derivatives of the pieces between them, from left to right. ``ends`` (2,)
    are those of the interval, and ``end_values`` (2, *output) the outputs there. Of stacked models there is an axis of
    models before these, and rows of those with fewer joints end in NaN.
    """

    positions: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    ends: np.ndarray
    end_values: np.ndarray


def joints(
    model: LayerLike, params: PyTree, low: float, high: float, *, model_state: PyTree = None, tol: float = 1e-9
) -> Joints:
    """All joints of a piecewise linear model with one input on an interval, and the slopes between them.

    y = φ₀ + Σ_d φ_d a(θ_d0 + θ_d1 x) has a joint at x = −θ_d0/θ_d1 for each unit d that changes sides there.

    Not a grid: linear pieces are carried from layer to layer in float64, and cut where a unit is 0. A unit that stays
    on one side makes no joint, nor does one that changes nothing in the output. Between joints the model is linear.

    Args:
        model: a layer from (batch, 1) whose activations are piecewise linear.
        params: its parameters, or those of several models, stacked.
        low: left end, finite.
        high: right end, more than ``low``. Joints at the ends do not count.
        model_state: of the layers, where they have one; stacked like the parameters.
        tol: the part of the interval below which joints are one.

    Returns:
        `Joints`, NumPy arrays of float64.

    Raises:
        StructureError: the model is not piecewise linear, jumps, or is traced.
        HyperparameterError: the interval is empty or not finite.
        ShapeError: the parameters are not those of this model with one input.
        DataError: a parameter is not finite.

    Source: lecture 002, "Shallow neural network", piecewise linear functions with three joints.

    >>> import jax.numpy as jnp
    >>> from fnnet import nn
    >>> hidden = {"kernel": jnp.array([[1.0, 1.0]]), "bias": jnp.array([0.0, -1.0])}
    >>> output = {"kernel": jnp.array([[1.0], [-3.0]]), "bias": jnp.array([0.5])}
    >>> found = joints(nn.mlp([2, 1]), (hidden, (), output), -2.0, 2.0)
    >>> found.positions.tolist(), found.values.ravel().tolist(), found.slopes.ravel().tolist()
    ([0.0, 1.0], [0.5, 1.5], [0.0, 1.0, -2.0])
    """
    where = "joints"
    check_interval(where, low, high)
    check_number(where, "tol", tol, low=0.0, high=1.0)
    ends = np.array([low, high], np.float64)

    def of_one(stages: Stages) -> Joints:
        found = _cut(where, stages, ends[:1], ends[1:], tol)
        end_values = stages.output(stages.values(ends[:, None])[0]).reshape(2, *stages.output_shape)
        return Joints(found.points[:, 0], found.values, found.slopes / (ends[1] - ends[0]), ends, end_values)

    return of_stages(where, model, params, model_state, (1,), of_one)


def linear_pieces(
    model: LayerLike, params: PyTree, start: Any, stop: Any, *, model_state: PyTree = None, tol: float = 1e-9
) -> LinearPieces:
    """The linear regions that a segment in input space passes, exactly, and the joints between them.

    f(start + t (stop − start)) for 0 ≤ t ≤ 1

    Args:
        model: a layer whose activations are piecewise linear.
        params: its parameters, or those of several models, stacked.
        start: one input without its batch axis, such as (features,) or (height, width, channels).
        stop: another one of the same shape.
        model_state: of the layers, where they have one; stacked like the parameters.
        tol: the part of the segment below which joints are one.

    Returns:
        `LinearPieces` with ``positions``, ``points``, ``values`` and ``slopes``, NumPy arrays of float64; the segment
        passes ``len(slopes)`` regions.

    Raises:
        StructureError: the model is not piecewise linear, jumps, or is traced.
        ShapeError: the ends have two shapes, or not the model's.
        HyperparameterError: the ends are equal or not finite.
        DataError: a parameter is not finite.

    Source: lecture 002, "Number of linear regions per parameter".

    >>> import jax.numpy as jnp
    >>> found = linear_pieces(jnp.abs, (), [-1.0, 2.0], [3.0, 1.0])
    >>> found.positions.tolist(), found.points.tolist(), found.slopes.tolist()
    ([0.25], [[0.0, 1.75]], [[-4.0, -1.0], [4.0, -1.0]])
    """
    where = "linear_pieces"
    start, stop = np.asarray(start, np.float64), np.asarray(stop, np.float64)
    if start.shape != stop.shape or start.ndim == 0:
        raise ShapeError(
            where, f"start has shape {start.shape} and stop {stop.shape}, but two inputs without batch axis are needed."
        )
    if not (np.isfinite(start).all() and np.isfinite(stop).all()) or (start == stop).all():
        raise HyperparameterError(where, "start and stop have to be finite and to differ, else there is no segment.")
    check_number(where, "tol", tol, low=0.0, high=1.0)

    def of_one(stages: Stages) -> LinearPieces:
        found = _cut(where, stages, start.ravel(), stop.ravel(), tol)
        return found._replace(points=found.points.reshape(-1, *start.shape))

    return of_stages(where, model, params, model_state, start.shape, of_one)


def check_interval(where: str, low: Any, high: Any) -> None:
    """Raises unless low < high are finite numbers.

    Raises:
        HyperparameterError: they are not.
    """
    check_number(where, "low", low)
    check_number(where, "high", high)
    if not float(low) < float(high):
        raise HyperparameterError(
            where, f"the interval from {low:g} to {high:g} is empty; low has to be less than high."
        )


def _cut(where: str, stages: Stages, start: np.ndarray, stop: np.ndarray, tol: float) -> LinearPieces:
    """The model along a segment: cut at every unit's zeros, then joined where nothing changes."""
    positions, rows, sides = _at_every_zero(where, stages, start, stop)
    widths = np.diff(positions)
    wide = np.flatnonzero(widths > min(tol, widths.max() / 2))
    slopes, size = (found[:, 0] for found in stages.derivatives(sides[wide], (stop - start)[None]))
    changes = np.abs(np.diff(slopes, axis=0)) > _EQUAL * size.max(axis=0)
    bends = np.flatnonzero(changes.any(axis=1))
    at = wide[bends] + 1  # where the piece to the left of a joint ends
    kept = np.append(bends, len(wide) - 1)
    shape = stages.output_shape
    return LinearPieces(
        positions[at],
        start + positions[at, None] * (stop - start),
        stages.output(rows[at]).reshape(-1, *shape),
        slopes[kept].reshape(-1, *shape),
    )


def _at_every_zero(
    where: str, stages: Stages, start: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions from 0 to 1 between which no unit changes sides, all values there, and the sides (pieces, units).

    Between two positions everything before a stage is linear, so its pre-activations are too, and their zeros follow
    from their values at the ends. New positions get their values by interpolation, which is exact.
    """
    positions, rows = np.array([0.0, 1.0]), np.stack([start, stop])
    every = np.zeros((2, 0))
    for stage in stages.stages:
        z = stage.rounded(rows)
        piece, unit = np.nonzero(np.sign(z[:-1]) * np.sign(z[1:]) < 0)
        part = z[piece, unit] / (z[piece, unit] - z[piece + 1, unit])
        order = np.lexsort((part, piece))
        piece, unit, part = piece[order], unit[order], part[order]
        both = np.column_stack([positions, rows, every])
        new = both[piece] + part[:, None] * (both[piece + 1] - both[piece])
        both = np.insert(both, piece + 1, new, axis=0)
        positions, rows, every = np.split(both, [1, 1 + rows.shape[1]], axis=1)
        positions = positions[:, 0]
        z = stage.rounded(rows)
        z[piece + 1 + np.arange(len(piece)), unit] = 0.0
        stage.check_continuous(where, rows, z)
        rows = np.hstack([rows, np.where(z > 0, stage.on(rows), stage.off(rows))])
        every = np.hstack([every, z])
    return positions, rows, every[:-1] + every[1:] > 0


__all__ = ["Joints", "LinearPieces", "joints", "linear_pieces"]
