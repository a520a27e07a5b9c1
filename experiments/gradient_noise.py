"""A mini-batch's gradient is unbiased with variance σ²/|I|; falling learning rates average it out.

Lecture 001 (6.1 "Mini-Batch Gradient as an unbiased Estimator", 6.2 "Batch Size", 6.4 "Learning Rate") proves that the
gradient of a mini-batch I is that of all examples on average, gives its variance as σ²/|I|, and asks of the learning
rates that Σεₖ = ∞ and, with the square that its print lacks, Σεₖ² < ∞. Seen will be, over ten seeds:

1. for a perceptron on digits, the variance of batches that are drawn with replacement is σ²/|I| within a tenth. For
   batches as training draws them, without replacement, this is not so: there it is σ²/|I| · (N − |I|)/(N − 1), half of
   it for half of the data. And the mean of many batches is as far from the gradient as chance has it;
2. for least squares by single examples, a constant rate, Σεₖ² = ∞, hovers above the minimum: its loss ends more than
   10 times as far above it as with a rate ∝ 1/k, and the last half of the updates leaves more than 0.6 of that. With
   1/k the loss goes on falling, and the last half leaves less than 0.6: examples that are drawn independently would
   leave a half, and those that are dealt out anew each epoch, as here, leave less. With a rate ∝ 1/k², Σεₖ < ∞, the
   loss stops short, more than 10 times as high as with 1/k too.

Source: lecture 001; Robbins and Monro, "A stochastic approximation method", 1951.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._drawing import COLOURS, draw_band, drawing, plain_numbers, spread
from experiments.running import Claim, Options, main
from fnnet import data, hp, losses, nn, optim, stats
from fnnet.types import Array, PyTree

NETWORK = nn.mlp([16, 10], activation=nn.tanh)
EXAMPLES = 256
SIZES = (1, 8, 32, 128)
WITHIN = 0.1
"""How far a measured variance may be from the law, as a share of it."""
BY_CHANCE = 1.5
"""What the squared distance of the mean from the gradient, in its standard errors, may be; chance makes it 1."""
POWERS = {"constant": 1e-9, "∝ 1/k": 1.0, "∝ 1/k²": 2.0}
"""Of the learning rate's fall. A power has to be above 0; with so small a one the rate stays what it is."""
ROWS, FEATURES, RATE, HALVED = 250, 8, 0.05, 40
APART, LEFT = 10.0, 0.6


def learner(power: float) -> fnnet.Learner:
    """Least squares with a rate of 0.05 / (1 + k/40)^p."""
    rate = optim.schedules.inverse_time(RATE, HALVED, power)
    return fnnet.Learner(nn.chain(nn.dense(1, bias=False), nn.squeeze), losses.half_squared_error, optim.sgd(rate))


def noise(key: Array, examples: data.Dataset, repetitions: int) -> tuple[stats.GradientNoise, stats.GradientNoise]:
    """Of batches drawn with and without replacement, at random parameters."""
    keys = jax.random.split(key, 3)
    params, state = NETWORK.init(keys[0], jnp.asarray(examples.inputs[:1]))

    def loss(params: PyTree, batch: Any) -> Array:
        inputs, targets = batch
        return losses.softmax_cross_entropy(NETWORK.apply(params, state, inputs)[0], targets).mean()

    pair = (jnp.asarray(examples.inputs), jnp.asarray(examples.targets))
    found = (
        stats.gradient_noise(loss, params, pair, SIZES, replace=replace, repetitions=repetitions, key=key)
        for replace, key in ((True, keys[1]), (False, keys[2]))
    )
    return next(found), next(found)


def descents(key: Array, seeds: int, epochs: int) -> np.ndarray:
    """How much larger than the least the loss is after each epoch of single examples, (powers, seeds, epochs)."""
    keys = jax.random.split(key, 4)
    x = jax.random.normal(keys[0], (ROWS, FEATURES))
    y = x @ jax.random.normal(keys[1], (FEATURES,)) + jax.random.normal(keys[2], (ROWS,))
    # Half the mean squared distance of predictions from those of the minimum is the excess of the loss, exactly.
    best = x @ optim.least_squares(x, y).solution
    swept = fnnet.sweep(
        learner,
        {"power": hp.grid(*POWERS.values())},
        data.from_arrays(np.asarray(x), np.asarray(y)),
        validation=data.from_arrays(np.asarray(x), np.asarray(best)),
        seeds=seeds,
        epochs=epochs,
        batch_size=1,
        key=keys[3],
        progress=False,
    )
    return swept.history["validation/loss"].reshape(len(POWERS), seeds, epochs)


