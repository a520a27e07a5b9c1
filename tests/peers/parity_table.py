"""Every method beside optax's, torch's and SciPy's: what to write to make them equal, and how equal they are.

The calls stand here as text, since they are what `docs/optimizers.md` shows; the tests evaluate them. The numbers in
the page are those of the machine that wrote it. To write it again::

    python tests/peers/parity_table.py
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import catalogue_of_problems as problems
import jax
import numpy as np
import solver_table

from fnnet import optim

STEPS = 100
LARGEST = 1e-9  # what the largest difference of a parameter at any of the steps may be, in float64
RATES = {"quadratic": 0.05, "rosenbrock": 1e-3, "net": 0.05}
PAGE = Path(__file__).parents[2] / "docs" / "optimizers.md"


class Row(NamedTuple):
    """fnnet's call, and the peers' calls that are equal to it; ``why`` says what else one has to know."""

    ours: str
    optax: str = ""
    torch: str = ""
    why: str = ""

    @property
    def name(self) -> str:
        return self.ours.split("(")[0]


ROWS = [
    Row("sgd(rate)", "sgd(rate)", "SGD(p, rate)"),
    Row("sgd(rate / 5, 0.9)", "sgd(rate / 5, 0.9)", "SGD(p, rate / 5, 0.9)"),
    Row(
        "sgd(rate / 5, 0.9, nesterov=True)",
        "sgd(rate / 5, 0.9, nesterov=True)",
        "SGD(p, rate / 5, 0.9, nesterov=True)",
    ),
    Row("sgd(rate, 0.9, dampening=0.7)", "", "SGD(p, rate, 0.9, dampening=0.7)", "optax has no dampening."),
    Row(
        "ema_momentum(rate, 0.9)",
        "chain(optax.ema(0.9, debias=False), optax.scale(-rate))",
        "SGD(p, rate * (1 - 0.9), 0.9)",
    ),
    Row(
        "normalized_gradient(rate, eps=1e-3, eps_root=0.0)",
        "adam(rate, b1=0.0, b2=0.0, eps=1e-3)",
        "Adam(p, rate, (0.0, 0.0), eps=1e-3)",
        "Neither has it by a name; optax.sign_sgd is its limit for eps = eps_root = 0.",
    ),
    Row("lion(rate / 10)", "lion(rate / 10)", "", "torch has no Lion."),
    Row(
        "adagrad(rate)",
        "",
        "Adagrad(p, rate)",
        "optax has ε inside of the root alone: the next row.",
    ),
    Row(
        "adagrad(rate, 0.1, eps=0.0, eps_root=1e-7)",
        "adagrad(rate)",
        "",
        "torch has ε outside of the root alone: the row before.",
    ),
    Row("rmsprop(rate)", "rmsprop(rate, eps_in_sqrt=False)", "RMSprop(p, rate, alpha=0.9)"),
    Row(
        "rmsprop(rate, eps=0.0, eps_root=1e-8)",
        "rmsprop(rate)",
        "",
        "torch has ε outside of the root alone: the row before.",
    ),
    Row(
        "rmsprop(rate, centered=True)",
        "rmsprop(rate, centered=True, eps_in_sqrt=False)",
        "RMSprop(p, rate, alpha=0.9, centered=True)",
    ),
    Row(
        "rmsprop(rate / 5, momentum=0.9)",
        "rmsprop(rate / 5, momentum=0.9, eps_in_sqrt=False)",
        "RMSprop(p, rate / 5, alpha=0.9, momentum=0.9)",
        "optax multiplies by the rate before the momentum, torch and fnnet after it: different under a schedule.",
    ),
    Row(
        "rmsprop(rate / 5, momentum=0.9, nesterov=True)",
        "rmsprop(rate / 5, momentum=0.9, nesterov=True, eps_in_sqrt=False)",
        "",
        "torch's RMSprop does not look ahead.",
    ),
    Row("adadelta()", "adadelta(1.0)", "Adadelta(p)"),
    Row("adam(rate)", "adam(rate)", "Adam(p, rate)"),
    Row(
        "adam(rate, 0.8, 0.99, 1e-6, 1e-8)",
        "adam(rate, 0.8, 0.99, 1e-6, 1e-8)",
        "",
        "torch has ε outside of the root alone: the row before.",
    ),
    Row("adamw(rate)", "adamw(rate, weight_decay=1e-2)", "AdamW(p, rate)"),
    Row(
        "adamw(rate, weight_decay=0.1, mask=optim.matrices)",
        "adamw(rate, weight_decay=0.1, mask=optim.matrices)",
        "",
        "torch masks by parameter groups.",
    ),
    Row(
        "nadam(rate)",
        "nadam(rate)",
        "NAdam(p, rate, momentum_decay=1e9)",
        "Unless its momentum_decay is huge, torch lets β₁ rise from half its value.",
    ),
    Row("amsgrad(rate)", "amsgrad(rate)", "", "torch takes the maximum before it corrects the bias: the next row."),
    Row(
        "amsgrad(rate, b2=0.0)",
        "amsgrad(rate, b2=0.0)",
        "Adam(p, rate, (0.9, 0.0), amsgrad=True)",
        "Without memory of the square there is no bias, and all three agree.",
    ),
    Row("adamax(rate)", "adamax(rate)", "Adamax(p, rate)"),
    Row("radam(rate / 5)", "radam(rate / 5)", "", "torch adds ε before it corrects v: the next row."),
    Row("radam(rate / 5, eps=0.0)", "radam(rate / 5, eps=0.0)", "RAdam(p, rate / 5, eps=0.0)"),
    Row(
        "adan(rate, b2=0.5)",
        "adan(rate, b2=0.5, eps_root=0.0)",
        "",
        "optax takes 1 − β₂ where the authors' code takes β₂, in front of the change of the gradient, and decays as "
        "AdamW does: equal for b2 = 0.5 without decay. torch has no Adan.",
    ),
    Row(
        "muon(rate, nesterov=False, eps=0.0, fallback=optim.adam(rate, eps=0.0))",
        "contrib.muon(rate, nesterov=False, eps=0.0)",
        "",
        "With Nesterov optax corrects the bias of mean and gradient each by its own factor; Jordan's code and fnnet "
        "correct none. optax's ε is its Adam's as well. For torch see the next row.",
    ),
    Row(
        "muon(rate, eps=0.0)",
        "",
        "Muon(p, rate, weight_decay=0.0)",
        "Of torch's matrices, which are (outputs, inputs), with torch's Newton–Schulz kept in float64. As it is, torch "
        "rounds that to bfloat16. torch has no fallback. For optax see the row before.",
    ),
]


def ours(row: Row, rate: float) -> Any:
    """fnnet's optimizer of a row."""
    return eval(f"optim.{row.ours}", {"optim": optim, "rate": rate})


