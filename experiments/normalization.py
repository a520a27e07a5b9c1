"""Inputs of one scale and batch normalisation let gradient descent take far larger steps.

What the lectures claim. 000 and 004, "Input Normalization": if features differ in scale, as in 004's example with one
in [1000, 2000] and one in [0.1, 0.2], the level curves of the loss are long valleys, gradients differ in scale, and
training is slow; (x − μ)/√(σ² + ε) makes them round, training "faster and more stable", and allows higher learning
rates. 000 and 004, "Batch-Normalization": the same between layers; it allows higher learning rates and needs fewer
steps.

Asked for:

- 004's example, each draw of 100 points: the curvatures of the squared error differ more than a million-fold before
  and less than 10-fold after; the largest learning rate that lowers the loss grows more than 10,000-fold and is 2/λ
  within a step of 21 %, λ the largest curvature; after 200 steps at the best learning rate more than 90 % of the loss
  is left before, less than 5 % after;
- wine (13 measured features), softmax regression, 40 epochs: with the best of its learning rates more than 95 % of the
  validation part are right after normalisation, less than 80 % before (means over seeds);
- digits, four hidden layers: batch normalisation raises the largest learning rate that ends above 80 % at least 3-fold
  for ReLUs (geometric mean over seeds), and each at its best learning rate it takes fewer steps to 90 % (95 % interval
  of the mean difference over paired seeds; the quick version has three, which are too few to ask it of, and tells the
  numbers); logistic units end, in the mean at the best learning rate of each, above 90 % with it, and more than 10
  percent points below that without it (12 epochs; quick: 8).

Source: lectures 000 and 004; Ioffe and Szegedy, "Batch normalization", 2015.
"""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._descent import descent_path
from experiments._drawing import COLOURS, draw_band, drawing, label, plain_numbers, spread
from experiments.running import Claim, Options, main
from fnnet import analysis, data, errors, hp, losses, metrics, nn, optim, stats

RATES = np.geomspace(1e-8, 10.0, 109)
"""Learning rates of the example, 12 a power of ten: a step of 21 %."""
STEPS, SHOWN_STEPS = 200, 40
BEFORE, AFTER, BATCH = COLOURS[2], COLOURS[0], COLOURS[3]


def sample(key: Any) -> tuple[Any, Any, Any]:
    """Inputs of the lecture's example, the same normalised, and targets to which both features matter alike."""
    keys = jax.random.split(key, 2)
    x = jnp.array([1000.0, 0.1]) + jnp.array([1000.0, 0.1]) * jax.random.uniform(keys[0], (100, 2))
    even = (x - x.mean(axis=0)) / jnp.sqrt(x.var(axis=0) + 1e-8)
    return x, even, even.sum(axis=1) + 0.1 * jax.random.normal(keys[1], (100,))


def error(params: Any, x: Any, y: Any) -> Any:
    """Mean squared error of the lecture's layer w₁x₁ + w₂x₂ + b."""
    return jnp.mean((x @ params[:2] + params[2] - y) ** 2)


@jax.jit
@jax.vmap
def descended(key: Any) -> Any:
    """The share of the loss that is left, (before and after normalisation, learning rates)."""
    x, even, y = sample(key)

    def left(x: Any, rate: Any) -> Any:
        path = descent_path(lambda params: error(params, x, y), jnp.zeros(3), optim.sgd(rate), STEPS)
        return error(path[-1], x, y) / error(path[0], x, y)

    return jax.vmap(jax.vmap(left, in_axes=(None, 0)), in_axes=(0, None))(jnp.stack([x, even]), jnp.asarray(RATES))


def curvatures(x: Any) -> np.ndarray:
    """Of the squared error of a linear layer with a bias, in float64: twice the squared singular values over n."""
    rows = np.column_stack([np.asarray(x, float), np.ones(len(x))])
    return 2 * np.linalg.svd(rows, compute_uv=False) ** 2 / len(rows)


def regression(learning_rate: float) -> fnnet.Learner:
    """Softmax regression from zeros."""
    model = nn.dense(3, kernel_init=nn.initializers.zeros)
    return fnnet.Learner(model, losses.softmax_cross_entropy, optim.sgd(learning_rate), {"accuracy": metrics.accuracy})


