"""More hidden units come closer to a function, but training does not find all that they can do.

The lectures claim (universal approximation theorem) that a network with one hidden layer comes as close to any
continuous function as asked for if it has enough hidden units, without saying how to find it; that with ReLUs and one
input it is made of straight pieces with at most one joint a unit; and that units which see two inputs bound convex
polygons.

Seen will be, over ten seeds each: the distance (root mean square, geometric mean over seeds) between a wave on an
interval and trained networks of 4, 8, 16, 32 and 64 ReLUs falls with every doubling, to a third or less in all. No
network has more joints than units, and straight lines between the joints that `analysis.joints` finds are the network.
Beside it stands what so many units can do if they are set by hand, straight lines between equidistant points: fifty
times closer with 64 than with 4. The theorem is of what there is; gradient descent does not find it.
In the plane a hexagon is exactly what six threshold units have in common, with weights set by hand; trained logistic
units find it from examples, and with six of them a quarter or less of the points are wrong that are wrong with two.

All widths are lanes of one program: the widest network, in which a mask silences the units that are too many.

Source: lecture 002, "Universal approximation theorem", "Multivariate inputs"; lecture 003, "Universal Approximation
Theorem".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._drawing import COLOURS, drawing, label
from experiments.running import Claim, Options, main
from fnnet import analysis, data, hp, losses, metrics, nn, optim

TIMES = 3
"""How many times closer the widest network has to come than the narrowest."""

FEWER = 4
"""How many times fewer points have to be wrong with six units than with two."""

BY_HAND = 50
"""How many times closer units set by hand have to come."""

SAME = 1e-4
"""How far a network may be from the straight lines between its joints: float32 against float64."""

SIDES = 6
RADIUS = 0.877
"""Of the circle around the hexagon, which then is half of the square from −1 to 1."""


class Setting(NamedTuple):
    """One size of the experiment."""

    widths: tuple[int, ...]
    units: tuple[int, ...]
    seeds: int
    steps: int


DEFAULT = Setting((4, 8, 16, 32, 64), (1, 2, 3, 4, 5, 6), seeds=10, steps=3000)
QUICK = Setting((4, 16, 64), (2, 6), seeds=6, steps=2500)


def wave(x: np.ndarray) -> np.ndarray:
    """The function to come close to."""
    return np.sin(2 * np.pi * x) + 0.5 * np.sin(5 * np.pi * x)


def first_units(hidden: Any, units: Any) -> Any:
    """Hidden units, silent from number ``units`` on."""
    return hidden * (jnp.arange(hidden.shape[-1]) < units)


def wave_learner(units: Any, steps: int, widest: int) -> fnnet.Learner:
    """A shallow network of one input whose joints begin all over the interval."""
    hidden = nn.dense(widest, kernel_init=nn.initializers.normal(2.0), bias_init=nn.initializers.symmetric_uniform(2.0))
    model = nn.chain(hidden, nn.relu, lambda h: first_units(h, units), nn.dense(1), nn.squeeze)
    return fnnet.Learner(model, losses.squared_error, optim.adam(optim.schedules.cosine(0.01, steps)))


def polygon_learner(units: Any, steps: int, widest: int) -> fnnet.Learner:
    """A shallow network of two inputs with logistic units: soft half planes, and a soft vote of them."""
    hidden = nn.dense(widest, kernel_init=nn.initializers.normal(3.0))
    model = nn.chain(hidden, nn.sigmoid, lambda h: first_units(h, units), nn.dense(1), nn.squeeze)
    optimizer = optim.adam(optim.schedules.cosine(0.05, steps))
    scores = {"accuracy": metrics.binary_accuracy}
    return fnnet.Learner(model, losses.sigmoid_binary_cross_entropy, optimizer, scores)


def trained(
    learner: Any, units: tuple[int, ...], train: data.Dataset, test: data.Dataset, setting: Setting, key: jax.Array
) -> fnnet.Sweep:
    """All widths and seeds by full-batch Adam; tested once, at the end, which chooses nothing."""
    return fnnet.sweep(
        learner,
        {"units": hp.grid(*units), "steps": hp.static(setting.steps), "widest": hp.static(units[-1])},
        train,
        validation=test,
        seeds=setting.seeds,
        epochs=setting.steps,
        batch_size=None,
        evaluate_every=setting.steps,
        key=key,
        progress=False,
    )


def score(swept: fnnet.Sweep, name: str) -> np.ndarray:
    """A score at the end, (widths, seeds)."""
    return np.asarray(swept.history[f"validation/{name}"])[:, -1].reshape(-1, swept.seeds)


def joints_of(swept: fnnet.Sweep, widths: tuple[int, ...], x: np.ndarray) -> tuple[list[Any], float]:
    """The joints of each run's own units, and how far the lines between them are from what the runs say at ``x``."""
    said = np.asarray(swept.predict(x[:, None]))
    found, apart = [], 0.0
    for run, outputs in enumerate(said):
        trial, seed = divmod(run, swept.seeds)
        first, *_, last, _ = swept.run(trial, seed).params
        width = widths[trial]
        own = {"kernel": first["kernel"][:, :width], "bias": first["bias"][:width]}
        params = (own, (), {"kernel": last["kernel"][:width], "bias": last["bias"]})
        bends = analysis.joints(nn.mlp([width, 1]), params, -1.0, 1.0)
        at = np.concatenate([[-1.0], bends.positions, [1.0]])
        steps = np.diff(at) * bends.slopes[:, 0]
        heights = outputs[0] + np.concatenate([[0.0], np.cumsum(steps)])
        apart = max(apart, float(np.abs(np.interp(x, at, heights) - outputs).max()))
        found.append(bends)
    return found, apart


