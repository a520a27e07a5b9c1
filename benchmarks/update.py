"""An optimizer's update alone, beside optax's, torch's, and a memory copy of as many bytes: microseconds.

What is timed is ``params, state = step(params, state, grads)``: `jax.jit` of ``optimizer.update`` and
``apply_updates``, which is given params and state to overwrite. Arguments stand in the order of the results, since
jax pairs the buffers to overwrite with the results in order. A turn is as many steps as take a few milliseconds, and
waits for the last. fnnet and optax have their turns one after the other in one process, for two processes differ by
more than the two hundredths that are asked. Where arrays lie matters as much, so that they begin anew a few times,
fnnet first and optax first; the least of the turns after a beginning counts, and of all beginnings the one whose ratio
is in the middle.
Leaves are square matrices, so that a tree has about as many parameters as it says.

The copy is the faster of a jitted x + 1 in place and NumPy's copyto; it moves, reading and writing, as many bytes as
an Adam that reads gradients, parameters and moments once and writes all but the gradients once: 28 for a parameter.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measuring import PLATFORMS
from benchmarks.reporting import Options, Row, short
from benchmarks.serving import interleaved, serve

RATE = 1e-3
NEAR, OF_A_COPY, LARGE = 1.02, 1.3, 1e7
"""How many times optax's time, and from how many parameters on how many times the copy's, a step may take."""
SIZES, QUICK = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8), (1e3, 1e5)
"""Parameters of the trees for Adam; those of 1,000 leaves, which take long to compile, at every other size."""
ON_CARDS = 1e9
"""Parameters of one tree more where the device is not a CPU, in one leaf and in 30."""
MIDDLE = (1e6, 30)
"""Parameters and leaves for the others."""
MOVED = 28
"""Bytes that an Adam has to read and write for a parameter."""
TURN, TURNS, BEGINNINGS = 0.005, 6, 8
"""Seconds of a turn, about; turns of each after a beginning; and beginnings of a cell of which each takes a moment."""
AT_ONCE = 50_000_000
"""Numbers that the copy moves at once, which is more than any cache holds."""
TORCH_SIZES = (1e5, 1e6, 1e7)


class Cell(NamedTuple):
    """One thing to measure: an optimizer, and a tree of so many parameters in so many leaves."""

    optimizer: str
    size: float
    leaves: int

    def __str__(self) -> str:
        return f"{self.optimizer}, {self.size:.0e} in {self.leaves:,}".replace("e+0", "e")

    @property
    def side(self) -> int:
        """Of a leaf, a square matrix."""
        return max(1, round((self.size / self.leaves) ** 0.5))


def pairs() -> dict[str, tuple[Any, Any]]:
    """The optimizers of fnnet, and the equal ones of optax."""
    import optax
    from optax.contrib import muon

    from fnnet import optim

    return {
        "sgd": (optim.sgd(RATE), optax.sgd(RATE)),
        "momentum": (optim.sgd(RATE, 0.9), optax.sgd(RATE, 0.9)),
        "nesterov": (optim.sgd(RATE, 0.9, nesterov=True), optax.sgd(RATE, 0.9, nesterov=True)),
        "ema_momentum": (
            optim.ema_momentum(RATE, 0.9),
            optax.chain(optax.ema(0.9, debias=False), optax.scale(-RATE)),
        ),
        "normalized_gradient": (
            optim.normalized_gradient(RATE, eps=1e-3, eps_root=0.0),
            optax.adam(RATE, b1=0.0, b2=0.0, eps=1e-3),
        ),
        "lion": (optim.lion(RATE), optax.lion(RATE)),
        "adagrad": (optim.adagrad(RATE, 0.1, eps=0.0, eps_root=1e-7), optax.adagrad(RATE)),
        "rmsprop": (optim.rmsprop(RATE), optax.rmsprop(RATE, eps_in_sqrt=False)),
        "rmsprop, centred": (
            optim.rmsprop(RATE, centered=True),
            optax.rmsprop(RATE, centered=True, eps_in_sqrt=False),
        ),
        "rmsprop, momentum": (
            optim.rmsprop(RATE, momentum=0.9),
            optax.rmsprop(RATE, momentum=0.9, eps_in_sqrt=False),
        ),
        "adadelta": (optim.adadelta(), optax.adadelta(1.0)),
        "adam": (optim.adam(RATE), optax.adam(RATE)),
        "adamw": (optim.adamw(RATE), optax.adamw(RATE, weight_decay=1e-2)),
        "nadam": (optim.nadam(RATE), optax.nadam(RATE)),
        "amsgrad": (optim.amsgrad(RATE), optax.amsgrad(RATE)),
        "adamax": (optim.adamax(RATE), optax.adamax(RATE)),
        "radam": (optim.radam(RATE), optax.radam(RATE)),
        "adan": (optim.adan(RATE, b2=0.5), optax.adan(RATE, b2=0.5, eps_root=0.0)),
        "muon": (optim.muon(RATE, nesterov=False, eps=0.0), muon(RATE, nesterov=False, eps=0.0)),
    }


def adams(device: str, quick: bool) -> list[Cell]:
    """Adam at every size."""
    sizes = QUICK if quick else SIZES if device == "cpu" else (*SIZES, ON_CARDS)
    by_leaves = {1: sizes, 30: sizes} | ({} if quick else {1000: SIZES[1::2]})
    return [Cell("adam", size, leaves) for leaves in by_leaves for size in by_leaves[leaves]]


def cells(device: str, quick: bool) -> list[Cell]:
    """Adam at every size, and the others at one."""
    middle = (QUICK[-1], 30) if quick else MIDDLE
    return adams(device, quick) + [Cell(name, *middle) for name in pairs() if name != "adam"]


def measure(options: Options) -> tuple[list[Row], Any]:
    """Rows for each cell: beside optax, beside torch where it is asked, and beside the copy where a tree is large."""
    calls = {peer: (peer, options.device, int(options.quick)) for peer in ("optax", "torch")}
    times = 1 if options.quick else options.times
    turns = interleaved("benchmarks.update", calls, times)
    taken = {peer: turn.said["cells"] for peer, turn in turns.items() if not turn.missing}
    rows = []
    for cell in cells(options.device, options.quick):
        name, by = str(cell), taken["optax"][str(cell)]
        rows.append(Row(name, "optax", *middle(by, "optax"), "µs", round(1 / NEAR, 2), ranges(by)))
        if "copy" in by:
            asked = round(1 / OF_A_COPY, 2) if cell.size >= LARGE else None
            rows.append(Row(name, "a copy of as many bytes", *middle(by, "copy"), "µs", asked))
        for how, s in taken.get("torch", {}).get(name, {}).items():
            ours, theirs = (1e6 * statistics.median(each) for each in (by["fnnet"], s))
            rows.append(Row(name, f"torch, {how}", ours, theirs, "µs"))
    return rows, {name: t._asdict() for name, t in turns.items()}


def middle(by: dict[str, list[float]], other: str) -> tuple[float, float]:
    """What fnnet and another took after the beginning whose ratio is in the middle; of two, the worse for fnnet."""
    both = sorted(zip(by["fnnet"], by[other], strict=True), key=lambda pair: pair[1] / pair[0])
    ours, theirs = both[(len(both) - 1) // 2]
    return 1e6 * ours, 1e6 * theirs


def ranges(by: dict[str, list[float]]) -> str:
    """How far beginnings are apart."""
    ours, theirs = (f"{short(1e6 * min(by[who]))} to {short(1e6 * max(by[who]))}" for who in ("fnnet", "optax"))
    return f"{ours} and {theirs} µs"


def timed(step: Callable[[int], None], count: int) -> float:
    """Seconds of one of so many steps."""
    began = time.perf_counter()
    step(count)
    return (time.perf_counter() - began) / count


def taking_turns(steps: dict[str, Callable[[int], None]]) -> dict[str, float]:
    """The least seconds of a step of each, which take turns."""
    for step in steps.values():
        step(2)
    counts = {who: max(1, round(TURN / timed(step, 1))) for who, step in steps.items()}
    found = dict.fromkeys(steps, float("inf"))
    for _ in range(TURNS):
        for who, step in steps.items():
            found[who] = min(found[who], timed(step, counts[who]))
    return found


def prepare(peer: str, device: str, quick: bool) -> Callable[[], dict[str, Any]]:
    """The contender's side: first it compiles, then it does all of its cells, and says all that they have taken."""
    todo = {"optax": beside_optax, "torch": by_torch}[peer](device, quick)
    seconds: dict[str, dict[str, list[float]]] = {str(cell): {who: [] for who in begin} for cell, begin in todo.items()}
    asked = 0

    def work() -> dict[str, Any]:
        nonlocal asked
        for cell, begin in todo.items():
            for turn in range(asked, asked + (1 if cell.size > LARGE or asked == 0 else BEGINNINGS)):
                steps = {who: begin[who]() for who in (list(begin) if turn % 2 else reversed(begin))}
                for who, taken in ({} if asked == 0 else taking_turns(steps)).items():
                    seconds[str(cell)][who].append(taken)
        asked += 1
        return {"cells": seconds}

    return work


