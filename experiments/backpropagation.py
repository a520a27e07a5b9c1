"""The lectures' backward pass is the gradient, and finite differences find an error of one in 10⁴.

Lecture 002 ("Toy example", "Backpropagation algorithm") goes backwards through a composition of sin, exp and cos to get
eight derivatives, and lecture 003 ("Backpropagation") through a multilayer perceptron by the recursion
δ⁽ˡ⁾ = δ⁽ˡ⁺¹⁾ W⁽ˡ⁺¹⁾ σ′, which starts with δ = f − y for the cross entropy. Seen will be, for ten random draws of
parameters and data or more: both are `jax.grad` up to rounding, to 1e-5 in float32 and 1e-12 in float64; differences
agree with both in float64 and are the best where lecture and analysis expect it, at a step near ε^⅓, as a larger step
cuts off more of Taylor's series and a smaller one rounds more; an error of 1e-4 that is planted in the largest entry of
a gradient is found in every draw (in one that is small beside the loss it may hide in rounding), while nothing is found
in right ones; and with y − f, the sign that lecture 003 prints for the derivative by the logits, every leaf of the
perceptron's gradient is found wrong.

Source: lectures 002 and 003; lectures 000 and 001 for derivatives as limits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from experiments._drawing import COLOURS, draw_band, drawing, label
from experiments.running import Claim, Options, main
from fnnet import calculus, losses, nn
from fnnet.types import Array, PyTree

MODEL = nn.mlp([5, 3], activation=nn.tanh)
ROWS, FEATURES = 8, 4
TOY = ("beta_0", "omega_0", "beta_1", "omega_1", "beta_2", "omega_2", "beta_3", "omega_3")
NAMES = ("β₀", "β₁", "β₂", "β₃", "ω₀", "ω₁", "ω₂", "ω₃", "b⁽¹⁾", "W⁽¹⁾", "b⁽²⁾", "W⁽²⁾")
"""Of the leaves in the order of their tree."""
AGREE = {"float32": 1e-5, "float64": 1e-12}
FOUND, UNSEEN = 1e-4, 1e-8
"""Planted errors of which all and none have to be found; the tolerance of the checker is 1e-6."""
BEST = (1e-6, 1e-4)
"""Where the best step has to lie; ε^⅓ is 6e-6."""


def draws(key: Array, count: int) -> tuple[PyTree, PyTree]:
    """Parameters and data of so many toys and perceptrons, stacked, in float32."""
    keys = jax.random.split(key, 5)
    toy = dict(zip(TOY, 0.7 * jax.random.normal(keys[0], (len(TOY), count)), strict=True))
    x = jax.random.normal(keys[1], (count, ROWS, FEATURES))
    mlp = jax.vmap(lambda key: MODEL.init(key, x[0])[0])(jax.random.split(keys[2], count))
    labels = jax.random.randint(keys[3], (count, ROWS), 0, 3)
    return (toy, mlp), (tuple(jax.random.normal(keys[4], (2, count))), (x, labels))


def by_hand(params: PyTree, data: PyTree) -> PyTree:
    """The gradients of one draw by the passes that the lectures write out."""
    (toy, mlp), ((x, y), (inputs, labels)) = params, data
    passes = calculus.backprop_mlp(MODEL, mlp, inputs, labels, loss=losses.softmax_cross_entropy)
    return calculus.backprop_toy(toy, x, y).gradients, passes.gradients


def objective(params: PyTree, data: PyTree) -> Array:
    """Loss of a toy and of a perceptron, which share nothing."""
    (toy, mlp), ((x, y), (inputs, labels)) = params, data
    inside = toy["beta_1"] + toy["omega_1"] * jnp.sin(toy["beta_0"] + toy["omega_0"] * x)
    output = toy["beta_3"] + toy["omega_3"] * jnp.cos(toy["beta_2"] + toy["omega_2"] * jnp.exp(inside))
    logits = MODEL.apply(mlp, MODEL_STATE, inputs)[0]
    return jnp.square(output - y) + losses.softmax_cross_entropy(logits, labels).mean()


MODEL_STATE = MODEL.init(jax.random.key(0), jnp.ones((1, FEATURES)))[1]


def apart(one: PyTree, other: PyTree) -> np.ndarray:
    """Relative errors (leaves, draws) of the leaves of stacked trees, in the order of their names."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    sides = [[np.asarray(leaf, np.float64).reshape(len(leaf), -1) for leaf in pair] for pair in pairs]
    norm = np.linalg.norm
    return np.array([norm(a - b, axis=1) / np.maximum(norm(a, axis=1), norm(b, axis=1)) for a, b in sides])


def planted(gradients: PyTree, size: float) -> PyTree:
    """The gradients with a relative error in the largest entry of the toy's and of W⁽¹⁾, of every draw."""
    toy, (first, *others) = gradients
    rows = jnp.stack(list(toy.values()))
    wrong = jnp.where(jnp.abs(rows) == jnp.abs(rows).max(axis=0), rows * (1 + size), rows)
    kernel = first["kernel"]
    largest = jnp.abs(kernel).max(axis=(1, 2), keepdims=True)
    kernel = jnp.where(jnp.abs(kernel) == largest, kernel * (1 + size), kernel)
    return dict(zip(toy, wrong, strict=True)), ({**first, "kernel": kernel}, *others)


