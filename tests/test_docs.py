"""What the README says is so: its programs run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = dict(re.findall(r"<!-- program: (\w+) -->\n```python\n(.*?)```", README, re.DOTALL))


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
