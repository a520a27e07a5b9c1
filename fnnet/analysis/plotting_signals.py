"""Figures of what happens from layer to layer: variances of signals and gradients, shares of flat units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from fnnet.analysis.dead_units import Saturation
from fnnet.analysis.signals import SignalPropagation
from fnnet.errors import DataError, ShapeError, StructureError
from fnnet.report.scales import log_ticks
from fnnet.report.style import (
    BAND,
    BLUE,
    INK,
    ORANGE,
    VERMILLION,
    house_style,
    new_figure,
    number,
    plural,
    save_figure,
    score_colors,
)

COLORS = (BLUE, VERMILLION, ORANGE, "#009E73", "#CC79A7", "#56B4E9", INK)
"""Of lines that are told apart, Okabe and Ito's."""

_PANEL = 2.6
_FEWEST_FOR_BANDS = 5
_MOST_NAMED = 12


def plot_signal_propagation(
    found: SignalPropagation | Mapping[str, SignalPropagation],
    path: str | PathLike[str] | None = None,
    *,
    kind: str | None = None,
) -> Any:
    """Variances of activations and of gradients by layer, a line for each initialiser.

    Lines are medians over the draws and bands hold 80 % of these. A variance of 0 has no place on a logarithmic axis
    and stands in the legend, as does who has equal units.

    Args:
        found: what `signal_propagation` tells, or several of it by name, of nets that are equally deep.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        kind: which layers, such as "relu"; None for those of the kind of the first layer, mostly "dense".

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: ``found`` is something else, is mapped over, or has no layers of this kind.
        DataError: nets of different depth.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_signal_propagation"
    named = _named(where, found, SignalPropagation)
    chosen = {name: one.of(one.kinds[0] if kind is None else kind) for name, one in named.items()}
    variances: dict[str, dict[str, np.ndarray]] = {
        side: {name: np.asarray(getattr(one, side).variance, dtype=float) for name, one in chosen.items()}
        for side in ("activations", "gradients")
    }
    shapes = {values.shape[1:] for side in variances.values() for values in side.values()}
    if any(len(shape) != 1 for shape in shapes):
        raise StructureError(where, "the arrays are mapped over something. Pass one of them at a time, by name.")
    if len(shapes) > 1:
        depths = ", ".join(f"{name} {len(one.layers)}" for name, one in chosen.items())
        raise DataError(where, f"the nets differ in their number of layers: {depths}. Draw them apart.")
    one = next(iter(chosen.values()))
    equal = {name for name, found in chosen.items() if _equal(found)}
    draws = next(iter(variances["activations"].values())).shape[0]
    with house_style(where):
        figure = new_figure(
            _finding(variances, equal),
            f"{plural(len(one.layers), f'{one.kinds[0]} layer')}, {plural(draws, 'initialisation')}",
            _signal_handles(variances, equal, draws),
            height=_PANEL,
        )
        for axes, (side, curves) in zip(figure.subplots(1, 2), variances.items(), strict=True):
            _draw_variances(axes, side, curves)
        if path is not None:
            save_figure(where, figure, path)
    return figure


def _named(where: str, found: Any, wanted: type) -> dict[str, Any]:
    named = dict(found) if isinstance(found, Mapping) else {"": found}
    if not named or not all(isinstance(one, wanted) for one in named.values()):
        raise StructureError(where, f"found is {found!r}, but {wanted.__name__}, or several by name, is needed.")
    if len(named) > len(COLORS):
        raise StructureError(where, f"there are {len(named)} lines, but only {len(COLORS)} colours. Draw fewer.")
    return named


def _factor(curves: np.ndarray) -> float | None:
    """By how much a median variance is multiplied from a layer to the next; None without one."""
    median = np.median(curves, axis=0)
    if len(median) < 2 or not np.isfinite(median).all() or median[0] <= 0 or median[-1] <= 0:
        return None
    return float((median[-1] / median[0]) ** (1 / (len(median) - 1)))


def _equal(found: SignalPropagation) -> bool:
    """Whether all units of the last layer but one, which is a hidden one, do the same."""
    between = np.asarray(found.activations.between_units, dtype=float)
    return not between[:, -2:].any()


def _finding(variances: dict[str, dict[str, np.ndarray]], equal: set[str]) -> str:
    """The title: by how much variances change in each layer, with the best initialiser if there are several."""
    best: list[tuple[str, str]] = []
    for side, curves in variances.items():
        forward = {name: curve if side == "activations" else curve[:, ::-1] for name, curve in curves.items()}
        factors = {name: factor for name in forward if (factor := _factor(forward[name])) and name not in equal}
        if not factors:
            return f"The variance of {side} vanishes or all units do the same"
        name = min(factors, key=lambda name: abs(np.log(factors[name])))
        best.append((name, f"×{number(factors[name], digits=2)}\u00a0a\u00a0layer"))
    (one, there), (other, back) = best
    if len(variances["activations"]) == 1:
        return f"The variance of activations changes by {there}, that of gradients by {back} on their way back"
    if one == other:
        return f"Variances change least with {one}: activations {there}, gradients {back} on their way back"
    return f"Activations keep their variance best with {one} ({there}), gradients with {other} ({back})"


def _signal_handles(variances: dict[str, dict[str, np.ndarray]], equal: set[str], draws: int) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for color, name in zip(COLORS, variances["activations"], strict=False):
        zero = not all(curves[name].any(axis=0).all() for curves in variances.values())
        label = f"{name} (0)" if zero else f"{name} (units are equal)" if name in equal else name
        if name:
            handles.append(Line2D([], [], color=color, label=label))
    if draws >= _FEWEST_FOR_BANDS:
        handles.append(Patch(facecolor=BLUE, alpha=BAND, linewidth=0, label="80 % of the draws"))
    return handles


def _draw_variances(axes: Any, side: str, curves: dict[str, np.ndarray]) -> None:
    seen: list[float] = []
    for color, curve in zip(COLORS, curves.values(), strict=False):
        depth = np.arange(1, curve.shape[1] + 1)
        curve = np.where(np.isfinite(curve) & (curve > 0), curve, np.nan)
        drawn = ~np.isnan(curve).any(axis=0)
        low, median, high = np.quantile(curve[:, drawn], [0.1, 0.5, 0.9], axis=0)
        axes.plot(depth[drawn], median, color=color, zorder=3, marker="o", markersize=3)
        seen.extend(median)
        if len(curve) >= _FEWEST_FOR_BANDS:
            axes.fill_between(depth[drawn], low, high, color=color, alpha=BAND, linewidth=0)
            seen.extend((*low, *high))
    axes.set_title(f"variance of {side}", loc="left")
    _depth_axis(axes, curve.shape[1])
    if not seen:
        axes.set_yticks([])
        return
    _log_axis(axes, seen)


def _log_axis(axes: Any, seen: list[float]) -> None:
    low, high = min(seen), max(seen)
    room = max((high / low) ** 0.05, np.sqrt(max(1.0, 10 * low / high)))
    axes.set_yscale("log")
    axes.set_ylim(low / room, high * room)
    log_ticks(axes.yaxis, low / room, high * room)


def _depth_axis(axes: Any, count: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("layer")
    axes.set_xlim(0.7, count + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1, steps=[1, 2, 5, 10]))


def plot_gradient_norms(
    norms: Sequence[Mapping[str, Any]] | Mapping[str, Any],
    path: str | PathLike[str] | None = None,
    *,
    time: str = "epoch",
) -> Any:
    """The norm of the gradient of each layer while a net is trained, a line for each layer.

    Norms of 0 and those that are not finite have no place on a logarithmic axis and are left out.

    Args:
        norms: what `gradient_norms` told one time after another, a list, or stacked as a scan stacks it.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        time: what lies between one time and the next; the first is 1.

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: ``norms`` is something else, or the layers differ.
        ShapeError: the norms are not one number for each layer and time.
        DataError: none is finite and more than 0.
        MissingPackageError: matplotlib is not installed.

    Source: lectures 000 and 004, vanishing and exploding gradients.
    """
    where = "plot_gradient_norms"
    rows = [norms] if isinstance(norms, Mapping) else list(norms)
    if not rows or not all(isinstance(row, Mapping) and row.keys() == rows[0].keys() for row in rows) or not rows[0]:
        raise StructureError(where, "what gradient_norms gives is needed, or a list of it, of the same layers.")
    curves = {name or ".": np.asarray([row[name] for row in rows], dtype=float) for name in rows[0]}
    if isinstance(norms, Mapping):
        curves = {name: curve[0] for name, curve in curves.items()}
    for name, curve in curves.items():
        if curve.ndim != 1:
            raise ShapeError(where, f"{name!r} has shape {curve.shape}, but (times,) is needed. Draw nets apart.")
    seen = np.stack([*curves.values()])
    seen = np.where(np.isfinite(seen) & (seen > 0), seen, np.nan)
    if np.isnan(seen).all():
        raise DataError(where, "no norm is finite and more than 0. Did training diverge?")
    return _norm_curves(where, dict(zip(curves, seen, strict=True)), path, time)


def _norm_curves(where: str, curves: dict[str, np.ndarray], path: str | PathLike[str] | None, time: str) -> Any:
    first, last = next(iter(curves)), next(reversed(curves))
    ratio = float(curves[first][-1] / curves[last][-1])
    title = f"At the end, gradients of layer {first} are {number(ratio, digits=2)} times those of layer {last}"
    if len(curves) == 1 or not np.isfinite(ratio):
        title = f"Gradient norms of {plural(len(curves), 'layer')}"
    with house_style(where):
        from matplotlib.lines import Line2D

        # Layers have an order, and so have their colours.
        steps = score_colors(np.linspace(0.1, 1.0, len(curves)))
        handles = [Line2D([], [], color=color, label=name) for color, name in zip(steps, curves, strict=True)]
        if len(handles) > _MOST_NAMED:
            handles = [handles[0], handles[-1]]
        figure = new_figure(title, "", handles, height=2.8, width=6.0)
        axes = figure.subplots()
        for color, curve in zip(steps, curves.values(), strict=True):
            axes.plot(np.arange(1, len(curve) + 1), curve, color=color, marker="." if len(curve) < 2 else "")
        axes.set(xlabel=time, ylabel="gradient norm")
        axes.margins(x=0.01)
        _log_axis(axes, [float(value) for curve in curves.values() for value in curve[~np.isnan(curve)]])
        if path is not None:
            save_figure(where, figure, path)
    return figure


def plot_saturation(found: Saturation | Mapping[str, Saturation], path: str | PathLike[str] | None = None) -> Any:
    """Shares of flat and of dead units by layer, a line for each net.

    Args:
        found: what `saturation` tells, or several of it by name.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: ``found`` is something else, or is mapped over.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_saturation"
    named = _named(where, found, Saturation)
    if any(np.ndim(one.flat) != 1 for one in named.values()):
        raise StructureError(where, "the arrays are mapped over something. Pass one of them at a time, by name.")
    worst, name, place = max(
        (float(share), name, place) for name, one in named.items() for place, share in enumerate(one.flat)
    )
    whose = f" of {name}" if name else ""
    title = f"At most {number(100 * worst)} % are flat, at activation {place + 1}{whose}"
    with house_style(where):
        from matplotlib.lines import Line2D
        from matplotlib.ticker import PercentFormatter

        handles = [Line2D([], [], color=color, label=name) for color, name in zip(COLORS, named, strict=False) if name]
        figure = new_figure(title, "", handles, height=_PANEL)
        panels = {"flat": "examples and units in the flat part", "dead": "units in it for every example"}
        for axes, (side, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            for color, one in zip(COLORS, named.values(), strict=False):
                shares = np.asarray(getattr(one, side), dtype=float)
                axes.plot(np.arange(1, len(shares) + 1), shares, color=color, marker="o", markersize=3, clip_on=False)
            axes.set_title(label, loc="left")
            _depth_axis(axes, max(len(one.layers) for one in named.values()))
            axes.set_xlabel("activation")
            axes.set_ylim(0, 1)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        if path is not None:
            save_figure(where, figure, path)
    return figure
