"""How experiments draw: the library's own style, several runs as a line with a band, numbers with their spread."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fnnet import report

COLOURS = ("#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#222222", "#767676")
"""Okabe and Ito's palette, which is also told apart without colour vision; the first three on a grey print too."""


class Curves(NamedTuple):
    """Scores of one network: ``at`` (points,), ``values`` (runs, points), and what is claimed at the end."""

    at: np.ndarray
    values: np.ndarray
    claimed: tuple[float, float] | None = None


@contextlib.contextmanager
def drawing(
    path: Path, title: str, subtitle: str = "", handles: Sequence[Any] = (), *, rows: int = 1, columns: int = 1,
    height: float = 3.4, **grid: Any,
) -> Iterator[np.ndarray]:  # fmt: skip
    """A figure in the house style, written to ``path`` at the end of the block.

    Args:
        path: of the PNG.
        title: the finding, as a sentence.
        subtitle: circumstances: data, networks, how many seeds, what line and band are.
        handles: artists with labels for the legend below the subtitle.
        rows, columns: panels.
        height: inches of all panels together.
        grid: passed on to ``figure.subplots``, such as ``sharey=True``.

    Yields:
        The panels, an array of matplotlib axes (rows, columns).
    """
    with report.house_style("experiments"):
        figure = report.new_figure(title, subtitle, handles, height=height)
        yield figure.subplots(rows, columns, squeeze=False, **grid)
        report.save_figure("experiments", figure, path)


def draw_band(axes: Any, at: np.ndarray, values: np.ndarray, colour: str, **line: Any) -> None:
    """The mean of several runs as a line, their range as a band; ``values`` (runs, points)."""
    axes.plot(at, values.mean(axis=0), color=colour, **line)
    axes.fill_between(at, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)


def plain_numbers(*axes: Any) -> None:
    """Numbers such as 0.001 at the ticks of logarithmic axes, where matplotlib would write formulae."""
    for axis in axes:
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(lambda value, _: "")


def label(colour: str, name: str, **line: Any) -> Any:
    """An entry of the legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, label=name, **line)


def spread(values: Any, digits: int = 3) -> str:
    """Numbers of several seeds in words: mean ± standard deviation.

    >>> spread([0.5, 0.6, 0.7])
    '0.6 ± 0.1'
    """
    values = np.asarray(values, float)
    deviation = values.std(ddof=1)
    return f"{values.mean():.{digits}g} ± {deviation:.{3 if deviation >= 100 else 2}g}"


def draw_curves(
    path: Path, title: str, subtitle: str, curves: Mapping[str, Curves], across: str, up: str, low: float
) -> None:
    """Writes a figure of the curves, with what is claimed as a bar at the right; below ``low`` nothing is drawn."""
    with drawing(path, title, subtitle) as panels:
        axes = panels[0, 0]
        end = max(curve.at[-1] for curve in curves.values())
        for colour, (name, (at, values, claimed)) in zip(COLOURS, curves.items(), strict=False):
            draw_band(axes, at, values, colour)
            place = values[:, -1].mean() if claimed is None else np.mean(claimed)
            if claimed is not None:
                bar = (end * 1.015, end * 1.045)
                axes.fill_between(bar, *claimed, color=colour, linewidth=1.5)  # one of no height has its line
            axes.annotate(name, (end * 1.06, place), color=colour, va="center", annotation_clip=False)
        axes.set(xlabel=across, ylabel=up, xlim=(0, end * 1.05))
        axes.set_ylim(bottom=low)
