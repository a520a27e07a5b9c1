"""Lists the experiments: ``python -m experiments``."""

import ast
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def experiments() -> dict[str, str]:
    """The first line of each experiment's docstring, by name."""
    files = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_") and path.stem != "running")
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0] for path in files}


if __name__ == "__main__":
    for name, line in experiments().items():
        sys.stdout.write(f"python -m experiments.{name:<18} {line}\n")
