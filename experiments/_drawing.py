"""How experiments draw the runs of several networks: the mean over seeds as a line, their range as a band."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

COLOURS = ("#0072B2", "#E69F00", "#D55E00")
"""Three that are also told apart without colour vision, and on a grey print."""


class Curves(NamedTuple):
    """Scores of one network: ``at`` (points,), ``values`` (runs, points), and what is claimed at the end."""

    at: np.ndarray
    values: np.ndarray
    claimed: tuple[float, float]


def draw_curves(path: Path, title: str, curves: Mapping[str, Curves], across: str, up: str, low: float) -> None:
    """Writes a figure of the curves, with what is claimed as a bar at the right; below ``low`` nothing is drawn."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    end = max(curve.at[-1] for curve in curves.values())
    for colour, (name, (at, values, claimed)) in zip(COLOURS, curves.items(), strict=False):
        mean = values.mean(axis=0)
        axes.plot(at, mean, color=colour, linewidth=1.6)
        axes.fill_between(at, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        axes.fill_between([end * 1.015, end * 1.045], *claimed, color=colour, linewidth=0)
        axes.annotate(name, (end * 1.06, np.mean(claimed)), color=colour, va="center", annotation_clip=False)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set(xlabel=across, ylabel=up, xlim=(0, end * 1.05))
    axes.set_ylim(bottom=low)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#EBEBEB", linewidth=0.8)
    axes.set_axisbelow(True)
    figure.savefig(path, dpi=110)
