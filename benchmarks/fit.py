"""Microseconds of a step of `fnnet.fit`, beside a scan by hand, a linen loop and a torch loop; nets of 10³ to 10⁷.

Perceptrons with relus, cross entropy over 10 classes, Adam, random data in a new order each epoch. Each contender takes
as many steps as fit into about half a second. What counts is its seconds over the steps, without compiling and without
the first parameters.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measuring import PLATFORMS
from benchmarks.reporting import Options, Row
from benchmarks.serving import interleaved, serve

WIDTHS = {
    "10³": [16, 36, 10],
    "10⁴": [64, 128, 10],
    "10⁵": [256, 256, 128, 10],
    "10⁶": [784, 800, 400, 10],
    "10⁷": [2048, 2048, 2048, 700, 10],
}
BATCHES, ROWS, CLASSES, SECONDS, LEAST = (32, 256, 4096), 8192, 10, 2.0, 8
AGAINST = {"by_hand": "scan by hand", "linen": "flax linen and optax, jitted step", "torch": "torch loop"}
ASKED = {"by_hand": round(1 / 1.03, 3), "linen": 1.0, "torch": 1.0}

Prepared = Callable[[int], float]
"""Takes so many steps, and says how many seconds they took."""


def measure(options: Options) -> tuple[list[Row], Any]:
    """Three rows for each size and batch."""
    rows, raw = [], {}
    sizes = list(WIDTHS)[:2] if options.quick else list(WIDTHS)
    for size in sizes:
        for batch in BATCHES[:1] if options.quick else BATCHES:
            calls = {name: (name, size, batch, options.device) for name in ("fnnet", *AGAINST)}
            turns = interleaved("benchmarks.fit", calls, options.times)
            raw[f"{size}, {batch}"] = {name: t._asdict() for name, t in turns.items()}
            micro = {name: 1e6 * t.median for name, t in turns.items() if not t.missing}
            parameters = turns["fnnet"].said["parameters"]
            for name, words in AGAINST.items():
                work = f"{parameters:,} parameters, batch {batch}"
                note = f"{turns[name].missing} is not installed" if turns[name].missing else ""
                sys.stderr.write(f"{work}: {words} {micro.get(name, 0) / micro['fnnet']:.2f}\n")
                rows.append(Row(work, words, micro["fnnet"], micro.get(name), "µs", ASKED[name], note))
    return rows, raw


def examples(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and classes."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, width)).astype(np.float32), rng.integers(0, CLASSES, ROWS).astype(np.int32)


def fnnet(widths: list[int], batch: int, device: str = "cpu") -> Prepared:
    """`fnnet.fit`, which says itself how long training took without compiling."""
    import jax

    import fnnet
    from fnnet import data, losses, nn, optim

    learner = fnnet.Learner(nn.mlp(widths[1:]), losses.softmax_cross_entropy, optim.adam(1e-3))
    train = data.from_arrays(*map(jax.device_put, examples(widths[0])))

    def steps(count: int) -> float:
        epochs = max(1, round(count * batch / ROWS))
        run = fnnet.fit(learner, train, epochs=epochs, batch_size=batch, key=jax.random.key(0), progress=False)
        return run.seconds / (epochs * ROWS // batch) * count

    return steps


def by_hand(widths: list[int], batch: int, device: str = "cpu") -> Prepared:
    """A jitted scan over the steps of an epoch, its carry donated."""
    import functools

    import jax
    import jax.numpy as jnp

    from benchmarks.plain_jax import adam, loss

    x, y = map(jax.device_put, examples(widths[0]))

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(carry: Any, key: Any) -> Any:
        order = jax.random.permutation(key, ROWS).reshape(-1, batch)

        def step(carry: Any, rows: Any) -> Any:
            value, grads = jax.value_and_grad(loss)(carry[0], x[rows], y[rows])
            return adam(carry, grads, 1e-3), value

        carry, values = jax.lax.scan(step, carry, order)
        return carry, values.mean()

    def start() -> Any:
        rng = np.random.default_rng(0)
        params = [
            (jnp.asarray(rng.normal(size=pair) * (2 / pair[0]) ** 0.5, jnp.float32), jnp.zeros(pair[1]))
            for pair in itertools.pairwise(widths)
        ]
        zeros = jax.tree.map(jnp.zeros_like, params)
        return params, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros(())

    def steps(count: int) -> float:
        epochs, carry = max(1, round(count * batch / ROWS)), start()
        jax.block_until_ready(carry)
        began = time.perf_counter()
        for number in range(epochs):
            carry, value = epoch(carry, jax.random.key(number))
        jax.block_until_ready((carry, value))
        return (time.perf_counter() - began) / (epochs * ROWS // batch) * count

    return steps


def linen(widths: list[int], batch: int, device: str = "cpu") -> Prepared:
    """A jitted step in a loop, batches cut by NumPy."""
    import functools

    import jax
    import optax
    from flax import linen as nn

    x, y = examples(widths[0])

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for width in widths[1:-1]:
                x = nn.relu(nn.Dense(width)(x))
            return nn.Dense(widths[-1])(x)

    model, tx = Net(), optax.adam(1e-3)

    def loss(params: Any, x: Any, y: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(model.apply(params, x), y).mean()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        updates, state = tx.update(jax.grad(loss)(params, x, y), state, params)
        return optax.apply_updates(params, updates), state

    init = jax.jit(model.init)

    def steps(count: int) -> float:
        params = init(jax.random.key(0), x[:1])
        state = tx.init(params)
        jax.block_until_ready((params, state))
        began = time.perf_counter()
        for rows in orders(count, batch):
            params, state = step(params, state, x[rows], y[rows])
        jax.block_until_ready(params)
        return time.perf_counter() - began

    return steps


def torch(widths: list[int], batch: int, device: str = "cpu") -> Prepared:
    """The usual loop, with as many threads as are quicker."""
    import torch

    x, y = (torch.from_numpy(each).to(PLATFORMS[device]) for each in examples(widths[0]))
    y = y.long()
    layers: list[Any] = []
    for size, width in itertools.pairwise(widths):
        layers += [torch.nn.Linear(size, width), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1]).to(x.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def steps(count: int) -> float:
        began = time.perf_counter()
        for rows in orders(count, batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        if device == "gpu":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    pace = {}
    for threads in (2, 1):
        torch.set_num_threads(threads)
        steps(3)
        pace[threads] = steps(5)
    torch.set_num_threads(min(pace, key=lambda threads: pace[threads]))
    return steps


def orders(count: int, batch: int) -> Any:
    """The rows of so many batches."""
    rng = np.random.default_rng(0)
    order = rng.permutation(ROWS)
    for number in range(count):
        start = number * batch % ROWS
        if start == 0:
            order = rng.permutation(ROWS)
        yield order[start : start + batch]


def prepare(name: str, size: str, batch: int, device: str) -> Any:
    """The contender's side."""
    widths = WIDTHS[size]
    steps = globals()[name](widths, batch, device)
    steps(1)  # compiles
    few = max(2, ROWS // batch)
    count = max(LEAST, int(few * SECONDS / max(steps(few), 1e-3)))  # what a call costs is not what a step costs
    parameters = sum((size + 1) * width for size, width in itertools.pairwise(widths))
    return lambda: {"seconds": steps(count) / count, "steps": count, "parameters": parameters}


if __name__ == "__main__":
    serve(lambda: prepare(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
