"""What every experiment does alike: options, a folder with figures and numbers, a claim and an exit code."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np


class Options(NamedTuple):
    """What the command line of an experiment says."""

    quick: bool
    full: bool
    out: Path
    seed: int


class Claim(NamedTuple):
    """What was found: for each part of the claim whether it was seen, all in words, and the numbers behind them."""

    parts: dict[str, bool]
    words: str
    numbers: dict[str, Any]


def main(
    name: str, description: str | None, experiment: Callable[[Options], Claim], *, full: str | None = None
) -> None:
    """Runs an experiment, writes its numbers, says what was seen, and ends with exit code 0 only if it was.

    Args:
        name: of the experiment and its module.
        description: the module's docstring.
        experiment: from options to what was found.
        full: what ``--full`` does; without it there is no such option.
    """
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(f"python -m experiments.{name}", description=description, formatter_class=form)
    parser.add_argument("--quick", action="store_true", help="a smaller version that takes seconds")
    if full is None:
        parser.set_defaults(full=False)
    else:
        parser.add_argument("--full", action="store_true", help=full)
    parser.add_argument("--out", type=Path, default=Path("runs") / "experiments" / name, help="folder for the results")
    parser.add_argument("--seed", type=int, default=0, help="root of every random draw")
    options = Options(**vars(parser.parse_args()))
    if options.quick and options.full:
        parser.error("--quick and --full exclude each other: which of the two is it to be?")
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    claim = experiment(options)
    missed = [part for part, seen in claim.parts.items() if not seen]
    words = claim.words + (f"; not seen: {', '.join(missed)}" if missed else "")
    record = {
        "experiment": name,
        "seed": options.seed,
        "version": "quick" if options.quick else "full" if options.full else "default",
        "jax": jax.__version__,
        "devices": [device.device_kind for device in jax.devices()],
        "seconds": round(time.perf_counter() - started, 1),
        "seen": not missed,
        "words": words,
        "parts": claim.parts,
    }
    numbers = plain({**record, **claim.numbers})
    (options.out / f"{name}.json").write_text(json.dumps(numbers, indent=2, allow_nan=False) + "\n")
    sys.stdout.write(f"{'NOT SEEN' if missed else 'seen'}: {words}\n")
    sys.exit(1 if missed else 0)


def plain(value: Any) -> Any:
    """What JSON can say: lists for arrays, floats of four digits, and null for those that are not finite."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    value = np.asarray(value).tolist()
    if isinstance(value, list):
        return plain(value)
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value
