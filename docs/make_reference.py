"""Writes `docs/reference/`: a page for each package with a table of its public names and an entry for each.

The tables are made here, from the objects; the entries are directives, for which mkdocstrings reads the docstrings.
"""

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
    "fnnet.optim.line_search",
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
NAMES = {"fnnet.optim.line_search": ["Found", "backtracking", "exact_on_quadratics", "strong_wolfe"]}  # has no __all__
FOLDER = Path(__file__).parent / "reference"


def find(name: str) -> ModuleType:
    """A module by its public name, which may be an alias such as ``fnnet.hp``."""
    parent, _, last = name.rpartition(".")
    return getattr(importlib.import_module(parent), last) if parent else importlib.import_module(name)


def public(name: str) -> list[str]:
    """What a module exports, sorted."""
    return NAMES.get(name) or sorted(find(name).__all__)


def origin(value: Any) -> str:
    """Where a value was written: a file of fnnet's, "jax" or, of constants and types, ""."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return "jax" if value.__module__.startswith("jax") else value.__module__
    return "jax" if callable(value) and first_line(value) and getattr(value, "__name__", "") else ""


def first_line(value: Any) -> str:
    """The first line of a docstring that belongs to the object itself."""
    if inspect.ismodule(value) or callable(value):
        return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
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


def anchors() -> dict[str, str]:
    """The entry of each public name, by the ways in which pages write it: ``optim.adam`` and ``fnnet.optim.adam``."""
    found = {}
    for module in MODULES:
        for name in public(module):
            entry = f"{module}.{name}"
            found[entry] = found[entry.removeprefix("fnnet.")] = entry
        found[module] = found[module.removeprefix("fnnet.")] = module
    return found


def groups(name: str) -> dict[str, list[str]]:
    """The public names of a package by the file in which they are; those of JAX at the end, modules left out."""
    found: dict[str, list[str]] = {}
    for entry in public(name):
        value = getattr(find(name), entry)
        if not inspect.ismodule(value):
            found.setdefault(origin(value), []).append(entry)
    return {key: found[key] for key in sorted(found, key=lambda key: (not key.startswith("fnnet"), key))}


def table(package: str, names: list[str]) -> list[str]:
    """Names and what they are."""
    lines = ["| name | what it is |", "|---|---|"]
    for name in names:
        text = first_line(getattr(find(package), name)).replace("|", chr(92) + "|")
        lines.append(f"| `{package.removeprefix('fnnet.')}.{name}` | {text} |")
    return [*lines, ""]


def borrowed(package: str, name: str) -> list[str]:
    """An entry for a function that fnnet exports and JAX has written."""
    value = getattr(find(package), name)
    text = f"{first_line(value)} The same object as JAX's, whose documentation describes its arguments."
    return [f"### `{name}` {{ #{package}.{name} }}", "", "```python", signature(name, value), "```", "", text, ""]


def page(package: str) -> str:
    """The page of a package."""
    module, short = find(package), package.removeprefix("fnnet.")
    lines = [f"# {package} {{ #{package} }}", "", first_line(module), ""]
    inner = [f"fnnet.{n}" if package == "fnnet" else f"{package}.{n}" for n in public(package)
             if inspect.ismodule(getattr(module, n))]  # fmt: skip
    if inner:
        lines += ["## Modules", "", "| module | what it is |", "|---|---|"]
        lines += [f"| `{name}` | {first_line(find(name))} |" for name in inner] + [""]
    parts = groups(package)
    for source, names in parts.items():
        title = {"": "Constants and types", "jax": "JAX's own"}.get(source, source.rpartition(".")[2])
        title = f"Names of {short}" if len(parts) == 1 else title[0].upper() + title[1:].replace("_", " ")
        lines += [f"## {title}", ""]
        if source.startswith("fnnet") and source != module.__name__:
            lines += [first_line(importlib.import_module(source)), ""]
        lines += table(package, names)
        for name in names:
            lines += borrowed(package, name) if source == "jax" else [f"::: {package}.{name}", ""]
    return "\n".join(lines).rstrip() + "\n"


def index() -> str:
    """The page of all packages, with every public name."""
    lines = ["# Reference", "", "Every public name, by package. Written by `docs/make_reference.py`; a name leads to"]
    lines += ["its entry with equation, arguments, errors, source and an example.", ""]
    for package in MODULES:
        short = package.removeprefix("fnnet.")
        names = [name for name in public(package) if not inspect.ismodule(getattr(find(package), name))]
        lines += [f"## [{package}]({short}.md)", "", first_line(find(package)), ""]
        lines += [", ".join(f"`{short}.{name}`" for name in names) + ".", ""]
    return "\n".join(lines).rstrip() + "\n"


def pages() -> dict[str, str]:
    """The text of each page by its file name."""
    return {"index.md": index(), **{f"{name.removeprefix('fnnet.')}.md": page(name) for name in MODULES}}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in pages().items():
        (FOLDER / file).write_text(text)
    sys.stdout.write(f"wrote {len(pages())} pages to {FOLDER}\n")
