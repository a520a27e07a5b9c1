"""The house of design §2: floors, what a package's front door may hold, and what is never imported."""

import ast
import importlib
import inspect
import pathlib
import subprocess
import sys
import types

import pytest

import fnnet

ROOT = pathlib.Path(fnnet.__file__).parent
FLOORS = {
    **dict.fromkeys(["types", "trees", "errors", "recipes", "calling", "draws", "precision", "_version"], 0),
    **dict.fromkeys(["nn", "losses", "metrics", "stats", "optim", "data", "report"], 1),
    **dict.fromkeys(["train", "calculus", "analysis"], 2),
    "sweeps": 3,
    "cli": 4,
}
# The front door of the whole house opens every floor below the command, which goes in by it as a user does.
TOP = FLOORS["cli"]
PEERS = {"optax", "flax", "equinox", "torch", "haiku"}
LATE = ["chex", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn", "typer"]
FILES = sorted(ROOT.rglob("*.py"))
LONGEST = 400


def module_name(path):
    """``fnnet.nn.layers`` for its path; ``fnnet.nn`` for the package's front door."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}
PACKAGES = {name: path for name, path in MODULES.items() if path.name == "__init__.py"}


def imports(path):
    """Every module that a file imports, wherever in the file: ``from a import b`` is ``a.b`` if that is a module."""
    name = module_name(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                base = ".".join([*here[: len(here) - node.level + 1], *filter(None, [base])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in MODULES else base


def room(name):
    """The part of the house in which a module is: ``nn`` for ``fnnet.nn.layers``."""
    return name.split(".")[1] if "." in name else None


@pytest.mark.parametrize("name", sorted({room(name) for name in MODULES} - {None}))
def test_every_room_has_a_floor(name):
    assert name in FLOORS, f"fnnet/{name} has no floor: give it one in FLOORS and in the design"


@pytest.mark.parametrize("name", [name for name in MODULES if room(name)])
def test_a_floor_imports_from_its_own_and_those_below(name):
    found = {imported for imported in imports(MODULES[name]) if imported.split(".")[0] == "fnnet"}
    above = {imported for imported in found if FLOORS.get(room(imported), TOP) > FLOORS[room(name)]}
    assert not above, f"{name} is on floor {FLOORS[room(name)]} and imports {above}"


@pytest.mark.parametrize("name", MODULES)
def test_no_module_imports_a_peer(name):
    assert not PEERS & {imported.split(".")[0] for imported in imports(MODULES[name])}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_front_door_only_exports_again(name):
    body = ast.parse(PACKAGES[name].read_text()).body
    assert isinstance(body[0], ast.Expr), f"{name} has no docstring"
    for node in body[1:]:
        names_all = isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["__all__"]
        assert isinstance(node, ast.Import | ast.ImportFrom) or names_all, f"{name}: {ast.unparse(node)}"


@pytest.mark.parametrize("name", PACKAGES)
def test_no_module_shares_its_name_with_what_its_package_exports(name):
    package = importlib.import_module(name)
    inside = {other.rsplit(".", 1)[1] for other in MODULES if other.rpartition(".")[0] == name}
    for exported in set(package.__all__) & inside:
        assert isinstance(getattr(package, exported), types.ModuleType), f"{name}.{exported} hides a module"


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_is_there_and_has_a_docstring(name):
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert list(exported) == sorted(set(exported))
    for public in exported:
        thing = getattr(module, public)
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__.startswith("fnnet"):
            documented = inspect.getdoc(thing)
            # A NamedTuple or a dataclass without a docstring is given its signature for one.
            assert documented, f"{name}.{public} has no docstring"
            assert not documented.startswith(f"{public}("), f"{name}.{public} has no docstring"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_front_door_says_what_it_exports(name):
    assert importlib.import_module(name).__all__


@pytest.mark.parametrize("name", MODULES)
def test_a_file_is_one_idea_and_not_a_long_one(name):
    lines = len(MODULES[name].read_text().splitlines())
    assert lines <= LONGEST, f"{name} has {lines} lines"


def test_importing_fnnet_imports_nothing_that_is_slow_or_optional():
    """In a process of its own, since this one has imported them all."""
    said = f"import sys, fnnet; print([name for name in {LATE} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    assert found.stdout.strip() == "[]"
