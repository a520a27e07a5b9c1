"""How many lanes fit into a device."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import draws
from fnnet.data import Dataset
from fnnet.sweeps.lanes import Lanes
from fnnet.sweeps.planning import Group
from fnnet.sweeps.programs import group_programs
from fnnet.sweeps.work import Work
from fnnet.train.advancing import ROWS_A_CALL
from fnnet.train.core import functions
from fnnet.train.programs import Programs
from fnnet.train.state import TrainState
from fnnet.trees import nbytes

FAR_FROM_FULL = 0.1
"""Share of the memory below which a rough estimate will do, and nothing has to be compiled to know better."""


class Memory(NamedTuple):
    """Bytes on each device: ``fixed``, and for each lane that is there."""

    fixed: int
    a_lane: int

    def of(self, lanes: int) -> int:
        """Bytes for so many lanes on a device."""
        return self.fixed + lanes * self.a_lane

    def lanes(self, limit: float) -> int:
        """The lanes that fit into a device of which ``limit`` bytes may be used; at least one."""
        return max(1, int((limit - self.fixed) // max(self.a_lane, 1)))


def device_memory(device: jax.Device) -> int:
    """Bytes that a device has: a CPU shares those of the machine with the other CPU devices of the process."""
    statistics = device.memory_stats() or {}
    if "bytes_limit" in statistics:
        return int(statistics["bytes_limit"])
    return machine_memory() // len(jax.local_devices(backend=device.platform))


def machine_memory() -> int:
    """Bytes of the machine, or of the share of it that the process may use."""
    known = []
    with contextlib.suppress(ValueError, OSError, AttributeError):
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(ValueError, OSError):
            known.append(int(Path(path).read_text()))
    return min(known, default=8 * 2**30)


def one_lane(group: Group, work: Work) -> TrainState:
    """The structure of the state of one run, without its key."""

    def init(hyperparameters: Any, key: Any, x: Any) -> TrainState:
        learner = group.build(hyperparameters)
        return functions(learner, batch_size=work.batch_size, monitor=work.monitor).init(key, x)

    return jax.eval_shape(init, group.first, work.key, _one_input(work))._replace(key=())


def _one_input(work: Work) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *work.train.inputs.shape[1:]), work.train.inputs.dtype)


def one_batch(work: Work) -> Dataset:
    """The structure of what one update sees."""
    rows = work.batch_size or len(work.train)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype), work.train)


def estimate(group: Group, work: Work, lanes: Lanes, lane: TrainState) -> Memory:
    """Memory without compiling: data and states, and where lanes are computed side by side all that a step computes.

    ``lane`` is the structure of one state, `one_lane`. The compiler needs less, since much of a step is never kept.
    """
    state = _bytes(lane) + _bytes_of_rows(group, work)
    data = nbytes((work.train, work.validation))
    if lanes.width == 1:
        return Memory(data, state)
    room = _bytes_of_a_lane(group, work)
    return Memory(data + lanes.width * room, state) if lanes.width else Memory(data, state + room)


def twice(lane: TrainState, lanes: Lanes) -> int:
    """Bytes a lane on each device for states that come to the host, one device after the other (see `Placement.get`).

    The memory of a CPU device is the host's, and the largest array is there twice; other devices have their own.
    """
    if lanes.mesh.devices.flat[0].platform != "cpu":
        return 0
    return -(-max(_size(leaf) for leaf in jax.tree.leaves(lane)) // lanes.mesh.size)


def _bytes_of_rows(group: Group, work: Work) -> int:
    """The scores that a call gives back for a lane: losses, metrics, gradient norm and learning rate."""
    metrics: list[str] = []
    jax.eval_shape(lambda h: metrics.extend(group.build(h).metrics), group.first)
    return ROWS_A_CALL * 4 * (4 + len(metrics))


def _bytes_of_a_lane(group: Group, work: Work) -> int:
    """Every value that one update and one evaluation of one lane compute."""

    def once(hyperparameters: Any, key: Any, train: Any, validation: Any) -> Any:
        learner = group.build(hyperparameters)
        training = functions(learner, batch_size=work.batch_size, monitor=work.monitor)
        state, _ = training.step(training.init(key, _one_input(work)), train)
        return state if validation is None else (state, training.evaluate(state, validation))

    closed = jax.make_jaxpr(once)(group.first, work.key, one_batch(work), work.validation)
    return _computed(closed.jaxpr)


def _computed(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        total += sum(_size(variable.aval) for variable in equation.outvars)
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else [value]:
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    total += _computed(inner)
    return total


def _size(aval: Any) -> int:
    shape, dtype = getattr(aval, "shape", ()), getattr(aval, "dtype", np.dtype(np.float32))
    return math.prod(shape) * getattr(dtype, "itemsize", 8)


def _bytes(tree: Any) -> int:
    return sum(_size(leaf) for leaf in jax.tree.leaves(tree))


def measure(group: Group, work: Work, lanes: Lanes) -> Memory:
    """Memory as the compiler says it, of the program for two numbers of lanes: it is linear in them."""
    programs = group_programs(group.build, work.batch_size, work.monitor, lanes, work.period)
    few = 2 if lanes.width else 16  # of very few lanes, the compiler rounds much of what they need
    capacities = [lanes.mesh.size * max(lanes.width, 1) * count for count in (few, 2 * few)]
    small, large = (compiled_bytes(programs, group, work, lanes, capacity) for capacity in capacities)
    each = [capacity // lanes.mesh.size for capacity in capacities]
    a_lane = -(-(large - small) // (each[1] - each[0]))
    return Memory(small - a_lane * each[0], a_lane)


def compiled_bytes(programs: Programs, group: Group, work: Work, lanes: Lanes, capacity: int) -> int:
    """Bytes that the compiled program needs on each device for so many lanes."""

    def like(tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)

    def mapped(tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((capacity, *np.shape(x)[1:]), x.dtype), tree)

    columns = mapped(group.hyperparameters)
    keys = jax.ShapeDtypeStruct((capacity, *([draws.PURPOSES] if work.share else [])), work.key.dtype)
    state = like(one_lane(group, work))
    state = jax.tree.map(lambda x: jax.ShapeDtypeStruct((capacity, *x.shape), x.dtype), state)._replace(key=keys)
    number, ends = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((capacity,), jnp.int32)
    parts = jax.ShapeDtypeStruct((lanes.mesh.size,), jnp.int32)
    tables = None if work.split is None else like(tuple(work.split))
    lowered = programs.advance.lower(
        parts, columns, state, ends if work.folds else None, ends, tables, like(work.train), like(work.validation),
        number, number, work.stopping,
    )  # fmt: skip
    found = lowered.compile().memory_analysis()
    return int(
        found.argument_size_in_bytes
        + found.output_size_in_bytes
        - found.alias_size_in_bytes
        + found.temp_size_in_bytes
        + found.generated_code_size_in_bytes
    )


def most_lanes(lanes: Lanes, memory: Memory, limit: float) -> int:
    """The most lanes, over all devices, for which there is room; of parts, as many as `Lanes.capacity` may give."""
    each = memory.lanes(limit)
    if not lanes.width:
        return each * lanes.mesh.size
    parts = max(1, each // lanes.width)
    return lanes.unit * 2 ** (parts.bit_length() - 1)
