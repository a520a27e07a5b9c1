"""When to stop: the monitored score no longer improves."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from fnnet.errors import StructureError, check_number
from fnnet.train.learner import Monitor
from fnnet.train.state import RUNNING, STOPPED_EARLY, TrainState
from fnnet.trees import tree_where
from fnnet.types import Array, Integer, Scalar


class EarlyStopping(NamedTuple):
    """Stops a run whose monitored score has not improved for ``patience`` evaluations.

    An evaluation improves if its score is better than the last that improved by more than ``min_change``:
    s < s* − δ, or s > s* + δ where more is better. The score and its direction are those of ``monitor=``.

    Args:
        patience: p ≥ 1, evaluations without improvement after which a run stops; may be traced.
        min_change: δ ≥ 0; may be traced.

    Source: lecture 000, early stopping.

    >>> import jax, fnnet
    >>> from fnnet import data, losses, nn, optim
    >>> train, test = data.split(data.load("iris"), fraction=0.2, key=jax.random.key(0))
    >>> learner = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.sgd(0.1))
    >>> run = fnnet.fit(
    ...     learner, train, validation=test, epochs=200, key=jax.random.key(1), progress=False,
    ...     early_stopping=fnnet.EarlyStopping(patience=3, min_change=0.1),
    ... )
    >>> run.status, run.history.epochs < 200
    ('stopped_early', True)
    """

    patience: Integer
    min_change: Scalar = 0.0


def check_early_stopping(where: str, wanted: Any) -> EarlyStopping | None:
    """The rule that an argument means: a number alone is the patience."""
    if wanted is None:
        return None
    name = "patience"
    if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
        name, wanted = "early_stopping", EarlyStopping(int(wanted))
    if not isinstance(wanted, EarlyStopping):
        raise StructureError(
            where,
            f"early_stopping is {wanted!r}, but a number of evaluations or fnnet.EarlyStopping(patience=…) is needed.",
        )
    check_number(where, name, wanted.patience, low=1)
    check_number(where, "min_change", wanted.min_change, low=0.0)
    return wanted


def watched(state: TrainState, now: Array, monitor: Monitor, rule: EarlyStopping) -> TrainState:
    """The state after an evaluation with the score ``now``: stopped, if it has not improved for too long."""
    running = state.status == RUNNING
    margin = jnp.asarray(rule.min_change, now.dtype)
    bar = state.stall.score + (margin if monitor.maximize else -margin)
    count = jnp.where(monitor.better(now, bar), 0, state.stall.evaluations + 1)
    score = jnp.where(count == 0, now, state.stall.score)
    stall = tree_where(running, state.stall._replace(score=score, evaluations=count), state.stall)
    out_of_patience = running & (count.astype(now.dtype) >= jnp.asarray(rule.patience, now.dtype))
    return state._replace(stall=stall, status=jnp.where(out_of_patience, STOPPED_EARLY, state.status))
