"""What was asked of a sweep, as JSON: enough to see what it was, and whether another call goes on with it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from fnnet._version import __version__
from fnnet.data import Dataset
from fnnet.data.identity import facts
from fnnet.recipes import describe
from fnnet.sweeps.drawing import Trial
from fnnet.sweeps.planning import Group, described
from fnnet.sweeps.work import Work
from fnnet.train.files import first_difference
from fnnet.train.identity import code

GROWING = ("trials", "seeds", "epochs")
"""What a later call may ask more of."""


def request(
    learner: Any, groups: Sequence[Group], space: Any, data: Mapping[str, Dataset | None], trials: Sequence[Trial],
    sampler: str, scheduler: Any, work: Work, command: str | None,
) -> dict[str, Any]:  # fmt: skip
    """The arguments of a sweep."""
    if isinstance(space, Mapping):
        written: Any = {name: describe_dimension(value) for name, value in space.items()}
    else:
        rows = space.to_dict("records") if hasattr(space, "to_dict") else space
        written = [{name: describe_dimension(value) for name, value in row.items()} for row in rows]
    return {
        "learner": getattr(getattr(learner, "func", learner), "__qualname__", type(learner).__name__),
        "learner's code": code(learner),
        "structures": [described(group) for group in groups],
        "space": written,
        "trials": len(trials),
        "drawn": [_digest(trial) for trial in trials],
        "seeds": work.seeds,
        "folds": work.folds,
        "epochs": work.steps // work.per_epoch,
        "batch_size": work.batch_size,
        "updates_an_epoch": work.per_epoch,
        "sampler": sampler,
        "scheduler": None if scheduler is None else describe(scheduler),
        "share": list(work.share),
        "evaluate_every": work.period,
        "early_stopping": None if work.stopping is None else [float(number) for number in work.stopping],
        "monitor": {"name": work.monitor.name, "maximize": work.monitor.maximize},
        "key": np.asarray(jax.random.key_data(work.key)).ravel().tolist(),
        "data": {name: facts(dataset) for name, dataset in data.items() if dataset is not None},
        "versions": {"fnnet": __version__, "jax": jax.__version__, "python": platform.python_version()},
        "command": command,
    }


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Why a call does not go on with a sweep, in words; empty if it does.

    It may ask for more trials, seeds and epochs, unless a scheduler's decisions or a Latin hypercube depend on how
    many there are.
    """
    grown = dict(before)
    for name in GROWING:
        if name not in before or now[name] == before[name]:
            continue
        if now[name] < before[name]:
            return f"it has {before[name]} {name} and now {now[name]} are asked for, but a sweep can only grow"
        if now["scheduler"] is not None:
            return f"its {name} were {before[name]} and now are {now[name]}, by which its scheduler decides otherwise"
        if name == "trials" and now["sampler"] == "latin" and isinstance(now["space"], dict):
            return (
                f"its trials were {before[name]} and now are {now[name]}, and a Latin hypercube of another size has "
                f"other points; 'sobol' and 'random' grow"
            )
        if name == "epochs" and before["epochs"] * before["updates_an_epoch"] % before["evaluate_every"]:
            return f"its epochs were {before[name]}, which does not end with an evaluation, so that they cannot go on"
        grown[name] = now[name]
    # More trials may have structures that were not there before, and explicit ones are listed.
    for name in ("structures", "space", "drawn"):
        if isinstance(before.get(name), list) and before[name] == now[name][: len(before[name])]:
            grown[name] = now[name]
    return first_difference(grown, now, ignored=("versions", "command"))


def _digest(trial: Trial) -> str:
    """A trial's hyperparameters in short."""
    text = ", ".join(f"{name}={describe(value)}" for name, value in trial.values.items())
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def describe_dimension(value: Any) -> str:
    """A dimension or constant as the call that makes it."""
    return repr(value) if hasattr(value, "enumerated") else describe(value)
