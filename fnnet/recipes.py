"""How a function that was built from arguments remembers them.

``nn.dense(64)`` returns new closures at every call, and `jax.jit` tells functions apart by identity, so a
model that is built twice would be compiled twice. A factory marked with `recipe` notes on what it returns how
it was made. From that note fnnet can

- take the numbers out (`split`), so that two models which differ only in their float hyperparameters share
  one compiled program, to which the numbers are arguments;
- write the model down (`describe`), for people and for the headers of files.

What carries no recipe (a user's own function) is compared by identity, as in `jax.jit` itself.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

Factory = TypeVar("Factory", bound=Callable[..., Any])


class Recipe(NamedTuple):
    """``factory(*args, **kwargs)`` gives the object again; ``made`` is the very object that it is the recipe of."""

    factory: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    made: Any


def recipe(factory: Factory) -> Factory:
    """Marks a factory: the function, or the last function of the tuple, that it returns keeps its recipe.

    What is built twice from arguments that differ in numbers alone then shares one compiled program, and files tell
    how it was made. Layers, optimizers, priors, schedules and schedulers of your own are built by such factories.

    Args:
        factory: returns a function, or a tuple such as `nn.Layer` or `optim.Optimizer` whose last part is one.

    Returns:
        The factory, which notes its arguments on what it returns.

    >>> import fnnet, jax.numpy as jnp
    >>> @fnnet.recipe
    ... def cosine(period):
    ...     return lambda step: jnp.cos(step / period)
    >>> fnnet.recipes.describe(cosine(10.0))
    'cosine(10.0)'
    """

    @functools.wraps(factory)
    def make(*args: Any, **kwargs: Any) -> Any:
        made = factory(*args, **kwargs)
        # A list that the caller changes afterwards must not change what the recipe says.
        _carrier(made).__recipe__ = Recipe(make, _copied(args), _copied(kwargs), made)
        return made

    make.__factory__ = True  # type: ignore[attr-defined]
    return make  # type: ignore[return-value]


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if type(value) is tuple:
        return tuple(_copied(item) for item in value)
    return {name: _copied(item) for name, item in value.items()} if type(value) is dict else value


def _carrier(made: Any) -> Any:
    return made[-1] if isinstance(made, tuple) and made else made


def recipe_of(made: Any) -> Recipe | None:
    """The recipe of an object, or None if it was not made, as it is, by a marked factory.

    A layer with another ``init``, or a function whose attributes `functools.wraps` has copied, carries a recipe
    that is not its own.
    """
    found = getattr(_carrier(made), "__recipe__", None)
    if not isinstance(found, Recipe) or type(found.made) is not type(made):
        return None
    parts = zip(made, found.made, strict=True) if isinstance(made, tuple) else [(made, found.made)]
    return found if all(mine is its for mine, its in parts) else None


class _Number:
    """Stands in a skeleton for a number that was taken out."""

    def __repr__(self) -> str:
        return "#"


_NUMBER = _Number()


class _Identical:
    """Stands in a skeleton for something that cannot be hashed: it is equal to itself alone."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self._hash = id(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identical) and self.value is other.value


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """What is left of an object without its numbers: hashable, equal for equal structure, callable.

    ``skeleton(numbers)`` is the object with these numbers, which may be tracers.
    """

    node: Any

    def __call__(self, numbers: Any) -> Any:
        """The object with these numbers in place."""
        remaining = iter(numbers)
        return _join(self.node, remaining)


def split(made: Any) -> tuple[list[Any], Skeleton]:
    """The float hyperparameters of an object in a fixed order, and the skeleton that takes them back."""
    numbers: list[Any] = []
    return numbers, Skeleton(_split(made, numbers))


def _split(value: Any, numbers: list[Any]) -> Any:
    found = recipe_of(value)
    if found is not None:
        return ("made", found.factory, _split(found.args, numbers), _split(found.kwargs, numbers))
    if type(value) is functools.partial:
        return ("bound", *(_split(part, numbers) for part in (value.func, value.args, value.keywords)))
    if isinstance(value, tuple | list):
        return ("sequence", type(value), tuple(_split(item, numbers) for item in value))
    if isinstance(value, Mapping):
        return ("mapping", tuple((name, _split(item, numbers)) for name, item in value.items()))
    if isinstance(value, float | np.floating | np.ndarray | jax.Array):
        # Exactly 0 switches a part off (no dropout, no decay), so it is structure: nothing is computed for it.
        if _is_zero(value):
            return ("constant", float, 0.0)
        numbers.append(value)
        return _NUMBER
    return ("constant", type(value), value if _is_hashable(value) else _Identical(value))


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_zero(value: Any) -> bool:
    return not isinstance(value, jax.core.Tracer) and np.ndim(value) == 0 and bool(value == 0)


def _join(node: Any, numbers: Any) -> Any:
    if node is _NUMBER:
        return next(numbers)
    match node:
        case ("made", factory, args, kwargs):
            positional = _join(args, numbers)
            return factory(*positional, **_join(kwargs, numbers))
        case ("bound", function, args, kwargs):
            function, args = _join(function, numbers), _join(args, numbers)
            return functools.partial(function, *args, **_join(kwargs, numbers))
        case ("sequence", kind, items):
            joined = [_join(item, numbers) for item in items]
            return kind(*joined) if hasattr(kind, "_fields") else kind(joined)
        case ("mapping", items):
            return {name: _join(item, numbers) for name, item in items}
        case (_, _, value):
            return value.value if isinstance(value, _Identical) else value
    raise AssertionError(f"no such node: {node!r}")


def describe(made: Any) -> str:
    """An object as the call that makes it: ``chain(dense(64), relu, dense(10))``."""
    found = recipe_of(made)
    if found is not None:
        arguments = [describe(item) for item in found.args]
        arguments += [f"{name}={describe(item)}" for name, item in found.kwargs.items()]
        return f"{found.factory.__name__}({', '.join(arguments)})"
    if type(made) is functools.partial:
        parts = [describe(item) for item in (made.func, *made.args)]
        parts += [f"{name}={describe(item)}" for name, item in made.keywords.items()]
        return f"partial({', '.join(parts)})"
    if hasattr(made, "_fields"):
        return repr(made)
    if isinstance(made, tuple | list):
        open_, close = "[]" if isinstance(made, list) else "()"
        comma = "," if isinstance(made, tuple) and len(made) == 1 else ""
        return open_ + ", ".join(describe(item) for item in made) + comma + close
    if isinstance(made, Mapping):
        return "{" + ", ".join(f"{name!r}: {describe(item)}" for name, item in made.items()) + "}"
    if isinstance(made, np.generic):
        made = made.item()
    if isinstance(made, float | int | str | bool | None.__class__):
        return repr(made)
    if isinstance(made, np.ndarray | np.generic | jax.Array):
        return repr(made.item()) if made.ndim == 0 and not isinstance(made, jax.core.Tracer) else f"array{made.shape}"
    return getattr(made, "__name__", type(made).__name__)
