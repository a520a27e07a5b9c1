"""A piecewise linear model as matrices: stages of bends, each a linear map of the input and of the bends before."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.analysis.polygons import ROUNDING
from fnnet.analysis.ragged import Answer, stacked
from fnnet.analysis.tracing import bent, prepared
from fnnet.errors import StructureError
from fnnet.nn.base import Layer, LayerLike
from fnnet.precision import double_precision
from fnnet.recipes import Skeleton, split
from fnnet.types import PyTree

_MOST = 2**32
"""Bytes of the matrices of a model."""


class Linear(NamedTuple):
    """f(v) = A v[columns] + c for rows v of values; matrix (units, columns), constant (units,)."""

    columns: slice | np.ndarray
    matrix: np.ndarray
    constant: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(…, values) to (…, units)."""
        return self.moved(rows) + self.constant

    def moved(self, rows: np.ndarray) -> np.ndarray:
        """A v alone, as for directions in place of points."""
        return _product(rows[..., self.columns], self.matrix)

    def size(self, rows: np.ndarray) -> np.ndarray:
        """Σ |A||v| + |c|, of which rounding errors are a part."""
        return _product(np.abs(rows[..., self.columns]), np.abs(self.matrix)) + np.abs(self.constant)


def _product(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """One product of two matrices, which is quicker than one for each leading index."""
    flat = rows.reshape(-1, rows.shape[-1]) @ matrix.T if matrix.size else np.zeros((1, len(matrix)))
    shape = (*rows.shape[:-1], len(matrix))
    return flat.reshape(shape) if matrix.size else np.broadcast_to(flat, shape)


class Stage(NamedTuple):
    """Units that bend together: on(v) where z(v) > 0, else off(v); ``place`` is the path of their layer."""

    place: str
    z: Linear
    on: Linear
    off: Linear

    @property
    def units(self) -> int:
        """How many there are."""
        return len(self.z.constant)

    def rounded(self, rows: np.ndarray) -> np.ndarray:
        """Pre-activations at points, exactly 0 where they are no more than rounding errors.

        The errors are those of the largest numbers at any of the points: where a value is 0 it may be an error itself.
        """
        z = self.z(rows)
        return np.where(np.abs(z) <= ROUNDING * self.z.size(rows).max(axis=0), 0.0, z)

    def check_continuous(self, where: str, rows: np.ndarray, z: np.ndarray) -> None:
        """Raises if the two sides do not meet where a unit bends.

        Raises:
            StructureError: the model jumps there.
        """
        on, off = self.on(rows), self.off(rows)
        apart = np.abs(on - off) > 1e-9 * (self.on.size(rows) + self.off.size(rows)).max(axis=0)
        if (apart & (z == 0)).any():
            raise StructureError(
                where,
                f"layer {self.place} jumps where it changes sides, but a continuous model is needed. "
                f"Use nn.relu or nn.leaky_relu in place of a threshold.",
            )


class Stages(NamedTuple):
    """The model: values are the input's elements, then the units of one stage after another."""

    inputs: int
    stages: tuple[Stage, ...]
    output: Linear
    output_shape: tuple[int, ...]

    @property
    def units(self) -> int:
        """How many bends there are."""
        return sum(stage.units for stage in self.stages)

    def values(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """At points (n, inputs): all values (n, inputs + units), and which units are on (n, units)."""
        rows, sides = points, [np.zeros((len(points), 0), bool)]
        for stage in self.stages:
            sides.append(stage.z(rows) > 0)
            rows = np.hstack([rows, np.where(sides[-1], stage.on(rows), stage.off(rows))])
        return rows, np.hstack(sides)

    def derivatives(self, sides: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Along directions (k, inputs), for patterns (n, units): of the outputs (n, k, outputs), and their size.

        The size is what rounding errors of a derivative are a part of.
        """
        rows = np.broadcast_to(directions, (len(sides), *directions.shape))
        first = 0
        for stage in self.stages:
            side = sides[:, None, first : first + stage.units]
            rows = np.concatenate([rows, np.where(side, stage.on.moved(rows), stage.off.moved(rows))], axis=-1)
            first += stage.units
        return self.output.moved(rows), self.output.size(rows) - np.abs(self.output.constant)


def of_stages(
    where: str,
    model: LayerLike,
    params: PyTree,
    state: PyTree,
    shape: tuple[int, ...],
    answer: Callable[[Stages], Answer],
) -> Answer:
    """The answer for the matrices of a model, for inputs of a shape in float64; of stacked models, theirs stacked.

    Raises:
        StructureError: the model is not piecewise linear, or too large.
        ShapeError: the parameters are not the model's for such inputs.
        DataError: a parameter is not finite.
    """
    layer, params, state, models = prepared(where, model, params, state, shape)
    if models is None:
        return answer(_stages(where, layer, params, state, shape))
    one = [jax.tree.map(lambda leaf, i=i: leaf[i], (params, state)) for i in range(models)]
    return stacked([answer(_stages(where, layer, own, its, shape)) for own, its in one])


def _stages(where: str, layer: Layer, params: PyTree, state: PyTree, shape: tuple[int, ...]) -> Stages:
    numbers, skeleton = split(layer)
    with double_precision():
        matrices, constants = _derived(where, skeleton, shape, numbers, params, state)
    stages = []
    for matrix, constant in zip(matrices[0], constants[0], strict=True):
        place = next(iter(constant))
        stages.append(Stage(place, *map(_linear, matrix[place], constant[place])))
    output = constants[1]
    last = _linear(matrices[1].reshape(output.size, -1), output.ravel())
    return Stages(math.prod(shape), tuple(stages), last, output.shape)


def _linear(matrix: Any, constant: Any) -> Linear:
    matrix, constant = np.asarray(matrix), np.asarray(constant)
    columns: Any = np.flatnonzero(matrix.any(axis=0))
    if len(columns) and columns[-1] - columns[0] == len(columns) - 1:
        columns = slice(int(columns[0]), int(columns[-1]) + 1)
    return Linear(columns, np.ascontiguousarray(matrix[:, columns]), constant)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _derived(
    where: str, skeleton: Skeleton, shape: tuple[int, ...], numbers: Any, params: PyTree, state: PyTree
) -> tuple[Any, Any]:
    """Matrix and constant of z, on and off of every stage, and of the output, as functions of all values.

    If units are inputs like the others, and no longer results of what is before them, the whole model is linear, and
    its derivative is the matrix.
    """
    layer, inputs = skeleton(numbers), math.prod(shape)

    def with_units(bend: Any, x: Any) -> Any:
        return bent(where, layer, params, state, x.reshape(1, *shape), bend)[0]

    sizes: list[int] = []

    def count(place: str, z: Any, on: Any, off: Any) -> Any:
        sizes.append(z.size)
        return on

    outputs = jax.eval_shape(functools.partial(with_units, count), jnp.zeros(inputs)).size
    total = inputs + sum(sizes)
    if 8 * total * (3 * sum(sizes) + outputs) > _MOST:
        raise StructureError(
            where,
            f"the model has {sum(sizes)} units that bend, too many for their exact matrices. "
            f"Look at a part of it, or at a smaller one.",
        )

    def linear(values: Any) -> Any:
        found: list[dict[str, Any]] = []
        ends = iter(np.cumsum([inputs, *sizes]).tolist())
        first = next(ends)

        def bend(place: str, z: Any, on: Any, off: Any) -> Any:
            nonlocal first
            found.append({place: tuple(part.ravel() for part in (z, on, off))})
            own, first = values[first : first + z.size].reshape(z.shape), next(ends)
            return own

        y = with_units(bend, values[:inputs])
        return (found, y), (found, y)

    return jax.jacfwd(linear, has_aux=True)(jnp.zeros(total))


__all__ = ["Linear", "Stage", "Stages", "of_stages"]
