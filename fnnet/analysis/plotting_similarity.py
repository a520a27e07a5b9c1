"""A figure of how alike the layers of two models are."""

from __future__ import annotations

import itertools
from os import PathLike
from typing import Any

import numpy as np

from fnnet.analysis.similarity import RepresentationSimilarity
from fnnet.errors import StructureError
from fnnet.report.style import house_style, new_figure, number, save_figure, score_colors, shortened

_MOST_NUMBERS = 144
"""Cells up to which each has its number written in it."""


def plot_representations(
    found: RepresentationSimilarity,
    path: str | PathLike[str] | None = None,
    *,
    names: tuple[str, str] = ("first model", "second model"),
) -> Any:
    """A heat map of the similarities of the layers of two models; the more alike the darker.

    Args:
        found: what `compare_representations` tells.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        names: what the two models are called.

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: ``found`` is something else, or is mapped over.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_representations"
    if not isinstance(found, RepresentationSimilarity) or np.ndim(found.similarity) != 2:
        raise StructureError(where, f"found is {found!r}, but what compare_representations gives is needed, of a pair.")
    similarity = np.asarray(found.similarity, dtype=float)
    rows, columns = similarity.shape
    with house_style(where):
        width = min(9.0, 3.0 + 0.45 * columns)
        height = min(9.0, 1.2 + 0.38 * rows)
        figure = new_figure(_finding(found, similarity), "", [], height=height, width=max(5.0, width))
        grid = figure.add_gridspec(1, 2, width_ratios=(1, 0.05))
        axes = figure.add_subplot(grid[0, 0])
        axes.pcolormesh(np.arange(columns + 1), np.arange(rows + 1), score_colors(similarity))
        axes.invert_yaxis()
        axes.grid(False)
        axes.spines[:].set_visible(False)
        for axis, layers in ((axes.xaxis, found.second), (axes.yaxis, found.first)):
            step = 1 + len(layers) // 25
            axis.set_ticks(np.arange(len(layers))[::step] + 0.5, [shortened(name or ".") for name in layers[::step]])
            axis.set_tick_params(length=0)
        if sum(len(name) for name in found.second) > 4 * columns:
            axes.tick_params(axis="x", labelrotation=45)
        axes.set(xlabel=f"layer of the {names[1]}", ylabel=f"layer of the {names[0]}")
        if similarity.size <= _MOST_NUMBERS:
            for row, column in itertools.product(range(rows), range(columns)):
                value = similarity[row, column]
                ink = "white" if value > 0.5 else "black"
                axes.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=7)
        scale = figure.add_subplot(grid[0, 1])
        steps = np.linspace(0, 1, 65)
        scale.pcolormesh([0.0, 1.0], steps, score_colors((steps[1:] + steps[:-1]) / 2)[:, None])
        scale.grid(False)
        scale.set_xticks([])
        scale.spines[:].set_visible(False)
        scale.yaxis.tick_right()
        scale.set_title("CKA", fontsize=9)
        if path is not None:
            save_figure(where, figure, path)
    return figure


def _finding(found: RepresentationSimilarity, similarity: np.ndarray) -> str:
    if found.first == found.second:
        same = np.diag(similarity)
        least = int(np.argmin(same))
        return (
            f"Layers at the same place are {number(float(same.mean()))} alike on average, "
            f"least at {found.first[least] or '.'} ({number(float(same[least]))})"
        )
    row, column = np.unravel_index(np.argmax(similarity), similarity.shape)
    most = number(float(similarity[row, column]))
    return f"Most alike: {found.first[row] or '.'} and {found.second[column] or '.'} ({most})"
