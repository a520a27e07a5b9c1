"""A front door whose rooms are entered when somebody asks for them, so that importing the package takes no time."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def front_door(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package, of the imports in the ``.pyi`` beside its file.

    The stub is what type checkers and editors read, so the names stand in one place. A name is imported when it is
    first asked for (PEP 562), and is then an attribute as any other; so is a module of the package.
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.asname or alias.name: (node.module or "", alias.name) for node in imports for alias in node.names}

    def find(name: str) -> Any:
        module, inside = homes.get(name, (package, name))
        try:
            value = getattr(importlib.import_module(module), inside) if module != package else None
            value = importlib.import_module(f"{package}.{inside}") if value is None else value
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
        setattr(sys.modules[package], name, value)
        return value

    return find, lambda: sorted(homes), sorted(homes)


__all__ = ["front_door"]
