"""Where the arrays of one run live when several devices train it together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fnnet.errors import HyperparameterError, StructureError
from fnnet.trees import flatten_with_names, path_name
from fnnet.types import PyTree

Rule: TypeAlias = Callable[[str, Any], PartitionSpec | None]
"""``rule(path, parameter) -> PartitionSpec``, or None for a copy on each device."""


@dataclasses.dataclass(frozen=True)
class Placement:
    """A mesh whose first axis divides the batch, and a rule that may divide parameters over the others."""

    mesh: Mesh
    rule: Rule | None = None

    @property
    def batch_devices(self) -> int:
        """Over how many devices a batch is divided."""
        return int(self.mesh.devices.shape[0])

    @property
    def processes(self) -> int:
        """How many processes train together."""
        return len({device.process_index for device in self.mesh.devices.flat})

    def divide(self, batch: PyTree) -> PyTree:
        """A batch whose rows are divided over the devices; the compiler adds what they have to tell each other."""
        rows = NamedSharding(self.mesh, PartitionSpec(self.mesh.axis_names[0]))
        return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, rows), batch)

    def copied(self, tree: PyTree) -> PyTree:
        """Arrays with a copy on each device."""
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        return jax.tree.map(lambda leaf: _put(leaf, everywhere), tree)

    def shardings(self, state: Any) -> PyTree:
        """Where each leaf of a state lives: parameters by the rule, and what has their name and shape likewise."""
        specs = {name: (like.shape, self._spec(name, like)) for name, like in flatten_with_names(state.params).items()}
        # The longest name that fits: a moment of 0/1/kernel ends with 1/kernel too.
        names = sorted(specs, key=len, reverse=True)

        def sharding(path: Any, leaf: Any) -> NamedSharding:
            mine = next((n for n in names if f"/{path_name(path)}".endswith(f"/{n}")), None)
            shape, spec = ((), PartitionSpec()) if mine is None else specs[mine]
            return NamedSharding(self.mesh, spec if shape == leaf.shape else PartitionSpec())

        return jax.tree_util.tree_map_with_path(sharding, state)

    def _spec(self, name: str, parameter: Any) -> PartitionSpec:
        """What the rule says of a parameter."""
        spec = None if self.rule is None else self.rule(name, parameter)
        if spec is None:
            return PartitionSpec()
        if not isinstance(spec, PartitionSpec):
            raise StructureError(
                "fit", f"sharding returned {spec!r} for {name}, but a jax.sharding.PartitionSpec or None is needed."
            )
        shape, sizes = parameter.shape, self.mesh.shape
        for axis, over in enumerate(spec):
            over = () if over is None else over if isinstance(over, tuple) else (over,)
            unknown = [n for n in over if n not in sizes]
            if unknown:
                raise StructureError(
                    "fit",
                    f"sharding divides {name} over {unknown[0]!r}, but the axes of the mesh are {', '.join(sizes)}.",
                )
            parts = math.prod(sizes[n] for n in over)
            if over and (axis >= len(shape) or shape[axis] % parts):
                raise HyperparameterError(
                    "fit",
                    f"sharding divides {name} of shape {shape} by {spec}, but axis {axis} cannot be divided into "
                    f"{parts} equal parts. Return None for it.",
                )
        return spec

    def place(self, state: Any) -> Any:
        """A state with its leaves where they belong."""
        return jax.tree.map(_put, state, self.shardings(state))

    def held(self, result: tuple[Any, PyTree]) -> Any:
        """Inside of compiled code: a state stays where it is, and each device has the rows of the history."""
        everywhere = jax.tree.map(lambda leaf: NamedSharding(self.mesh, PartitionSpec()), result[1])
        return jax.tree.map(jax.lax.with_sharding_constraint, result, (self.shardings(result[0]), everywhere))


def check_placement(
    where: str, mesh: Any, rule: Rule | None, batch_size: int | None, examples: int
) -> Placement | None:
    """The placement that the arguments ask for; None for the default device."""
    if mesh is None:
        if rule is not None:
            raise StructureError(where, "sharding says where parameters live on a mesh, but there is no mesh=.")
        return None
    if rule is not None and not callable(rule):
        raise StructureError(where, f"sharding is {rule!r}, which is not a function of a path and a parameter.")
    if isinstance(mesh, Sequence) and mesh and all(isinstance(device, jax.Device) for device in mesh):
        mesh = Mesh(np.asarray(mesh), ("batch",))
    if not isinstance(mesh, Mesh):
        raise StructureError(
            where, f"mesh is {mesh!r}, but a jax.sharding.Mesh or a list of devices (jax.devices()) is needed."
        )
    # Auto axes: the compiler divides the work, and with explicit ones a plain result[i] by the user would raise.
    mesh = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))
    placement = Placement(mesh, rule)
    rows = examples if batch_size is None else batch_size
    if rows % placement.batch_devices:
        raise HyperparameterError(
            where,
            f"a batch of {rows} cannot be divided over the {placement.batch_devices} devices of the mesh's axis "
            f"{mesh.axis_names[0]!r}. Choose a batch_size that is a multiple of {placement.batch_devices}.",
        )
    return placement


def _put(leaf: Any, where: NamedSharding) -> Any:
    """An array on devices, also if some of them belong to other processes, which all hold the same values."""
    if where.is_fully_addressable:
        return jax.device_put(leaf, where)
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_put(jax.random.key_data(leaf), where), impl=jax.random.key_impl(leaf))
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, where, lambda index: whole[index])


def on_host(leaf: Any) -> np.ndarray:
    """An array in the host's memory, whole, also if its parts live on devices of several processes."""
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        from jax.experimental import multihost_utils

        leaf = multihost_utils.process_allgather(leaf, tiled=True)
    return np.asarray(leaf, order="C")


def ordinary(state: Any) -> Any:
    """A state of ordinary arrays, each whole on the default device."""

    def whole(leaf: Any) -> Any:
        if len(leaf.sharding.device_set) == 1:
            return leaf
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            words = jnp.asarray(on_host(jax.random.key_data(leaf)))
            return jax.random.wrap_key_data(words, impl=jax.random.key_impl(leaf))
        return jnp.asarray(on_host(leaf))

    return jax.tree.map(whole, state)


def agreement(placement: Placement | None) -> Callable[[int], int]:
    """A function to the largest number that any process which trains together gives it; they all wait for it.

    What a host decides by its own clock, or by a signal, all of them have to do: a chunk of other length or a state
    that one process alone gathers would wait for the others for ever.
    """
    if placement is None or placement.processes == 1:
        return int
    from jax.experimental import multihost_utils

    return lambda number: int(multihost_utils.process_allgather(np.int32(number)).max())
