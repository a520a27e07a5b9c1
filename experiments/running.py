"""What every experiment does alike: options, a folder with figure and numbers, a claim and an exit code."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax


class Options(NamedTuple):
    """What the command line of an experiment says."""

    quick: bool
    out: Path
    seed: int


class Claim(NamedTuple):
    """What was found: whether the claim was seen, in words with its number, and the numbers behind it."""

    seen: bool
    words: str
    numbers: dict[str, Any]


def main(name: str, description: str | None, experiment: Callable[[Options], Claim]) -> None:
    """Runs an experiment, writes its numbers, says what was seen, and ends with exit code 0 only if it was."""
    parser = argparse.ArgumentParser(prog=f"python -m experiments.{name}", description=description)
    parser.add_argument("--quick", action="store_true", help="a smaller version that takes seconds")
    parser.add_argument("--out", type=Path, default=Path("runs") / "experiments" / name, help="folder for the results")
    parser.add_argument("--seed", type=int, default=0, help="root of every random draw")
    options = Options(**vars(parser.parse_args()))
    options.out.mkdir(parents=True, exist_ok=True)
    claim = experiment(options)
    record = {"experiment": name, "seed": options.seed, "quick": options.quick, "jax": jax.__version__}
    numbers = {**record, "seen": claim.seen, "words": claim.words, **claim.numbers}
    (options.out / f"{name}.json").write_text(json.dumps(numbers, indent=2) + "\n")
    sys.stdout.write(f"{'seen' if claim.seen else 'NOT SEEN'}: {claim.words}\n")
    sys.exit(0 if claim.seen else 1)
