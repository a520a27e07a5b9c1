"""The folder of a sweep: every run as far as it has got, and tables that need no fnnet to read."""

from __future__ import annotations

import contextlib
import dataclasses
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
from fnnet.sweeps.costs import Cost
from fnnet.sweeps.generations import Generation
from fnnet.sweeps.request import difference
from fnnet.sweeps.results import Sweep
from fnnet.train.files import first_other, read_tensors, write_atomically
from fnnet.train.state import RUNNING, TrainState
from fnnet.trees import flatten_with_names, unflatten_from_names

ASKED, PARTS, PAST, WIDTHS, COST = "asked.json", "runs", "decisions.json", "widths.json", "cost.json"

FILES = (ASKED, PAST, WIDTHS, COST, "plan.json", "table.parquet", "table.csv", "history.parquet", "best.safetensors")
"""What a sweep writes beside the runs."""

SECONDS = 30.0
"""How often the states of runs in flight are written."""

Like = Callable[[RunId], TrainState]
"""The structure of the states of a run, as `jax.ShapeDtypeStruct`."""


class Ledger:
    """A folder that belongs to one sweep: the same call goes on with it, another may not write there.

    Each file in ``runs`` holds some runs of one structure, as a `Part`. What is newer makes what is older superfluous,
    and is on disk before the older is deleted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written = self._shown = time.monotonic()
        self._showing = 0.0
        self._number = 0
        self._failed = False
        self._lock = _locked(folder)

    @classmethod
    @contextlib.contextmanager
    def open(cls, out: str | os.PathLike[str] | None, asked: Mapping[str, Any]) -> Iterator[Ledger | None]:
        """Writes what is asked for, before anything is computed; refuses a folder that holds another sweep."""
        if out is None:
            yield None
            return
        folder = Path(out)
        if folder.exists() and not folder.is_dir():
            raise FileError("sweep", f"out={str(folder)!r} is a file, but a folder is needed.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ledger = cls(folder)
        except OSError as error:
            raise FileError("sweep", f"out={str(folder)!r} cannot be written: {error.strerror or error}.") from error
        try:
            path = folder / ASKED
            for half in (half for name in FILES for half in folder.glob(f".{name}.*")):  # cut off by a kill
                half.unlink(missing_ok=True)
            if not path.exists() and any(folder.iterdir()):
                raise FileError(
                    "sweep",
                    f"{folder} holds files that are no sweep's, and nothing is overwritten. Choose another out=.",
                )
            if path.exists():
                before = _read_json(path, dict)
                if before is None:
                    raise FileError(
                        "sweep",
                        f"{path} is damaged, so it is not known what the folder holds. Choose another out=, or delete "
                        f"the folder.",
                    )
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
                self._number = max(self._number, int(path.stem))
                tensors, facts = read_tensors("sweep", path)
                part = _part(tensors, facts)
            except (FileError, KeyError, TypeError, ValueError) as error:
                warnings.warn(
                    f"sweep: {path} cannot be read ({error}). Its runs are trained again.", FnnetWarning, stacklevel=5
                )
                continue
            part.read, part.path = _reader(path, functools.partial(like, part.runs[0])), path
            found.append(part)
        return found

    def past(self) -> list[Generation]:
        """What the scheduler decided before, and what came of it."""
        return [Generation.of(facts) for facts in _read_json(self.folder / PAST, list) or []]

    def note_past(self, past: Sequence[Generation]) -> None:
        """Writes down what was decided, and what came of it, by which the next decision is made."""
        self._keep(self.folder / PAST, _json([generation.record() for generation in past]))

    def costs(self) -> dict[str, dict[str, Any]]:
        """What earlier calls have spent, by structure."""
        rows = _read_json(self.folder / COST, list) or []
        known = {field.name for field in dataclasses.fields(Cost)}
        return {row.pop("structure"): row for row in rows if {"structure", *known} <= set(row)}

    def width(self, label: str) -> int | None:
        """The width that was found the best for a structure, so that what goes on is computed as it was."""
        return (_read_json(self.folder / WIDTHS, dict) or {}).get(label)

    def note_width(self, label: str, width: int) -> None:
        """Writes it down."""
        known = _read_json(self.folder / WIDTHS, dict) or {}
        self._keep(self.folder / WIDTHS, _json(known | {label: width}))

    def due(self) -> bool:
        """Whether it is time to write what is in flight."""
        return time.monotonic() - self._written >= SECONDS

    def write(self, part: Part, replaced: Sequence[Part]) -> None:
        """Writes runs, and deletes what they make superfluous. States that are soon needed again stay in memory."""
        self._written = time.monotonic()
        if part.states is None:
            return
        self._number += 1
        path = self.folder / PARTS / f"{self._number:08d}.safetensors"
        if not self._keep(path, _bytes(part)):
            return
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), part.states)
        part.read, part.path = _reader(path, lambda: like), path
        if not (part.status == RUNNING).any():
            part.states = None
        for old in replaced:
            if old.path is not None:
                old.path.unlink(missing_ok=True)

    def _keep(self, path: Path, content: bytes) -> bool:
        """Writes a file, and says whether it could: a full disk must not take the finished runs along."""
        try:
            write_atomically(path, content)
        except OSError as error:
            if not self._failed:
                self._failed = True
                warnings.warn(f"sweep: {path} could not be written: {error}", FnnetWarning, stacklevel=3)
            return False
        return True

    def tables_due(self) -> bool:
        """Whether it is time for tables of what there is: seldom enough to take a hundredth of the time."""
        return time.monotonic() - self._shown >= max(SECONDS, 100 * self._showing)

    def write_tables(self, sweep: Sweep) -> None:
        """Writes tables of what there is, so that a sweep can be looked at while it runs, and after a kill."""
        self._shown, table = time.monotonic(), sweep.table
        self._keep(self.folder / "table.parquet", _parquet(table))
        self._keep(self.folder / "table.csv", table.to_csv(index=False).encode())
        self._keep(self.folder / "history.parquet", _parquet(_tidy(sweep)))
        self._keep(self.folder / "plan.json", _json(sweep.plan.facts()))
        self._showing = time.monotonic() - self._shown

    def finish(self, sweep: Sweep) -> None:
        """Writes tables, the best model, and what was spent."""
        self.write_tables(sweep)
        self._keep(self.folder / COST, _json([{"structure": name, **row} for name, row in sweep.costs.items()]))
        try:
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

    named = flatten_with_names({"state": part.states, "rows": part.rows, "seconds": part.seconds, "since": part.since})
    tensors = {name: np.ascontiguousarray(leaf) for name, leaf in named.items()}
    header = {"fnnet": __version__, "runs": part.runs, "generation": part.generation}
    return save(tensors, {name: json.dumps(value) for name, value in header.items()})


def _part(tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> Part:
    rows = {name.removeprefix("rows/"): values for name, values in tensors.items() if name.startswith("rows/")}
    runs = [(trial, seed, fold) for trial, seed, fold in facts["runs"]]
    status, step = tensors["state/status"], tensors["state/step"]
    return Part(runs, status, step, tensors["seconds"], rows, tensors["since"], int(facts["generation"]))


def _reader(path: Path, like: Callable[[], TrainState]) -> Callable[[], TrainState]:
    def read() -> TrainState:
        tensors, _ = read_tensors("sweep", path)
        structure = {"state": like()}
        saved = {name: values[0] for name, values in tensors.items() if name.startswith("state/")}
        if other := first_other(saved, flatten_with_names(structure)):
            name, there, right = other
            raise FileError("sweep", f"{path} has {there} at {name} of a run, which has {right}. Choose another out=.")
        return unflatten_from_names(structure, tensors)["state"]

    return read


def _read_json(path: Path, kind: type) -> Any:
    """What a file holds; None if there is none, or something else is in it."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, kind) else None


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _parquet(table: Any) -> bytes:
    buffer = io.BytesIO()
    # A column of several kinds (8, "auto") has no Parquet type; as text it has.
    mixed = [name for name in table if table[name].dtype == object and table[name].map(type).nunique() > 1]
    table.astype(dict.fromkeys(mixed, str)).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _tidy(sweep: Sweep) -> Any:
    """Histories with a row a run and evaluation, without those that a run did not get to."""
    import pandas as pd

    evaluations = sweep.history.epochs
    run = [name for name in ("trial", "seed", "fold") if name in sweep.table]
    steps = sweep.evaluation_steps().ravel()
    epochs = steps / sweep.updates_an_epoch
    columns = {name: np.repeat(sweep.table[name].to_numpy(), evaluations) for name in run} | {
        "epoch": epochs.astype(int) if (epochs % 1 == 0).all() else epochs,
        "step": steps,
    }
    scores = {name: values.ravel() for name, values in sweep.history.items()}
    return pd.DataFrame({**columns, **scores}).dropna(subset=list(scores), how="all")


def lost(ledger: Ledger | None) -> FileError:
    """What is said when states are gone that others were taken from."""
    where = ledger.folder if ledger else "the folder"
    return FileError(
        "sweep",
        f"{where} lacks states of runs from which others went on, so that these cannot be trained again. Delete the "
        f"folder, or choose another out=.",
    )
