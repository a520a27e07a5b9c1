"""What a sweep will be, before it is: how many runs, programs, lanes and bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from fnnet.errors import HyperparameterError, check_number
from fnnet.nn.operations import operations
from fnnet.sweeps.drawing import Trial
from fnnet.sweeps.lanes import Lanes
from fnnet.sweeps.memory import (
    FAR_FROM_FULL,
    Memory,
    device_memory,
    estimate,
    measure,
    most_lanes,
    one_batch,
    one_lane,
    twice,
)
from fnnet.sweeps.planning import Group
from fnnet.sweeps.work import Work
from fnnet.train.core import functions
from fnnet.train.state import TrainState
from fnnet.trees import nbytes

EVERYTHING = 2**31
"""More runs than there are."""


class Share(NamedTuple):
    """The bytes of each device that may be used, and what they are a share of."""

    of: float
    total: int

    @property
    def limit(self) -> float:
        """Bytes."""
        return self.of * self.total


class GroupPlan(NamedTuple):
    """What the runs of one structure will be: how lanes are computed, how many at once, and what a lane needs.

    ``updates`` are those of all runs together, ``lane`` has the shapes of one state.
    """

    group: Group
    runs: int
    updates: int
    lane: TrainState
    lanes: Lanes
    at_once: int
    memory: Memory
    flops: int | None

    @property
    def parameters(self) -> int:
        """Numbers that a run learns."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.lane.params))

    @property
    def bytes_at_once(self) -> int:
        """Bytes that are used on each device; on CPUs with the array that is there twice on its way to the host."""
        capacity = self.lanes.capacity(self.lanes.room(self.runs, self.at_once))
        return self.memory.of(capacity // self.lanes.mesh.size)


class Plan(NamedTuple):
    """What a sweep will be; printed, it says so in a few lines.

    Attributes:
        trials, seeds, folds: their product is the number of runs; folds is None without a cross-validation.
        epochs: of a run.
        updates: of a run.
        groups: one for each structure, which is one program to compile; see ``table``.
        data: bytes of training and validation data.
        share: of each device's memory that may be used.
    """

    trials: int
    seeds: int
    folds: int | None
    epochs: int
    updates: int
    groups: list[GroupPlan]
    data: int
    share: Share

    @property
    def runs(self) -> int:
        """How many networks are trained."""
        return self.trials * self.seeds * (self.folds or 1)

    @property
    def _programs(self) -> str:
        """How many are compiled, and what may come on top."""
        more = []
        if any(plan.lanes.others for plan in self.groups):
            more.append("other ways of computing lanes, if these are worth a try")
        if any(plan.lanes.width == 0 for plan in self.groups):
            more.append("narrower ones when runs have ended")
        return f"{len(self.groups)}" + (f", and {' and '.join(more)}" if more else "")

    @property
    def table(self) -> Any:
        """A `pandas.DataFrame` with a row a structure.

        Columns: the static hyperparameters, runs, parameters, ``bytes_a_lane`` and ``bytes`` (each device's), the
        ``at_once`` lanes, how ``lanes`` are computed, and ``flops`` of an update of one run, if they were asked for.
        """
        import pandas as pd

        return pd.DataFrame([self._row(plan) for plan in self.groups])

    def _row(self, plan: GroupPlan) -> dict[str, Any]:
        return plan.group.build.shown | {
            "runs": plan.runs,
            "parameters": plan.parameters,
            "bytes_a_lane": plan.memory.a_lane,
            "bytes": plan.bytes_at_once,
            "at_once": min(plan.runs, plan.at_once),
            "lanes": str(plan.lanes),
            "flops": plan.flops,
        }

    def facts(self) -> dict[str, Any]:
        """The plan as labels and values, for a report."""
        traced = list(dict.fromkeys(name for plan in self.groups for name in plan.group.hyperparameters))
        flops = [plan.flops * plan.updates for plan in self.groups if plan.flops is not None]
        return {
            "runs": f"{_product(self)} = {self.runs:,}",
            "epochs": f"{self.epochs:,}, {self.updates:,} updates",
            "programs": self._programs,
            "traced hyperparameters": ", ".join(traced) or "none",
            "data": size(self.data),
            "memory": f"{size(max(p.bytes_at_once for p in self.groups))} of {size(self.share.limit)} on each device "
            f"({self.share.of:.0%} of {size(self.share.total)})",
        } | ({"floating-point operations": f"{sum(flops):.2g}"} if flops else {})

    def __str__(self) -> str:
        lines = [f"{label}: {value}" for label, value in self.facts().items()]
        for row in map(self._row, self.groups):
            static = [f"{name}={row[name]}" for name, _ in self.groups[0].group.build.static if name in row]
            lines.append(
                f"{', '.join(static) or 'all'}: {row['runs']:,} runs, {row['parameters']:,} parameters, "
                f"{size(row['bytes_a_lane'])} a lane, {row['at_once']:,} in memory, computed {row['lanes']}"
            )
        return "\n".join(lines)


def _product(plan: Plan) -> str:
    counts = {"trial": plan.trials, "seed": plan.seeds} | ({} if plan.folds is None else {"fold": plan.folds})
    return " × ".join(f"{count:,} {noun}{'s' * (count != 1)}" for noun, count in counts.items())


def size(count: float) -> str:
    """Bytes as people write them.

    >>> size(1536), size(3 * 2**30)
    ('1.5 KiB', '3.0 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def plan_group(group: Group, work: Work, lanes: Lanes, share: Share, exactly: bool = False) -> GroupPlan:
    """How the runs of one structure are computed, within a share of the memory.

    What a lane needs is estimated, and asked of the compiler, which takes two small programs, if the estimate for all
    runs comes near the share or it is to be told ``exactly``.
    """
    runs = len(work.runs(group.trials))
    updates = sum(work.most_steps(trial) for trial, _, _ in work.runs(group.trials))
    lanes, lane = lanes.fitted(runs), one_lane(group, work)
    memory = _memory(group, work, lanes, lane, runs, share, exactly)
    while lanes.width > 1 and memory.of(lanes.width) > share.limit:
        lanes = lanes.of_width(lanes.width // 2)
        memory = _memory(group, work, lanes, lane, runs, share, exactly)
    if memory.of(1) > share.limit:
        raise HyperparameterError(
            "sweep",
            f"a single run needs {size(memory.of(1))} of a device, but only {size(share.limit)} may be used "
            f"({share.of:.0%} of {size(share.total)}). Allow more with memory=, or take a smaller batch_size or model.",
        )
    return GroupPlan(
        group, runs, updates, lane, lanes, most_lanes(lanes, memory, share.limit), memory,
        flops_of(group, work) if exactly else None,
    )  # fmt: skip


def _memory(
    group: Group, work: Work, lanes: Lanes, lane: TrainState, runs: int, share: Share, exactly: bool
) -> Memory:  # fmt: skip
    memory = estimate(group, work, lanes, lane)
    each = lanes.capacity(lanes.room(runs, EVERYTHING)) // lanes.mesh.size
    if exactly or memory.of(each) > FAR_FROM_FULL * share.limit:
        memory = measure(group, work, lanes)
    return memory._replace(a_lane=memory.a_lane + twice(lane, lanes))


def flops_of(group: Group, work: Work) -> int:
    """Floating-point operations of one update of one run, loops counted as often as they run."""

    def step(hyperparameters: Any, state: Any, batch: Any) -> Any:
        learner = group.build(hyperparameters)
        return functions(learner, batch_size=work.batch_size, monitor=work.monitor).step(state, batch)

    state = one_lane(group, work)._replace(key=jax.ShapeDtypeStruct((), work.key.dtype))
    return operations(step, group.first, state, one_batch(work))


def share_of(memory: float, lanes: Lanes) -> Share:
    """A share of the memory of each device, of the smallest if they differ."""
    check_number("sweep", "memory", memory, low=0.0, high=1.0, low_open=True)
    return Share(float(memory), min(device_memory(device) for device in lanes.mesh.devices.flat))


def make_plan(trials: list[Trial], groups: list[Group], work: Work, lanes: Lanes, share: Share, exactly: bool) -> Plan:
    """The plan of a sweep."""
    plans = [plan_group(group, work, lanes, share, exactly) for group in groups]
    return Plan(
        len(trials), work.seeds, work.folds, work.steps // work.per_epoch, work.steps, plans,
        nbytes((work.train, work.validation)), share,
    )  # fmt: skip
