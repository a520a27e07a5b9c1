"""The spectrum of a Hessian as a figure."""

from __future__ import annotations

from os import PathLike
from typing import Any

import jax.numpy as jnp
import numpy as np

from fnnet.calculus.spectra import Spectrum
from fnnet.errors import DataError, ShapeError, StructureError, check_number
from fnnet.report.scales import log_ticks
from fnnet.report.style import BLUE, VERMILLION, house_style, new_figure, number, plural, save_figure

_POINTS = 600
_NOTHING = 1e-30
"""In place of 0, which has no logarithm."""


def plot_spectrum(spectrum: Spectrum, path: str | PathLike[str] | None = None, *, width: float | None = None) -> Any:
    """Density of the curvatures over a logarithmic axis, so that the few large ones show beside the many near zero.

    Args:
        spectrum: what `curvature_spectrum` gives, of one model.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.
        width: standard deviation of the bells, in the unit of the eigenvalues; None for a hundredth of their range.

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: not a `Spectrum`.
        ShapeError: several models' spectra, stacked.
        DataError: it is not finite.
        HyperparameterError: ``width`` is not positive.
        FileError: ``path`` cannot be written.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_spectrum"
    values, weights = _checked(where, spectrum)
    if width is not None:
        check_number(where, "width", width, low=0.0, low_open=True)
    low, high = values.min(), values.max()
    bell = width or max((high - low) / 100, 1e-3 * max(abs(low), abs(high)), _NOTHING)
    points = np.linspace(low - 4 * bell, high + 4 * bell, _POINTS)
    density: np.ndarray = np.asarray(spectrum.density(jnp.asarray(points), bell), dtype=np.float64)
    inner = _quantiles(values, weights, (0.05, 0.95))
    with house_style(where):
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=BLUE, label="density"),
            Line2D([], [], color=VERMILLION, marker="|", ls="none", label="least and greatest seen"),
        ]
        title = f"Curvatures from {number(low)} to {number(high)}"
        below = float(weights[values < -1e-3 * max(abs(low), abs(high))].sum())
        samples, steps = spectrum.weights.shape
        share = f"{below:.1%}" if below > 5e-4 else "none"
        subtitle = (
            f"Nine tenths between {number(inner[0])} and {number(inner[1])}, {share} clearly negative "
            f"(Lanczos, {plural(samples, 'vector')} × {plural(steps, 'step')})"
        )
        figure = new_figure(title, subtitle, handles, height=2.6, width=7.0)
        axes = figure.subplots()
        axes.semilogy(points, np.maximum(density, _NOTHING), color=BLUE)
        axes.set_ylim(density.max() * 1e-6, density.max() * 2)
        log_ticks(axes.yaxis, *axes.get_ylim())
        ends = {"color": VERMILLION, "marker": "|", "ms": 12, "mew": 2, "ls": "none"}
        axes.plot([low, high], [0.03, 0.03], transform=axes.get_xaxis_transform(), **ends)
        axes.set_xlabel("eigenvalue of the Hessian")
        axes.set_ylabel("share for each unit")
        if path is not None:
            save_figure(where, figure, path)
    return figure


def _checked(where: str, spectrum: Any) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and their shares, flat and in ascending order."""
    if not isinstance(spectrum, Spectrum):
        raise StructureError(
            where, f"spectrum is a {type(spectrum).__name__}, but curvature_spectrum gives a Spectrum."
        )
    if np.ndim(spectrum.weights) != 2:
        raise ShapeError(
            where,
            f"the spectrum has shape {np.shape(spectrum.weights)}, but (samples, steps) of one model is needed. Pass "
            f"jax.tree.map(lambda leaf: leaf[0], spectrum).",
        )
    values = np.asarray(spectrum.eigenvalues, dtype=float).ravel()
    weights = np.asarray(spectrum.weights, dtype=float).ravel() / len(spectrum.weights)
    if not (np.isfinite(values).all() and np.isfinite(weights).all()):
        raise DataError(where, "the spectrum is not finite. Look at a point before the one where training diverged.")
    order = np.argsort(values)
    return values[order], weights[order]


def _quantiles(values: np.ndarray, weights: np.ndarray, shares: tuple[float, ...]) -> list[float]:
    total = np.cumsum(weights)
    return [float(values[min(np.searchsorted(total, share * total[-1]), len(values) - 1)]) for share in shares]