def half_planes(turn: float) -> tuple[np.ndarray, np.ndarray]:
    """The sides of the hexagon as n·x ≥ b: directions inwards (2, sides) and offsets."""
    angles = turn + 2 * np.pi * (np.arange(SIDES) + 0.5) / SIDES
    return -np.array([np.cos(angles), np.sin(angles)]), np.full(SIDES, RADIUS * np.cos(np.pi / SIDES))


def by_hand(turn: float, points: np.ndarray) -> np.ndarray:
    """Whether points are in the hexagon, by threshold units: one a side, and one that asks for all of them."""
    normals, offsets = half_planes(turn)
    model = nn.chain(nn.dense(SIDES), nn.step, nn.dense(1), nn.step, nn.squeeze)
    sides = {"kernel": jnp.asarray(normals, jnp.float32), "bias": jnp.asarray(offsets, jnp.float32)}
    every = {"kernel": jnp.ones((SIDES, 1)), "bias": jnp.array([0.5 - SIDES])}
    says, _ = jax.jit(model.apply)((sides, (), every, (), ()), ((),) * 5, jnp.asarray(points, jnp.float32))
    return np.asarray(says) > 0.5


def experiment(options: Options) -> Claim:
    """Waves and hexagons."""
    setting = QUICK if options.quick else DEFAULT
    keys = jax.random.split(jax.random.key(options.seed), 2)
    draw = np.random.default_rng(options.seed)

    x, between = np.linspace(-1, 1, 257, dtype=np.float32), np.linspace(-1, 1, 1001, dtype=np.float32)
    on_line, off_line = (data.from_arrays(at[:, None], wave(at).astype(np.float32)) for at in (x, between))
    waves = trained(wave_learner, setting.widths, on_line, off_line, setting, keys[0])
    distances = np.sqrt(score(waves, "loss"))
    means = np.exp(np.log(distances).mean(axis=1))
    points = [np.linspace(-1, 1, width + 1) for width in setting.widths]
    constructed = np.array([np.sqrt(np.mean((np.interp(between, at, wave(at)) - wave(between)) ** 2)) for at in points])
    bends, apart = joints_of(waves, setting.widths, between)
    counts = np.array([len(found.positions) for found in bends]).reshape(distances.shape)

    turn, corners = hexagon(draw)
    train, test = (draw.uniform(-1, 1, (rows, 2)).astype(np.float32) for rows in (1000, 5000))
    within = [inside(corners, at) for at in (train, test)]
    seen_points, new_points = (
        data.from_arrays(at, where.astype(np.float32)) for at, where in zip((train, test), within, strict=True)
    )
    polygons = trained(polygon_learner, setting.units, seen_points, new_points, setting, keys[1])
    wrong = 1 - score(polygons, "accuracy")
    missed = int((by_hand(turn, test) != within[1]).sum())
    two, six = (wrong[setting.units.index(units)] for units in (2, SIDES))

    closer, fewer = means[0] / means[-1], two.mean() / max(six.mean(), 1e-9)
    possible = constructed[0] / constructed[-1]
    few = (counts <= np.array(setting.widths)[:, None]).all()
    parts = {
        "more units come closer": (np.diff(means) < 0).all() and closer >= TIMES,
        "by hand they come closer still": possible >= BY_HAND,
        "no more joints than units": few,
        "lines between joints are the network": apart <= SAME,
        "a hexagon by hand": missed == 0,
        "a hexagon is learned": fewer >= FEWER,
    }
    words = (
        f"distances {', '.join(f'{mean:.2g}' for mean in means)} with {', '.join(map(str, setting.widths))} ReLUs, "
        f"{closer:.1f} times closer (asked for: always less, {TIMES} times), by hand {possible:.0f} times ({BY_HAND}); "
        f"{'no ' if few else ''}more joints than units, lines between them within {apart:.0e} of the network; hexagon: "
        f"{missed} of {len(test)} points wrong by hand, trained {100 * six.mean():.2g} % with {SIDES} units, "
        f"{fewer:.1f} times fewer than with 2 ({FEWER})"
    )
    numbers: dict[str, Any] = {
        "widths": setting.widths,
        "seeds": setting.seeds,
        "steps": setting.steps,
        "distances": distances,
        "distances_of_equidistant_joints": constructed,
        "joints": counts,
        "network_minus_lines_between_joints": apart,
        "units": setting.units,
        "wrong_points": wrong,
        "wrong_points_by_hand": missed,
    }
    title = (
        f"From {setting.widths[0]} to {setting.widths[-1]} ReLUs a trained network comes {closer:.0f} times closer to "
        f"a wave, weights set by hand {possible:.0f} times; {SIDES} units bound a hexagon"
        if all(parts.values())
        else "More hidden units did not come as much closer as expected"
    )
    show = (waves, bends, distances, constructed), (polygons, corners, wrong)
    draw_all(options.out / "universal_approximation.png", title, setting, between, *show)
    return Claim(parts, words, numbers)


