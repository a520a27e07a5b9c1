"""The map of the lectures, the page of the experiments and the reference: what they name is there."""

import importlib
import importlib.util
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import fnnet
from benchmarks import reporting
from experiments.__main__ import experiments

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text() for path in sorted(DOCS.glob("*.md"))}
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGES["lectures.md"].splitlines()
    if re.match(r"\| ([A-G]\d+|–) \|", line)
]
WANTED = {"A": 13, "B": 10, "C": 6, "D": 17, "E": 8, "F": 7, "G": 15}
ROOTS = {"jax": jax, "jnp": jnp, "fnnet": fnnet}


def beside(name):
    """A program of the docs as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def found(name):
    """The object that a page names: of JAX, NumPy's part of it, or fnnet."""
    first, *rest = name.split(".")
    value = ROOTS.get(first) or getattr(fnnet, first)
    for part in rest:
        value = getattr(value, part)
    return value


def test_the_map_has_a_row_for_all_that_the_lectures_have():
    ids = {row[0] for row in ROWS}
    assert ids - {"–"} == {f"{letter}{number + 1}" for letter, count in WANTED.items() for number in range(count)}
    assert all(len(row) == 8 and all(row) for row in ROWS)


def test_every_object_that_the_map_names_imports():
    for row in ROWS:
        codes = re.findall(r"`([^`]+)`", row[4])
        assert codes, row[0]
        for code in codes:
            if code.startswith("experiments/"):
                assert (ROOT / code).exists(), code
            elif "." in code:
                assert found(code) is not None, code


def test_every_test_that_a_page_names_is_there():
    named = {row[0]: re.findall(r"`(tests/[\w/]+\.py)`(?:: (\w+))?", row[5]) for row in ROWS}
    assert all(named.values())
    everywhere = re.findall(r"`(tests/[\w/]+\.py)`(?:: (\w+))?", "\n".join(PAGES.values()))
    assert len(everywhere) > 120
    for path, name in set(everywhere):
        assert name == "" or re.search(rf"def test_{name}\b", (ROOT / path).read_text()), f"{path} has no test_{name}"


def test_every_erratum_has_a_test_that_shows_it():
    table = PAGES["errata.md"].partition("## ")[0]
    lines = [line for line in table.splitlines() if re.match(r"\| (\d{3}|all)", line)]
    assert len(lines) >= 23
    assert all(re.search(r"`tests/[\w/]+\.py`: \w+ \|$", line) for line in lines)


def test_every_figure_is_there_and_every_experiment_has_a_row_and_a_figure():
    shown = {name for page in PAGES.values() for name in re.findall(r"\]\((images/[\w.]+)\)", page)}
    assert [name for name in sorted(shown) if not (DOCS / name).exists()] == []
    for name in experiments():
        assert f"`experiments/{name}.py`" in PAGES["lectures.md"], name
        assert f"images/{name}.png" in shown or any(each.startswith(f"images/{name}_") for each in shown), name


def test_the_lectures_lead_to_their_rows():
    index = PAGES["lectures.md"].partition("## Calculus")[0]
    for lecture in ("000", "001", "002", "003", "004"):
        line = re.search(rf"^\| {lecture} \|.*$", index, re.MULTILINE)[0]
        assert set(re.findall(r"\[(\w+)\]", line)) == {row[0] for row in ROWS if lecture in row[1]}


def test_the_page_of_the_experiments_is_what_its_maker_writes():
    assert PAGES["experiments.md"] == beside("make_experiments").page(), "run: python docs/make_experiments.py"


def test_what_the_experiments_have_seen_is_what_the_page_says():
    maker = beside("make_experiments")
    for name in experiments():
        record = maker.record(name)
        assert record is not None, f"{name} has left no numbers: python -m experiments --all --figures docs/images"
        assert record["seen"] is True
        assert record["words"] in PAGES["experiments.md"]


def test_the_reference_is_what_its_maker_writes():
    pages = beside("make_reference").pages()
    written = {path.name: path.read_text() for path in (DOCS / "reference").glob("*.md")}
    assert written == pages, "run: python docs/make_reference.py"


def test_the_tables_of_performance_are_those_of_the_results():
    assert reporting.page(PAGES["performance.md"]) == PAGES["performance.md"], "run: python -m benchmarks"
    marks = {name: reporting.BEGIN.format(name=name) for name in reporting.names()}
    assert marks
    assert [name for name, mark in marks.items() if mark not in PAGES["performance.md"]] == []


def test_the_reference_covers_every_public_module():
    modules = {f"fnnet.{name}" for name in fnnet.__all__ if type(getattr(fnnet, name)).__name__ == "module"}
    assert modules <= set(beside("make_reference").MODULES)


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text()
    pages = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path.parent.name != "measured"]
    assert [page for page in pages if not re.search(rf"[ :]{re.escape(page)}$", menu, re.MULTILINE)] == []


@pytest.mark.parametrize("text", ["lectures.md", "optimizers.md", "sweeps.md", "scale.md", "design.md", "extend.md"])
def test_names_of_the_library_that_a_page_mentions_are_public(text):
    packages = "nn|losses|metrics|optim|data|calculus|stats|analysis|schedulers|hp|loggers|report|errors|fnnet"
    names = set(re.findall(rf"`((?:{packages})\.[\w.]+)`", PAGES[text]))
    for name in names - {"fnnet.recipes"}:
        assert found(name) is not None, name
