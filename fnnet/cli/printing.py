"""What the command prints, and the folder it writes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def aligned(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table of plain text: names above, numbers to the right, words to the left.

    >>> print(aligned([{"trial": 3, "activation": "relu"}, {"trial": 12, "activation": "tanh"}]))
    trial  activation
        3  relu
       12  tanh
    """
    from fnnet.report.style import number

    names = list(rows[0])
    cells = {name: [number(row[name], digits=4) for row in rows] for name in names}
    right = {name: not any(isinstance(row[name], str) for row in rows) for name in names}
    widths = {name: max(len(name), *map(len, cells[name])) for name in names}

    def line(texts: Mapping[str, str]) -> str:
        padded = [texts[n].rjust(widths[n]) if right[n] else texts[n].ljust(widths[n]) for n in names]
        return "  ".join(padded).rstrip()

    body = [line({name: cells[name][index] for name in names}) for index in range(len(rows))]
    return "\n".join([line({name: name for name in names}), *body])


def best_rows(sweep: Any, count: int) -> str:
    """The best runs of a sweep as a table; the status is shown where it says something."""
    top = sweep.top(count)
    validation = [name for name in top if name.startswith("validation/") and name != sweep.monitor]
    names = ["trial", "seed", *sweep.hyperparameters, sweep.monitor, *validation]
    if (top["status"] != "finished").any():
        names.append("status")
    return aligned(top[names].to_dict("records"))


def scores(evaluated: Mapping[str, float]) -> str:
    """Scores in one line, the loss last: ``accuracy 0.975, loss 0.08``."""
    from fnnet.report.style import number, words

    ordered = sorted(evaluated, key=lambda name: name == "loss")
    return ", ".join(f"{words(name)} {number(evaluated[name])}" for name in ordered)


def described(parts: Any) -> str:
    """One line on the data: rows, inputs, what is predicted, and how the rows were divided."""
    import numpy as np

    train, validation, test, published = parts
    about = train.about
    features = int(np.prod(np.shape(train.inputs)[1:]))
    if np.issubdtype(np.asarray(train.targets).dtype, np.integer):
        count = len(about.classes) if about.classes else int(np.max(train.targets)) + 1
        target = f"{count} classes"
    else:
        outputs = np.shape(train.targets)[-1]
        target = "a number" if outputs == 1 else f"{outputs} numbers"
    if about.target:
        target += f" ({about.target})"
    rows = len(train) + len(validation) + len(test)
    divided = f"{len(train)} to train, {len(validation)} to choose, {len(test)} to test"
    if published:
        divided += ", the test part that the data come with"
    return f"{about.name or 'data'}: {rows} rows ({divided}), {features} inputs, {target}."


def output_folder(out: Path | None, name: str, resumable: str | None = None) -> Path:
    """Where to write: the folder asked for, if nothing is in it; else a new one, ``runs/NAME`` or ``runs/NAME-2``.

    A folder that has the file ``resumable`` may be asked for again.

    Raises:
        FileError: the folder asked for is a file or holds files.
    """
    from fnnet.errors import FileError

    if out is None:
        first = Path("runs") / name
        count, folder = 1, first
        while folder.exists() and not _is_empty(folder):
            count += 1
            folder = first.with_name(f"{name}-{count}")
        return folder
    if out.exists() and not _is_empty(out) and not (resumable and (out / resumable).exists()):
        what = "is a file" if out.is_file() else "already holds files"
        raise FileError("--out", f"{str(out)!r} {what}, and nothing is overwritten. Name a folder that is new.")
    return out


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def duration(seconds: float) -> str:
    """``43 s`` or ``2 min 5 s``.

    >>> duration(43.2), duration(125)
    ('43 s', '2 min 5 s')
    """
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