def hexagon(draw: np.random.Generator) -> tuple[float, np.ndarray]:
    """A regular hexagon, turned at random: the angle and the corners."""
    turn = float(draw.uniform(0, 2 * np.pi / SIDES))
    angles = turn + 2 * np.pi * np.arange(SIDES) / SIDES
    return turn, RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def inside(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which points a polygon contains, by matplotlib's ray casting, which knows nothing of half planes."""
    from matplotlib.path import Path as Outline

    return Outline(corners).contains_points(points)


def draw_all(path: Any, title: str, setting: Setting, x: np.ndarray, on_wave: Any, on_plane: Any) -> None:
    """Networks on the wave, their distances, a trained net on the hexagon, and its wrong points."""
    (waves, bends, distances, constructed), (polygons, corners, wrong) = on_wave, on_plane
    shown = (0, len(setting.widths) // 2, len(setting.widths) - 1)
    subtitle = (
        f"Each dot is one of {setting.seeds} seeds, lines join their means (of distances: geometric). Left: the first "
        f"seed; small circles: its joints; grey lines: where its hidden units are undecided; red: the hexagon."
    )
    handles = [label(COLOURS[-1], "wave", linestyle="--", linewidth=1)]
    handles += [label(COLOURS[i], f"{setting.widths[trial]} ReLUs") for i, trial in enumerate(shown)]
    handles += [label(COLOURS[-2], "set by hand: lines between equidistant points", linestyle=":")]
    with drawing(path, title, subtitle, handles, rows=2, columns=2, height=6.2) as panels:
        curves, error, plane, share = panels.ravel()
        said = np.asarray(waves.predict(x[:, None]))
        for i, trial in enumerate(shown):
            first = trial * setting.seeds
            curves.plot(x, said[first], color=COLOURS[i], linewidth=1.2)
            at = bends[first].positions
            curves.scatter(at, np.interp(at, x, said[first]), s=9, color=COLOURS[i], zorder=3, linewidths=0)
        curves.plot(x, wave(x), color=COLOURS[-1], linestyle="--", linewidth=0.9)
        curves.set(title="A wave, and networks trained on it", xlabel="x", ylabel="f(x)", xticks=(-1, -0.5, 0, 0.5, 1))
        dots(error, setting.widths, distances)
        error.plot(setting.widths, np.exp(np.log(distances).mean(axis=1)), color=COLOURS[0])
        error.plot(setting.widths, constructed, color=COLOURS[-2], linestyle=":")
        error.set(xscale="log", yscale="log", xticks=setting.widths, xticklabels=setting.widths)
        error.set(yticks=(0.01, 0.1, 1.0), yticklabels=("0.01", "0.1", "1"), ylim=(0.006, 1.2))
        error.minorticks_off()
        error.set(title="Distance from the wave", xlabel="hidden ReLUs", ylabel="root mean square error")
        trial = len(setting.units) - 1
        side = np.linspace(-1, 1, 161, dtype=np.float32)
        grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        run = polygons.run(trial, 0)
        chance = 1 / (1 + np.exp(-np.clip(run.predict(grid), -30, 30)))
        plane.imshow(chance.reshape(161, 161), extent=(-1, 1, -1, 1), origin="lower", cmap="Blues", vmin=0, vmax=1.3)
        first = run.params[0]
        for normal, bias in zip(np.asarray(first["kernel"]).T, np.asarray(first["bias"]), strict=True):
            plane.contour(
                side, side, (grid @ normal + bias).reshape(161, 161), [0.0], colors=COLOURS[-1], linewidths=0.9
            )
        outline = np.vstack([corners, corners[:1]])
        plane.plot(*outline.T, color=COLOURS[2], linestyle="--", linewidth=1.4)
        plane.grid(visible=False)
        plane.set(title=f"Hexagon learned by {SIDES} logistic units", xlabel="first input", ylabel="second input")
        dots(share, setting.units, 100 * wrong)
        share.plot(setting.units, 100 * wrong.mean(axis=1), color=COLOURS[0])
        share.set(title="Points on the wrong side", xlabel="hidden logistic units", ylabel="of 5000 new points, %")
        share.set(xticks=setting.units)
        share.set_ylim(bottom=0)


def dots(axes: Any, at: tuple[int, ...], values: np.ndarray) -> None:
    """A dot for each seed."""
    axes.scatter(np.repeat(at, values.shape[1]), values.ravel(), color=COLOURS[0], alpha=0.45, s=14, linewidths=0)


if __name__ == "__main__":
    main("universal_approximation", __doc__, experiment)
