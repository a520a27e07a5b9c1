"""A layer warps the plane until classes are a line apart; where two units cannot, a third one lifts them.

The lecture says that a linear layer is rotation · scale · reflection (an example by the SVD), that a network with two
inputs and two hidden units warps the plane so that classes "can become linearly separable", and that the number of
linear regions grows so fast with depth that deep networks win by the parameter.

Seen will be: (1) its matrix turns, scales and turns: both of its outer factors have determinant −1, so that what it
calls a rotation is a reflection too, and two reflections can be written as two rotations. (2) Ten networks a number of
hidden units, tanh, on two arcs, one over the other, and on a ring around a disc. The output is right exactly where a
line (or plane) separates what is hidden. Two units make a line separate the arcs (99 % right in most seeds; the best
straight line of the plane itself: fewer than 92 %). They never do it for ring and disc (less than 95 % in every seed):
an invertible layer followed by tanh can bend the plane, but not take the disc out of its ring. Three units can (99 % in
most seeds). (3) Linear regions in a box, counted exactly, of networks of 24 ReLUs in one, two and three layers, as
initialised and as trained on the arcs: never more than the bound, which grows with depth; but the number that there is
hardly does: with three layers it stays below 2 % of what the lecture's formula allows, before and after training.

Source: lecture 002, "The representation view", "Warping space", and "Number of linear regions per parameter".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._drawing import COLOURS, drawing, label, spread
from experiments.running import Claim, Options, main
from fnnet import analysis, data, hp, losses, metrics, nn, optim

LECTURE = np.array([[0.19, 1.84], [-0.97, -0.93]])
PRINTED = np.array([[0.83, -0.55], [-0.55, -0.83]]), np.array([2.17, 0.74]), np.array([[0.32, 0.94], [0.94, -0.32]])
"""The lecture's matrix, and its U, S and Vᵀ."""

SEPARATED, LINE, NEVER, MOST = 0.99, 0.92, 0.95, 0.6
"""Share of points that is right when classes are separated, by a line in the plane, and never by two units on the
ring; and the share of seeds that has to separate."""

OF_BOUND = 0.02
"""The part of what the lecture's formula allows that a network of three layers stays below."""

BOX = ((-2.5, 2.5), (-2.5, 2.5))
UNITS = (2, 3)
FOLDING_STEPS = 1000
"""Of the networks whose regions are counted."""


class Setting(NamedTuple):
    """One size of the experiment."""

    seeds: int
    steps: int
    layers: tuple[int, ...]


DEFAULT = Setting(seeds=10, steps=2000, layers=(1, 2, 3))
QUICK = Setting(seeds=4, steps=1500, layers=(1, 3))
RELUS = 24


def arcs(draw: np.random.Generator, rows: int) -> data.Dataset:
    """Two arcs, one over the other."""
    across, side = draw.uniform(-1.5, 1.5, rows), np.arange(rows) % 2
    points = np.stack([across, 0.6 - 0.8 * across**2 + 0.7 * side], axis=1)
    return data.from_arrays(noisy(draw, points), side.astype(np.float32))


def ring(draw: np.random.Generator, rows: int) -> data.Dataset:
    """A disc, and a ring around it."""
    angle, side = draw.uniform(0, 2 * np.pi, rows), np.arange(rows) % 2
    radius = np.where(side, 1.6, 0.7 * np.sqrt(draw.uniform(0, 1, rows)))
    return data.from_arrays(noisy(draw, np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]), side * 1.0)


