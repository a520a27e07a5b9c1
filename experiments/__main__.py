"""Lists the experiments: ``python -m experiments``; runs them one after another with ``--all``."""

from __future__ import annotations

import argparse
import ast
import shutil
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent


def experiments() -> dict[str, str]:
    """The first line of each experiment's docstring, by name."""
    files = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_") and path.stem != "running")
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0] for path in files}


def run_all(names: list[str], out: Path, passed: list[str], figures: Path | None) -> bool:
    """Runs each in a process of its own, so that none harms the others; whether each has seen its claim."""
    failed = []
    started = time.perf_counter()
    for name in names:
        began = time.perf_counter()
        folder = out / name
        command = [sys.executable, "-m", f"experiments.{name}", "--out", str(folder), *passed]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        last = (done.stdout.splitlines() or ["ended without a word; what it wrote to stderr stands above"])[-1]
        sys.stdout.write(f"{name} ({time.perf_counter() - began:.0f} s): {last}\n")
        sys.stdout.flush()
        if done.returncode != 0:
            failed.append(name)
        elif figures is not None:
            figures.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.iterdir()):
                if path.suffix in {".png", ".gif", ".json"}:
                    shutil.copy(path, figures / path.name)
    seconds = time.perf_counter() - started
    sys.stdout.write(f"{len(names) - len(failed)} of {len(names)} have seen what they claim, in {seconds:.0f} s\n")
    if failed:
        sys.stdout.write(f"not: {', '.join(failed)}\n")
    return not failed


def main() -> None:
    """Lists, or runs all."""
    parser = argparse.ArgumentParser("python -m experiments", description="Lists the experiments, or runs them.")
    parser.add_argument("--all", action="store_true", help="run every experiment, one after another")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(experiments()), help="run these")
    parser.add_argument("--quick", action="store_true", help="smaller versions that take seconds each")
    parser.add_argument("--seed", type=int, default=0, help="root of every random draw")
    parser.add_argument("--out", type=Path, default=Path("runs") / "experiments", help="folder with one for each")
    parser.add_argument("--figures", type=Path, help="folder to copy the figures and numbers of seen claims to")
    asked = parser.parse_args()
    if not asked.all and not asked.only:
        for name, line in experiments().items():
            sys.stdout.write(f"python -m experiments.{name:<24} {line}\n")
        return
    passed = ["--seed", str(asked.seed), *(["--quick"] if asked.quick else [])]
    names = asked.only or list(experiments())
    sys.exit(0 if run_all(names, asked.out, passed, asked.figures) else 1)


if __name__ == "__main__":
    main()