def difference(one: Any, other: Any) -> float:
    gaps = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), one, other)
    return max(jax.tree.leaves(gaps))


@functools.cache
def problem(name: str) -> tuple[Any, Any]:
    """The slope as one compiled function, and where to start."""
    objective, start = problems.PROBLEMS[name]()
    return jax.jit(jax.grad(objective)), start


def path(optimizer: Any, name: str) -> Any:
    """The parameters after each of the steps, in one scan."""
    slope, start = problem(name)

    def step(carry: Any, _: None) -> Any:
        params, state = carry
        updates, state = optimizer.update(slope(params), state, params)
        params = jax.tree.map(lambda p, u: p + u, params, updates)
        return (params, state), params

    return jax.jit(lambda p: jax.lax.scan(step, (p, optimizer.init(p)), None, length=STEPS)[1])(start)


def from_optax(row: Row, name: str) -> float:
    """The largest difference from optax at any of the steps."""
    import optax
    import optax.contrib

    rate = RATES[name]
    theirs = eval(f"optax.{row.optax}", {"optax": optax, "optim": optim, "rate": rate})
    return difference(path(ours(row, rate), name), path(theirs, name))


def from_torch(row: Row, name: str) -> float:
    """The largest difference from torch; the gradient is JAX's, so that the optimizers alone are compared."""
    import torch

    rate = RATES[name]
    slope, start = problem(name)
    optimizer = ours(row, rate)
    leaves, structure = jax.tree.flatten(start)
    flip = (lambda a: a.T) if row.name == "muon" else (lambda a: a)
    kept = [index for index, leaf in enumerate(leaves) if row.name != "muon" or leaf.ndim == 2]
    tensors = [torch.nn.Parameter(torch.tensor(flip(np.array(leaf)))) for leaf in leaves]
    peer = eval(f"torch.optim.{row.torch}", {"torch": torch, "rate": rate, "p": [tensors[index] for index in kept]})
    state, update, params = optimizer.init(start), jax.jit(optimizer.update), start
    gap = 0.0
    for _ in range(STEPS):
        here = jax.tree.unflatten(structure, [flip(t.detach().numpy()) for t in tensors])
        for tensor, g in zip(tensors, jax.tree.leaves(slope(here)), strict=True):
            tensor.grad = torch.tensor(flip(np.array(g)))
        peer.step()
        updates, state = update(slope(params), state, params)
        params = optim.apply_updates(params, updates)
        if row.name == "muon":  # both stand still where torch has no method
            params = jax.tree.map(lambda p, s: p if p.ndim == 2 else s, params, start)
        mine = jax.tree.leaves(params)
        gap = max(gap, *(difference(mine[i], flip(tensors[i].detach().numpy())) for i in kept))
    return gap