def experiment(options: Options) -> Claim:
    """All draws of both kinds at once; differences are of the sum of their losses."""
    count = 10 if options.quick else 20
    steps = np.logspace(-1, -11, 6 if options.quick else 11)
    sizes = [UNSEEN, FOUND] if options.quick else [UNSEEN, 1e-7, 1e-6, 1e-5, FOUND]
    params, data = draws(jax.random.key(options.seed), count)
    both = jax.jit(jax.vmap(lambda p, d: (by_hand(p, d), jax.grad(objective)(p, d))))

    def total(p: PyTree) -> Array:
        return jax.vmap(objective)(p, examples).sum()

    errors = {"float32": apart(*both(params, data))}
    with jax.enable_x64(True):
        wide, examples = (
            jax.tree.map(lambda leaf: leaf.astype("float64") if leaf.dtype == "float32" else leaf, tree)
            for tree in (params, data)
        )
        hand, grads = both(wide, examples)
        errors["float64"] = apart(hand, grads)
        limits = [apart(calculus.finite_difference(total, wide, step=float(h)), hand) for h in steps]
        reports = [calculus.check_gradient(total, wide, planted(hand, size)) for size in sizes]
        right = calculus.check_gradient(total, wide, hand)
        turned = calculus.check_gradient(total, wide, (hand[0], jax.tree.map(jnp.negative, hand[1])))
    caught = np.array([sum(leaf.wrong for leaf in report.leaves) for report in reports]) / (2 * count)
    medians = np.array([np.median(np.nan_to_num(limit), axis=0) for limit in limits])  # (steps, draws)
    best = steps[np.median(medians, axis=1).argmin()]
    signs = sum(leaf.wrong > 0 for leaf in turned.leaves)
    worst = {dtype: float(error.max()) for dtype, error in errors.items()}
    parts = {
        "both are jax.grad": all(worst[dtype] <= AGREE[dtype] for dtype in AGREE),
        "nothing is found in right gradients": right.passed,
        "planted errors are found": caught[0] == 0 and caught[-1] == 1,
        "the best step is near ε^⅓": BEST[0] <= best <= BEST[1],
        "the printed sign is found wrong": signs == len(jax.tree.leaves(hand[1])),
    }
    draw(options, errors, steps, medians, np.array(sizes), caught)
    words = (
        f"backpropagation by hand is jax.grad to {worst['float32']:.0e} in float32 (asked for: 1e-5) and "
        f"{worst['float64']:.0e} in float64 (1e-12); differences find {'no' if right.passed else 'an'} error in it, "
        f"{100 * caught[-1]:.0f} % of errors of 1e-4 (all) and {100 * caught[0]:.0f} % of 1e-8 (none), and "
        f"in {signs} of 4 leaves the sign as printed (4); the best step is {best:.0e} (1e-6 to 1e-4); {count} draws"
    )
    numbers = {
        "draws": count,
        "largest_relative_error": worst,
        "steps": [f"{h:.0e}" for h in steps],
        "error_of_differences": [f"{error:.1e}" for error in np.median(medians, axis=1)],
        "best_step": f"{best:.0e}",
        "planted": {f"{size:.0e}": share for size, share in zip(sizes, caught.tolist(), strict=True)},
        "report_of_the_right_gradient": repr(right).splitlines()[0],
    }
    return Claim(parts, words, numbers)


def draw(
    options: Options,
    errors: dict[str, np.ndarray],
    steps: np.ndarray,
    medians: np.ndarray,
    sizes: np.ndarray,
    caught: np.ndarray,
) -> None:
    """What is left between hand and machine, the two errors of differences, and what they find."""
    title = (
        f"Backpropagation by hand is jax.grad to {errors['float64'].max():.0e}; differences, good to "
        f"{np.median(medians, axis=1).min():.0e}, find {100 * caught[-1]:.0f} % of the planted errors of 1 in 10⁴"
    )
    subtitle = (
        f"{medians.shape[1]} draws of the toy example of lecture 002 and of a perceptron 4–5–3 with cross entropy."
    )
    handles = [
        label(COLOURS[1], "float32", marker="o", linestyle="", markersize=4),
        label(COLOURS[0], "float64", marker="o", linestyle="", markersize=4),
    ]
    with drawing(options.out / "backpropagation.png", title, subtitle, handles, columns=3) as panels:
        hand, differences, found = panels[0]
        floor = 1e-18
        for colour, error in zip((COLOURS[1], COLOURS[0]), errors.values(), strict=True):
            for place, values in enumerate(error):
                hand.plot(np.full(len(values), place), np.maximum(values, floor), "o", color=colour, markersize=3)
        hand.set(yscale="log", ylabel="relative error of a derivative by hand", ylim=(floor / 3, 1e-3))
        hand.set_xticks(range(len(NAMES)), NAMES, fontsize=7)
        hand.set_title("By hand, beside jax.grad")
        hand.annotate("at the bottom: equal", (0, 2.5 * floor), color="#767676")
        draw_band(differences, steps, np.maximum(medians, floor).T, COLOURS[0])
        differences.axvline(np.finfo(np.float64).eps ** (1 / 3), color="#222222", linestyle=":", linewidth=1)
        differences.annotate("ε^⅓", (np.finfo(np.float64).eps ** (1 / 3) * 1.3, 1e-1), va="top")
        differences.set(xscale="log", yscale="log", xlabel="step h", ylabel="relative error, median of 12 leaves")
        differences.set_title("Central differences (mean, range)")
        found.plot(sizes, 100 * caught, color=COLOURS[0], marker="o")
        found.axvline(1e-6, color="#222222", linestyle=":", linewidth=1)
        found.annotate("tolerance", (8e-7, 97), ha="right", va="top")
        found.set(xscale="log", xlabel="relative error in one entry", ylabel="found, %", ylim=(-3, 103))
        found.set_title("Planted errors")
        for axis in (hand.yaxis, differences.xaxis, differences.yaxis, found.xaxis):
            axis.set_major_formatter(lambda value, _: f"{value:.0e}".replace("e-0", "e-"))


if __name__ == "__main__":
    main("backpropagation", __doc__, experiment)
