"""Writes `docs/reference.md`: every public name with its signature and the first line of its docstring."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any

MODULES = (
    "fnnet",
    "fnnet.nn",
    "fnnet.nn.initializers",
    "fnnet.losses",
    "fnnet.metrics",
    "fnnet.optim",
    "fnnet.optim.schedules",
    "fnnet.data",
    "fnnet.hp",
    "fnnet.schedulers",
    "fnnet.calculus",
    "fnnet.stats",
    "fnnet.analysis",
    "fnnet.loggers",
    "fnnet.report",
    "fnnet.errors",
)


def find(name: str) -> ModuleType:
    """A module by its public name, which may be an alias such as ``fnnet.hp``."""
    parent, _, last = name.rpartition(".")
    return getattr(importlib.import_module(parent), last) if parent else importlib.import_module(name)


def first_line(value: Any) -> str:
    """The first line of a docstring that belongs to the object itself."""
    if inspect.ismodule(value) or callable(value):
        return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
    return ""


def _parameter(parameter: inspect.Parameter) -> str:
    """A parameter without annotation, and without a default that only a programmer could read."""
    bare = parameter.replace(annotation=parameter.empty)
    readable = parameter.default is parameter.empty or isinstance(
        parameter.default, int | float | str | tuple | NoneType
    )
    return str(bare) if readable else f"{parameter.name}=…"


def signature(name: str, value: Any) -> str:
    """The call of a function, its annotations left out; the bare name of anything else."""
    if inspect.ismodule(value) or not callable(value):
        return name
    try:
        parameters = inspect.signature(value).parameters.values()
    except ValueError:
        return name
    shown = [_parameter(p) for p in parameters]
    keyword_only = [i for i, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY]
    if keyword_only and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        shown.insert(keyword_only[0], "*")
    return f"{name}({', '.join(shown)})"


def reference() -> str:
    """The page."""
    lines = ["# Reference", "", "Every public name. Written by `docs/make_reference.py`; the docstrings say more.", ""]
    for name in MODULES:
        module = find(name)
        lines += [f"## {name}", "", first_line(module), "", "| name | what it is |", "|---|---|"]
        for public in sorted(module.__all__):
            value = getattr(module, public)
            call = signature(public, value).replace("|", "\\|")
            lines.append(f"| `{call}` | {first_line(value).replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    path = Path(__file__).with_name("reference.md")
    path.write_text(reference())
    sys.stdout.write(f"wrote {path}\n")
