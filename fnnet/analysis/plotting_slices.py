"""Figures of slices of the loss: curves, or level curves with the paths of optimizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from fnnet.analysis.plotting_signals import COLORS
from fnnet.analysis.slices import LossSlice
from fnnet.errors import DataError, ShapeError, StructureError
from fnnet.report.scales import log_ticks
from fnnet.report.style import BLUE, STAR, VERMILLION, house_style, new_figure, number, save_figure, score_colors

_LEVELS = 14
_PATHS = (VERMILLION, BLUE, *COLORS[2:])


def plot_loss_slice(
    found: LossSlice | Mapping[str, LossSlice],
    path: str | PathLike[str] | None = None,
    *,
    trajectories: Mapping[str, Any] | None = None,
    axes_names: Sequence[str] = ("direction 1", "direction 2"),
) -> Any:
    """A slice of the loss: a curve along one direction, level curves over two with the paths of optimizers.

    Levels are spaced evenly on a logarithmic scale where the losses are positive and span a decade, else more closely
    towards the lowest. Losses that are not finite are left white.

    Args:
        found: what `loss_slice` tells; of one direction also several of it by name.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        trajectories: by name, arrays (states, 2) such as those of `trajectory_coordinates`, over two directions.
        axes_names: what the coordinates are called.

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: ``found`` is something else, or trajectories are given where there is one direction.
        ShapeError: a trajectory is not of shape (states, 2).
        DataError: no loss is finite.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_loss_slice"
    named = _slices(where, found)
    flat = all(one.losses.ndim == 1 for one in named.values())
    paths = {name: np.asarray(states, dtype=float) for name, states in (trajectories or {}).items()}
    _check(where, named, paths, flat)
    with house_style(where):
        figure = _curves(named, axes_names) if flat else _levels(next(iter(named.values())), paths, axes_names)
        if path is not None:
            save_figure(where, figure, path)
    return figure


def _slices(where: str, found: Any) -> dict[str, LossSlice]:
    named = dict(found) if isinstance(found, Mapping) else {"": found}
    if not named or not all(isinstance(one, LossSlice) for one in named.values()):
        raise StructureError(where, f"found is {type(found).__name__}, but a LossSlice, or several by name, is needed.")
    return {name: LossSlice(*(np.asarray(x, dtype=float) for x in one)) for name, one in named.items()}  # type: ignore[arg-type]


def _check(where: str, named: dict[str, LossSlice], paths: dict[str, np.ndarray], flat: bool) -> None:
    if any(one.losses.ndim != one.coordinates.shape[0] for one in named.values()):
        raise StructureError(where, "the slices are mapped over something. Pass one of them at a time.")
    if len(named) > 1 and not flat:
        raise StructureError(where, "there are several slices of two directions. Draw them apart.")
    if max(len(named), len(paths)) > len(COLORS):
        raise StructureError(where, f"there are more than {len(COLORS)} lines to tell apart. Draw fewer.")
    if paths and flat:
        raise StructureError(where, "trajectories lie in a plane, but the slice has one direction. Take two.")
    for name, states in paths.items():
        if states.ndim != 2 or states.shape[1] != 2 or not len(states):
            raise ShapeError(where, f"the trajectory {name!r} has shape {states.shape}, but (states, 2) is needed.")
    if not all(np.isfinite(one.losses).any() for one in named.values()):
        raise DataError(where, "no loss of the slice is finite. Look closer to the origin: pass low and high.")


def _curves(named: dict[str, LossSlice], names: Sequence[str]) -> Any:
    from matplotlib.lines import Line2D

    name, one = min(named.items(), key=lambda item: np.nanmin(_finite(item[1].losses)))
    at = int(np.nanargmin(_finite(one.losses)))
    whose = f" ({name})" if name else ""
    title = f"Lowest loss {number(one.losses[at])} at {number(round(one.coordinates[0, at], 9))}{whose}"
    handles = [Line2D([], [], color=color, label=name) for color, name in zip(COLORS, named, strict=False) if name]
    figure = new_figure(title, "", handles, height=2.8, width=6.0)
    axes = figure.subplots()
    for color, curve in zip(COLORS, named.values(), strict=False):
        axes.plot(curve.coordinates[0], _finite(curve.losses), color=color)
    axes.set(xlabel=names[0], ylabel="loss")
    axes.margins(x=0.01)
    losses = np.concatenate([_finite(curve.losses) for curve in named.values()])
    if _is_wide(losses):
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        log_ticks(axes.yaxis, low, high)
    return figure