Begin = dict[str, Callable[[], Callable[[int], None]]]
"""What begins with new arrays, and gives what does so many steps and waits for the last; for each."""


def beside_optax(device: str, quick: bool) -> dict[Cell, Begin]:
    """fnnet, optax, and for Adam the copy."""
    import optax

    from fnnet import optim

    made = pairs()

    def beginning(cell: Cell) -> Begin:
        ours, theirs = made[cell.optimizer]
        programs = {"fnnet": stepper(ours, optim, cell), "optax": stepper(theirs, optax, cell)}
        if cell.optimizer == "adam":
            programs["copy"] = copier(cell)
        return programs

    return {cell: beginning(cell) for cell in cells(device, quick)}


def stepper(optimizer: Any, library: Any, cell: Cell) -> Callable[[], Callable[[int], None]]:
    """The jitted step of one library, which begins with new arrays each time that it is called."""
    import jax
    import jax.numpy as jnp

    def update(params: Any, state: Any, grads: Any) -> Any:
        updates, state = optimizer.update(grads, state, params)
        return library.apply_updates(params, updates), state

    program = jax.jit(update, donate_argnums=(0, 1))

    def begin() -> Callable[[int], None]:
        params, grads = ([jnp.full((cell.side, cell.side), x) for _ in range(cell.leaves)] for x in (1.0, 0.5))
        state = optimizer.init(params)

        def step(count: int) -> None:
            nonlocal params, state
            for _ in range(count):
                params, state = program(params, state, grads)
            jax.block_until_ready((params, state))

        step(1)
        return step

    return begin


