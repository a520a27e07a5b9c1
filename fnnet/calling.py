"""How functions of users, which need not take everything that fnnet could tell them, are called."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any


def accepted(function: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the offered keyword arguments that a function takes; all of them if it takes any.

    >>> accepted(lambda x, *, key: x, {"key": 1, "weights": 2})
    {'key': 1}
    """
    names = keywords(function)
    return {name: value for name, value in offered.items() if names is None or name in names}


def keywords(function: Callable[..., Any]) -> frozenset[str] | None:
    """The names of the arguments that a function takes, or None if it takes any."""
    plain = isinstance(function, types.FunctionType) and not vars(function).keys() & {"__wrapped__", "__signature__"}
    if plain:
        code = function.__code__  # at once, where a signature takes 0.2 ms
        named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        return None if code.co_flags & inspect.CO_VARKEYWORDS else frozenset(named)
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL)


def innermost(function: Any) -> Any:
    """The function that a chain of `functools.partial` calls in the end."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def bound(function: Any) -> dict[str, Any]:
    """The keyword arguments that a chain of `functools.partial` has fixed, the outermost first in rank."""
    keywords: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        keywords = {**function.keywords, **keywords}
        function = function.func
    return keywords