def problems_of(row: Row, peer: str) -> list[str]:
    """Where a row can be compared: Rosenbrock's point is no matrix, which torch's Muon needs."""
    return [name for name in problems.PROBLEMS if not (row.name == "muon" and peer == "torch" and name == "rosenbrock")]


@contextlib.contextmanager
def torch_in_float64() -> Any:
    """Keeps torch from rounding what it holds beside the parameters: NAdam to float32, Muon to bfloat16."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with mock.patch.object(torch.Tensor, "bfloat16", lambda self: self.clone()):
            yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def as_they_are(peer: str) -> Any:
    """What other libraries need: float64 throughout, and JAX as lenient as it is unless told."""
    exactly = torch_in_float64() if peer == "torch" else contextlib.nullcontext()
    with exactly, jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def largest(row: Row, peer: str) -> float:
    """The largest difference from a peer on any of the problems, in float64."""
    compare = {"optax": from_optax, "torch": from_torch}[peer]
    with as_they_are(peer):
        return max(compare(row, name) for name in problems_of(row, peer))


def largest_direction(call: str) -> float:
    """The same of a row of `solver_table.DIRECTIONS`."""
    peer, compare = solver_table.DIRECTIONS[call]
    with as_they_are(peer):
        return max(compare(name) for name in problems.PROBLEMS)


def equation(name: str) -> str:
    """The equation of a method, as its docstring has it."""
    paragraphs = inspect.getdoc(getattr(optim, name)).split("\n\n")
    return next(p for p in paragraphs if "←" in p)


def page(differences: dict[tuple[Row, str], float], directions: dict[str, float], found: dict[Any, Any]) -> str:
    """`docs/optimizers.md`; a difference that was not measured is left out."""
    parts = [HEAD]
    for name in dict.fromkeys(row.name for row in ROWS):
        summary = inspect.getdoc(getattr(optim, name)).split("\n")[0]
        parts.append(f"## `{name}`\n\n{summary}\n\n```text\n{equation(name)}\n```\n")
        lines = ["| fnnet | equal to | largest difference |", "|---|---|---|"]
        for row in (row for row in ROWS if row.name == name):
            for peer, call in (("optax", f"optax.{row.optax}"), ("torch", f"torch.optim.{row.torch}")):
                if getattr(row, peer):
                    gap = differences.get((row, peer))
                    lines.append(f"| `{row.ours}` | `{call}` | {'' if gap is None else f'{gap:.0e}'} |")
        parts.append("\n".join(lines) + "\n")
        whys = [f"- `{row.ours}`: {row.why}" for row in ROWS if row.name == name and row.why]
        parts.append("\n".join(whys) + "\n" if whys else "")
    parts.append(solver_table.section(directions, found))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


HEAD = f"""# Optimizers beside optax, torch and SciPy

`python tests/peers/parity_table.py` writes this page. Each call of fnnet's stands beside the calls that take the same
{STEPS} steps: on a quadratic of condition number 100, on Rosenbrock's valley and on a small net, in float64. `rate` is
the learning rate, `p` the parameters. The largest difference of any parameter at any step is allowed to be
{LARGEST:.0e}. Where definitions differ by design, a sentence says how.
"""


if __name__ == "__main__":
    measured = {}
    for entry in ROWS:
        for library in ("optax", "torch"):
            if getattr(entry, library):
                measured[entry, library] = largest(entry, library)
                print(f"{measured[entry, library]:.1e}  {library:5}  {entry.ours}", flush=True)
    ways = {call: largest_direction(call) for call in solver_table.DIRECTIONS}
    with as_they_are("scipy"):
        minima = {solver: solver_table.solved(solver) for solver in solver_table.SOLVERS}
    print(*ways.items(), *minima.items(), sep="\n")
    PAGE.write_text(page(measured, ways, minima))
