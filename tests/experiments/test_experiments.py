"""Every experiment runs quickly, leaves its figure and its numbers, and sees what it claims."""

import ast
import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from experiments import running
from experiments.__main__ import experiments
from fnnet import data
from fnnet.errors import MissingPackageError

ROOT = Path(__file__).parents[2]


def test_every_experiment_says_in_one_line_what_it_is():
    listed = subprocess.run([sys.executable, "-m", "experiments"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == len(experiments()) >= 1
    assert all(line.endswith(".") for line in experiments().values())


def is_public(module, name):
    """Whether a module of fnnet exports a name, or is a package that has a public module of that name."""
    return not name.startswith("_") and name in getattr(module, "__all__", dir(module))


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")), ids=lambda path: path.stem)
def test_experiments_use_public_names_only(path):
    tree, names = ast.parse(path.read_text()), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name: importlib.import_module(alias.name) for alias in node.names if alias.name == "fnnet"}
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "fnnet":
            module = importlib.import_module(node.module)
            assert all(is_public(module, alias.name) for alias in node.names), ast.unparse(node)
            names |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}

    def value(node):
        if isinstance(node, ast.Name):
            return names.get(node.id)
        inner = value(node.value) if isinstance(node, ast.Attribute) else None
        return getattr(inner, node.attr) if isinstance(inner, types.ModuleType) else None

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(value(node.value), types.ModuleType):
            assert is_public(value(node.value), node.attr), ast.unparse(node)


@pytest.mark.parametrize(
    ("held", "code", "said"), [(True, 0, "seen: 2 of 3\n"), (False, 1, "NOT SEEN: 2 of 3; not seen: the rest\n")]
)
def test_the_last_line_and_the_exit_code_follow_the_claim(held, code, said, tmp_path, capsys, monkeypatch):
    def experiment(options):
        assert (options.quick, options.full, options.seed) == (True, False, 5)
        parts = {"the first": np.True_, "the rest": np.bool_(held)}
        return running.Claim(parts, "2 of 3", {"scores": np.array([0.123456, np.nan]), "ends": (np.inf, {"at": 7})})

    monkeypatch.setattr(sys, "argv", ["", "--quick", "--seed", "5", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        running.main("nothing", "About nothing.", experiment)
    assert ended.value.code == code
    assert capsys.readouterr().out == said
    left = json.loads((tmp_path / "nothing.json").read_text())
    assert (left["seen"], left["parts"]) == (held, {"the first": True, "the rest": held})
    assert (left["version"], left["seed"], left["scores"], left["ends"]) == (
        "quick",
        5,
        [0.1235, None],
        [None, {"at": 7}],
    )


@pytest.mark.exhaustive  # trains for some seconds in a process of its own
@pytest.mark.parametrize("name", experiments())
def test_an_experiment_sees_what_it_claims(name, tmp_path, compiling_less):
    if name in data.available():
        try:
            data.load(name)
        except MissingPackageError as error:  # files that pip does not bring
            pytest.skip(str(error))
    command = [sys.executable, "-W", "error::DeprecationWarning", "-m", f"experiments.{name}", "--quick"]
    command += ["--out", str(tmp_path)]
    environment = compiling_less(1) | {
        "JAX_COMPILATION_CACHE_DIR": os.environ["FNNET_TEST_PROGRAMS"],  # some are needed by all of them
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05",
    }
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith("seen: ")
    assert json.loads((tmp_path / f"{name}.json").read_text())["seen"] is True
    assert list(tmp_path.glob("*.png"))
