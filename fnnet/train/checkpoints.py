"""A run on disk while it is trained: whole states, from which it goes on to the last bit."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet._version import __version__
from fnnet.errors import FileError, FnnetWarning, HyperparameterError
from fnnet.train.every import Every
from fnnet.train.files import first_difference, first_other, read_tensors, write_atomically
from fnnet.train.state import TrainState
from fnnet.trees import flatten_with_names, unflatten_from_names

_NAME = "step-{:012d}.safetensors"


class Saved(NamedTuple):
    """What a checkpoint holds: the state, and the history so far with the step of each row."""

    state: TrainState
    rows: dict[str, np.ndarray]
    steps: np.ndarray
    seconds: float


class Checkpoints:
    """The folder of a run: its last ``keep`` states, each a safetensors file with what it belongs to in the header.

    Of several processes that train together one ``writes``.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        every: Every,
        keep: int,
        belongs: Mapping[str, Any],
        writes: bool = True,
    ) -> None:
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
            raise HyperparameterError("fit", f"keep is {keep!r}, but it has to be a positive integer.")
        self.folder, self.every, self.keep, self.writes = Path(folder), every, keep, writes
        # As it will be read back, so that tuples and lists are one.
        self._belongs = json.loads(json.dumps(belongs))
        self._written = time.monotonic()
        self.best_step = 0
        if self.folder.exists() and not self.folder.is_dir():
            raise FileError("fit", f"checkpoint={str(folder)!r} is a file, but a folder is needed.")

    def files(self) -> list[Path]:
        """The states in the folder, the latest last."""
        return sorted(self.folder.glob("step-*.safetensors"))

    def limit(self, done: int) -> int:
        """The steps until the next state is due, if that is counted in steps."""
        return 2**31 - 1 if self.every.steps is None else self.every.steps - done % self.every.steps

    def due(self, done: int) -> bool:
        """Whether it is time to write."""
        if self.every.steps is not None:
            return done % self.every.steps == 0
        return time.monotonic() - self._written >= (self.every.seconds or 0.0)

    def write(self, saved: Saved) -> None:
        """Writes a state, and deletes those that are too many."""
        from safetensors.numpy import save as to_bytes

        self._written = time.monotonic()
        if not self.writes:
            return
        named = flatten_with_names({"state": _without_key(saved.state), "history": saved.rows, "steps": saved.steps})
        tensors = {name: np.asarray(leaf, order="C") for name, leaf in named.items()}
        header = {
            "fnnet": __version__,
            "belongs": self._belongs,
            "key": str(jax.random.key_impl(saved.state.key)),
            "seconds": saved.seconds,
        }
        path = self.folder / _NAME.format(int(saved.state.step))
        write_atomically(path, to_bytes(tensors, {name: json.dumps(value) for name, value in header.items()}))
        for old in [file for file in self.files() if file != path][: -self.keep + 1 or None]:
            old.unlink(missing_ok=True)

    def latest(self, like: TrainState) -> Saved | None:
        """The latest state that can be read, or None where there is none.

        Raises:
            FileError: it belongs to another learner or to other data; the first difference is named. Or there are
                states and none can be read.
        """
        for half in self.folder.glob(".*.safetensors.*") if self.writes else ():  # cut off when the process was killed
            half.unlink(missing_ok=True)
        files = self.files()
        for path in reversed(files):
            try:
                tensors, facts = read_tensors("fit", path)
            except FileError as error:
                warnings.warn(f"fit: {error.sentence} The state before it is taken.", FnnetWarning, stacklevel=4)
                continue
            return self._restored(path, tensors, facts, like)
        if files:
            raise FileError("fit", f"none of the {len(files)} states in {self.folder} can be read. Delete the folder.")
        return None

    def found(self, like: TrainState, resume: bool) -> Saved | None:
        """The state to go on with, if one is to be; else there must be none, with which a new run would mix its own."""
        if resume:
            return self.latest(like)
        if self.files():
            raise FileError(
                "fit",
                f"{self.folder} holds the states of a run. Go on with it by resume=True, or choose another folder.",
            )
        return None

    def _restored(self, path: Path, tensors: Mapping[str, Any], facts: Mapping[str, Any], like: TrainState) -> Saved:
        if not {"belongs", "key", "seconds"} <= facts.keys() or "steps" not in tensors:
            raise FileError("fit", f"{path} is safetensors, but not a state that fnnet wrote. Choose another folder.")
        difference = first_difference(facts["belongs"], self._belongs)
        if difference:
            raise FileError("fit", f"{path} belongs to another run: {difference}. Choose another checkpoint=.")
        structure = {"state": _without_key(like)}
        saved = {name: value for name, value in tensors.items() if name.startswith("state/")}
        if other := first_other(saved, flatten_with_names(structure)):
            name, there, right = other
            raise FileError("fit", f"{path} has {there} at {name}, where the run has {right}.")
        # Put there and not converted, which would compile a program for each shape.
        arrays = {name: jax.device_put(value) for name, value in saved.items()}
        state = unflatten_from_names(structure, arrays)["state"]
        key = jax.random.wrap_key_data(state.key, impl=facts["key"])
        rows = {name.removeprefix("history/"): v for name, v in tensors.items() if name.startswith("history/")}
        return Saved(state._replace(key=key), rows, tensors["steps"], facts["seconds"])


def _without_key(state: TrainState) -> TrainState:
    """The state with the words of its key, which files can hold, in place of the key."""
    words = jax.random.key_data
    abstract = isinstance(state.key, jax.ShapeDtypeStruct)
    return state._replace(key=jax.eval_shape(words, state.key) if abstract else words(state.key))