def experiment(options: Options) -> Claim:
    """The variances of batches, and where three learning rates lead."""
    seeds, repetitions, epochs = (3, 128, 64) if options.quick else (10, 256, 128)
    keys = jax.random.split(jax.random.key(options.seed), 3)
    digits = data.load("digits")
    examples = digits[jax.random.permutation(keys[2], len(digits))[:EXAMPLES]]
    examples = data.standardizer(examples)(examples)
    measure = jax.jit(jax.vmap(lambda key: noise(key, examples, repetitions)))
    by_replacing = jax.tree.map(np.asarray, measure(jax.random.split(keys[0], seeds)))
    ratios = np.array([found.measured / found.law for found in by_replacing])  # (2, seeds, sizes)
    chance = np.array([np.square(found.deviation).mean() for found in by_replacing])
    half = (by_replacing[1].measured / by_replacing[1].trace[:, None])[:, -1] * SIZES[-1]
    excess = descents(keys[1], seeds, epochs)
    ends = excess[:, :, -1].mean(axis=1)
    part, middle = epochs // 8, epochs // 2
    last = np.array([runs[:, -part:].mean() / runs[:, middle - part : middle].mean() for runs in excess])
    off = np.abs(ratios.mean(axis=1) - 1).max()
    parts = {
        "variances are the law's": off < WITHIN,
        "the mean is as near as by chance": chance.max() < BY_CHANCE,
        "a constant rate hovers": ends[0] > APART * ends[1] and last[0] > LEFT,
        "1/k goes on falling": last[1] < LEFT,
        "1/k² stops short": ends[2] > APART * ends[1],
    }
    words = (
        f"measured variances are the law's within {100 * off:.1f} % (asked for: {100 * WITHIN:.0f} %), with half of "
        f"the data in a batch {spread(half, 2)} of σ²/|I|; squared deviation of the mean {chance.max():.2f} "
        f"(< {BY_CHANCE}); a constant rate ends {times(ends[0] / ends[1])} and 1/k² {times(ends[2] / ends[1])} times "
        f"as high as 1/k (> {APART:g} both); the last half leaves {last[0]:.2f} (> {LEFT}) and with 1/k {last[1]:.2f} "
        f"(< {LEFT}); {seeds} seeds"
    )
    draw(options, by_replacing, excess, seeds, f"{half.mean():.2f}", ends)
    numbers = {
        "seeds": seeds,
        "sizes": SIZES,
        "measured_by_law": dict(zip(("with", "without"), ratios.mean(axis=1), strict=True)),
        "spread_of_measured_by_law": dict(zip(("with", "without"), ratios.std(axis=1, ddof=1), strict=True)),
        "squared_deviation": dict(zip(("with", "without"), chance, strict=True)),
        "excess_at_the_end": dict(zip(POWERS, excess[:, :, -1], strict=True)),
        "left_by_the_last_half": dict(zip(POWERS, last, strict=True)),
    }
    return Claim(parts, words, numbers)


def times(ratio: float) -> str:
    """A ratio of two digits."""
    return f"{float(f'{ratio:.2g}'):,.0f}"


def draw(
    options: Options,
    found: tuple[stats.GradientNoise, ...],
    excess: np.ndarray,
    seeds: int,
    half: str,
    ends: np.ndarray,
) -> None:
    """Variance against the size of the batch, and the loss of three learning rates."""
    title = (
        f"Half of the data without replacement leave {half} of σ²/|I|; "
        f"a constant rate ends {times(ends[0] / ends[1])} times as high as one ∝ 1/k"
    )
    subtitle = f"Line and marks: mean of {seeds} seeds; band: from the least to the greatest seed."
    with drawing(options.out / "gradient_noise.png", title, subtitle, columns=2) as panels:
        variance, loss = panels[0]
        for colour, name, noise in zip(COLOURS, ("with replacement", "without"), found, strict=False):
            share = np.asarray(noise.measured / noise.trace[:, None])
            variance.plot(SIZES, (noise.law / noise.trace[:, None])[0], color=colour, linewidth=1)
            draw_band(variance, np.array(SIZES), share, colour, linestyle="", marker="o", label=f"measured, {name}")
            variance.plot([], [], color=colour, linewidth=1, label=f"law, {name}")
        variance.set(xscale="log", yscale="log", xlabel="batch size |I|", ylabel="variance of the gradient / σ²")
        variance.set_title(f"Perceptron 64–16–10 on {EXAMPLES} digits")
        variance.set_xticks(SIZES, [str(size) for size in SIZES])
        variance.minorticks_off()
        at = ROWS * np.arange(1, excess.shape[-1] + 1)
        for colour, name, runs in zip((COLOURS[1], COLOURS[0], COLOURS[2]), POWERS, excess, strict=True):
            draw_band(loss, at, runs, colour, label=name)
        loss.set(xscale="log", yscale="log", xlabel="updates k by single examples", ylabel="loss above its minimum")
        loss.set_title(f"Least squares, {ROWS} rows, learning rates from {RATE}")
        plain_numbers(variance.yaxis, loss.yaxis, loss.xaxis)
        for axes in panels[0]:
            axes.legend()


if __name__ == "__main__":
    main("gradient_noise", __doc__, experiment)
