"""How the lanes of a program are run: one after another, side by side, over all devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fnnet.errors import HyperparameterError
from fnnet.types import PyTree

AXIS = "lanes"


class Lanes:
    """A mesh of devices and how many lanes each of them computes at once (0 for all of its lanes)."""

    def __init__(self, width: int, devices: Sequence[jax.Device]) -> None:
        self.width = width
        # Auto axes: with explicit ones, a plain result[i] by the user would raise.
        self.mesh = Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,))

    def _key(self) -> tuple[Any, ...]:
        return self.width, tuple(self.mesh.devices.flat)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lanes) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def fitted(self, runs: int) -> Lanes:
        """The same policy without devices that would have no run, and without width that would be padding."""
        devices = list(self.mesh.devices.flat)[:runs]
        return Lanes(min(self.width, -(-runs // len(devices))), devices)

    def padded(self, lanes: int) -> int:
        """The number of lanes that fills every device, and every part of ``width``, evenly."""
        unit = self.mesh.size * max(self.width, 1)
        return -(-lanes // unit) * unit

    def place(self, tree: PyTree, *, lanes: bool) -> PyTree:
        """Puts arrays on the devices: divided by lanes, or a copy on each."""
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec(AXIS) if lanes else PartitionSpec()))

    def map(self, function: Callable[..., Any], mapped: int) -> Callable[..., Any]:
        """The function over lanes: its first ``mapped`` arguments have a lane axis, the others are shared."""

        def on_device(by_lane: PyTree, shared: PyTree) -> Any:
            def one(arguments: PyTree) -> Any:
                return function(*arguments, *shared)

            here = jax.tree.leaves(by_lane)[0].shape[0]
            width = self.width or here
            if width == 1:
                return lax.map(one, by_lane)
            if width >= here:
                return jax.vmap(one)(by_lane)
            parts = jax.tree.map(lambda x: x.reshape(here // width, width, *x.shape[1:]), by_lane)
            results = lax.map(jax.vmap(one), parts)
            return jax.tree.map(lambda x: x.reshape(here, *x.shape[2:]), results)

        over = jax.shard_map(
            on_device,
            mesh=self.mesh,
            in_specs=(PartitionSpec(AXIS), PartitionSpec()),
            out_specs=PartitionSpec(AXIS),
            check_vma=False,
        )
        return lambda *arguments: over(arguments[:mapped], arguments[mapped:])


def choose_lanes(lanes: str | int, devices: Sequence[jax.Device] | None) -> Lanes:
    """The policy that a user asked for; "auto" is "map" on CPUs and "vmap" elsewhere.

    On a CPU, one lane after another keeps its working set in the cache and beats a batched program, while an
    accelerator needs many lanes at once to be busy.
    """
    devices = list(devices) if devices is not None else jax.local_devices()
    if not devices:
        raise HyperparameterError("sweep", "devices is empty. Leave it out to use all local devices.")
    if lanes == "auto":
        lanes = "map" if devices[0].platform == "cpu" else "vmap"
    widths: dict[Any, int] = {"map": 1, "vmap": 0}
    if (
        isinstance(lanes, bool)
        or not isinstance(lanes, str | int)
        or not (lanes in widths or (isinstance(lanes, int) and lanes >= 1))
    ):
        raise HyperparameterError(
            "sweep", f"lanes is {lanes!r}, but it has to be 'auto', 'map', 'vmap' or a positive integer."
        )
    return Lanes(widths[lanes] if lanes in widths else int(lanes), devices)


def pad(tree: PyTree, lanes: int) -> PyTree:
    """Repeats the last lane until there are ``lanes``; NumPy arrays stay such, and nothing is compiled for them."""

    def repeat(x: Any) -> Any:
        missing = lanes - x.shape[0]
        numpy: Any = np if isinstance(x, np.ndarray) else jnp
        return x if missing == 0 else numpy.concatenate([x, numpy.broadcast_to(x[-1:], (missing, *x.shape[1:]))])

    return jax.tree.map(repeat, tree)
