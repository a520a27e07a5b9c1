"""The first call of a fit and of a sweep of 64 rates beside the same by hand; and fits of depth 4 to 256 with `repeat`.

Each is a new process that has imported what it needs and has its data; the seconds are those of its first call less
those of its second, which computes the same and compiles nothing.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import digits_peers, fit
from benchmarks.digits_peers import RATES
from benchmarks.measuring import between, cold, say
from benchmarks.reporting import Options, Row

DEPTHS, WIDTH, LIMIT = (4, 16, 64, 256), 64, 1.5
FLAT = 1.25
"""How many times as long as the shallowest the deepest may take to compile."""


def measure(options: Options) -> tuple[list[Row], Any]:
    """Rows for the sweep, for the fit, and for depths."""
    depths = DEPTHS[:2] if options.quick else DEPTHS
    calls: dict[str, tuple[Any, ...]] = {name: (name,) for name in ("sweep", "sweep by hand", "fit", "fit by hand")}
    calls |= {f"depth {depth}": ("depth", depth) for depth in depths}
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.times):
        for name, arguments in calls.items():
            found[name].append(cold("compile", *arguments).said["compiling"])
    middle = {name: statistics.median(seconds) for name, seconds in found.items()}
    low, *_, high = (f"depth {depth}" for depth in depths)
    return [
        Row(
            "sweep of 64 rates",
            "by hand",
            middle["sweep"],
            middle["sweep by hand"],
            "s",
            1.0,
            f"{between(found['sweep by hand'])} s",
        ),
        Row("sweep of 64 rates", "the limit", middle["sweep"], LIMIT, "s", 1.0),
        Row("fit", "by hand", middle["fit"], middle["fit by hand"], "s", 1.0, f"{between(found['fit by hand'])} s"),
        Row(f"fit, {high} by repeat", low, middle[high], middle[low], "s", round(1 / FLAT, 3)),
    ], found


def prepare(name: str, *arguments: str) -> Callable[[], Any]:
    """What is called twice."""
    match name:
        case "sweep":
            import pandas  # noqa: F401, which the table needs

            return digits_peers.fnnet(RATES)
        case "sweep by hand":
            return digits_peers.plain_vmap(RATES)
        case "fit" | "fit by hand":
            steps = (fit.fnnet if name == "fit" else fit.by_hand)([64, 100, 10], 64)
            return lambda: steps(128)
        case _:
            return deep(int(arguments[0]))


def deep(depth: int) -> Callable[[], Any]:
    """A fit of equal layers, stacked by `nn.repeat`."""
    import jax

    import fnnet
    from fnnet import data, losses, nn, optim

    model = nn.chain(
        nn.dense(WIDTH),
        nn.repeat(nn.residual(nn.chain(nn.layer_norm(), nn.dense(WIDTH), nn.relu)), depth),
        nn.dense(10),
    )
    learner = fnnet.Learner(model, losses.softmax_cross_entropy, optim.adam(1e-3))
    x, y = fit.examples(WIDTH)
    train = data.from_arrays(x[:64], y[:64])
    return lambda: fnnet.fit(learner, train, epochs=1, batch_size=32, key=jax.random.key(0), progress=False)


if __name__ == "__main__":
    work = prepare(*sys.argv[1:])
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    say(compiling=seconds[0] - seconds[1])
