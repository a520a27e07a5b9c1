"""Writes `docs/experiments.md`: what each experiment claims, its figures, and what was seen.

The claim is the docstring of the experiment, the figures are those in `docs/images`, and what was seen stands in the
JSON beside them: all of them left there by ``python -m experiments --all --figures docs/images``. Measurements that
were made once are in `docs/measured`.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
TITLES = {
    "fashion_mnist": "Fashion-MNIST",
    "gabor_model": "The Gabor model",
    "mnist1d_baselines": "MNIST-1D",
    "newton": "Newton's method",
    "q_learning": "Q-learning",
}
HEAD = """# Experiments: what the lectures claim and what was seen

`python -m experiments` lists the experiments. Each is one file and one command, leaves figures and a JSON, and says
whether its claim was seen, as its exit code does. Figures and numbers of this page are made by one command; then
`python docs/make_experiments.py` writes the page:

```sh
python -m experiments --all --figures docs/images
```

The tables of measurements were made on a virtual machine with two cores of an AMD EPYC, 23 GiB of memory and no
accelerator, while other work ran on it, with Python 3.11.7, jax and jaxlib 0.10.2 and NumPy 2.4.6. Seconds include
compiling. ± is the standard deviation over seeds, which share data and split and differ in initialisation, order and
dropout.
"""


def docstrings() -> dict[str, str]:
    """The docstring of each experiment, by its name."""
    files = (path for path in (DOCS.parent / "experiments").glob("*.py") if not path.name.startswith("_"))
    return {p.stem: ast.get_docstring(ast.parse(p.read_text())) or "" for p in sorted(files) if p.stem != "running"}


def figures(name: str) -> list[Path]:
    """The figures of an experiment that are there: those that its source names, each with its film if it has one."""
    source = (DOCS.parent / "experiments" / f"{name}.py").read_text()
    stems = dict.fromkeys(re.findall(r"\b(\w+)\.png\"", source))
    paths = [IMAGES / f"{stem}{suffix}" for stem in stems for suffix in (".png", ".gif")]
    return [path for path in paths if path.exists()]


def record(name: str) -> dict[str, Any] | None:
    """The numbers that an experiment left, if it has run."""
    path = IMAGES / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def rows(name: str) -> list[str]:
    """The ids of the rows of the map of the lectures that name an experiment."""
    lines = (DOCS / "lectures.md").read_text().splitlines()
    named = [line for line in lines if f"`experiments/{name}.py`" in line or f"images/{name}" in line]
    return list(dict.fromkeys(re.findall(r"^\| ([A-G]\d+) ", "\n".join(named), re.MULTILINE)))


def said(found: dict[str, Any] | None) -> str:
    """What was seen, in the experiment's words."""
    if found is None:
        return "It has not been run for this page."
    version = "" if found["version"] == "default" else f", {found['version']} version"
    circumstances = f"{found['seconds']:.0f} s on {len(found['devices'])} × {found['devices'][0]}{version}"
    return f"**{'Seen' if found['seen'] else 'Not seen'}** ({circumstances}): {found['words']}"


def section(name: str, docstring: str) -> str:
    """The part of the page about one experiment."""
    first, _, rest = docstring.partition("\n\n")
    shown = ", ".join(f"[{row}](lectures.md#{row})" for row in rows(name))
    parts = [f"## {TITLES.get(name, name.replace('_', ' ').capitalize())} {{ #{name} }}"]
    parts.append(f"**{' '.join(first.split())}** `python -m experiments.{name}`" + (f"; rows {shown}" if shown else ""))
    parts.append(said(record(name)))
    for path in figures(name):
        parts.append(f"![What {name} has drawn: {path.stem.replace('_', ' ')}](images/{path.name}){{ loading=lazy }}")
    parts.append(rest)
    measured = DOCS / "measured" / f"{name}.md"
    if measured.exists():
        parts.append(f"### Measured {{ #{name}-measured }}\n\n{measured.read_text()}")
    return "\n\n".join(part.strip() for part in parts if part.strip())


def page() -> str:
    """The page."""
    found = docstrings()
    lines = ["| experiment | what it shows | seen |", "|---|---|---|"]
    for name, text in found.items():
        outcome = record(name)
        seen = "" if outcome is None else "yes" if outcome["seen"] else "no"
        first = " ".join(text.partition("\n\n")[0].split()).replace("|", r"\|")
        lines.append(f"| [{name}](#{name}) | {first} | {seen} |")
    parts = [HEAD.strip(), "\n".join(lines), *(section(name, text) for name, text in found.items())]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    target = DOCS / "experiments.md"
    target.write_text(page())
    sys.stdout.write(f"wrote {target}\n")
