"""How the lanes of a program are run: one after another, side by side, over all devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fnnet.errors import HyperparameterError, StructureError
from fnnet.sweeps.space import is_whole
from fnnet.types import Array, PyTree

AXIS = "lanes"

FEWEST_PARTS = 8
"""For so many parts of its lanes a device has room at least, if they fit."""


class Lanes:
    """A mesh of devices and how many lanes each of them computes at once (0 for all of its lanes).

    ``others`` are the widths that may be tried beside this one.
    """

    def __init__(self, width: int, devices: Sequence[jax.Device], others: Sequence[int] = ()) -> None:
        self.width, self.others = width, tuple(others)
        # Auto axes: with explicit ones, a plain result[i] by the user would raise.
        self.mesh = Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,))

    def _key(self) -> tuple[Any, ...]:
        return self.width, tuple(self.mesh.devices.flat)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lanes) and self._key() == other._key()

    def __str__(self) -> str:
        how = {0: "all at once", 1: "one after another"}.get(self.width, f"{self.width} at once")
        return how if self.mesh.size == 1 else f"{how}, on {self.mesh.size} devices"

    def __hash__(self) -> int:
        return hash(self._key())

    def fitted(self, runs: int) -> Lanes:
        """The same policy without devices that would have no run, and without width that would be padding."""
        devices = list(self.mesh.devices.flat)[:runs]
        return Lanes(min(self.width, -(-runs // len(devices))), devices, self.others)

    def of_width(self, width: int) -> Lanes:
        """The same devices, each with so many lanes at once."""
        return Lanes(width, list(self.mesh.devices.flat))

    @property
    def unit(self) -> int:
        """The fewest lanes that occupy every device."""
        return self.mesh.size * max(self.width, 1)

    def room(self, runs: int, at_once: int) -> int:
        """For how many runs to make room if there are so many and no more than ``at_once`` fit.

        Parts without a run cost nothing, so that there are a few of them: batches of other sizes compile nothing new.
        """
        return min(max(runs, FEWEST_PARTS * self.unit if self.width else runs), at_once)

    def capacity(self, runs: int, widest: int = 0) -> int:
        """Lanes for so many runs, of the few sizes for which a program is compiled.

        Where devices compute their lanes in parts, there is one size, that of the ``widest`` number of runs: its
        parts are a power of two, and those in which there is no run are not computed. Where they compute all at once,
        there is this size, half of it, half of that ….
        """
        each = -(-max(runs, widest) // self.mesh.size)
        if self.width:
            return self.unit * 2 ** (-(-each // self.width) - 1).bit_length()
        while each > 1 and -(-each // 2) * self.mesh.size >= runs:
            each = -(-each // 2)
        return each * self.mesh.size

    def parts(self, runs: int, capacity: int) -> np.ndarray:
        """For each device, how many of its parts have a run, if the runs take `positions` of the lanes."""
        each, width = capacity // self.mesh.size, self.width or capacity // self.mesh.size
        full = np.bincount(self.positions(runs, capacity) // each, minlength=self.mesh.size)
        return -(-full // width).astype(np.int32)

    def positions(self, runs: int, capacity: int) -> np.ndarray:
        """The lane of each run: every device has its share, at the beginning of its lanes."""
        each = capacity // self.mesh.size
        share = np.full(self.mesh.size, runs // self.mesh.size) + (np.arange(self.mesh.size) < runs % self.mesh.size)
        return np.concatenate([device * each + np.arange(count) for device, count in enumerate(share)])

    def place(self, tree: PyTree, *, lanes: bool) -> PyTree:
        """Puts arrays on the devices: divided by lanes, or a copy on each."""
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec(AXIS) if lanes else PartitionSpec()))

    def like(self, tree: PyTree) -> PyTree:
        """Shapes as they are once arrays of them are divided by lanes."""
        divided = NamedSharding(self.mesh, PartitionSpec(AXIS))
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=divided), tree)

    def map(self, function: Callable[..., Any], mapped: int, kept: int | None = None) -> Callable[..., Any]:
        """The function over lanes, ``over(parts, *arguments)``.

        The first ``mapped`` arguments have a lane axis, the others are shared. ``parts`` (devices,) says how many
        parts of its lanes each device computes. Argument ``kept`` is of the structure of the first result, which is
        written in its place: lanes that are not computed keep what they had, and no second copy is needed. All other
        results of lanes that are not computed are 0.
        """

        def on_device(parts: Array, by_lane: PyTree, shared: PyTree) -> Any:
            def one(arguments: PyTree, shared: PyTree) -> Any:
                return function(*arguments, *shared)

            here = jax.tree.leaves(by_lane)[0].shape[0]
            width = self.width or here
            if width >= here and width > 1:
                return jax.vmap(one, in_axes=(0, None))(by_lane, shared)

            def part(index: Any, tree: PyTree) -> PyTree:
                if width == 1:
                    return jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, index, keepdims=False), tree)
                return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, index * width, width), tree)

            def write(index: Any, tree: PyTree, found: PyTree) -> PyTree:
                found = jax.tree.map(lambda x: x[None], found) if width == 1 else found
                return jax.tree.map(lambda x, y: lax.dynamic_update_slice_in_dim(x, y, index * width, 0), tree, found)

            # Jitted so that it is traced once, here and in the loop.
            compute = jax.jit(one if width == 1 else jax.vmap(one, in_axes=(0, None)))

            def body(index: Any, results: PyTree) -> PyTree:
                arguments = by_lane if kept is None else (*by_lane[:kept], results[0], *by_lane[kept + 1 :])
                return write(index, results, compute(part(index, arguments), shared))

            shapes = jax.eval_shape(lambda: compute(part(jnp.int32(0), by_lane), shared))
            lead = 0 if width == 1 else 1
            results = jax.tree.map(lambda s: jnp.zeros((here, *s.shape[lead:]), s.dtype), shapes)
            if kept is not None:
                results = (by_lane[kept], *results[1:])
            return lax.fori_loop(0, parts[0], body, results)

        over = jax.shard_map(
            on_device,
            mesh=self.mesh,
            in_specs=(PartitionSpec(AXIS), PartitionSpec(AXIS), PartitionSpec()),
            out_specs=PartitionSpec(AXIS),
            check_vma=False,
        )

        def of_lanes(parts: Array, *arguments: Any) -> Any:
            return over(parts, arguments[:mapped], arguments[mapped:])

        of_lanes.__name__ = f"{function.__name__}_of_lanes"  # which profiles and logs of compiling tell
        return of_lanes


class Placement:
    """Some runs in the lanes of a program that has room for the ``widest`` number of them.

    ``capacity`` is how many lanes it has, ``positions`` (runs,) the lane of each run, ``parts`` (devices,) how many
    parts of its lanes each device computes, and ``active`` the same on the devices.
    """

    def __init__(self, lanes: Lanes, runs: int, widest: int = 0) -> None:
        self._lanes = lanes
        self.capacity = lanes.capacity(runs, widest)
        self.positions, self.parts = lanes.positions(runs, self.capacity), lanes.parts(runs, self.capacity)
        self.active = lanes.place(self.parts, lanes=True)

    def put(self, tree: PyTree) -> PyTree:
        """NumPy arrays (runs, …) on the devices (capacity, …); lanes without a run repeat the first one."""
        source = np.zeros(self.capacity, int)
        source[self.positions] = np.arange(len(self.positions))
        return self._lanes.place(jax.tree.map(lambda x: np.asarray(x)[source], tree), lanes=True)

    def get(self, tree: PyTree, *, away: bool = False) -> PyTree:
        """Arrays on the devices (capacity, …) as new ones of NumPy (runs, …).

        With ``away`` each is freed on a device as soon as it is here, so that there are not two of all on a CPU.
        """
        each = self.capacity // len(self.parts)
        shares = np.bincount(self.positions // each, minlength=len(self.parts))
        ends = np.cumsum(shares)

        def fetched(leaf: jax.Array) -> np.ndarray:
            here = np.empty((len(self.positions), *leaf.shape[1:]), leaf.dtype)
            shards = sorted(leaf.addressable_shards, key=lambda shard: shard.index[0].start or 0)
            for shard, share, end in zip(shards, shares, ends, strict=True):
                here[end - share : end] = np.asarray(shard.data)[:share]
                if away:
                    shard.data.delete()
            return here

        # The largest first: of small ones that were freed, the host's allocator keeps the memory.
        leaves, structure = jax.tree.flatten(tree)
        here = {place: fetched(leaves[place]) for place in np.argsort([-leaf.nbytes for leaf in leaves], kind="stable")}
        return jax.tree.unflatten(structure, [here[place] for place in range(len(leaves))])


def choose_lanes(lanes: str | int, devices: Sequence[jax.Device] | None) -> Lanes:
    """The policy that a user asked for; "auto" begins with "map" on CPUs and "vmap" elsewhere, and may try others.

    On a CPU, one lane after another keeps its working set in the cache and beats a batched program, unless the nets
    are so small that a step is all overhead; an accelerator needs many lanes at once to be busy.
    """
    given: Any = jax.local_devices() if devices is None else devices
    if isinstance(given, jax.Device | str) or not all(isinstance(d, jax.Device) for d in given):
        raise StructureError("sweep", f"devices is {devices!r}, but a list such as jax.devices()[:2] is needed.")
    devices = list(given)
    if not devices:
        raise HyperparameterError("sweep", "devices is empty. Leave it out to use all local devices.")
    if lanes == "auto":
        cpu = devices[0].platform == "cpu"
        return Lanes(1, devices, others=(16, 128)) if cpu else Lanes(0, devices, others=(256,))
    width: Any = {"map": 1, "vmap": 0}.get(lanes) if isinstance(lanes, str) else lanes
    if not is_whole(width) or (width < 1 and lanes != "vmap"):
        raise HyperparameterError(
            "sweep", f"lanes is {lanes!r}, but it has to be 'auto', 'map', 'vmap' or a positive integer."
        )
    return Lanes(int(width), devices)
