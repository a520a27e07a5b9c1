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
    **dict.fromkeys(["types", "trees", "errors", "recipes", "calling", "draws", "precision", "lazy", "_version"], 0),
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
LAZY = {name: path.with_suffix(".pyi") for name, path in PACKAGES.items() if path.with_suffix(".pyi").exists()}
DOORS = PACKAGES | LAZY
"""What a package exports; of one that is lazy, as the house itself is, it stands in the stub."""


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
    assert importlib.import_module(name).__doc__, f"{name} has no docstring"
    for node in ast.parse(DOORS[name].read_text()).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
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


def said_by_a_new_process(code):
    """In a process of its own, since this one has imported everything."""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    return found.stdout.strip()


def test_importing_all_of_fnnet_imports_nothing_that_is_slow_or_optional():
    said = f"import sys; from fnnet import *; print([name for name in {LATE} if name in sys.modules])"
    assert said_by_a_new_process(said) == "[]"


def test_importing_fnnet_enters_no_room_and_asking_for_one_name_enters_those_that_it_needs():
    said = (
        "import sys, fnnet; loaded = lambda: {m.split('.')[1] for m in sys.modules if m.startswith('fnnet.')};"
        "before = loaded(); fnnet.nn; print(sorted(before), 'nn' in loaded(), loaded() & {'sweeps', 'analysis'})"
    )
    assert said_by_a_new_process(said) == "['_version', 'lazy'] True set()"


def test_the_front_door_is_its_stub_and_says_what_is_not_there():
    stub = ast.parse(DOORS["fnnet"].read_text())
    (written,) = (ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    assert fnnet.__all__ == written == dir(fnnet)
    with pytest.raises(AttributeError, match="module 'fnnet' has no attribute 'Trainer'"):
        fnnet.Trainer
    assert fnnet.recipes.recipe  # a module of the package, though it is no public name