def network(logistic: int, batch_norm: int, learning_rate: float) -> fnnet.Learner:
    """Four hidden layers; activation and normalisation by number, so that one program does for all."""
    norm = nn.batch_norm()

    def maybe(params: Any, state: Any, x: Any, *, weights: Any = None, **call: Any) -> tuple[Any, Any]:
        y, after = norm.apply(params, state, x, weights=weights, **call)
        return jnp.where(batch_norm, y, x), after

    def activation(x: Any) -> Any:
        return jnp.where(logistic, jax.nn.sigmoid(x), jax.nn.relu(x))

    hidden = nn.chain(nn.dense(32), nn.Layer(norm.init, maybe), activation)
    model = nn.chain(hidden, nn.repeat(hidden, 3), nn.dense(10))
    return fnnet.Learner(model, losses.softmax_cross_entropy, optim.sgd(learning_rate), {"accuracy": metrics.accuracy})


def swept(learner: Any, space: Any, train: Any, validation: Any, **options: Any) -> np.ndarray:
    """Validation accuracies (trials, seeds, evaluations); a run that has diverged is right on none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.DivergenceWarning)  # the largest learning rates have to
        result = fnnet.sweep(
            learner, space, train, validation=validation, share=["initialization", "data"], progress=False, **options
        )
    accuracies = np.nan_to_num(result.history["validation/accuracy"])
    return accuracies.reshape(len(result.trials), result.seeds, -1)


def valleys(key: Any) -> list[tuple[Any, Any, Any]]:
    """Level curves around the best w, before and after, and the path of gradient descent at 1/λ."""
    x, even, y = sample(key)
    found = []
    for inputs, start, size in ((x, [20.0, -30.0], 50.0), (even, [-2.0, -1.5], 3.5)):
        rows = np.column_stack([np.asarray(inputs, float), np.ones(len(y))])
        best = jnp.asarray(np.linalg.lstsq(rows, np.asarray(y, float), rcond=None)[0], jnp.float32)

        def loss(w: Any, inputs: Any = inputs, best: Any = best) -> Any:
            return error(jnp.append(w, best[2]), inputs, y)

        grid = analysis.loss_slice(loss, best[:2], jnp.eye(2), low=-size, high=size, points=61)
        optimizer = optim.sgd(1.0 / float(curvatures(inputs)[0]))
        path = descent_path(loss, best[:2] + jnp.array(start), optimizer, SHOWN_STEPS)
        found.append((np.asarray(best), grid, np.asarray(path)))
    return found


def reached(accuracies: np.ndarray, level: float) -> np.ndarray:
    """The number, from 1, of the first evaluation at which accuracies (…, evaluations) are at a level, or one more."""
    there = accuracies >= level
    return np.where(there.any(axis=-1), there.argmax(axis=-1) + 1, accuracies.shape[-1] + 1)


def largest(accuracies: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """The largest learning rate (seeds,) whose accuracy (rates, seeds, evaluations) ends above 80 %, 0 for none."""
    return np.where(accuracies[..., -1] > 0.8, rates[:, None], 0).max(axis=0)


def draw_valleys(options: Options, title: str, found: Any, left: np.ndarray) -> None:
    """Level curves before and after, and what is left of the loss by learning rate."""
    from matplotlib.ticker import LogLocator

    handles = [
        label(COLOURS[7], "level curves, the loss 10 times as large each"),
        label(COLOURS[1], "path of gradient descent from ○", marker="o", markersize=3),
        label(COLOURS[6], "minimum", linestyle="", marker="*"),
    ]
    where = (
        f"One feature in [1000, 2000], one in [0.1, 0.2], 100 points; {SHOWN_STEPS} steps at 1/λ, λ the largest "
        f"curvature; right: mean of {len(left)} draws after {STEPS} steps, bands: their ranges"
    )
    with drawing(options.out / "normalization.png", title, where, handles, columns=3, height=3.0) as panels:
        names = "before: w of the raw features", "after: w of the normalised features"
        for axes, (best, grid, path), name in zip(panels[0], found, names, strict=False):
            first, second = np.asarray(grid.coordinates) + best[:2, None]
            levels = 10.0 ** np.arange(-3, 12)
            axes.contour(first, second, np.asarray(grid.losses).T, levels, colors=COLOURS[7], linewidths=0.8)
            axes.plot(*path.T, color=COLOURS[1], marker="o", markersize=2.5)
            axes.plot(*path[0], color=COLOURS[1], marker="o", markerfacecolor="white")
            axes.plot(*best[:2], color=COLOURS[6], marker="*", markersize=9)
            axes.set(title=name, xlabel="w₁", ylabel="w₂")
        axes = panels[0, 2]
        for colour, values in zip((BEFORE, AFTER), np.moveaxis(left, 1, 0), strict=True):
            draw_band(axes, RATES, np.minimum(values, 9.0), colour)
        axes.annotate("before", (1.5e-8, 0.9), color=BEFORE)
        axes.annotate("after", (2e-3, 0.5), color=AFTER)
        axes.set(xscale="log", ylim=(0, 1.3), xlabel="learning rate", title=f"loss left after {STEPS} steps")
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        plain_numbers(axes.xaxis)


def draw_rates(options: Options, title: str, wine: np.ndarray, wine_rates: Any, digits: np.ndarray, rates: Any) -> None:
    """Accuracies at the end by learning rate: wine before and after, digits without and with batch normalisation."""
    from matplotlib.ticker import LogLocator

    handles = [label(BEFORE, "raw inputs"), label(AFTER, "normalised inputs"), label(BATCH, "batch normalisation, too")]
    where = f"Accuracy at the end on validation data, gradient descent; means and ranges of {digits.shape[-2]} seeds"
    panels_of = {
        "wine, softmax regression": (wine_rates, {BEFORE: wine[0], AFTER: wine[1]}),
        "digits, four ReLU layers": (rates, {AFTER: digits[0, 0], BATCH: digits[0, 1]}),
        "digits, four logistic layers": (rates, {AFTER: digits[1, 0], BATCH: digits[1, 1]}),
    }
    with drawing(
        options.out / "normalization_rates.png", title, where, handles, columns=3, height=2.9, sharey=True
    ) as panels:
        for axes, (name, (at, curves)) in zip(panels[0], panels_of.items(), strict=True):
            for colour, accuracies in curves.items():
                draw_band(axes, at, accuracies[..., -1].T, colour, marker="o", markersize=3)
            axes.set(xscale="log", ylim=(0, 1), xlabel="learning rate", title=name)
            axes.xaxis.set_major_locator(LogLocator(numticks=6))
            plain_numbers(axes.xaxis)
        panels[0, 0].set_ylabel("accuracy")


def experiment(options: Options) -> Claim:
    """The lecture's example, wine, and digits."""
    keys = jax.random.split(jax.random.key(options.seed), 6)
    seeds, epochs, every = (3, 8, 8) if options.quick else (10, 12, 8)
    draws = jax.random.split(keys[0], 10 if options.quick else 20)
    left = np.nan_to_num(np.asarray(descended(draws), float), nan=np.inf)
    sides = [[curvatures(np.asarray(side)) for side in sample(key)[:2]] for key in draws]
    spans = np.array([[c[0] / c[-1] for c in both] for both in sides])
    limits = np.array([[2 / c[0] for c in both] for both in sides])
    steepest = np.where(left < 1, RATES, 0).max(axis=-1)
    away = np.abs(np.log(steepest / limits)).max()
    best_left = left.min(axis=-1)

    train, validation = data.split(data.load("wine"), fraction=0.3, key=keys[1])
    scaler = data.standardizer(train)
    wine_rates = np.geomspace(1e-8, 10.0, 10)
    how = {"seeds": seeds, "epochs": 40, "batch_size": 25, "key": keys[2]}
    space = {"learning_rate": hp.grid(*wine_rates.tolist())}
    pairs = (train, validation), (scaler(train), scaler(validation))
    wine = np.stack([swept(regression, space, *pair, **how) for pair in pairs])
    wine_best = wine[..., -1].mean(axis=-1).max(axis=-1)

    train, validation = data.split(data.load("digits"), fraction=0.25, key=keys[3])
    train = train[:1024]  # sixteen batches, none of them too small for statistics of its own
    scaler = data.standardizer(train)
    rates = np.geomspace(0.03, 30.0, 7 if options.quick else 10)
    how = {"seeds": seeds, "epochs": epochs, "batch_size": 64, "key": keys[4], "evaluate_every": f"{every} steps"}
    space = {"logistic": hp.grid(0, 1), "batch_norm": hp.grid(0, 1), "learning_rate": hp.grid(*rates.tolist())}
    digits = swept(network, space, scaler(train), scaler(validation), **how)
    digits = digits.reshape(2, 2, len(rates), seeds, -1)
    tops = [largest(digits[0, j], rates) for j in (0, 1)]
    # Without a learning rate that trains, half of the least that was tried stands for it, in favour of neither.
    gain = float(np.exp(np.mean(np.log(np.maximum(tops[1], rates[0] / 2) / np.maximum(tops[0], rates[0] / 2)))))
    chosen = [[d[..., -1].mean(axis=-1).argmax() for d in row] for row in digits]
    steps = [every * reached(digits[0, j, chosen[0][j]], 0.9) for j in (0, 1)]
    fewer = stats.bootstrap_interval((steps[0] - steps[1]).astype(float), seed=options.seed)

    reach = [digits[1, j, ..., -1].mean(axis=-1).max() for j in (0, 1)]
    titles = [
        f"Normalised inputs: curvatures differ {spans[:, 1].max():.1f}-fold at most, not {spans[:, 0].min() / 1e9:.1f} "
        f"billion-fold, and learning rates can be {np.median(steepest[:, 1] / steepest[:, 0]) / 1e6:.1f} million "
        "times as large",
        f"Accuracy on raw wine is {wine_best[0]:.0%} at best, normalised {wine_best[1]:.0%}; batch normalisation "
        f"allows ReLU nets {gain:.0f} times the learning rate; logistic ones get to {reach[0]:.0%} without, "
        f"{reach[1]:.0%} with it",
    ]
    draw_valleys(options, titles[0], valleys(keys[5]), left)
    draw_rates(options, titles[1], wine, wine_rates, digits, rates)
    parts = {
        "level curves become round": spans[:, 0].min() > 1e6 and spans[:, 1].max() < 10,
        "larger learning rates": (steepest[:, 1] / steepest[:, 0]).min() > 1e4 and away < np.log(1.21) + 0.01,
        "faster": best_left[:, 0].min() > 0.9 and best_left[:, 1].max() < 0.05,
        "wine": wine_best[1] > 0.95 and wine_best[0] < 0.8,
        "batch normalisation allows larger learning rates": gain >= 3,
        "logistic units train better with it": reach[1] > 0.9 and reach[1] - reach[0] > 0.1,
    }
    if not options.quick:
        parts["batch normalisation takes fewer steps"] = fewer.low > 0
    numbers = {
        "ratio_of_curvatures": spans, "largest_learning_rates": steepest, "two_over_curvature": limits,
        "loss_left": best_left, "wine_rates": wine_rates, "wine_accuracy": wine[..., -1], "rates": rates,
        "digits_accuracy": digits[..., -1], "largest_rates_relu": tops, "steps_to_90": steps, "fewer_steps": fewer,
    }  # fmt: skip
    words = (
        f"curvatures differ {spans[:, 0].min():.0e}-fold before (> 1e6), {spans[:, 1].max():.1f}-fold after (< 10), "
        f"wine {wine_best[0]:.2f} (< 0.8) and {wine_best[1]:.2f} (> 0.95), learning rates of ReLU nets {gain:.1f} "
        f"times as large with batch normalisation (≥ 3), steps to 90 % {spread(steps[0])} without, "
        f"{spread(steps[1])} with it, logistic nets {reach[0]:.2f} without (asked: 0.1 less), "
        f"{reach[1]:.2f} with it (> 0.9)"
    )
    return Claim(parts, words, numbers)


if __name__ == "__main__":
    main("normalization", __doc__, experiment)
