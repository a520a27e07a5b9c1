"""Windows that slide over the spatial axes of (batch, *space, channels): what convolution and pooling share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from jax import lax

from fnnet.errors import HyperparameterError, ShapeError, check_size

Sizes: TypeAlias = int | Sequence[int]
"""One positive integer for every spatial axis, or one for each."""

Padding: TypeAlias = str | int | Sequence[int | tuple[int, int]]
"""``"SAME"``, ``"VALID"``, or how many are added on both sides of every axis, of each axis, or on each side."""

_AXES = ("width", "height", "depth")


def check_sizes(where: str, **sizes: Any) -> None:
    """Raises unless every one of the arguments is a positive integer, or one for each of one to three axes."""
    for name, value in sizes.items():
        entries = value if isinstance(value, tuple | list) else (value,)
        for entry in entries:
            check_size(where, name, entry)
        if not 1 <= len(entries) <= 3:
            raise HyperparameterError(
                where, f"{name} is {value!r}, but there is one entry for each of one to three spatial axes."
            )


def check_padding(where: str, padding: Any) -> None:
    """Raises unless ``padding`` is "SAME", "VALID" or whole numbers from 0."""

    def counts(value: Any) -> bool:
        return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)

    entries = padding if isinstance(padding, tuple | list) else (padding,)
    sides = [side for entry in entries for side in (entry if isinstance(entry, tuple | list) else (entry,))]
    pairs = all(len(entry) == 2 for entry in entries if isinstance(entry, tuple | list))
    named = isinstance(padding, str) and padding in ("SAME", "VALID")
    if not (named or (1 <= len(entries) <= 3 and pairs and all(counts(side) for side in sides))):
        raise HyperparameterError(
            where,
            f"padding is {padding!r}, but it has to be 'SAME', 'VALID', an integer from 0 for all sides, or a tuple "
            f"with an integer or a pair (before, after) for each spatial axis.",
        )


def spatial_axes(where: str, shape: tuple[int, ...], **given: Any) -> int:
    """The number of spatial axes of an input of ``shape``, on which the arguments with an entry an axis agree.

    Raises:
        ShapeError: the input has none, more than three, or not as many as an argument has entries.
    """
    axes = len(shape) - 2
    for name, value in given.items():
        if isinstance(value, tuple | list) and len(value) != axes:
            needed = ", ".join(("batch", *reversed(_AXES[: len(value)]), "channels"))
            raise ShapeError(
                where,
                f"the input has shape {shape}, but {name} {tuple(value)} is for ({needed}). "
                + _advice(axes, len(value)),
            )
    if not 1 <= axes <= 3:
        raise ShapeError(
            where,
            f"the input has shape {shape}, but (batch, *space, channels) with one to three spatial axes is needed. "
            + _advice(axes, 1),
        )
    return axes


def _advice(found: int, needed: int) -> str:
    if found == needed - 1:
        return "For inputs without an axis of channels pass x[..., None], for a single example x[None]."
    return "Give one size for each spatial axis; nn.reshape gives examples that were flattened their axes back."


def along(value: Any, axes: int) -> tuple[Any, ...]:
    """One entry an axis."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes


def margins(
    where: str, padding: Any, shape: tuple[int, ...], window: Sequence[int], stride: Sequence[int]
) -> list[tuple[int, int]]:
    """How many positions are added before and after each spatial axis of an input of ``shape``.

    Raises:
        ShapeError: the padded input is smaller than the window, so that there would be no output.
    """
    space = shape[1:-1]
    if isinstance(padding, str):
        pads = list(lax.padtype_to_pads(space, window, stride, padding))
    else:
        entries = along(padding, len(space))
        pads = [(side[0], side[1]) if isinstance(side, tuple | list) else (side, side) for side in entries]
    if any(n + sum(pad) < size for n, pad, size in zip(space, pads, window, strict=True)):
        raise ShapeError(
            where,
            f"the input has shape {shape} and the window spans {tuple(window)}: it does not fit into the spatial axes "
            f"{space} with the padding {padding!r}. Use a smaller window, or padding='SAME'.",
        )
    return [(int(before), int(after)) for before, after in pads]
