"""The folder of a sweep: every run as far as it has got, and tables that need no fnnet to read."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fnnet._version import __version__
from fnnet.errors import FileError, FnnetWarning
from fnnet.sweeps.book import Part, RunId
from fnnet.sweeps.request import difference
from fnnet.sweeps.results import Sweep
from fnnet.train.files import read_tensors, write_atomically
from fnnet.train.state import RUNNING, TrainState
from fnnet.trees import flatten_with_names, unflatten_from_names

ASKED, PARTS = "asked.json", "runs"

SECONDS = 30.0
"""How often the states of runs in flight are written."""

Like = Callable[[RunId], TrainState]
"""The structure of the states of a run, as `jax.ShapeDtypeStruct`."""


class Ledger:
    """A folder that belongs to one sweep: the same call goes on with it, another may not write there.

    Each file in ``runs`` holds some runs of one structure, as a `Part`. What is newer makes what is older superfluous,
    and is on disk before the older is deleted.
    """

    def __init__(self, folder: Path, period: int) -> None:
        self.folder = folder
        self._period = period
        self._written = time.monotonic()
        self._number = 0
        self._failed = False
        self._lock = _locked(folder)

    @classmethod
    @contextlib.contextmanager
    def open(cls, out: str | os.PathLike[str] | None, asked: Mapping[str, Any], period: int) -> Iterator[Ledger | None]:
        """Writes what is asked for, before anything is computed; refuses a folder that holds another sweep."""
        if out is None:
            yield None
            return
        folder = Path(out)
        if folder.exists() and not folder.is_dir():
            raise FileError("sweep", f"out={str(folder)!r} is a file, but a folder is needed.")
        path = folder / ASKED
        if not path.exists() and folder.is_dir() and any(folder.iterdir()):
            raise FileError(
                "sweep",
                f"{folder} holds files that are no sweep's, and nothing is overwritten. Choose another out=.",
            )
        folder.mkdir(parents=True, exist_ok=True)
        ledger = cls(folder, period)
        try:
            if path.exists():
                try:
                    before = json.loads(path.read_text())
                except ValueError:
                    before = {}
                said = difference(before, asked)
                if said:
                    raise FileError(
                        "sweep", f"{folder} holds another sweep: {said}. Choose another out=, or delete the folder."
                    )
            write_atomically(path, _json(asked))
            yield ledger
        finally:
            ledger.close()

    def parts(self, like: Like) -> list[Part]:
        """What was written before, the oldest first."""
        for half in self.folder.glob(f"{PARTS}/.*"):  # cut off when the process was killed
            half.unlink(missing_ok=True)
        found = []
        for path in sorted(self.folder.glob(f"{PARTS}/*.safetensors")):
            try:
                tensors, facts = read_tensors("sweep", path)
                part = _part(tensors, facts)
            except (FileError, KeyError, TypeError, ValueError) as error:
                warnings.warn(
                    f"sweep: {path} cannot be read ({error}). Its runs are trained again.", FnnetWarning, stacklevel=4
                )
                continue
            part.read = _reader(path, functools.partial(like, part.runs[0]))
            part.path = path
            self._number = max(self._number, int(path.stem))
            found.append(part)
        return found

    def due(self) -> bool:
        """Whether it is time to write what is in flight."""
        return time.monotonic() - self._written >= SECONDS

    def write(self, part: Part, replaced: Sequence[Part]) -> None:
        """Writes runs, and deletes what they make superfluous.

        Runs that were interrupted between two evaluations are not written: they begin again at the last one.
        """
        self._written = time.monotonic()
        if part.states is None or ((part.status == RUNNING) & (part.step % self._period != 0)).any():
            return
        self._number += 1
        path = self.folder / PARTS / f"{self._number:08d}.safetensors"
        try:
            write_atomically(path, _bytes(part))
        except OSError as error:  # a full disk must not take the finished runs along
            if not self._failed:
                self._failed = True
                warnings.warn(f"sweep: {path} could not be written: {error}", FnnetWarning, stacklevel=2)
            return
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), part.states)
        part.states, part.read, part.path = None, _reader(path, lambda: like), path
        for old in replaced:
            if old.path is not None:
                old.path.unlink(missing_ok=True)

    def finish(self, sweep: Sweep) -> None:
        """Writes tables, the best model, and what was decided and spent."""
        table = sweep.table
        try:
            write_atomically(self.folder / "table.parquet", _parquet(table))
            write_atomically(self.folder / "table.csv", table.to_csv(index=False).encode())
            write_atomically(self.folder / "history.parquet", _parquet(_tidy(sweep)))
            write_atomically(self.folder / "plan.json", _json(sweep.plan.facts()))
            write_atomically(self.folder / "cost.json", _json(sweep.cost.to_dict("records")))
            if sweep.rungs:
                write_atomically(self.folder / "decisions.json", _json(sweep.rungs))
            best = sweep.best
            if np.isfinite(best[sweep.monitor]):
                sweep.run(best["trial"], best["seed"], best.get("fold", 0)).save(self.folder / "best.safetensors")
        except OSError as error:
            warnings.warn(f"sweep: {self.folder} could not be written: {error}", FnnetWarning, stacklevel=3)

    def close(self) -> None:
        """Lets another process have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(folder: Path) -> int | None:
    """A lock that the system lets go when the process ends, however it does."""
    try:
        import fcntl
    except ImportError:  # no such locks here, so two processes are not told apart
        return None
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise FileError(
            "sweep", f"another process is at work in {folder}. Wait until it ends, or choose another out=."
        ) from error
    except OSError:  # a file system without locks
        os.close(lock)
        return None
    return lock


def _bytes(part: Part) -> bytes:
    from safetensors.numpy import save

    named = flatten_with_names({"state": part.states, "rows": part.rows, "seconds": part.seconds})
    tensors = {name: np.ascontiguousarray(leaf) for name, leaf in named.items()}
    header = {"fnnet": __version__, "runs": part.runs, "generation": part.generation}
    return save(tensors, {name: json.dumps(value) for name, value in header.items()})


def _part(tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> Part:
    rows = {name.removeprefix("rows/"): values for name, values in tensors.items() if name.startswith("rows/")}
    runs = [(trial, seed, fold) for trial, seed, fold in facts["runs"]]
    status, step = tensors["state/status"], tensors["state/step"]
    return Part(runs, status, step, tensors["seconds"], rows, int(facts["generation"]))


def _reader(path: Path, like: Callable[[], TrainState]) -> Callable[[], TrainState]:
    def read() -> TrainState:
        tensors, _ = read_tensors("sweep", path)
        return unflatten_from_names({"state": like()}, tensors)["state"]

    return read


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _parquet(table: Any) -> bytes:
    buffer = io.BytesIO()
    # A column of several kinds (8, "auto") has no Parquet type; as text it has.
    mixed = [name for name in table if table[name].dtype == object and table[name].map(type).nunique() > 1]
    table.astype(dict.fromkeys(mixed, str)).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _tidy(sweep: Sweep) -> Any:
    """Histories with a row a run and epoch, without the epochs that a run did not get to."""
    import pandas as pd

    runs, epochs = len(sweep.table), sweep.history.epochs
    run = [name for name in ("trial", "seed", "fold") if name in sweep.table]
    columns = {name: np.repeat(sweep.table[name].to_numpy(), epochs) for name in run} | {
        "epoch": np.tile(np.arange(1, epochs + 1), runs),
    }
    scores = {name: values.ravel() for name, values in sweep.history.items()}
    return pd.DataFrame({**columns, **scores}).dropna(subset=list(scores), how="all")
