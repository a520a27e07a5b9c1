"""The share of the machine's peak that training reaches: milliseconds of a step, beside those at the peak.

The peak is the best float32 matrix product, jitted, of 1024 and of 2048 squares, one at a time, with all cores. The
nets are multilayer perceptrons: inputs of the width, three hidden layers of it, ten classes, relus, softmax
cross-entropy, Adam, batches of 1,024 out of 4,096 examples in a new order each epoch. Their operations are those that
`fnnet.nn`'s counter reads off the gradient of one batch: the forward pass, and twice that backward but for the
gradient with respect to the inputs, which nobody needs; the optimizer's are left out. The time is what a call of `fit`
or `sweep` takes for some epochs more than for one, so that what it takes once does not count.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.reporting import Options, Row
from benchmarks.serving import interleaved, serve

WIDTHS, SWEPT = (64, 128, 256, 512, 1024, 2048), (64, 512, 1024)
QUICK = (64, 256)
WIDE, SHARE = 512, 0.5
"""From which width on which share is asked for."""
SQUARES = (1024, 2048)
ROWS, BATCH, CLASSES, LANES, CORES = 4096, 1024, 10, 4, 2
SECONDS, LIKELY = 1.0, 2e11
"""How long the epochs should take, if so many operations are done in a second."""


def measure(options: Options) -> tuple[list[Row], Any]:
    """A row for each width, of fit and of a sweep of four learning rates."""
    calls = {how: (how, options.device, int(options.quick)) for how in ("fit", "sweep")}
    times = 1 if options.quick else options.times
    turns = interleaved("benchmarks.limit", calls, times)
    peak = max(turns["fit"].said["peak"])
    rows = []
    for how, turn in turns.items():
        for width, of in turn.said["widths"].items():
            step = float(np.median(of["seconds"]))
            asked = SHARE if int(width) >= WIDE else None
            note = f"{of['operations'] / step / 1e9:.0f} of {peak / 1e9:.0f} billion operations a second"
            at_peak = of["operations"] / peak
            rows.append(Row(f"{how}, width {width}", "the peak", 1e3 * step, 1e3 * at_peak, "ms", asked, note))
    return rows, {name: t._asdict() for name, t in turns.items()}


def prepare(how: str, device: str, quick: bool) -> Callable[[], dict[str, Any]]:
    """The contender's side: each time it trains the nets of every width, and says what a step of all of them took."""
    import jax

    if device == "cpu" and how == "sweep":
        jax.config.update("jax_num_cpu_devices", CORES)
    widths = {width: training(how, width, device) for width in (QUICK if quick else WIDTHS if how == "fit" else SWEPT)}
    found: dict[int, dict[str, Any]] = {}
    peaks: list[float] = []

    def work() -> dict[str, Any]:
        first = not found
        for width, (train, operations) in widths.items():
            epochs = max(5, round(SECONDS * LIKELY / operations / (ROWS // BATCH)))
            of = found.setdefault(width, {"operations": operations, "seconds": []})
            one, more = (timed(train, count) for count in (1, 1 + epochs))
            if not first:
                of["seconds"].append((more - one) / epochs / (ROWS // BATCH))
        if how == "fit":
            peaks.append(max(product(side) for side in SQUARES))
        return {"widths": found, "peak": peaks}

    return work


def timed(train: Callable[[int], Any], epochs: int) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    train(epochs)
    return time.perf_counter() - began


def product(side: int, times: int = 10) -> float:
    """Operations a second of a matrix product, at its best."""
    import jax
    import jax.numpy as jnp

    a = jax.random.normal(jax.random.key(0), (side, side), jnp.float32)
    multiply = jax.jit(jnp.matmul)
    multiply(a, a).block_until_ready()
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        multiply(a, a).block_until_ready()
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best


def training(how: str, width: int, device: str) -> tuple[Callable[[int], Any], float]:
    """What trains for some epochs, and the operations of a step, of all lanes together."""
    import jax

    import fnnet
    from fnnet import data, hp, losses, nn, optim
    from fnnet.nn.operations import operations

    model = nn.mlp([width] * 3 + [CLASSES])

    def learner(learning_rate: Any) -> fnnet.Learner:
        return fnnet.Learner(model, losses.softmax_cross_entropy, optim.adam(learning_rate))

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(ROWS, width)).astype(np.float32), rng.integers(CLASSES, size=ROWS).astype(np.int32)
    examples = data.from_arrays(x, y)
    params, state = jax.eval_shape(model.init, jax.random.key(0), x[:BATCH])

    def loss(params: Any) -> Any:
        return losses.softmax_cross_entropy(model.apply(params, state, x[:BATCH])[0], y[:BATCH]).mean()

    counted = float(operations(jax.grad(loss), params))
    told = {"batch_size": BATCH, "key": jax.random.key(0), "progress": False}
    if how == "fit":
        return lambda epochs: fnnet.fit(learner(1e-3), examples, epochs=epochs, **told), counted
    rates = {"learning_rate": hp.grid(*np.geomspace(1e-4, 1e-2, LANES).tolist())}
    return lambda epochs: fnnet.sweep(learner, rates, examples, epochs=epochs, **told), LANES * counted


if __name__ == "__main__":
    serve(lambda: prepare(sys.argv[1], sys.argv[2], sys.argv[3] == "1"))
