"""A model read for its bends: which layer they are in, their pre-activations, and what they are made of."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.analysis.checks import check_parameters, shapes_of, state_of
from fnnet.analysis.interpreter import WHOLE, Bend, Depends, Walk
from fnnet.errors import ShapeError, StructureError, is_concrete
from fnnet.nn.base import OBSERVER, Layer, LayerLike, apply_layer, as_layer, of_function
from fnnet.precision import double_precision
from fnnet.recipes import describe, recipe_of, split
from fnnet.types import PyTree

_SCOPE = "fnnet_part_"
_LONGEST = 60
"""Characters of how a layer was made that a sentence shows."""


def bent(where: str, layer: Layer, params: PyTree, state: PyTree, x: Any, bend: Bend) -> Any:
    """The output of a layer for inputs ``x``, in which every bend has the value that ``bend`` gives it.

    Raises:
        StructureError: an operation is neither linear nor a bend; the sentence names the layer.
    """
    parts = _Parts()
    token = OBSERVER.set(parts)
    try:
        closed = jax.make_jaxpr(lambda p, s, v: apply_layer(layer, p, s, v)[0])(params, state, x)
    finally:
        OBSERVER.reset(token)
    if len(closed.out_avals) != 1:
        raise StructureError(where, f"the model gives {len(closed.out_avals)} arrays, but one is needed.")
    made = {WHOLE: _made(layer), **dict(parts.found)}
    walk = Walk(where, bend, parts.place_of, made.__getitem__)
    arguments = [*jax.tree.leaves((params, state)), Depends(x)]
    (y,) = walk(closed.jaxpr, closed.consts, arguments, WHOLE)
    return y.value if isinstance(y, Depends) else jnp.asarray(y)


class _Parts:
    """Watches the calls of parts while a model is traced, and leaves a mark in the jaxpr by which to find them."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self.path: tuple[str, ...] = ()

    def __call__(self, part: Any, times: int, layer: Layer, call: Any, params: Any, state: Any, x: Any) -> Any:
        outside = self.path
        self.path = self.path if part is None else (*self.path, str(part))
        self.found.append(("/".join(self.path) or WHOLE, _made(layer)))
        try:
            with jax.named_scope(f"{_SCOPE}{len(self.found) - 1}"):
                return call(params, state, x)
        finally:
            self.path = outside

    def place_of(self, equation: Any, outer: str) -> str:
        """The path of the innermost part in which an equation was traced, or of that of the equation around it."""
        marks = re.findall(rf"{_SCOPE}(\d+)", str(equation.source_info.name_stack))
        return self.found[int(marks[-1])][0] if marks else outer


def _made(layer: Layer) -> str:
    """How a layer was made, or the name of the function that it is."""
    found = recipe_of(layer)
    said = describe(layer.apply if found is not None and found.factory is of_function else layer)
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"


def prepared(
    where: str, model: LayerLike, params: PyTree, state: PyTree, shape: tuple[int, ...]
) -> tuple[Layer, PyTree, PyTree, int | None]:
    """Layer, parameters and state for inputs of a shape, as float64 on the host, and of how many models, if stacked.

    Raises:
        StructureError: something is traced, or the model has a state and None was passed.
        ShapeError: the parameters are not those of the model for such inputs.
        DataError: a parameter is NaN or infinite.
    """
    layer = as_layer(model, where)
    if not all(is_concrete(leaf) for leaf in jax.tree.leaves((params, state, split(layer)[0]))):
        raise StructureError(
            where,
            "the model or its parameters are traced, but the shape of the answer depends on their values. Call it "
            "outside of jax.jit, jax.vmap and jax.grad.",
        )
    with double_precision():
        x = jax.ShapeDtypeStruct((1, *shape), jnp.float64)
        state = state_of(where, layer, state, x)
        models = _models(where, (params, state), shapes_of(where, layer, x), shape)
    check_parameters(where, params, state)
    params, state = jax.tree.map(_wide, (params, state))
    return layer, params, state, models


def _wide(leaf: Any) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf.astype(np.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def _models(where: str, own: PyTree, expected: PyTree, shape: tuple[int, ...]) -> int | None:
    """How many models parameters and state are of, stacked; None for those of one."""
    got, wanted = ([np.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (own, expected))
    if got == wanted:
        return None
    models = got[0][:1] if got else ()
    if models not in ((), (0,)) and got == [(*models, *its) for its in wanted]:
        return models[0]
    raise ShapeError(
        where,
        f"parameters and state have the shapes {got}, but for inputs of shape {shape} those of the model have "
        f"{wanted}. Pass the parameters of this model, all of one or all stacked, and inputs of the dimension that it "
        f"was initialised for.",
    )
