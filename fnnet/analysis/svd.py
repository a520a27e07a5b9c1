"""What a linear layer does to the plane: it turns, scales, and turns or reflects."""

from __future__ import annotations

import math
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from fnnet.errors import DataError, ShapeError
from fnnet.report.style import GREY, INK, VERMILLION, house_style, new_figure, number, save_figure


class PlaneSVD(NamedTuple):
    """Θ = U S Vᵀ in the plane, U a rotation, and Vᵀ a rotation or a reflection.

    ``left`` (2, 2) is U and turns by ``left_angle`` degrees, anticlockwise, between −90 and 90. ``scales`` (2,) are the
    diagonal of S, the larger one first, neither negative. ``right`` (2, 2) is Vᵀ, which turns by ``right_angle``
    degrees or, if it ``reflects``, reflects across the line through 0 at ``right_angle`` degrees.
    """

    left: np.ndarray
    scales: np.ndarray
    right: np.ndarray
    left_angle: float
    right_angle: float
    reflects: bool


def plane_svd(matrix: Any) -> PlaneSVD:
    """The singular value decomposition of a 2 × 2 matrix, its factors named as what they do to the plane.

    Θ = U S Vᵀ

    The numbers are `numpy.linalg.svd`'s. The signs of singular vectors are free in pairs; here they are chosen so that
    U is a rotation by at most 90°. Then Vᵀ reflects exactly if det Θ < 0.

    Args:
        matrix: Θ of y = Θ x, finite; of a dense layer, whose equation is xᵀW, the transpose of its kernel.

    Returns:
        `PlaneSVD`.

    Raises:
        ShapeError: the matrix is not 2 × 2.
        DataError: a number is not finite.

    Source: lecture 002, "The representation view. Linear model". Its factors are U S Vᵀ of its example; both U, which
    it calls a rotation, and Vᵀ have the determinant −1 there and are reflections, as the determinant of Θ is positive.

    >>> found = plane_svd([[0.19, 1.84], [-0.97, -0.93]])
    >>> found.scales.round(2).tolist(), found.reflects, round(found.left_angle), round(found.right_angle)
    ([2.16, 0.74], False, -33, -71)
    """
    theta = _checked("plane_svd", matrix)
    left, scales, right = np.linalg.svd(theta)
    if np.linalg.det(left) < 0:
        left, right = left * [1, -1], right * [[1], [-1]]
    if left[0, 0] < 0:
        left, right = -left, -right
    reflects = bool(np.linalg.det(right) < 0)
    turned = math.degrees(math.atan2(right[1, 0], right[0, 0]))
    return PlaneSVD(
        left,
        scales,
        right,
        math.degrees(math.atan2(left[1, 0], left[0, 0])),
        turned / 2 if reflects else turned,
        reflects,
    )


def plot_svd(matrix: Any, path: str | PathLike[str] | None = None) -> Any:
    """What a 2 × 2 matrix does to the unit circle, a step at a time: Vᵀ, then S, then U.

    Args:
        matrix: Θ of y = Θ x, finite.
        path: where to write the figure (.png, .svg or .pdf); None writes nothing.

    Returns:
        The matplotlib Figure.

    Raises:
        ShapeError: the matrix is not 2 × 2.
        DataError: a number is not finite.
        FileError: the file cannot be written.
        MissingPackageError: matplotlib is not installed.

    Source: lecture 002, "The representation view. Linear model".
    """
    where = "plot_svd"
    theta = _checked(where, matrix)
    found = plane_svd(theta)
    angles = np.linspace(0, 2 * np.pi, 241)
    steps = {
        "unit circle": np.eye(2),
        f"Vᵀ {_said(found.right_angle, found.reflects)}": found.right,
        f"S scales by {number(found.scales[0])} and {number(found.scales[1])}": np.diag(found.scales) @ found.right,
        f"U {_said(found.left_angle, False)}": theta,
    }
    reach = 1.12 * max(1.0, float(found.scales[0]))
    turns = f"{'reflection' if found.reflects else 'rotation'}, then scales, then rotation"
    with house_style(where):
        figure = new_figure(f"A linear map of the plane: {turns}", "", [], height=2.6)
        for axes, (title, step) in zip(figure.subplots(1, len(steps), sharey=True), steps.items(), strict=True):
            circle = step @ np.array([np.cos(angles), np.sin(angles)])
            axes.scatter(*circle, c=angles, cmap="twilight", s=5, linewidths=0, zorder=3)
            for axis, color in zip(step.T, (VERMILLION, INK), strict=True):
                axes.annotate("", axis, (0, 0), arrowprops={"arrowstyle": "->", "color": color, "lw": 1.4})
            axes.set(title=title, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            axes.axhline(0, color=GREY, linewidth=0.6, zorder=1)
            axes.axvline(0, color=GREY, linewidth=0.6, zorder=1)
        if path is not None:
            save_figure(where, figure, path)
    return figure


def _said(angle: float, reflects: bool) -> str:
    said = f"{angle:.0f}°".replace("-", "−")
    return f"reflects across {said}" if reflects else f"turns by {said}"


def _checked(where: str, matrix: Any) -> np.ndarray:
    theta = np.asarray(matrix, np.float64)
    if theta.shape != (2, 2):
        raise ShapeError(
            where, f"the matrix has shape {theta.shape}, but (2, 2) is needed. For others there is jnp.linalg.svd."
        )
    if not np.isfinite(theta).all():
        raise DataError(where, f"the matrix is {theta.tolist()}, but its numbers have to be finite.")
    return theta


__all__ = ["PlaneSVD", "plane_svd", "plot_svd"]
