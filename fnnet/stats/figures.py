"""Figures of how errors fall with size: of an estimator, and of mini-batch gradients."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from fnnet.errors import DataError, ShapeError, StructureError
from fnnet.report.scales import log_ticks
from fnnet.report.style import (
    BLUE,
    GREY,
    ORANGE,
    VERMILLION,
    house_style,
    new_figure,
    number,
    plural,
    save_figure,
)
from fnnet.stats.estimation import EstimatorReport
from fnnet.stats.gradients import GradientNoise

_HEIGHT, _ACROSS = 3.0, 5.5  # inches


def plot_estimator(report: EstimatorReport, path: str | PathLike[str] | None = None) -> Any:
    """Squared bias, variance and mean squared error of an estimator over the size of the sample, on logarithmic axes.

    A squared bias below the dashed line, four times its squared standard error, cannot be told from 0.

    Args:
        report: of `estimator_report`; of an estimate that is no scalar the sums over its components are drawn.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: ``report`` is none.
        DataError: all errors are 0.
        FileError: the file cannot be written.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_estimator"
    if not isinstance(report, EstimatorReport):
        raise StructureError(
            where, f"report is {report!r}, which is no EstimatorReport. Pass what estimator_report gave."
        )
    _check_visible(where, report.mse)
    with house_style(where):
        from matplotlib.lines import Line2D

        order = np.argsort(report.sizes, kind="stable")
        sizes = report.sizes[order]
        curves: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
            "mean squared error": (report.mse, {"color": BLUE, "marker": "o"}),
            "variance": (report.variance, {"color": ORANGE, "marker": "s", "linewidth": 1.0, "mfc": "none"}),
            "squared bias": (report.bias**2, {"color": VERMILLION, "marker": "^", "linewidth": 1.0}),
            "bias not seen below": (4 * report.standard_error**2, {"color": GREY, "linestyle": "--", "linewidth": 1.0}),
        }
        handles = [Line2D([], [], label=label, markersize=4, **look) for label, (_, look) in curves.items()]
        rate = report.rate
        title = (
            "Mean squared error = squared bias + variance" if np.isnan(rate) else f"The error falls like n^{rate:.2f}"
        )
        circumstances = f"{plural(report.repetitions, 'sample')} of each size"
        figure = new_figure(title, circumstances, handles, height=_HEIGHT, width=_ACROSS)
        axes = figure.subplots()
        for values, look in curves.values():
            total = values.reshape(len(sizes), -1).sum(axis=1)[order]
            axes.plot(sizes, np.where(total > 0, total, np.nan), markersize=4, **look)
        _logarithmic(axes, "examples in a sample", "squared error", sizes)
        if path is not None:
            save_figure(where, figure, path)
    return figure


def plot_gradient_noise(noise: GradientNoise, path: str | PathLike[str] | None = None) -> Any:
    """Variance of mini-batch gradients over the batch size, measured and by the law, on logarithmic axes.

    The dashed line is ‖G‖²; where the law crosses it, noise and gradient are equally large.

    Args:
        noise: of `gradient_noise`, of one model.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.

    Returns:
        The matplotlib Figure.

    Raises:
        StructureError: ``noise`` is none.
        ShapeError: it is of several models.
        DataError: the gradients have no variance.
        FileError: the file cannot be written.
        MissingPackageError: matplotlib is not installed.
    """
    where = "plot_gradient_noise"
    if not isinstance(noise, GradientNoise):
        raise StructureError(where, f"noise is {noise!r}, which is no GradientNoise. Pass what gradient_noise gave.")
    if np.ndim(noise.trace):
        raise ShapeError(where, "noise is of several models. Take one with jax.tree.map(lambda x: x[0], noise).")
    sizes, law, measured = (np.asarray(x, dtype=float) for x in (noise.sizes, noise.law, noise.measured))
    order = np.argsort(sizes, kind="stable")
    sizes, law, measured = sizes[order], law[order], measured[order]
    seen = law > 0  # a batch of all examples has no noise, and a logarithm no 0
    _check_visible(where, law)
    apart = np.max(abs(measured[seen] / law[seen] - 1))
    with house_style(where):
        from matplotlib.lines import Line2D

        dots: dict[str, Any] = {"color": BLUE, "marker": "o", "linestyle": "", "markersize": 5}
        handles = [
            Line2D([], [], color=ORANGE, label="law"),
            Line2D([], [], label="measured", **dots),
        ]
        level = float(noise.squared_norm)
        if level > 0:
            handles.append(Line2D([], [], color=GREY, linestyle="--", label="squared norm of the gradient"))
        title = f"Measured variance within {100 * apart:.2g} % of the law"
        scale = f"simple noise scale {number(float(noise.noise_scale))} examples"
        subtitle = scale if level > 0 else "the gradient of all examples is 0, so there is no noise scale"
        figure = new_figure(title, subtitle, handles, height=_HEIGHT, width=_ACROSS)
        axes = figure.subplots()
        if level > 0:
            axes.axhline(level, color=GREY, linestyle="--", linewidth=1.0)
        axes.plot(sizes[seen], law[seen], color=ORANGE)
        axes.plot(sizes[seen], measured[seen], **dots)
        _logarithmic(axes, "examples in a batch", "variance of the gradient", sizes[seen])
        if path is not None:
            save_figure(where, figure, path)
    return figure


def _check_visible(where: str, values: np.ndarray) -> None:
    if not (values > 0).any():
        raise DataError(where, "everything is 0, which a logarithmic axis cannot show. Print the numbers instead.")


def _logarithmic(axes: Any, across: str, up: str, sizes: np.ndarray) -> None:
    """Logarithmic axes, across with a tick a size as long as there are few."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    log_ticks(axes.yaxis, *axes.get_ylim())
    log_ticks(axes.xaxis, *axes.get_xlim())
    if 0 < len(sizes) <= 8:
        axes.set_xticks(sizes, [number(int(size)) for size in sizes])
