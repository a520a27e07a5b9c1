"""Every experiment runs quickly, leaves its figure and its numbers, and sees what it claims."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.__main__ import experiments
from fnnet import data
from fnnet.errors import MissingPackageError

ROOT = Path(__file__).parents[2]


def test_every_experiment_says_in_one_line_what_it_is():
    listed = subprocess.run([sys.executable, "-m", "experiments"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == len(experiments()) >= 1
    assert all(line.endswith(".") for line in experiments().values())


@pytest.mark.exhaustive  # trains for half a minute in a process of its own, as a user would
@pytest.mark.parametrize("name", experiments())
def test_an_experiment_sees_what_it_claims(name, tmp_path):
    if name in data.available():
        try:
            data.load(name)
        except MissingPackageError as error:  # files that pip does not bring
            pytest.skip(str(error))
    command = [sys.executable, "-W", "error::DeprecationWarning", "-m", f"experiments.{name}", "--quick"]
    done = subprocess.run([*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith("seen: ")
    assert json.loads((tmp_path / f"{name}.json").read_text())["seen"] is True
    assert list(tmp_path.glob("*.png"))