def noisy(draw: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """Points moved a little, in float32."""
    return (points + 0.07 * draw.normal(size=points.shape)).astype(np.float32)


def warping(units: Any, steps: int) -> fnnet.Learner:
    """Two inputs, two or three tanh units, one output; a mask silences the third where there are two."""
    model = nn.chain(
        nn.dense(max(UNITS)), nn.tanh, lambda h: h * (jnp.arange(max(UNITS)) < units), nn.dense(1), nn.squeeze
    )
    return separating(model, optim.adam(optim.schedules.cosine(0.03, steps)))


def folding(layers: int, learning_rate: float) -> fnnet.Learner:
    """ReLUs in so many layers, with biases, so that not all regions meet in one point."""
    he, small = nn.initializers.he_normal(), nn.initializers.normal(0.5)
    hidden: list[Any] = [nn.dense(RELUS // layers, kernel_init=he, bias_init=small), nn.relu]
    return separating(nn.chain(*hidden * layers, nn.dense(1, kernel_init=he), nn.squeeze), optim.adam(learning_rate))


def separating(model: nn.Layer, optimizer: optim.Optimizer) -> fnnet.Learner:
    """Binary classification."""
    loss = losses.sigmoid_binary_cross_entropy
    return fnnet.Learner(model, loss, optimizer, {"accuracy": metrics.binary_accuracy})


def trained(learner: Callable[..., fnnet.Learner], space: dict[str, Any], train: data.Dataset, seeds: int, steps: int,
            key: jax.Array) -> fnnet.Sweep:  # fmt: skip
    """Full-batch training; trials of one seed begin with the same weights."""
    return fnnet.sweep(
        learner, space, train, validation=train, seeds=seeds, epochs=steps, batch_size=None, evaluate_every=steps,
        key=key, share=["initialization"], progress=False,
    )  # fmt: skip


def right(swept: fnnet.Sweep) -> np.ndarray:
    """The share of points that are right at the end, (trials, seeds)."""
    return np.asarray(swept.history["validation/accuracy"])[:, -1].reshape(-1, swept.seeds)


def by_a_line(examples: data.Dataset) -> float:
    """The share of points that the best of many straight lines in the plane has on its right side."""
    x, y = np.asarray(examples.inputs), np.asarray(examples.targets)
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    along = x @ np.array([np.cos(angles), np.sin(angles)])
    ones = np.take_along_axis(np.broadcast_to(y[:, None], along.shape), np.argsort(along, axis=0), axis=0)
    below, above = np.cumsum(1 - ones, axis=0), np.cumsum(ones[::-1], axis=0)[::-1]
    return float((below[:-1] + above[1:]).max() / len(y))


def regions(setting: Setting, examples: data.Dataset, key: jax.Array) -> np.ndarray:
    """Linear regions in the box, (before or after training, layers, seeds): a learning rate of 0 trains nothing."""
    space = {"layers": hp.static(*setting.layers), "learning_rate": hp.grid(0.0, 0.01)}
    swept = trained(folding, space, examples, setting.seeds, FOLDING_STEPS, key)
    found = np.zeros((2, len(setting.layers), setting.seeds), int)
    for trial, row in enumerate(swept.trials):
        place = int(row.values["learning_rate"] > 0), setting.layers.index(row.values["layers"])
        model = folding(row.values["layers"], 0.01).model
        for seed in range(setting.seeds):
            found[place][seed] = analysis.count_linear_regions(model, swept.run(trial, seed).params, BOX).regions
    return found


def experiment(options: Options) -> Claim:
    """A matrix, two warped planes, and regions."""
    setting = QUICK if options.quick else DEFAULT
    keys = jax.random.split(jax.random.key(options.seed), 3)
    draw = np.random.default_rng(options.seed)

    svd = analysis.plane_svd(LECTURE)
    analysis.plot_svd(LECTURE, options.out / "representation_svd.png")
    left, scales, across = PRINTED
    same = float(np.abs(left @ np.diag(scales) @ across - LECTURE).max())
    turns = not svd.reflects and np.linalg.det(left) < 0 and np.linalg.det(across) < 0 and same < 0.03

    sets = {"arcs": arcs(draw, 400), "ring": ring(draw, 400)}
    space = {"units": hp.grid(*UNITS), "steps": hp.static(setting.steps)}
    warped = {
        name: trained(warping, space, examples, setting.seeds, setting.steps, key)
        for (name, examples), key in zip(sets.items(), keys, strict=False)
    }
    rights = {name: right(swept) for name, swept in warped.items()}
    lines = {name: by_a_line(examples) for name, examples in sets.items()}
    part = {name: (found >= SEPARATED).mean(axis=1) for name, found in rights.items()}
    warps = part["arcs"][0] >= MOST and lines["arcs"] < LINE
    lifts = float(rights["ring"][0].max()) < NEVER and part["ring"][1] >= MOST

    found = regions(setting, sets["arcs"], keys[2])
    widths = [[RELUS // layers] * layers for layers in setting.layers]
    formula = [analysis.max_linear_regions(2, each) for each in widths]
    most = [analysis.linear_regions_upper_bound(2, each) for each in widths]
    used = found[:, -1].max() / formula[-1]
    bounded = bool((found <= np.array(most)[:, None]).all()) and bool(used < OF_BOUND)

    count = "; ".join(
        f"{layers}: {before.mean():.0f} then {after.mean():.0f} of {bound:,}"
        for layers, before, after, bound in zip(setting.layers, *found, formula, strict=True)
    )
    words = (
        f"the lecture's matrix {'turns, scales and turns' if turns else 'is not two rotations'}; right with two units: "
        f"arcs {spread(100 * rights['arcs'][0])} % ({100 * part['arcs'][0]:.0f} % of seeds separate, a line "
        f"{100 * lines['arcs']:.0f} %), ring at most {100 * rights['ring'][0].max():.0f} %, with three "
        f"{spread(100 * rights['ring'][1])} % ({100 * part['ring'][1]:.0f} % of seeds); linear regions by layers, "
        f"before and after training, of the formula's: {count}"
    )
    numbers: dict[str, Any] = {
        "seeds": setting.seeds,
        "scales": svd.scales,
        "angles": [svd.right_angle, svd.left_angle],
        "printed_factors_minus_matrix": same,
        "determinants_of_printed_factors": [np.linalg.det(left), np.linalg.det(across)],
        "right_with_two_and_three_units": rights,
        "right_by_a_line": lines,
        "layers": setting.layers,
        "regions_before_and_after_training": found,
        "regions_by_the_formula": formula,
        "regions_upper_bound": most,
    }
    parts = {
        "the matrix turns, scales and turns": turns,
        "two units separate the arcs": warps,
        "the ring takes three": lifts,
        "regions are bounded and few": bounded,
    }
    draw_warps(options.out / "representation_warp.png", setting, sets, warped, rights, lines, bool(warps and lifts))
    draw_regions(options.out / "representation_regions.png", setting, found, formula, bounded)
    return Claim(parts, words, numbers)


def draw_warps(
    path: Path, setting: Setting, sets: dict[str, data.Dataset], warped: dict[str, fnnet.Sweep],
    rights: dict[str, np.ndarray], lines: dict[str, float], seen: bool,
) -> None:  # fmt: skip
    """Both planes, and what the best seed's two and three units make of them."""
    title = (
        f"Two units pull the arcs apart ({100 * rights['arcs'][0].max():.3g} %), but a disc out of its ring only three "
        f"can ({100 * rights['ring'][0].max():.0f} and {100 * rights['ring'][1].max():.0f} %)"
        if seen
        else "The hidden units did not separate the classes as expected"
    )
    subtitle = (
        f"Best of {setting.seeds} seeds each; in the titles: right points, mean ± standard deviation over seeds. Grey: "
        "where a grid of the plane is taken to. Dashed: where the output is undecided; three units are seen along it."
    )
    handles = [
        label(COLOURS[i], name, marker="o", linestyle="", markersize=4)
        for i, name in enumerate(("one class", "the other"))
    ]
    with drawing(path, title, subtitle, handles, rows=2, columns=3, height=6.0) as panels:
        for row, (name, examples) in zip(panels, sets.items(), strict=True):
            x, y = np.asarray(examples.inputs), np.asarray(examples.targets)
            scatter(row[0], x, y, grid())
            row[0].set(title=f"{name}: by a line {100 * lines[name]:.0f} % right", xlabel="first input")
            row[0].set(ylabel="second input", aspect="equal")
            for axes, trial, units in zip(row[1:], range(2), UNITS, strict=True):
                params = warped[name].run(trial, int(rights[name][trial].argmax())).params
                flat, at = projection(params, units)
                scatter(axes, flat(x), y, [flat(line) for line in grid()])
                if units == 2:
                    (one, two), shift = at
                    axes.axline((-shift * one, -shift * two), slope=-one / two, color=COLOURS[-2], linestyle="--")
                    axes.set(
                        xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), xlabel="first hidden unit", ylabel="second hidden unit"
                    )
                else:
                    axes.axvline(-at[1], color=COLOURS[-2], linestyle="--")
                    axes.set(xlabel="across the output's plane", ylabel="along it")
                axes.set(title=f"{units} units: {spread(100 * rights[name][trial])} % right")


def projection(params: Any, units: int) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[np.ndarray, float]]:
    """The plane in which hidden units are shown, and the output's unit normal and offset in it."""
    first, last = params[0], params[3]
    kernel, bias = (np.asarray(first[name])[..., :units] for name in ("kernel", "bias"))
    normal = np.asarray(last["kernel"])[:units, 0]
    length = np.linalg.norm(normal)
    offset = float(np.asarray(last["bias"])[0] / length)
    if units == 2:
        return lambda x: np.tanh(x @ kernel + bias), (normal / length, offset)
    # Across the output's plane, and the direction along it in which the plane's inputs reach farthest.
    points = np.tanh(np.concatenate(grid()) @ kernel + bias)
    across = normal / length
    rest = points - (points @ across)[:, None] * across
    along = np.linalg.svd(rest - rest.mean(axis=0), full_matrices=False)[2][0]
    basis = np.stack([across, along], axis=1)
    return lambda x: np.tanh(x @ kernel + bias) @ basis, (across, offset)


def grid() -> list[np.ndarray]:
    """Lines of a grid of the plane, each (points, 2)."""
    long, at = np.linspace(-2, 2, 401), np.linspace(-2, 2, 13)
    return [np.stack(pair, axis=1) for c in at for pair in ((np.full(401, c), long), (long, np.full(401, c)))]


def scatter(axes: Any, points: np.ndarray, classes: np.ndarray, lines: list[np.ndarray]) -> None:
    """Points by class over a grid."""
    for line in lines:
        axes.plot(*line.T, color="#BBBBBB", linewidth=0.6, zorder=1)
    axes.scatter(*points.T, c=np.array(COLOURS[:2])[classes.astype(int)], s=7, linewidths=0, zorder=2)
    axes.grid(visible=False)


def draw_regions(path: Path, setting: Setting, found: np.ndarray, formula: list[int], bounded: bool) -> None:
    """Regions before and after training, and the formula's."""
    title = (
        f"Three layers could fold the plane into {formula[-1]:,} linear regions, but make {found[1, -1].mean():.0f}"
        if bounded
        else "The number of linear regions is not where it was expected"
    )
    subtitle = (
        f"{RELUS} ReLUs in one or more layers, two inputs, linear regions in a box of width 5 counted exactly; each "
        f"dot is one of {setting.seeds} seeds. Trained: {FOLDING_STEPS} epochs of Adam on the arcs."
    )
    handles = [
        label(COLOURS[0], "as initialised", marker="o", linestyle="", markersize=4),
        label(COLOURS[1], "trained", marker="o", linestyle="", markersize=4),
        label(COLOURS[-2], "as many as the lecture's formula says are possible", linewidth=2.5),
    ]
    with drawing(path, title, subtitle, handles, height=3.2) as panels:
        axes = panels[0, 0]
        for place, bound in enumerate(formula):
            axes.hlines(bound, place - 0.35, place + 0.35, color=COLOURS[-2], linewidth=2.5)
            axes.annotate(f"{bound:,}", (place + 0.37, bound), va="center")
            for when in range(2):
                at = place + 0.24 * (when - 0.5) + np.linspace(-0.08, 0.08, setting.seeds)
                axes.scatter(at, found[when, place], color=COLOURS[when], s=16, linewidths=0)
        names = [f"{layers} with {RELUS // layers} units" for layers in setting.layers]
        axes.set(yscale="log", ylim=(50, 60_000), yticks=(100, 1000, 10_000), yticklabels=("100", "1,000", "10,000"))
        axes.set(xticks=range(len(names)), xticklabels=names, xlim=(-0.6, len(names) - 0.4))
        axes.set(xlabel="hidden layers", ylabel="linear regions")


if __name__ == "__main__":
    main("representation", __doc__, experiment)