def _finite(losses: Any) -> np.ndarray:
    return np.where(np.isfinite(losses), losses, np.nan)


def _is_wide(losses: np.ndarray) -> bool:
    """Whether losses are worth a logarithmic scale."""
    low, high = np.nanmin(losses), np.nanmax(losses)
    return bool(low > 0 and high > 10 * low)


def _levels(found: LossSlice, paths: dict[str, np.ndarray], names: Sequence[str]) -> Any:
    from matplotlib.lines import Line2D

    losses = _finite(found.losses)
    at = np.unravel_index(np.nanargmin(losses), losses.shape)
    place = ", ".join(number(round(float(found.coordinates[axis, index]), 9)) for axis, index in enumerate(at))
    gone = int(np.isnan(losses).sum())
    notes = [f"{gone} of {losses.size} losses are not finite"] if gone else []
    low, high = found.coordinates.min(axis=1), found.coordinates.max(axis=1)
    for name, states in paths.items():
        outside = int(((states < low) | (states > high)).any(axis=1).sum())
        notes += [f"{outside} of {len(states)} states of {name} are outside of the slice"] if outside else []
    handles = [Line2D([], [], color=color, label=name) for color, name in zip(_PATHS, paths, strict=False)]
    if paths:
        handles.append(Line2D([], [], linestyle="none", color=COLORS[-1], label="end", **STAR))
    figure = new_figure(
        f"Lowest loss {number(losses[at])} at ({place})", "; ".join(notes), handles, height=4.6, width=6.0
    )
    grid = figure.add_gridspec(1, 2, width_ratios=(1, 0.045))
    axes = figure.add_subplot(grid[0, 0])
    edges, filled = _edges(losses), np.ma.masked_invalid(losses.T)
    steps = score_colors(1 - (np.arange(_LEVELS) + 0.5) / _LEVELS)
    shades = 0.45 * steps + 0.55  # light, so that paths stand out
    x, y = found.coordinates
    axes.contourf(x, y, filled, levels=edges, colors=shades, extend="neither")
    axes.contour(x, y, filled, levels=edges[1:-1], colors=steps[1:], linewidths=0.7)
    axes.grid(False)
    axes.set(xlabel=names[0], ylabel=names[1], xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    for color, states in zip(_PATHS, paths.values(), strict=False):
        axes.plot(*states.T, color="white", linewidth=3.0, zorder=3)
        axes.plot(*states.T, color=color, linewidth=1.4, zorder=4, marker=".", markersize=3)
        axes.plot(*states[-1], color=color, zorder=5, **STAR)
    _scale(figure.add_subplot(grid[0, 1]), edges, shades, losses)
    return figure


def _edges(losses: np.ndarray) -> np.ndarray:
    low, high = float(np.nanmin(losses)), float(np.nanmax(losses))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    if _is_wide(losses):
        edges = np.geomspace(low, high, _LEVELS + 1)
    else:
        edges = low + (high - low) * np.linspace(0, 1, _LEVELS + 1) ** 2
    edges[0], edges[-1] = low, high  # to the last bit, so that no cell is left out
    return edges


def _scale(axes: Any, edges: np.ndarray, shades: np.ndarray, losses: np.ndarray) -> None:
    """The shades with the losses between them, equally high whatever the scale."""
    axes.pcolormesh([0.0, 1.0], np.arange(_LEVELS + 1), shades[:, None])
    axes.grid(False)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.yaxis.tick_right()
    places = np.arange(0, _LEVELS + 1, 2)
    axes.set_yticks(places, [number(edges[place], digits=2) for place in places])
    axes.set_title("loss", fontsize=9)
