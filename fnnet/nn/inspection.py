"""What a model is made of: its parts, their shapes, parameters and operations, without computing anything."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet.errors import StructureError
from fnnet.nn.base import OBSERVER, Layer, LayerLike, apply_layer, as_layer
from fnnet.nn.operations import operations
from fnnet.recipes import describe, recipe_of
from fnnet.types import PyTree

_LONGEST = 40
"""Characters that a table shows of how a layer was made."""


class Row(NamedTuple):
    """One part of a model: its path, as in the parameters and in errors, and what it makes of the input."""

    path: str
    layer: str
    output: Any
    parameters: int
    bytes: int
    flops: int


class Summary(NamedTuple):
    """The parts of a model, outer ones before their own parts, and the totals of the whole; its text is a table."""

    rows: tuple[Row, ...]
    parameters: int
    bytes: int
    flops: int

    def __repr__(self) -> str:
        head = ("path", "layer", "output", "parameters", "bytes", "FLOPs")
        body = [(r.path or ".", r.layer, str(r.output), *_grouped(r.parameters, r.bytes, r.flops)) for r in self.rows]
        foot = ("total", "", "", *_grouped(self.parameters, self.bytes, self.flops))
        widths = [max(map(len, column)) for column in zip(head, *body, foot, strict=True)]
        rule = tuple("-" * width for width in widths)
        lines = [head, rule, *body, rule, foot]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column < 3 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )


def count_parameters(params: PyTree) -> int:
    """How many numbers there are in parameters; their shapes are enough.

    Args:
        params: parameters, or what `jax.eval_shape` makes of them. Of a model without any, `summary` knows.

    Returns:
        Integer.

    Raises:
        StructureError: a layer in place of parameters, or a leaf without a shape.

    Source: lecture 002, Figure 20.2.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> params, state = nn.mlp([298, 10]).init(jax.random.key(0), jnp.ones((1, 40)))
    >>> count_parameters(params)
    15208
    """
    leaves = jax.tree.leaves(params)
    if any(not hasattr(leaf, "shape") for leaf in leaves):
        what = "a layer" if isinstance(params, Layer) else f"a leaf that is {next(iter(leaves))!r}"
        raise StructureError(
            "count_parameters",
            f"params is or has {what}, but arrays are needed. Pass what init gives, or for a model and an input "
            f"nn.summary(model, x).parameters.",
        )
    return sum(int(np.prod(leaf.shape)) for leaf in leaves)


def summary(model: LayerLike, x: Any) -> Summary:
    """A table of the parts of a model: path, layer, output shape, parameters, bytes of these, and FLOPs.

    FLOPs are those of one call on ``x`` at inference: a product of matrices (m, k) and (k, n) counts 2·m·k·n, any
    other operation on a number counts 1, and loops count as often as they run. A part that is repeated counts
    with all of its copies. Nothing is computed, so a model larger than the machine can be looked at.

    Args:
        model: a layer.
        x: inputs with their batch, or `jax.ShapeDtypeStruct` of them.

    Returns:
        `Summary` with ``rows``, ``parameters``, ``bytes`` and ``flops``; printing it shows the table.

    Raises:
        StructureError: ``model`` is no layer, or ``x`` has no shape.
        ShapeError: the model does not take such inputs; the sentence names the layer by its path.

    Source: lecture 002, networks compared by their number of parameters.

    >>> import jax
    >>> from fnnet import nn
    >>> nn.summary(nn.chain(nn.dense(100), nn.relu, nn.dense(10)), jax.ShapeDtypeStruct((50, 64), "float32"))
    path   layer       output     parameters   bytes    FLOPs
    -----  ----------  ---------  ----------  ------  -------
    0      dense(100)  (50, 100)       6,500  26,000  645,000
    1      relu        (50, 100)           0       0    5,000
    2      dense(10)   (50, 10)        1,010   4,040  100,500
    -----  ----------  ---------  ----------  ------  -------
    total                              7,510  30,040  750,500
    """
    layer = as_layer(model, "summary")
    if any(not hasattr(leaf, "shape") for leaf in jax.tree.leaves(x)):
        raise StructureError("summary", f"x is {x!r}, but an array or a jax.ShapeDtypeStruct is needed.")
    x = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype)), x)
    params, state = jax.eval_shape(layer.init, jax.eval_shape(lambda: jax.random.key(0)), x)
    recorder = _Recorder()
    token = OBSERVER.set(recorder)
    try:
        jax.eval_shape(lambda p, s, x: apply_layer(layer, p, s, x), params, state, x)
    finally:
        OBSERVER.reset(token)
    whole = recorder.rows.pop(())
    return Summary(tuple(recorder.rows.values()) or (whole,), whole.parameters, whole.bytes, whole.flops)


class _Recorder:
    """Watches the calls of parts while a model is traced, and notes a row for each path."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, ...], Any] = {}
        self.path: tuple[str, ...] = ()
        self.times = 1

    def __call__(self, part: Any, times: int, layer: Layer, call: Any, params: Any, state: Any, x: Any) -> Any:
        outside = self.path, self.times
        self.path, self.times = (self.path if part is None else (*self.path, str(part))), self.times * times
        path, times = self.path, self.times
        # A wrapper and the layer in it share a path; the row is the wrapper's.
        new = part is not None or path not in self.rows
        if new:
            self.rows[path] = None  # its place, before those of its parts
        try:
            y, after = call(params, state, x)
        finally:
            self.path, self.times = outside
        if new:
            self.rows[path] = self._row(path, times, layer, call, (params, state, x), y)
        return y, after

    def _row(self, path: Any, times: int, layer: Layer, call: Any, arguments: Any, y: Any) -> Row:
        leaves = jax.tree.leaves(arguments[0])
        token = OBSERVER.set(None)
        try:
            flops = operations(call, *arguments)
        finally:
            OBSERVER.reset(token)
        return Row(
            path="/".join(path),
            layer=_label(layer),
            output=jax.tree.map(lambda leaf: leaf.shape, y),
            parameters=times * count_parameters(leaves),
            bytes=times * sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves),
            flops=times * flops,
        )


def _label(layer: Layer) -> str:
    """How the layer was made, or the name of the function that it is."""
    said = describe(layer) if recipe_of(layer) else describe(layer.apply)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def _grouped(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{number:,}" for number in numbers)
