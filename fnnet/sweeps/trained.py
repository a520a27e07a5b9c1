"""How a sweep was trained: what its results are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.sweeps.book import Book, Part, RunId, gathered
from fnnet.sweeps.drawing import Trial
from fnnet.sweeps.generations import Generation
from fnnet.sweeps.lanes import Lanes, Placement
from fnnet.sweeps.planning import GroupKey, narrowed
from fnnet.sweeps.plans import Plan
from fnnet.sweeps.programs import group_programs
from fnnet.sweeps.work import Work
from fnnet.train.history import History
from fnnet.train.run import Run
from fnnet.train.state import FINISHED, PRUNED, RUNNING

AT_ONCE = 256
"""Runs that predict at once, so that their outputs are not all on a device."""


class Trained(NamedTuple):
    """How a sweep was trained: what it takes to train a run again, and what it cost.

    ``keys`` has the structure of each trial, ``lanes`` how those of one structure were computed, ``costs`` is by
    structure in words, ``over`` says whether it was not interrupted, ``again`` trains a run from the start.
    """

    work: Work
    book: Book
    plan: Plan
    keys: list[GroupKey]
    lanes: dict[GroupKey, Lanes]
    costs: dict[str, dict[str, Any]]
    past: list[Generation]
    scheduled: bool
    over: bool
    input_spec: jax.ShapeDtypeStruct
    again: Callable[[RunId], tuple[Part, int]]

    def status(self, run: RunId) -> int:
        """The code of a run, in view of all that was asked for."""
        code = self.book.status(run) if run in self.book else RUNNING
        if code in (RUNNING, FINISHED) and self.book.step(run) < self.work.most_steps(run[0]):
            return PRUNED if self.scheduled and self.over else RUNNING
        return code


def run_of(trained: Trained, trials: Sequence[Trial], run: RunId) -> Run:
    """A run that was begun, as `fit` would have returned it; what was let go is trained again."""
    book, work = trained.book, trained.work
    found = book.find(run)
    part, lane = found if found[0].kept else trained.again(run)
    state = jax.tree.map(lambda leaf: jax.device_put(leaf[lane], jax.local_devices()[0]), part.load())
    state = state._replace(status=jnp.int32(trained.status(run)), key=work.keys([run])[0])
    curves = {name: book.curve(run, name) for name in book.names()}
    steps = np.minimum(np.arange(1, book.evaluations(run) + 1) * work.period, int(state.step))
    return Run(
        build=trained.keys[run[0]][0],
        hyperparameters=dict(trials[run[0]].traced),
        state=state,
        history=History(curves, steps),
        monitor=work.monitor,
        input_spec=trained.input_spec,
        batch_size=work.batch_size,
        seconds=book.seconds(run),
    )


def states(trained: Trained, runs: Sequence[RunId]) -> Any:
    """The states of runs of one structure, stacked, without keys; what was let go is trained again."""
    places = [trained.book.find(run) for run in runs]
    return gathered([p if p[0].kept else trained.again(r) for r, p in zip(runs, places, strict=True)])


def predicted(trained: Trained, trials: Sequence[Trial], runs: Sequence[RunId], inputs: Any) -> dict[RunId, Any]:
    """The outputs of these runs with their best parameters."""
    outputs: dict[RunId, Any] = {}
    for key in dict.fromkeys(trained.keys):
        mine = [run for run in runs if trained.keys[run[0]] == key]
        for some in (mine[i : i + AT_ONCE] for i in range(0, len(mine), AT_ONCE)):
            found = _predicted(trained, trials, key, some, inputs)
            outputs |= {run: jax.tree.map(lambda leaf, i=i: leaf[i], found) for i, run in enumerate(some)}
    return outputs


def _predicted(trained: Trained, trials: Sequence[Trial], key: GroupKey, runs: Sequence[RunId], inputs: Any) -> Any:
    work, (build, names) = trained.work, key
    lanes = trained.lanes.get(key, trained.plan.groups[0].lanes).fitted(len(runs))
    best = states(trained, runs).best
    columns = {name: np.asarray([trials[trial].traced[name] for trial, _, _ in runs]) for name in names}
    columns = {name: narrowed(name, column) for name, column in columns.items()}
    placement = Placement(lanes, len(runs))
    by_lane = placement.put((columns, best.params, best.model_state))
    programs = group_programs(build, work.batch_size, work.monitor, lanes)
    found = programs.predict(placement.active, *by_lane, lanes.place(inputs, lanes=False))
    return jax.tree.map(lambda leaf: np.asarray(leaf)[placement.positions], found)
