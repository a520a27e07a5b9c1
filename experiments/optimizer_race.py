"""Which optimizer wins depends on the surface; on digits ten that are tuned alike are close.

Lecture 004 ("Improving optimization") races SGD, momentum, Nesterov, AdaGrad, RMSProp and AdaDelta on surfaces and
shows Adam "experimentally"; its moral is that "there is no formal guarantee that they will be effective in all cases".
Lecture 000 calls Adam "the gold standard" and adds AdamW, Adan and RAdam. Default settings decide such races, so here
each optimizer has its learning rate chosen by the same small sweep, and what chose is not what judges. The other
numbers are the defaults; momentum is 0.9, AdamW's decay 0.01.

On four surfaces (a quadratic valley, a saddle, Beale, Rosenbrock) a run of 150 steps is judged by log₁₀ of how far the
loss is above the minimum, no lower than −6, as the mean over its steps: fast and far down. The rate with the lowest
median over eight starts is chosen, and all race from new starts. (The valley and the saddle lie along the axes, which
suits methods that scale each coordinate by itself, AdaGrad above all.) On digits (a perceptron with 32 relus, batches
of 64) the rate with the lowest mean validation loss over two seeds is chosen; other seeds, with other initialisations
and batches that all have in common, are compared on test data. A run counts with the epoch that is best on validation
data.

Asked for beforehand: no optimizer is the best on all four surfaces; and on digits every one of the ten has a mean test
accuracy of at least 0.93, and the best and the worst are less than 0.03 apart. Whether one of them is best on digits is
not asked but told: for how many the 95 % bootstrap interval of the difference to the best, paired by seed, has 0 in it.
(The best is taken for it by these very seeds, so that it has been lucky, and a few more may be as good.)

Source: lecture 004, "SGD (or MBGD)" to "Adam", and its messages to take home; lecture 000, "Newer Adam approaches".
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._drawing import COLOURS, drawing, label
from experiments._film import write_film
from experiments.running import Claim, Options, main
from fnnet import data, hp, losses, metrics, nn, optim, stats

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": optim.sgd,
    "momentum": functools.partial(optim.sgd, momentum=0.9),
    "Nesterov": functools.partial(optim.sgd, momentum=0.9, nesterov=True),
    "AdaGrad": optim.adagrad,
    "RMSProp": optim.rmsprop,
    "AdaDelta": optim.adadelta,
    "Adam": optim.adam,
    "AdamW": functools.partial(optim.adamw, weight_decay=0.01),
    "Adan": optim.adan,
    "RAdam": optim.radam,
}
STYLES = [(COLOURS[index % 5], "-" if index < 5 else "--") for index in range(len(OPTIMIZERS))]
RATES = tuple(float(f"{10**power:.3g}") for power in np.arange(-4.0, 3.1, 0.5))
"""Half a decade apart. AdaDelta's first steps are a thousandth of its rate, so that it needs large ones."""
DIGITS_RATES = RATES[:-3]
STEPS, TUNING_STARTS, FLOOR = 150, 8, -6.0
TUNING_SEEDS = 2
RIGHT, APART = 0.93, 0.03


class Surface(NamedTuple):
    """A function of two numbers, where the drawn race starts, a minimum, and what is shown: x and y from and to."""

    fun: Callable[[Any, Any], Any]
    start: tuple[float, float]
    minimum: tuple[float, float]
    shown: tuple[float, float, float, float]


SURFACES = {
    "quadratic valley": Surface(
        lambda x, y: (x - 1) ** 2 / 2 + 25 * (y - 1) ** 2, (-3.0, 2.0), (1.0, 1.0), (-3.8, 2.5, -0.4, 2.4)
    ),
    "saddle": Surface(
        lambda x, y: (x - 1) ** 2 / 2 - y**2 / 2 + y**4 / 8, (-1.0, 0.02), (1.0, 2**0.5), (-1.4, 2.2, -0.8, 2.2)
    ),
    "Beale": Surface(
        lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
        (1.0, 1.5), (3.0, 0.5), (-0.5, 4.2, -1.4, 2.0),
    ),
    "Rosenbrock": Surface(
        lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2, (-1.2, 1.0), (1.0, 1.0), (-1.9, 1.9, -1.0, 2.6)
    ),
}  # fmt: skip
BEST = jnp.array([float(surface.fun(*surface.minimum)) for surface in SURFACES.values()])


