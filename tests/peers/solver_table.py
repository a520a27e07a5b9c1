"""The methods that look at the function beside those of optax, torch and SciPy: the second part of the page.

L-BFGS is the one that optax and torch have too. All three choose step sizes by searches of their own, so what is
compared step by step is the direction, under fixed step sizes; the others are compared by the minimum that they find.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import catalogue_of_problems as problems
import jax
import jax.numpy as jnp
import numpy as np

from fnnet import optim
from fnnet.optim.base import call_update
from fnnet.optim.line_search import Found

STEPS = 30  # later pairs of differences are down to rounding, and each library leaves out others
RATE = 0.1
LARGEST = 1e-9  # between two directions, at any step, in float64
FOUND = 1e-5  # between two minima found, each with a gradient of 1e-8 or less
DRAWN = 1e-3  # between two minima found by drawing
START = np.array([-1.2, 1.0])


def fixed(rate: float, first: float | None = None) -> Callable[..., Found]:
    """A search that does not search: ``rate`` times 1, and at first times a length that the peer chooses."""

    def search(along: Any, value: Any, slope: Any, guess: Any) -> Found:
        begin = jnp.minimum(guess, 1) if first is None else jnp.where(guess == 1, 1, first)
        return Found(rate * begin, jnp.array(True))

    return search


def path(optimizer: Any, name: str) -> list[np.ndarray]:
    """The parameters after each step, as the leaves of one tree."""
    objective, start = problems.PROBLEMS[name]()

    def step(carry: Any, _: None) -> Any:
        params, state = carry
        updates, state = call_update(optimizer, jax.grad(objective)(params), state, params, {"value_fn": objective})
        params = jax.tree.map(lambda p, u: p + u, params, updates)
        return (params, state), params

    run = jax.jit(lambda p: jax.lax.scan(step, (p, optimizer.init(p)), None, length=STEPS)[1])
    return [np.asarray(leaf) for leaf in jax.tree.leaves(run(start))]


def directions_beside_optax(name: str) -> float:
    """The largest difference of L-BFGS from optax's without its search."""
    import optax

    theirs = optax.lbfgs(RATE, linesearch=None)
    pairs = zip(path(optim.lbfgs(search=fixed(RATE)), name), path(theirs, name), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def directions_beside_torch(name: str) -> float:
    """The largest difference of L-BFGS from torch's, whose first step has length 1 in the norm of absolute values."""
    import torch

    objective, start = problems.PROBLEMS[name]()
    slope = jax.jit(jax.grad(objective))
    leaves, structure = jax.tree.flatten(start)
    size = sum(float(jnp.abs(g).sum()) for g in jax.tree.leaves(slope(start)))
    ours = path(optim.lbfgs(search=fixed(RATE, min(1.0, 1 / size))), name)
    tensors = [torch.nn.Parameter(torch.tensor(np.array(leaf))) for leaf in leaves]
    peer = torch.optim.LBFGS(tensors, RATE, max_iter=1, history_size=10, tolerance_grad=0.0, tolerance_change=0.0)

    def closure() -> Any:
        here = jax.tree.unflatten(structure, [t.detach().numpy() for t in tensors])
        for tensor, g in zip(tensors, jax.tree.leaves(slope(here)), strict=True):
            tensor.grad = torch.tensor(np.array(g))
        return torch.tensor(float(objective(here)))

    gap = 0.0
    for step in range(STEPS):
        peer.step(closure)
        gap = max(gap, *(float(np.abs(a[step] - t.detach().numpy()).max()) for a, t in zip(ours, tensors, strict=True)))
    return gap


DIRECTIONS = {
    "optax.lbfgs(rate, linesearch=None)": ("optax", directions_beside_optax),
    "torch.optim.LBFGS(p, rate, max_iter=1, history_size=10)": ("torch", directions_beside_torch),
}


class Solver(NamedTuple):
    """fnnet's call on Rosenbrock's valley, SciPy's for the same minimum or root, and the reason why it is that one."""

    ours: str
    scipy: str
    why: str
    steps: int = 200
    close: float = FOUND


SOLVERS = [
    Solver("newton()", 'minimize(f, x0, jac=g, hess=H, method="trust-exact")', "SciPy keeps to a region of trust."),
    Solver(
        "line_search_descent()",
        'minimize(f, x0, jac=g, method="L-BFGS-B")',
        "No peer has steepest descent with a search. It is the slowest here, as the theory says.",
        60_000,
    ),
    Solver(
        "conjugate_gradient()", 'minimize(f, x0, jac=g, method="CG")', "Polak–Ribière+ in both; the searches differ."
    ),
    Solver(
        'conjugate_gradient("fletcher_reeves")',
        'minimize(f, x0, jac=g, method="CG")',
        "SciPy has Polak–Ribière+ only.",
    ),
    Solver("lbfgs()", 'minimize(f, x0, jac=g, method="L-BFGS-B")', "10 differences in both; the searches differ."),
    Solver(
        "levenberg_marquardt(r)",
        'least_squares(r, x0, J, method="lm")',
        "SciPy's is MINPACK's, with Moré's damping; fnnet has Nielsen's.",
    ),
    Solver(
        "cma_es(0.5)",
        "differential_evolution(f, [(-2, 2)] * 2)",
        "No peer has it; the tests hold it to its tutorial's equations, step by step.",
        300,
        DRAWN,
    ),
    Solver(
        "genetic(low=-2.0, high=2.0, mutation_scale=optim.schedules.exponential(0.3, 50, 0.5))",
        "differential_evolution(f, [(-2, 2)] * 2)",
        "No peer has one with crossover by coordinates; SciPy's mutates by differences of members.",
        1500,
        DRAWN,
    ),
    Solver(
        "random_search(optim.schedules.exponential(0.3, 50, 0.5), low=-2.0, high=2.0)",
        "differential_evolution(f, [(-2, 2)] * 2)",
        "No peer has it.",
        500,
        DRAWN,
    ),
]


def r(x: Any) -> Any:
    """The residuals of Rosenbrock's valley."""
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


@functools.cache
def compiled() -> dict[str, Any]:
    """What SciPy is called with."""
    f = optim.half_sum_of_squares(r)
    return {"f": jax.jit(f), "g": jax.jit(jax.grad(f)), "H": jax.jit(jax.hessian(f)), "J": jax.jit(jax.jacobian(r))}


def solved(row: Solver) -> tuple[int, int, float]:
    """fnnet's updates, SciPy's iterations or evaluations, and the largest difference of their solutions."""
    from scipy import optimize

    optimizer = eval(f"optim.{row.ours}", {"optim": optim, "r": r})
    key = jax.random.key(0)
    fun = optim.half_sum_of_squares(r)
    found = optim.minimize(fun, jnp.array(START), optimizer, steps=row.steps, tol=1e-8, key=key)
    call = row.scipy.replace(")", ", tol=1e-10)", 1) if row.scipy.startswith("minimize") else row.scipy
    call = call.replace("[(-2, 2)] * 2)", "[(-2, 2)] * 2, rng=0)")
    theirs = eval(f"optimize.{call}", {"optimize": optimize, "x0": START, "r": jax.jit(r), **compiled()})
    gap = float(np.abs(np.asarray(found.solution) - theirs.x).max())
    return int(found.steps), int(theirs.nit if "nit" in theirs else theirs.nfev), gap


HEAD = f"""## Methods that look at the function

optax and torch have L-BFGS. Each of the three searches for step sizes in a way of its own, so that their paths differ
by design; with a fixed rate of {RATE} the directions are the same. Over {STEPS} steps on the three problems the largest
difference of a parameter is allowed to be {LARGEST:.0e}. Before anything is known a step has length 1 at the most, for
torch in the norm of absolute values. fnnet leaves out a pair of differences that shows no curvature relative to its
size, torch one below an absolute 1e-10, optax none.

| fnnet | equal to | largest difference |
|---|---|---|
"""

FOUND_HEAD = f"""
The others have no counterpart there. All are compared with SciPy by what they find: the minimum of Rosenbrock's
valley from (−1.2, 1), in float64, until the gradient is 1e-8; `f`, `g`, `H`, `r`, `J` are the function, its gradient
and Hessian, the residuals and their Jacobian. The solutions are allowed to lie {FOUND:.0e} apart, those that were
found by drawing {DRAWN:.0e}. Updates are fnnet's, then SciPy's iterations (for `least_squares`, its evaluations).

| fnnet | SciPy | updates | difference |
|---|---|---|---|
"""


def section(directions: dict[str, float], found: dict[Solver, tuple[int, int, float]]) -> str:
    """The section of the page; what was not measured is left out."""
    rows = []
    for call in DIRECTIONS:
        gap = directions.get(call)
        rows.append(f"| `lbfgs(search=fixed(rate))` | `{call}` | {'' if gap is None else f'{gap:.0e}'} |\n")
    lines = []
    for row in SOLVERS:
        ours, theirs, gap = found.get(row, ("", "", None))
        steps = f"{ours}, {theirs}" if gap is not None else ""
        lines.append(f"| `{row.ours}` | `{row.scipy}` | {steps} | {'' if gap is None else f'{gap:.0e}'} |\n")
    whys = [f"- `{row.ours}`: {row.why}\n" for row in SOLVERS]
    return HEAD + "".join(rows) + FOUND_HEAD + "".join(lines) + "\n" + "".join(whys)
