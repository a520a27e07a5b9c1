"""What changes in training: one pytree of arrays, which can be mapped, sharded, saved and resumed."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from fnnet.trees import tree_branch
from fnnet.types import Array, PyTree

RUNNING, FINISHED, STOPPED_EARLY, DIVERGED, PRUNED, FAILED = range(6)
"""Codes of `TrainState.status`."""

STATUS_NAMES = ("running", "finished", "stopped_early", "diverged", "pruned", "failed")

STATUS_SENTENCES = {
    "running": "not finished: it was interrupted and can go on",
    "finished": "trained for as long as it was asked to",
    "stopped_early": "stopped before its end, as the monitored score no longer improved or a callback asked for it",
    "diverged": "stopped because the loss or the new parameters were not finite; the state is the last finite one",
    "pruned": "stopped by the scheduler in favour of better runs",
    "failed": "stopped by an error",
}


class Best(NamedTuple):
    """The best parameters so far: what they were, how well they did, and when."""

    params: PyTree
    model_state: PyTree
    score: Array
    step: Array


class Stall(NamedTuple):
    """The last score that was an improvement for early stopping, and how many evaluations ago that was."""

    score: Array
    evaluations: Array


class Tally(NamedTuple):
    """What is known of the steps since the last evaluation, so that training may be cut anywhere.

    Sums over their examples, and the norm of the last gradient (of `Training.advance` alone).
    """

    loss: Array
    weight: Array
    gradient_norm: Array


class TrainState(NamedTuple):
    """The state of one run.

    ``params``, ``model_state`` and ``optimizer_state`` belong to the learner; ``best`` is the best so far;
    ``status`` an int32 code; ``step`` the number of updates done, int32; ``key`` the root key, from which every
    draw is folded; ``tally`` what is known of the steps since the last evaluation; ``stall`` what early stopping
    waits for.
    """

    params: PyTree
    model_state: PyTree
    optimizer_state: PyTree
    best: Best
    status: Array
    step: Array
    key: Any
    tally: Tally
    stall: Stall


def settled(before: TrainState, after: TrainState, active: Array, sound: Array) -> TrainState:
    """The state after updates where a run is active and all was finite; else the one before, diverged if active."""
    kept = tree_branch(active & sound, _moving(after), _moving(before))
    return before._replace(**kept, status=jnp.where(active & ~sound, DIVERGED, before.status))


def _moving(state: TrainState) -> dict[str, Any]:
    """The fields that an update changes."""
    return {name: getattr(state, name) for name in ("params", "model_state", "optimizer_state", "step", "tally")}
