"""Figures of linear pieces: a function of one input with its joints, and the patchwork of regions in the plane."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from fnnet.analysis.pieces import Joints
from fnnet.analysis.regions import LinearRegions
from fnnet.errors import HyperparameterError, StructureError
from fnnet.report.style import BLUE, VERMILLION, house_style, new_figure, plural, save_figure

_BORDER, _SEAM = 0.7, 0.3
"""Points across a line between regions, and across one between cells of a region, which has their colour."""


def plot_regions(found: LinearRegions, path: str | PathLike[str] | None = None, *, output: int = 0) -> Any:
    """The linear regions of a model with two inputs, each in the colour of the output in its middle.

    Args:
        found: what `linear_regions` gives.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        output: which output colours show, counted over all axes of one example's output.

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: ``found`` is something else, or of stacked models.
        HyperparameterError: there is no such output.
        FileError: the file cannot be written.
        MissingPackageError: matplotlib is not installed.

    Source: lecture 002, "Activation pattern: which hidden units are activated".
    """
    where = "plot_regions"
    if not isinstance(found, LinearRegions):
        raise StructureError(where, f"a {type(found).__name__} was passed. Pass what analysis.linear_regions gives.")
    _check_one(where, found.areas)
    cells = len(found.polygons)
    weights, biases = found.weights.reshape(cells, -1, 2), found.biases.reshape(cells, -1)
    _check_output(where, output, biases.shape[1])
    # In the middle of the whole region, so that all of its cells have one colour.
    middles = np.stack([polygon.mean(axis=0) for polygon in found.polygons]) * found.areas[:, None]
    moments = np.stack([np.bincount(found.regions, column) for column in (*middles.T, found.areas)])
    middles = (moments[:2] / moments[2]).T[found.regions]
    shown = np.einsum("cx,cx->c", weights[:, output], middles) + biases[:, output]
    regions = int(found.regions.max()) + 1
    with house_style(where):
        from matplotlib.cm import ScalarMappable

        which = f"output {output}" if biases.shape[1] > 1 else "the output"
        figure = new_figure(
            plural(regions, "linear region"), f"Colour: {which} in the middle of each", [], height=4.2, width=5.2
        )
        axes = figure.subplots()
        scale = ScalarMappable(cmap="viridis")
        axes.add_collection(_patchwork(found, scale.to_rgba(shown)))
        low, high = (function(np.concatenate(found.polygons), axis=0) for function in (np.min, np.max))
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="first input", ylabel="second input")
        axes.grid(visible=False)
        figure.colorbar(scale, ax=axes, label="output").outline.set_visible(False)
        if path is not None:
            save_figure(where, figure, path)
    return figure


def plot_joints(found: Joints, path: str | PathLike[str] | None = None, *, output: int = 0) -> Any:
    """A piecewise linear function of one input, and its joints.

    Args:
        found: what `joints` gives.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        output: which output is drawn, counted over all axes of one example's output. Another one may bend at joints
            at which this one does not.

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: ``found`` is something else, or of stacked models.
        HyperparameterError: there is no such output.
        FileError: the file cannot be written.
        MissingPackageError: matplotlib is not installed.

    Source: lecture 002, "Shallow neural network", piecewise linear functions with three joints.
    """
    where = "plot_joints"
    if not isinstance(found, Joints):
        raise StructureError(where, f"a {type(found).__name__} was passed. Pass what analysis.joints gives.")
    _check_one(where, found.positions)
    count = len(found.positions)
    at = np.concatenate([found.ends[:1], found.positions, found.ends[1:]])
    heights = np.concatenate([found.end_values[:1], found.values, found.end_values[1:]]).reshape(count + 2, -1)
    outputs = heights.shape[1]
    _check_output(where, output, outputs)
    heights = heights[:, output]
    with house_style(where):
        title = f"{plural(count, 'joint')}, {plural(count + 1, 'linear piece')}"
        figure = new_figure(title, "", [], height=2.8, width=6.0)
        axes = figure.subplots()
        axes.plot(at, heights, color=BLUE, zorder=2)
        # So many dots as there are to see: of a hundred and more each is small.
        axes.plot(at[1:-1], heights[1:-1], ".", color=VERMILLION, markersize=7 if count < 50 else 3, zorder=3)
        axes.set(xlabel="input", ylabel=f"output {output}" if outputs > 1 else "output")
        axes.margins(x=0.01)
        if path is not None:
            save_figure(where, figure, path)
    return figure


def _check_one(where: str, values: np.ndarray) -> None:
    if values.ndim > 1:
        raise StructureError(
            where,
            f"this is what was found in {len(values)} stacked models, but one is drawn. Look at model i alone, with "
            f"the parameters jax.tree.map(lambda leaf: leaf[i], params).",
        )


def _check_output(where: str, output: Any, count: int) -> None:
    if not (isinstance(output, int) and 0 <= output < count):
        raise HyperparameterError(where, f"output is {output!r}, but there are {count}, counted from 0.")


def _patchwork(found: LinearRegions, colors: np.ndarray) -> Any:
    """The cells, a region after the other: first with their borders, then again over those within the region."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    cells, widths, edges = [], [], []
    order = np.argsort(found.regions, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(found.regions[order])) + 1):
        cells += [*group, *group] if len(group) > 1 else [*group]
        widths += [_BORDER] * len(group) + ([_SEAM] * len(group) if len(group) > 1 else [])
        edges += [to_rgba("white")] * len(group) + ([tuple(colors[cell]) for cell in group] if len(group) > 1 else [])
    return PolyCollection(
        [found.polygons[cell] for cell in cells], facecolors=colors[cells], edgecolors=edges, linewidths=widths
    )


__all__ = ["plot_joints", "plot_regions"]
