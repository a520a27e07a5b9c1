"""How often something is done: what people write, as a number of steps or of seconds."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from fnnet.errors import HyperparameterError

_UNITS = {"step": "steps", "epoch": "epochs", "second": "seconds", "minute": "minutes"}


class Every(NamedTuple):
    """How often: a number of steps, or of seconds."""

    steps: int | None = None
    seconds: float | None = None


def every_so_often(where: str, name: str, value: Any, per_epoch: int, clock: bool = True) -> Every:
    """What ``3``, ``"3 epochs"``, ``"500 steps"`` and ``"10 minutes"`` mean; a number alone counts epochs."""
    text = f"{value} epochs" if isinstance(value, int | np.integer) and not isinstance(value, bool) else value
    found = re.fullmatch(r"\s*(\d+)\s*(step|epoch|second|minute)s?\s*", text) if isinstance(text, str) else None
    number, unit = (int(found[1]), _UNITS[found[2]]) if found else (0, "")
    if number < 1 or (not clock and unit in ("seconds", "minutes")):
        known = "3, '500 steps'" + (" or '10 minutes'" if clock else " or '3 epochs'")
        raise HyperparameterError(where, f"{name} is {value!r}, but it has to be a positive number such as {known}.")
    if unit in ("seconds", "minutes"):
        return Every(seconds=number * (60.0 if unit == "minutes" else 1.0))
    return Every(steps=number * (per_epoch if unit == "epochs" else 1))