def copier(cell: Cell) -> Callable[[], Callable[[int], None]]:
    """The faster of two ways to move as many bytes."""
    import jax
    import jax.numpy as jnp

    whole = MOVED * cell.leaves * cell.side**2 // 8  # numbers of 4 bytes, each read and written
    parts = -(-whole // AT_ONCE)
    numbers = whole // parts
    add = jax.jit(lambda x: x + 1, donate_argnums=0)

    def begin() -> Callable[[int], None]:
        x = jnp.ones(numbers)

        def in_place(count: int) -> None:
            nonlocal x
            for _ in range(count * parts):
                x = add(x)
            x.block_until_ready()

        in_place(1)
        if jax.default_backend() != "cpu":
            return in_place
        source, target = np.ones(numbers, np.float32), np.ones(numbers, np.float32)

        def copyto(count: int) -> None:
            for _ in range(count * parts):
                np.copyto(target, source)

        return min((in_place, copyto), key=lambda step: min(timed(step, 1) for _ in range(3)))

    return begin


def by_torch(device: str, quick: bool) -> dict[Cell, Begin]:
    """The loops of torch itself over all leaves: foreach, and fused into one kernel."""
    import torch

    where = PLATFORMS[device]
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}

    def stepping(cell: Cell, how: str) -> Callable[[int], None]:
        params = [torch.ones(cell.side, cell.side, device=where, requires_grad=True) for _ in range(cell.leaves)]
        for param in params:
            param.grad = torch.randn(cell.side, cell.side, device=where)
        optimizer = make[cell.optimizer](params, lr=RATE, **{how: True})

        def step(count: int) -> None:
            for _ in range(count):
                optimizer.step()
            if where == "cuda":
                torch.cuda.synchronize()

        return step

    def beginning(cell: Cell) -> Begin:
        return {how: functools.partial(stepping, cell, how) for how in ("foreach", "fused")}

    wanted = [cell for cell in cells(device, quick) if cell.optimizer in make and cell.size in TORCH_SIZES]
    return {cell: beginning(cell) for cell in wanted}


if __name__ == "__main__":
    serve(lambda: prepare(sys.argv[1], sys.argv[2], sys.argv[3] == "1"))
