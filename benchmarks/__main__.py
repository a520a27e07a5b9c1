"""Lists the benchmarks: ``python -m benchmarks``."""

import ast
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def benchmarks() -> dict[str, str]:
    """The first line of each benchmark's docstring, by name."""
    files = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_") and path.stem != "measuring")
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0] for path in files}


if __name__ == "__main__":
    for name, line in benchmarks().items():
        sys.stdout.write(f"python -m benchmarks.{name:<10} {line}\n")