def height(point: jax.Array, which: jax.Array) -> jax.Array:
    """The surface of that number, above its minimum."""
    heights = jnp.stack([surface.fun(point[0], point[1]) for surface in SURFACES.values()])
    return (heights - BEST)[which]


@jax.jit
def race(rates: jax.Array, which: jax.Array, starts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Points (lanes, steps + 1, optimizers, 2) and scores (lanes, optimizers); rates (lanes, optimizers)."""

    def lane(rates: jax.Array, which: jax.Array, start: jax.Array) -> Any:
        racers = [build(rate) for build, rate in zip(OPTIMIZERS.values(), rates, strict=True)]

        def body(carry: Any, _: Any) -> Any:
            points, states = carry
            grads = jax.vmap(jax.grad(height), (0, None))(points, which)
            stepped = [racer.update(g, s, p) for racer, g, s, p in zip(racers, grads, states, points, strict=True)]
            updates, states = zip(*stepped, strict=True)
            points = optim.apply_updates(points, jnp.stack(updates))
            return (points, states), points

        first = jnp.broadcast_to(start, (len(racers), 2))
        _, points = jax.lax.scan(body, (first, tuple(racer.init(start) for racer in racers)), length=STEPS)
        gaps = jax.vmap(jax.vmap(height, (0, None)), (0, None))(points, which)
        logs = jnp.log10(jnp.clip(jnp.where(jnp.isfinite(gaps), gaps, jnp.inf), 10**FLOOR, 1e10))
        return jnp.concatenate([first[None], points]), logs.mean(axis=0)

    return jax.vmap(lane)(rates, which, starts)


def on_surfaces(key: jax.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chosen rates (surfaces, optimizers), drawn paths (surfaces, optimizers, points, 2), scores (…, starts, …)."""
    count, surfaces = len(OPTIMIZERS), len(SURFACES)
    new = len(RATES) * TUNING_STARTS  # as many lanes as in tuning, so that there is one program
    centres = jnp.array([surface.start for surface in SURFACES.values()])
    jitter = jax.random.uniform(key, (surfaces, TUNING_STARTS + new, 2), minval=-0.2, maxval=0.2)
    starts = centres[:, None] + jitter * jnp.array([1.0, 0.1])
    starts = starts.at[:, TUNING_STARTS].set(centres)
    which = jnp.repeat(jnp.arange(surfaces), new)
    # Lanes are in the order surface, rate, start.
    tuning = jnp.tile(starts[:, None, :TUNING_STARTS], (1, len(RATES), 1, 1)).reshape(-1, 2)
    rates = jnp.tile(jnp.repeat(jnp.array(RATES), TUNING_STARTS), surfaces)
    _, scores = race(jnp.broadcast_to(rates[:, None], (rates.size, count)), which, tuning)
    medians = np.median(np.asarray(scores).reshape(surfaces, len(RATES), TUNING_STARTS, count), axis=2)
    chosen = np.array(RATES)[medians.argmin(axis=1)]
    points, scores = race(jnp.repeat(jnp.asarray(chosen), new, axis=0), which, starts[:, TUNING_STARTS:].reshape(-1, 2))
    paths = np.asarray(points).reshape(surfaces, new, STEPS + 1, count, 2)[:, 0]
    return chosen, np.moveaxis(paths, 1, 2), np.asarray(scores).reshape(surfaces, new, count)


def any_of(index: Any, learning_rate: Any) -> optim.Optimizer:
    """The optimizer of that number, which may be traced: ten optimizers in one program are compiled sooner than ten."""
    racers = [build(learning_rate) for build in OPTIMIZERS.values()]

    def init(params: Any) -> Any:
        return tuple(racer.init(params) for racer in racers)

    def update(grads: Any, states: Any, params: Any = None) -> Any:
        def moved(place: int) -> Any:
            updates, state = racers[place].update(grads, states[place], params)
            return updates, (*states[:place], state, *states[place + 1 :])

        branches = [functools.partial(moved, place) for place in range(len(racers))]
        return jax.lax.switch(jnp.asarray(index, jnp.int32), branches)

    return optim.Optimizer(init, update)


def learner(optimizer: Any, learning_rate: Any) -> fnnet.Learner:
    """A small perceptron for digits."""
    accuracy = {"accuracy": metrics.accuracy}
    return fnnet.Learner(nn.mlp([32, 10]), losses.softmax_cross_entropy, any_of(optimizer, learning_rate), accuracy)


def on_digits(key: jax.Array, rates: tuple[float, ...], seeds: int, epochs: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """Chosen rates, validation accuracies of tuning (optimizers, rates), test accuracies (optimizers, seeds)."""
    keys = jax.random.split(key, 3)
    rest, test = data.split(data.load("digits"), fraction=0.2, key=keys[0])
    train, validation = data.split(rest, fraction=0.25, key=keys[1])
    scaler = data.standardizer(train)
    train, validation, test = scaler(train), scaler(validation), scaler(test)
    space = {"optimizer": hp.grid(*range(len(OPTIMIZERS))), "learning_rate": hp.grid(*rates)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fnnet.errors.DivergenceWarning)  # the largest rates are meant to be too large
        swept = fnnet.sweep(
            learner,
            space,
            train,
            validation=validation,
            seeds=TUNING_SEEDS + seeds,
            epochs=epochs,
            batch_size=64,
            monitor="validation/loss",
            share=("initialization", "data"),
            key=keys[2],
            progress=False,
        )
    table = swept.table
    tuning = table[table["seed"] < TUNING_SEEDS]
    chosen, accuracies, tests = {}, [], []
    for place, name in enumerate(OPTIMIZERS):
        rows = tuning[tuning["optimizer"] == place].fillna({"validation/loss": np.inf, "validation/accuracy": 0.0})
        means = rows.groupby("trial").mean(numeric_only=True)
        trial = int(means["validation/loss"].idxmin())
        chosen[name] = float(means["learning_rate"][trial])
        accuracies.append(means.sort_values("learning_rate")["validation/accuracy"].to_numpy())
        runs = [swept.run(trial, seed) for seed in range(TUNING_SEEDS, TUNING_SEEDS + seeds)]
        tests.append([float(run.evaluate(test)["accuracy"]) for run in runs])
    return chosen, np.array(accuracies), np.array(tests)


def draw_surfaces(path: Path, title: str, paths: np.ndarray, frames: int) -> None:
    """All paths on all surfaces, and the same as a film in which all move at once."""
    subtitle = (
        f"{STEPS} steps from the dot; each optimizer with the learning rate that was best from other starts nearby. "
        f"Star: a minimum. Squares in the legend: dashed here, square dots in the film."
    )
    handles = [
        label(colour, name, linestyle=line, marker="o" if line == "-" else "s", markersize=4)
        for name, (colour, line) in zip(OPTIMIZERS, STYLES, strict=True)
    ]

    def background(panels: np.ndarray) -> None:
        for axes, (name, surface) in zip(panels.flat, SURFACES.items(), strict=True):
            x, y = np.meshgrid(np.linspace(*surface.shown[:2], 160), np.linspace(*surface.shown[2:], 160))
            heights = np.log10(np.asarray(surface.fun(x, y)) - surface.fun(*surface.minimum) + 1e-3)
            axes.contour(x, y, heights, 16, colors="#CCCCCC", linewidths=0.7, linestyles="solid")
            axes.plot(*surface.minimum, "*", color=COLOURS[6], markersize=12, markeredgecolor="white", zorder=6)
            axes.plot(*surface.start, "o", color=COLOURS[6], markersize=5, zorder=6)
            axes.set(xlim=surface.shown[:2], ylim=surface.shown[2:], xlabel="θ₁", ylabel="θ₂")
            axes.set_title(name)
            axes.grid(False)

    with drawing(path, title, subtitle, handles, rows=2, columns=2, height=7.4) as panels:
        background(panels)
        for axes, rows in zip(panels.flat, paths, strict=True):
            for (colour, line), points in zip(STYLES, rows, strict=True):
                axes.plot(*points.T, color=colour, linestyle=line, linewidth=1.2)
        figure = panels[0, 0].figure
    for axes in figure.axes:
        for path_line in axes.lines[2:]:
            path_line.remove()
    colours, lines = zip(*STYLES, strict=True)
    write_film(path.with_suffix(".gif"), figure, paths, colours, [line != "-" for line in lines], frames)


def draw_digits(
    path: Path, title: str, rates: tuple[float, ...], tuning: np.ndarray, tests: np.ndarray, seed: int
) -> None:
    """How tuning went, and what came of it on test data."""
    low, high = stats.bootstrap_interval(tests, seed=seed)
    order = np.argsort(-tests.mean(axis=1))
    names = list(OPTIMIZERS)
    subtitle = (
        f"Left: validation accuracy, mean of {TUNING_SEEDS} seeds a learning rate. Right: {tests.shape[1]} new seeds "
        f"at the rate that was chosen by validation loss; diamonds: mean with 95 % bootstrap interval; dots: seeds."
    )
    handles = [label(colour, name, linestyle=line) for name, (colour, line) in zip(names, STYLES, strict=True)]
    with drawing(path, title, subtitle, handles, columns=2, height=3.8) as panels:
        axes = panels[0, 0]
        for (colour, line), row in zip(STYLES, tuning, strict=True):
            axes.plot(np.log10(rates), 100 * row, color=colour, linestyle=line)
        axes.set(xlabel="log₁₀ of the learning rate", ylabel="validation accuracy, %", ylim=(0, 100))
        axes = panels[0, 1]
        for place, index in enumerate(order[::-1]):
            colour = STYLES[index][0]
            axes.plot(100 * tests[index], np.full(tests.shape[1], place), "o", color=colour, markersize=3, alpha=0.4)
            axes.plot([100 * low[index], 100 * high[index]], [place, place], color=colour, linewidth=3)
            axes.plot(100 * tests[index].mean(), place, "D", color=colour, markersize=6, markeredgecolor="white")
        axes.set(xlabel="test accuracy, %", yticks=range(len(names)), yticklabels=[names[i] for i in order[::-1]])


def experiment(options: Options) -> Claim:
    """The surfaces, the film, digits."""
    keys = jax.random.split(jax.random.key(options.seed), 2)
    names = list(OPTIMIZERS)
    chosen, paths, scores = on_surfaces(keys[0])
    medians = np.median(scores, axis=1)
    winners = {surface: names[index] for surface, index in zip(SURFACES, medians.argmin(axis=1), strict=True)}
    differ = len(set(winners.values())) > 1
    told = ", ".join(f"{name} ({surface})" for surface, name in winners.items())
    surfaces = f"The best optimizer depends on the surface: {told}" if differ else f"One is best on all: {told}"
    draw_surfaces(options.out / "optimizer_race.png", surfaces, paths, 25 if options.quick else 60)

    rates = DIGITS_RATES[::2] if options.quick else DIGITS_RATES
    seeds, epochs = (4, 12) if options.quick else (12, 20)
    rates_of, tuning, tests = on_digits(keys[1], rates, seeds, epochs)
    means = tests.mean(axis=1)
    best = int(means.argmax())
    differences = stats.bootstrap_interval(np.delete(tests[best] - tests, best, axis=0), seed=options.seed)
    level = int((differences.low <= 0).sum())
    apart = float(means.max() - means.min())
    parts = {
        "none is best on all surfaces": differ,
        "all are good on digits": means.min() >= RIGHT,
        "all are close on digits": apart < APART,
    }
    digits = (
        f"On digits, tuned alike, the ten lie between {100 * means.min():.1f} and {100 * means.max():.1f} %: "
        f"{names[best]} leads, {level} of the others cannot be told from it"
    )
    draw_digits(options.out / "optimizer_race_digits.png", digits, rates, tuning, tests, options.seed)
    words = (
        f"best on surfaces: {told}; on digits means of {seeds} seeds from {means.min():.3f} "
        f"({names[int(means.argmin())]}; asked for: {RIGHT}) to {means.max():.3f} ({names[best]}), apart by "
        f"{apart:.3f} < {APART}; {level} of {len(names) - 1} cannot be told from the "
        f"best"
    )
    by_surface = [{name: dict(zip(SURFACES, row, strict=True)) for name, row in zip(names, table.T, strict=True)}
                  for table in (chosen, medians)]  # fmt: skip
    numbers = {
        "surface_rates": by_surface[0], "surface_scores": by_surface[1],
        "digits_rates": rates_of, "digits_test_means": dict(zip(names, means, strict=True)),
        "digits_tests": dict(zip(names, tests, strict=True)), "level_with_the_best": level,
    }  # fmt: skip
    return Claim(parts, words, numbers)


if __name__ == "__main__":
    main("optimizer_race", __doc__, experiment)
