"""What the pages say is so: programs run as they stand, and the reference lists what is public."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = dict(re.findall(r"<!-- program: (\w+) -->\n```python\n(.*?)```", README, re.DOTALL))


def _make_reference():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_page_lists_every_public_name():
    written = (ROOT / "docs" / "reference.md").read_text()
    assert written == _make_reference().reference(), "run: python docs/make_reference.py"


def test_the_reference_covers_every_public_module():
    import fnnet

    modules = {f"fnnet.{name}" for name in fnnet.__all__ if type(getattr(fnnet, name)).__name__ == "module"}
    assert modules <= set(_make_reference().MODULES)


@pytest.mark.slow  # compiles four programs in a process of its own, as a user would
def test_the_two_programs_of_the_readme_run_verbatim(tmp_path):
    assert set(PROGRAMS) == {"sweep", "core"}
    checks = """
assert run.history["validation/accuracy"].shape == (20,)
assert run.predict(test.inputs).shape == (len(test), 10)
assert len(sweep.table) == 192 and set(sweep.table["status"]) == {"finished"}
assert sweep.best["validation/accuracy"] >= 0.97
assert scores["accuracy"] > 0.5
"""
    (tmp_path / "programs.py").write_text(PROGRAMS["sweep"] + PROGRAMS["core"] + checks)
    done = subprocess.run([sys.executable, "-W", "error", "programs.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    left = {path.name for path in [*tmp_path.iterdir(), *(tmp_path / "runs" / "digits").iterdir()]}
    files = {"digits.safetensors", "sweep.png", "table.parquet", "table.csv", "history.parquet"}
    assert left >= files | {"best.safetensors", "asked.json"}


def test_the_readme_has_exactly_two_commands():
    commands = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
    assert len(commands) == 2
    assert commands[0].endswith("fnnet sweep digits")
    assert commands[1].endswith("-m pytest -n 2")


LECTURES = (ROOT / "docs" / "lectures.md").read_text()


def test_every_test_that_the_map_of_the_lectures_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)`(?:: (\w+))?", LECTURES)
    assert len(named) > 50
    for path, name in named:
        assert name == "" or re.search(rf"def test_{name}\b", (ROOT / path).read_text()), f"{path} has no test_{name}"


def test_every_name_that_the_map_of_the_lectures_gives_is_public():
    import fnnet

    names = re.findall(r"`((?:nn|losses|optim|data|calculus|stats|analysis|schedulers|fnnet)\.[\w.]+)`", LECTURES)
    assert len(names) > 60
    for name in names:
        found = fnnet
        for part in name.removeprefix("fnnet.").split("."):
            found = getattr(found, part)
