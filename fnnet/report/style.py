"""The look of every figure: one palette, one header, one way to write numbers, small files.

Figures are made without `pyplot`, so neither the user's backend nor the user's rcParams are touched, and a
figure needs no closing.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from fnnet.errors import FileError, require

# Okabe and Ito's palette keeps its colours apart for colour-blind readers and on a grey print.
BLUE = "#0072B2"
ORANGE = "#E69F00"
VERMILLION = "#D55E00"
INK = "#222222"
GREY = "#767676"
RULE = "#EBEBEB"
"""Of lines that only guide the eye."""

WIDTH = 9.0
"""Inches across a full figure: at a README's 900 pixels an inch is 100 pixels and the text stays readable."""

DOTS = 150
"""Pixels an inch in files: sharp on dense screens, and still a small file."""

BAND = 0.16
"""Opacity of one band; the inner band lies on the outer one and so gets darker by itself."""

STAR: dict[str, Any] = {
    "marker": "*",
    "markersize": 11,
    "markeredgecolor": "white",
    "markeredgewidth": 0.7,
}
"""How the best run is marked in every figure."""

_RULES: Mapping[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.6,
    "legend.handletextpad": 0.6,
    "legend.columnspacing": 1.6,
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.0,
    "text.color": INK,
    # Names come from the user; a dollar sign in one is a dollar sign.
    "text.parse_math": False,
}

_SHADES = 16  # steps of the scale of scores, a palette of its own: a file needs its 256 colours for other things too

_TITLE, _SUBTITLE, _LEGEND = 0.22, 0.19, 0.22  # inches that a line of each needs
_MARGIN = 0.1


@contextlib.contextmanager
def house_style(where: str) -> Iterator[None]:
    """Draws under the house's rules and gives the user's rules back afterwards."""
    matplotlib = require(where, "matplotlib", "experiments")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not the user's own: a figure looks the same on every machine
        matplotlib.rcParams.update(_RULES)
        yield


def new_figure(title: str, subtitle: str, handles: Sequence[Any], *, height: float, width: float = WIDTH) -> Any:
    """A figure whose header states the finding, the circumstances and what the marks mean.

    Args:
        title: the finding, in bold; long ones are broken into lines.
        subtitle: circumstances, in grey; may be empty.
        handles: matplotlib artists with labels, set out in one line; may be empty.
        height: inches of the part below the header.
        width: inches across.

    Returns:
        The figure; what is added to it is laid out below the header.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    titles = _lines(title.split(" "), " ", width, size=11, weight="bold")
    subtitles = _lines(subtitle.split(" "), " ", width, size=9) if subtitle else []
    legends = _rows(handles, width)
    header = _TITLE * len(titles) + _SUBTITLE * len(subtitles) + _LEGEND * len(legends) + _MARGIN + 0.08
    figure = Figure(figsize=(width, header + height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    total = header + height
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.05, h_pad=0.05, wspace=0.02, hspace=0.04, rect=(0.0, 0.0, 1.0, height / total))

    left, down = _MARGIN / width, _MARGIN
    for line in titles:
        figure.text(left, 1 - down / total, line, ha="left", va="top", fontsize=11, weight="bold")
        down += _TITLE
    for line in subtitles:
        figure.text(left, 1 - down / total, line, ha="left", va="top", fontsize=9, color=GREY)
        down += _SUBTITLE
    for row in legends:
        place = (left, 1 - (down + 0.05) / total)
        figure.legend(handles=row, loc="upper left", bbox_to_anchor=place, ncols=len(row)).set_in_layout(False)
        down += _LEGEND
    return figure


def _lines(parts: Sequence[str], glue: str, width: float, **font: Any) -> list[str]:
    """Parts put together into lines that are no wider than the figure."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}{glue}{part}" if lines else part
        if lines and _inches(longer, **font) <= width - 2 * _MARGIN:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _rows(handles: Sequence[Any], width: float) -> list[list[Any]]:
    """Legend entries in rows that are no wider than the figure."""
    rows: list[list[Any]] = []
    left = 0.0
    for handle in handles:
        # Handle, its distance from the label and the next column, in the units of the rules above.
        needs = _inches(handle.get_label(), size=8.5) + (1.6 + 0.6 + 1.6) * 8.5 / 72
        if rows and left + needs <= width - _MARGIN:
            rows[-1].append(handle)
            left += needs
        else:
            rows.append([handle])
            left = needs
    return rows


def _inches(text: str, *, size: float, weight: str = "normal") -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family="DejaVu Sans", weight=weight)
    # Measured at a large size and scaled down; at its own size hinting makes it up to three hundredths wider.
    return 1.03 * float(TextPath((0, 0), text, size=100, prop=font, usetex=False).get_extents().width) / 100 * size / 72


def save_figure(where: str, figure: Any, path: str | PathLike[str] | None) -> None:
    """Writes a figure, unless the path is None; PNG files get a palette of 256 colours, which the eye does not miss.

    Raises:
        FileError: the file's ending names no kind of picture, or the file cannot be written.
    """
    if path is None:
        return
    target = Path(path)
    if target.suffix.lower() == ".png":
        from PIL import Image

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DOTS)
        # Maximum coverage keeps the colours that are rare, such as the ends of a scale.
        image = Image.open(buffer).convert("RGB")
        image = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        drawn = io.BytesIO()
        image.save(drawn, format="png", optimize=True, dpi=(DOTS, DOTS))
    else:
        known = figure.canvas.get_supported_filetypes()
        ending = target.suffix.lower().removeprefix(".")
        if ending not in known:
            raise FileError(
                where,
                f"path is {str(path)!r}, but its ending names no kind of picture. Use .png, .svg or .pdf.",
            )
        drawn = io.BytesIO()
        figure.savefig(drawn, format=ending)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(drawn.getvalue())
    except OSError as error:
        raise FileError(where, f"cannot write {str(path)!r}: {error.strerror}.") from error


def score_colors(goodness: Any) -> Any:
    """Colours (…, 4) of scores from 0, the worst, to 1, the best: the better the darker, also on a grey print."""
    import numpy as np
    from matplotlib import colormaps

    steps = np.round(_SHADES * np.asarray(goodness, dtype=float)) / _SHADES
    return colormaps["viridis_r"](0.06 + 0.94 * steps)


def shortened(label: str, letters: int = 12) -> str:
    """A label of so many letters at the most."""
    return label if len(label) <= letters else label[: letters - 1] + "…"


def number(value: Any, digits: int = 3) -> str:
    """A value as people write it: three digits at most, and powers of ten only where they help.

    >>> [number(value) for value in (0.0031, 0.98126, 64, 0.1, 1e-4, 250000.0, True, "relu")]
    ['3.1e-3', '0.981', '64', '0.1', '1e-4', '2.5e5', 'True', 'relu']
    """
    import numpy as np

    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        return str(value)
    if isinstance(value, int | np.integer) and abs(int(value)) < 10**6:
        return str(int(value))
    real = float(value)
    if real == 0 or not math.isfinite(real):
        return f"{real:g}"
    if 0.01 <= abs(real) < 10**5:
        return f"{real:.{digits}g}" if abs(real) < 100 else f"{real:.0f}"
    mantissa, power = f"{real:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"


def words(name: str) -> str:
    """A column's name as a reader says it: ``validation/accuracy`` is "validation accuracy"."""
    return name.replace("/", " ").replace("_", " ")


def sentence(text: str) -> str:
    """The text with its first letter upper case and the others as they are."""
    return text[:1].upper() + text[1:]


def plural(count: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
