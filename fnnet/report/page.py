"""A sweep as one HTML file that needs nothing else: tables, curves and axes that answer to each other."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from fnnet.errors import DataError, FileError
from fnnet.report.embedding import columns, curves, hyperparameters_of
from fnnet.report.runs import circumstances, finding, runs_of_table
from fnnet.report.scales import view_of
from fnnet.report.style import BLUE, GREY, INK, ORANGE, VERMILLION, number, words

WEB = Path(__file__).parent / "web"
SCRIPTS = ("format", "model", "axes", "grid", "filters", "curves", "parallel", "details", "main")
"""The files of the page's program, in the order in which they are put together."""

COLORS = {"blue": BLUE, "orange": ORANGE, "vermillion": VERMILLION, "ink": INK, "grey": GREY}


def write_page(
    table: Any,
    history: Any,
    asked: Mapping[str, Any],
    path: str | PathLike[str],
    *,
    summary: Any = None,
    plan: Mapping[str, Any] | None = None,
    cost: Sequence[Mapping[str, Any]] | None = None,
    tested: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a sweep as one HTML file that opens anywhere, without a network and without a server.

    The page has the finding, a table of all runs, learning curves, parallel coordinates, a summary by trial, and
    what was asked for. A filter, a range marked on an axis and a row that is picked show in all of them.

    Args:
        table: a DataFrame with a row a run: trial, seed, fold if there are folds, hyperparameters, scores with a
            slash in their name, status, epochs and seconds, such as ``sweep.table``.
        history: a DataFrame with a row a run and evaluation: trial, seed, fold, epoch, scores; None leaves the curves
            out.
        asked: what the sweep was asked for, as in its ``asked.json``; ``monitor`` has to have a ``name`` and
            ``maximize``, all else may be missing.
        path: of the file.
        summary: a DataFrame with a row a trial, such as ``sweep.summary()``.
        plan: label to value, what was known before the sweep.
        cost: a mapping a static group, what it cost.
        tested: what came of data that chose nothing: the number of ``rows``, and ``scores`` by name of the model.

    Returns:
        The path of the file.

    Raises:
        DataError: the table has no rows or no column of the monitor, ``asked`` names none, or the history belongs to
            no run.
        FileError: the file cannot be written.
    """
    text = page(table, history, asked, summary=summary, plan=plan, cost=cost, tested=tested)
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError("report", f"cannot write {str(target)!r}: {error.strerror}.") from error
    return target


def page(
    table: Any,
    history: Any,
    asked: Mapping[str, Any],
    *,
    summary: Any = None,
    plan: Mapping[str, Any] | None = None,
    cost: Sequence[Mapping[str, Any]] | None = None,
    tested: Mapping[str, Any] | None = None,
) -> str:
    """The page of `write_page` as text."""
    monitor = asked.get("monitor")
    if not (isinstance(monitor, Mapping) and {"name", "maximize"} <= set(monitor)):
        raise DataError(
            "report", f"asked['monitor'] is {monitor!r}, but it has to say which score chooses: name, maximize."
        )
    runs = runs_of_table("report", table, monitor["name"], bool(monitor["maximize"]))
    names = hyperparameters_of(table, asked)
    # A hyperparameter that only some trials have says nothing of a best run that has none.
    there = table.iloc[runs.best or 0].notna()
    told = [name for name in names if table[name].nunique(dropna=False) > 1 and there[name]]
    view = view_of(runs)
    title = finding(runs, table, told)
    found: dict[str, Any] = {
        "finding": title,
        "circumstances": circumstances(runs, table, asked.get("epochs")) + _on_test_data(tested, table),
        "monitor": {"name": runs.monitor, "maximize": runs.maximize},
        "best": runs.best,
        "view": view and view._asdict(),
        "columns": columns(table, names),
        "history": curves("report", table, history),
        "summary": None if summary is None else columns(summary, names),
        "plan": dict(plan or {}),
        "cost": [dict(row) for row in cost or ()],
        "asked": {name: value for name, value in asked.items() if name not in ("versions", "command")},
        "versions": asked.get("versions") or {},
        "reproduce": asked.get("command") or call_of(asked),
        "colors": COLORS,
    }
    parts = {
        "title": html.escape(title),
        "heading": " ".join(f"<span>{html.escape(part)}</span>" for part in title.split(" ")),
        "style": (WEB / "page.css").read_text(encoding="utf-8"),
        "script": "\n".join((WEB / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS),
        "data": embedded(found),
    }
    frame = (WEB / "page.html").read_text(encoding="utf-8")
    # In one pass: what the data say is never looked at for places of other parts.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], frame)


def _on_test_data(tested: Mapping[str, Any] | None, table: Any) -> str:
    """What the best score is worth: what data say that chose nothing; and whether runs are still on their way."""
    going = int((table["status"] == "running").sum()) if "status" in table else 0
    text = f"; {going} not at their end" if going else ""
    if not tested:
        return text + ". The best of many is chosen by these data, so its score is a little too good."
    said = (f"{name} {_scores(scores)}" for name, scores in tested["scores"].items())
    return f"{text}. On {tested['rows']} test rows, which chose nothing: {'; '.join(said)}."


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{words(name)} {number(value)}" for name, value in scores.items() if name != "loss")


def embedded(value: Any) -> str:
    r"""A value as JSON that may stand in a script element of an HTML page, whatever its strings hold.

    >>> embedded({"note": "</script>", "loss": float("nan")})
    '{"note":"\\u003c/script>","loss":null}'
    """
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), default=str, allow_nan=False)
    # A less-than sign is the only way out of a script element, and can only stand in strings.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _finite(value: Any) -> Any:
    """The value with null where JSON has no number."""
    if isinstance(value, Mapping):
        return {str(name): _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and value - value != 0 else value


def call_of(asked: Mapping[str, Any]) -> str:
    """The call of `fnnet.sweep` that asks for the same, as far as a file can tell.

    >>> print(call_of({"learner": "net", "space": {"width": "static(8)", "depth": "2"}, "trials": 4, "key": [0, 7]}))
    fnnet.sweep(
        net,
        {
            "width": hp.static(8),
            "depth": 2,
        },
        train,
        trials=4,
        key=jax.random.wrap_key_data(jax.numpy.array([0, 7], dtype="uint32")),
    )
    """
    space = asked.get("space")
    if isinstance(space, Mapping):
        dimension = re.compile(r"[a-z_]+\(")
        rows = [f'        "{n}": {"hp." if dimension.match(str(v)) else ""}{v},' for n, v in space.items()]
        written = ["    {", *rows, "    },"] if rows else ["    {},"]
    else:
        written = [f"    points,  # a list of {len(space or ())} points, the hyperparameters of the table"]
    data = "train, validation=validation" if "validation" in (asked.get("data") or {}) else "train"
    options: tuple[str, ...] = ("trials", "seeds", "folds", "epochs", "batch_size", "sampler", "share")
    if not isinstance(space, Mapping):
        options = tuple(name for name in options if name not in ("trials", "sampler"))
    given = [f"    {name}={asked[name]!r}," for name in options if asked.get(name) not in (None, [])]
    if asked.get("each"):
        given.append("    # epochs= was a dimension: each trial had its own, the column epochs of the table")
    if asked.get("monitor"):
        given.append(f"    monitor={asked['monitor']['name']!r},")
    if asked.get("scheduler"):
        made = "fnnet.schedulers." if "(" in asked["scheduler"] else ""  # a function of the user is called by its name
        given.append(f"    scheduler={made}{asked['scheduler']},")
    if asked.get("evaluate_every") not in (None, asked.get("updates_an_epoch")):
        given.append(f'    evaluate_every="{asked["evaluate_every"]} steps",')
    if asked.get("early_stopping"):
        given.append(f"    early_stopping=fnnet.EarlyStopping({', '.join(f'{n:g}' for n in asked['early_stopping'])}),")
    if asked.get("key"):
        given.append(f'    key=jax.random.wrap_key_data(jax.numpy.array({asked["key"]}, dtype="uint32")),')
    learner = str(asked.get("learner", "learner")).rpartition(".")[2]  # as it is called where it is at hand
    return "\n".join(["fnnet.sweep(", f"    {learner},", *written, f"    {data},", *given, ")"])
