"""64 learning rates on digits, compiled: microseconds for each run and step, beside seven ways to train them.

A contender that trains one rate after another is given a few of them, evenly spread, for its time is the same for each.
Its seconds over its runs and steps are what counts.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks import digits_peers
from benchmarks.digits_peers import RATES, STEPS
from benchmarks.reporting import Options, Row
from benchmarks.serving import interleaved, serve

# Who, how many rates, and how many times as long it has to take.
AGAINST: dict[str, tuple[str, int, float]] = {
    "linen": ("flax linen and optax, jitted step", 8, 5),
    "equinox": ("equinox and optax, jitted step", 4, 10),
    "nnx": ("flax nnx and optax, jitted step", 2, 40),
    "torch_loop": ("torch loop", 4, 12),
    "torch_func": ("torch.func, all rates at once", 64, 4),
    "scikit_learn": ("scikit-learn MLPClassifier", 4, 12),
    "plain_vmap": ("jax.vmap of a scan, by hand", 64, 1.5),
}
NEAR = 0.1
"""How far the mean final losses of two contenders may be apart, relative."""


def measure(options: Options) -> tuple[list[Row], Any]:
    """A row for each contender."""
    counts = {"fnnet": 64} | {name: count for name, (_, count, _) in AGAINST.items()}
    calls = {name: (name, count, options.device) for name, count in counts.items()}
    turns = interleaved("benchmarks.sweep_warm", calls, options.times)
    micro = {name: 1e6 * t.median / counts[name] / STEPS for name, t in turns.items() if not t.missing}
    rows = []
    for name, (words, count, asked) in AGAINST.items():
        note = f"{turns[name].missing} is not installed" if turns[name].missing else how_near(turns, name, count)
        rows.append(Row("64 rates, warm", words, micro["fnnet"], micro.get(name), "µs", asked, note))
    return rows, {name: t._asdict() for name, t in turns.items()}


def how_near(turns: Any, name: str, count: int) -> str:
    """From when to when its turns took, and how far its losses end from fnnet's for the same rates, if that is far."""
    ours = np.asarray(turns["fnnet"].said["losses"])[places(count)].mean()
    apart = np.asarray(turns[name].said["losses"]).mean() / ours - 1
    low, high = (1e6 * pick(turns[name].seconds) / count / STEPS for pick in (min, max))
    said = f"{low:.3g} to {high:.3g} µs"
    return said if abs(apart) <= NEAR else f"{said}; final losses {100 * apart:+.0f} %"


def places(count: int) -> np.ndarray:
    """Which of the rates a contender is given that trains so many of them."""
    return np.linspace(0, len(RATES) - 1, count + 2)[1:-1].round().astype(int) if count < 64 else np.arange(64)


def prepare(name: str, count: int, device: str) -> Any:
    """The contender's side."""
    more = {"last": True} if name == "fnnet" else {}
    work = getattr(digits_peers, name)([RATES[place] for place in places(count)], device, **more)
    return lambda: {"losses": work()}


if __name__ == "__main__":
    serve(lambda: prepare(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
