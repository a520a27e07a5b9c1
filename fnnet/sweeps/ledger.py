"""The folder of a sweep: what was asked for, and what came of it, in files that need no fnnet to read."""

from __future__ import annotations

import io
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fnnet._version import __version__
from fnnet.data.identity import facts
from fnnet.errors import FileError
from fnnet.recipes import describe
from fnnet.sweeps.planning import described
from fnnet.sweeps.results import Sweep
from fnnet.train.files import first_difference, write_atomically

ASKED = "asked.json"


class Ledger:
    """A folder that belongs to one sweep: the same call may write it again, another may not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, out: str | os.PathLike[str] | None, **asked: Any) -> Ledger | None:
        """Writes what is asked for, before anything is computed; refuses a folder that holds another sweep."""
        if out is None:
            return None
        folder = Path(out)
        if folder.exists() and not folder.is_dir():
            raise FileError("sweep", f"out={str(folder)!r} is a file, but a folder is needed.")
        request = _request(asked)
        path = folder / ASKED
        if not path.exists() and folder.is_dir() and any(folder.iterdir()):
            raise FileError(
                "sweep",
                f"{folder} holds files that are no sweep's, and nothing is overwritten. Choose another out=.",
            )
        if path.exists():
            try:
                before = json.loads(path.read_text())
            except ValueError:
                before = {}
            difference = first_difference(before, request, ignored=("versions",))
            if difference:
                raise FileError(
                    "sweep",
                    f"{folder} holds another sweep: {difference}. Choose another out=, or delete the folder.",
                )
        write_atomically(path, (json.dumps(request, indent=2) + "\n").encode())
        return cls(folder)

    def write(self, sweep: Sweep) -> None:
        """Writes table, histories and the best model."""
        table = sweep.table
        write_atomically(self.folder / "table.parquet", _parquet(table))
        write_atomically(self.folder / "table.csv", table.to_csv(index=False).encode())
        write_atomically(self.folder / "history.parquet", _parquet(_tidy(sweep)))
        best = sweep.best
        if np.isfinite(best[sweep.monitor]):
            sweep.run(best["trial"], best["seed"], best.get("fold", 0)).save(self.folder / "best.safetensors")


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


def _request(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a sweep as JSON: enough to see what it was, and whether another call is the same."""
    space, function = asked["space"], asked["learner"]
    if isinstance(space, Mapping):
        written: Any = {name: describe_dimension(value) for name, value in space.items()}
    else:
        rows = space.to_dict("records") if hasattr(space, "to_dict") else space
        written = [{name: describe_dimension(value) for name, value in row.items()} for row in rows]
    data = {name: asked[name] for name in ("train", "validation") if asked[name] is not None}
    return {
        "learner": getattr(getattr(function, "func", function), "__qualname__", type(function).__name__),
        "structures": [described(group) for group in asked["groups"]],
        "space": written,
        **{
            name: asked[name]
            for name in ("trials", "seeds", "folds", "epochs", "batch_size", "sampler", "evaluate_every")
        },
        "early_stopping": asked["early_stopping"] and [float(number) for number in asked["early_stopping"]],
        "monitor": {"name": asked["monitor"].name, "maximize": asked["monitor"].maximize},
        "key": np.asarray(jax.random.key_data(asked["key"])).ravel().tolist(),
        "data": {name: facts(dataset) for name, dataset in data.items()},
        "versions": {"fnnet": __version__, "jax": jax.__version__, "python": platform.python_version()},
    }


def describe_dimension(value: Any) -> str:
    """A dimension or constant as the call that makes it."""
    return repr(value) if hasattr(value, "enumerated") else describe(value)
