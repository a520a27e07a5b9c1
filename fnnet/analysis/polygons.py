"""Convex polygons that are cut by straight lines, and which of them touch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ROUNDING = 1e-13
"""Of the numbers that add up to another one: what is less than this part of them counts as 0."""

_OUTSIDE = -1
"""Tag of an edge of the whole, which no cut has made."""


class Polygon(NamedTuple):
    """A convex polygon, anticlockwise: ``rows`` (vertices, values), of which the first two are the place.

    ``tags`` (vertices,) name the edge from each vertex to the next by the cut that made it.
    """

    rows: np.ndarray
    tags: np.ndarray


def rectangle(low: np.ndarray, high: np.ndarray) -> Polygon:
    """The box between two corners."""
    rows = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    return Polygon(rows, np.full(4, _OUTSIDE))


def halves(polygon: Polygon, column: int, tag: int) -> tuple[Polygon, Polygon]:
    """Both sides of the line on which the values of a column are 0; they are linear, and of both signs."""
    rows, tags = polygon
    sign = np.sign(rows[:, column])
    following = np.roll(np.arange(len(rows)), -1)
    crossed = np.flatnonzero(sign * sign[following] < 0)
    if len(crossed):
        here, there = rows[crossed], rows[following[crossed]]
        part = here[:, column] / (here[:, column] - there[:, column])
        new = here + part[:, None] * (there - here)
        # A value that should be 0 there, of another line through this point, is one.
        new[np.abs(new) <= ROUNDING * (np.abs(here) + np.abs(there))] = 0.0
        new[:, column] = 0.0
        rows = np.insert(rows, crossed + 1, new, axis=0)
        tags = np.insert(tags, crossed + 1, tags[crossed])
        sign = np.insert(sign, crossed + 1, 0.0)
    return _part(rows, tags, sign >= 0, tag), _part(rows, tags, sign <= 0, tag)


def _part(rows: np.ndarray, tags: np.ndarray, kept: np.ndarray, tag: int) -> Polygon:
    """The vertices that are kept; where one between two of them is not, runs the cut."""
    return Polygon(rows[kept], np.where(np.roll(kept, -1), tags, tag)[kept])


def area_and_length(corners: np.ndarray) -> tuple[float, float]:
    """½ Σ (x_i y_{i+1} − x_{i+1} y_i), from the first corner, so that little cancels, and the length of the border."""
    x, y = (corners - corners[0]).T
    after_x, after_y = np.roll(x, -1), np.roll(y, -1)
    return 0.5 * float(np.sum(x * after_y - after_x * y)), float(np.hypot(after_x - x, after_y - y).sum())


def touching(polygons: list[Polygon], least: float) -> np.ndarray:
    """Pairs (pairs, 2) of polygons with a common border longer than ``least``.

    The border between two polygons was made by one cut, which both name; on it those of one side run this way and
    those of the other that way.
    """
    owner = np.repeat(np.arange(len(polygons)), [len(polygon.tags) for polygon in polygons])
    tags = np.concatenate([polygon.tags for polygon in polygons])
    begin = np.concatenate([polygon.rows[:, :2] for polygon in polygons])
    end = np.concatenate([np.roll(polygon.rows[:, :2], -1, axis=0) for polygon in polygons])
    inner = np.flatnonzero(tags != _OUTSIDE)
    inner = inner[np.argsort(tags[inner], kind="stable")]
    groups = np.split(inner, np.flatnonzero(np.diff(tags[inner])) + 1) if len(inner) else []
    pairs = [np.zeros((0, 2), int)]
    for group in groups:
        step = end[group] - begin[group]
        along = step[np.argmax(np.abs(step).sum(axis=1))]
        along = along / np.hypot(*along)
        first, last = begin[group] @ along, end[group] @ along
        one, other = np.flatnonzero(last > first), np.flatnonzero(last < first)
        common = np.minimum(last[one, None], first[other]) - np.maximum(first[one, None], last[other])
        a, b = np.nonzero(common > least)
        pairs.append(np.column_stack([owner[group[one[a]]], owner[group[other[b]]]]))
    return np.concatenate(pairs)


__all__ = ["Polygon", "area_and_length", "halves", "rectangle", "touching"]
