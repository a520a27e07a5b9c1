"""A film of paths over a still figure: dots that leave trails, drawn on one picture instead of one figure a frame."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_film(
    path: Path, figure: Any, paths: np.ndarray, colours: Sequence[str], square: Sequence[bool], frames: int
) -> None:
    """Writes a GIF in which all paths of all panels run at once.

    Early steps get more frames than late ones, since most of the way is done in them; each frame says its step.

    Args:
        path: of the GIF.
        figure: a drawn matplotlib figure whose panels show what stands still.
        paths: points (panels, paths, steps + 1, 2) in the coordinates of the panels, which may leave them.
        colours: of the paths.
        square: whether a path's dot is a square, and otherwise round.
        frames: at most.
    """
    from PIL import Image, ImageDraw

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    still = Image.open(drawn).convert("RGB")
    near = np.clip(np.nan_to_num(paths, nan=1e3), -1e3, 1e3)  # far outside of the picture is far enough
    pixels = [[axes.transData.transform(row) for row in rows] for axes, rows in zip(figure.axes, near, strict=True)]
    boxes = [axes.get_window_extent() for axes in figure.axes]
    images = []
    for until in np.unique(np.round(np.geomspace(1, paths.shape[2], frames)).astype(int)):
        image = still.copy()
        for rows, box in zip(pixels, boxes, strict=True):
            left, top = int(box.x0), int(still.height - box.y1)
            panel = image.crop((left, top, int(box.x1), int(still.height - box.y0)))  # trails end at its edges
            pen = ImageDraw.Draw(panel)
            for colour, angular, points in zip(colours, square, rows, strict=True):
                trail = [(x - left, still.height - y - top) for x, y in points[:until]]
                if until > 1:
                    pen.line(trail, fill=colour, width=2)
                x, y = trail[-1]
                (pen.rectangle if angular else pen.ellipse)((x - 5, y - 5, x + 5, y + 5), fill=colour, outline="white")
            image.paste(panel, (left, top))
        ImageDraw.Draw(image).text((still.width - 80, still.height - 16), f"step {until - 1}", fill="#222222")
        images.append(image)
    palette = images[-1].quantize(96, dither=Image.Dither.NONE)  # the last picture has all colours
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    images[0].save(path, save_all=True, append_images=images[1:], loop=0, optimize=True,
                   duration=[100] * (len(images) - 1) + [2500])  # fmt: skip
