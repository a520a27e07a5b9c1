"""Test error falls and rises with capacity, folds find its least, and wide nets leave the curve.

What the lectures claim. 001, 1.6: the training error falls with capacity, the test error falls first and then rises.
001, 1.7: capacity cannot be chosen on the training set, as the highest would always be. 001, 1.8: cross-validation
can choose it. 001, 3.3 and 3.4: the mean squared error is bias² plus variance (and the variance of the noise), bias
falls with capacity and variance rises.

Polynomials of degree 0 to 14 are fitted to 24 noisy points of a sine, many training sets at a time. Asked for,
in each of ten (quick: four) repetitions:

- the training error never rises; the test error of the lowest degree is more than 2 times and that of the highest more
  than 5 times that of the best;
- bias² falls to less than 2 % of what it was, variance grows more than 10-fold; bias² + variance + noise is the error
  measured on fresh targets within 5 %;
- the degree that 6 folds choose has, in the geometric mean over training sets, at most 1.5 times the test error of the
  best degree; the choice of the training error more than 3 times.

Not as the lecture says: 1.6 holds as far as the model can just fit all examples. Beyond, the shortest of all exact
fits gets better again. Seen with nets of one random hidden layer: with as many units as examples the median test error
is more than 2 times the least with fewer, and more than 3 times that with ten times as many ("double descent").

Source: lecture 001, "Machine Learning Basics" and "Estimators"; Belkin et al., 2019, for what is beyond it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._drawing import COLOURS, draw_band, drawing, label, plain_numbers, spread
from experiments.running import Claim, Options, main
from fnnet import data, hp, losses, nn, optim

EXAMPLES, NOISE, FOLDS = 24, 0.3, 6
DEGREES = np.arange(15)
FEATURES = 8
"""Inputs of the nets."""
WIDTHS = np.array([2, 4, 8, 12, 16, 20, 22, 24, 26, 28, 32, 40, 60, 90, 140, 240])


def powers(x: Any, degree: Any) -> Any:
    """Legendre polynomials of x in [−1, 1] up to a degree, and zeros above: (examples, 1) to (examples, degrees)."""
    x = x[:, 0]
    rows = [jnp.ones_like(x), x]
    for k in range(1, len(DEGREES) - 1):
        rows.append(((2 * k + 1) * x * rows[-1] - k * rows[-2]) / (k + 1))
    return jnp.stack(rows, axis=-1) * jnp.sqrt(2.0 * DEGREES + 1) * (degree >= DEGREES)


def truth(x: Any) -> Any:
    """What is behind the noise."""
    return jnp.sin(1.5 * jnp.pi * x[:, 0])


def draw_set(key: Any) -> tuple[Any, Any]:
    """Inputs (examples, 1) and noisy targets of a training set."""
    place, noise = jax.random.split(key)
    # One in each cell of equal width: without large gaps, at whose ends polynomials would decide the means.
    x = 2 * (jnp.arange(EXAMPLES)[:, None] + jax.random.uniform(place, (EXAMPLES, 1))) / EXAMPLES - 1
    return x, truth(x) + NOISE * jax.random.normal(noise, (EXAMPLES,))


@jax.jit
@jax.vmap
def decomposed(keys: Any) -> dict[str, Any]:
    """Errors by degree of polynomials fitted to a training set a key, and what the test error is made of."""
    grid = jnp.linspace(-1, 1, 101)[:, None]

    def fitted(key: Any, degree: Any) -> tuple[Any, Any]:
        x, y = draw_set(key)
        solution = optim.least_squares(powers(x, degree), y).solution
        return powers(grid, degree) @ solution, jnp.mean((powers(x, degree) @ solution - y) ** 2)

    by_degree = jax.vmap(fitted, in_axes=(None, 0))
    predictions, training = jax.vmap(by_degree, in_axes=(0, None))(keys, jnp.asarray(DEGREES))
    # Not fold_in(…, 0) or fold_in(…, 1): these are the two keys into which `draw_set` splits it.
    fresh = truth(grid) + NOISE * jax.random.normal(jax.random.fold_in(keys[0], 2), (len(keys), 1, len(grid)))
    variance = predictions.var(axis=0, ddof=min(1, len(keys) - 1))
    return {
        "training": training,  # (sets, degrees)
        "test": jnp.mean((predictions - truth(grid)) ** 2, axis=-1) + NOISE**2,
        # Unbiased: the square of a mean has a part of the variance, which is taken off.
        "bias²": jnp.mean((predictions.mean(axis=0) - truth(grid)) ** 2 - variance / len(keys), axis=-1),
        "variance": jnp.mean(variance, axis=-1),
        "measured": jnp.mean((predictions - fresh) ** 2, axis=(0, 2)),
    }


@jax.jit
@jax.vmap
def widened(key: Any) -> tuple[Any, Any]:
    """Training and test error, by width, of nets of which the output layer alone is fitted: the shortest solution."""
    keys = jax.random.split(key, 4)
    direction = jax.random.normal(keys[0], (FEATURES,)) / FEATURES**0.5
    x = jax.random.normal(keys[1], (EXAMPLES + 500, FEATURES))
    y = jnp.sin(2 * x @ direction)
    noisy = y + NOISE * jax.random.normal(keys[2], y.shape)
    hidden = nn.chain(nn.dense(int(WIDTHS[-1])), nn.relu)
    units, _ = hidden.apply(*hidden.init(keys[3], x), x)

    def fitted(width: Any) -> tuple[Any, Any]:
        there = units * (jnp.arange(units.shape[1]) < width)
        solution = optim.least_squares(there[:EXAMPLES], noisy[:EXAMPLES]).solution
        wrong = there @ solution - jnp.where(jnp.arange(len(y)) < EXAMPLES, noisy, y)
        return jnp.mean(wrong[:EXAMPLES] ** 2), jnp.mean(wrong[EXAMPLES:] ** 2) + NOISE**2

    return jax.vmap(fitted)(jnp.asarray(WIDTHS))


def learner(degree: int) -> fnnet.Learner:
    """A polynomial as a net without hidden layers; a step of Newton's method fits it."""
    model = nn.chain(lambda x: powers(x, degree), nn.dense(1), nn.squeeze)
    # The features above the degree are zeros: without a prior the curvature of their weights would be zero, too.
    return fnnet.Learner(model, losses.squared_error, optim.newton(), prior=losses.gaussian_prior(1e-5))


def cross_validated(key: Any) -> np.ndarray:
    """Mean squared error on what is left out, by degree, of one training set."""
    place, deal = jax.random.split(key)
    train = data.from_arrays(*map(np.asarray, draw_set(place)))
    swept = fnnet.sweep(
        learner, {"degree": hp.grid(*DEGREES.tolist())}, train, folds=FOLDS, epochs=2, batch_size=EXAMPLES,
        monitor="validation/loss", key=deal, progress=False,
    )  # fmt: skip
    return swept.history["validation/loss"][:, -1].reshape(len(DEGREES), FOLDS).mean(axis=1)


def draw(options: Options, titles: dict[str, str], errors: Any, chosen: np.ndarray, wide: Any, sets: int) -> None:
    """Two figures: the lecture's curves, and what is beyond."""
    names = ("training", "test", "bias²", "variance")
    colours = dict(zip(names, (COLOURS[0], COLOURS[2], COLOURS[3], COLOURS[1]), strict=True))
    handles = [label(colours[name], f"{name} error" if name in names[:2] else name) for name in names]
    handles += [
        label(COLOURS[6], "bias² + variance + noise", linestyle=":"),
        label(COLOURS[7], "noise", linestyle="--"),
    ]
    where = (
        f"Polynomials fitted to {EXAMPLES} points of a noisy sine; lines: means of {len(errors['bias²'])} repetitions "
    )
    where += f"of {sets} training sets, bands: their ranges"
    with drawing(
        options.out / "capacity.png", titles["lecture"], where, handles, columns=2, height=3.2, sharey=True
    ) as panels:
        left, right = panels[0]
        for name in names[:2]:
            draw_band(left, DEGREES, errors[name].mean(axis=1), colours[name])
        for name in names[2:]:
            draw_band(right, DEGREES, np.maximum(errors[name], 1e-5), colours[name])
        right.plot(DEGREES, errors["measured"].mean(axis=0), color=colours["test"])
        right.plot(DEGREES, (errors["bias²"] + errors["variance"]).mean(axis=0) + NOISE**2, ":", color=COLOURS[6])
        for axes in (left, right):
            axes.axhline(NOISE**2, color=COLOURS[7], linestyle="--", linewidth=1)
            axes.set(yscale="log", xlabel="degree of the polynomial (capacity)", ylim=(1.5e-3, 30))
            axes.set_xticks(DEGREES)
            plain_numbers(axes.yaxis)
        left.set_ylabel("mean squared error")
        for degree, count in zip(*np.unique(chosen, return_counts=True), strict=True):
            left.annotate(count, (degree, 2.5e-3), ha="center", weight="bold")
        left.annotate(f"how often {FOLDS} folds chose this degree, of {len(chosen)} sets", (0, 5.5e-3))
    where = f"One hidden layer of random ReLUs, the output layer fitted to {EXAMPLES} points by the shortest solution; "
    where += f"medians and 80 % of {len(wide[0])} draws"
    handles = [
        label(colours["training"], "training error (drawn at 0.001 if less)"),
        label(colours["test"], "test error"),
    ]
    with drawing(options.out / "capacity_wide.png", titles["beyond"], where, handles, height=2.8) as panels:
        axes = panels[0, 0]
        for name, values in zip(names, wide, strict=False):
            low, middle, high = np.quantile(np.maximum(values, 1e-3), [0.1, 0.5, 0.9], axis=0)
            axes.plot(WIDTHS, middle, color=colours[name], marker="o", markersize=3, clip_on=False)
            axes.fill_between(WIDTHS, low, high, color=colours[name], alpha=0.2, linewidth=0)
        axes.axvline(EXAMPLES, color=COLOURS[7], linestyle="--", linewidth=1)
        axes.annotate("as many units as examples", (EXAMPLES * 1.04, 0.02), color=COLOURS[6])
        axes.set(xscale="log", yscale="log", xlabel="hidden units (capacity)", ylabel="mean squared error")
        plain_numbers(axes.yaxis)
        axes.set_xticks([2, 4, 8, 16, 24, 40, 90, 240], [2, 4, 8, 16, 24, 40, 90, 240])
        axes.minorticks_off()
        axes.set_ylim(bottom=1e-3)


def experiment(options: Options) -> Claim:
    """Resampled fits, cross-validation of some training sets, and wide nets."""
    root = jax.random.key(options.seed)
    repetitions, sets, choices, nets = (4, 100, 10, 100) if options.quick else (10, 200, 30, 300)
    keys = jax.random.split(jax.random.fold_in(root, 0), (repetitions, sets))
    errors = {name: np.asarray(values, float) for name, values in decomposed(keys).items()}
    some = [jax.random.fold_in(root, 2 + i) for i in range(choices)]
    # Of the training sets whose degree is chosen: `cross_validated` draws them by the same keys.
    own = decomposed(jnp.stack([jax.random.split(key)[0] for key in some])[:, None])
    test = np.asarray(own["test"], float)[:, 0]
    chosen = np.array([cross_validated(key).argmin() for key in some])
    at = np.arange(choices)
    by_folds = test[at, chosen] / test.min(axis=1)
    by_training = test[:, -1] / test.min(axis=1)
    wide = [np.asarray(values, float) for values in widened(jax.random.split(jax.random.fold_in(root, 1), nets))]

    rises = float(np.max(np.diff(errors["training"], axis=-1) / errors["training"][..., :1]))
    by_degree = errors["test"].mean(axis=1)
    best = by_degree.argmin(axis=1)
    overfit = by_degree[:, -1] / by_degree.min(axis=1)
    underfit = by_degree[:, 0] / by_degree.min(axis=1)
    bias = errors["bias²"].min(axis=1) / errors["bias²"][:, 0]
    variance = errors["variance"][:, -1] / errors["variance"][:, 0]
    added = errors["bias²"] + errors["variance"] + NOISE**2
    identity = float(np.abs(added / errors["measured"] - 1).max())
    highest, folds, training = (float(np.exp(np.log(ratio).mean())) for ratio in (overfit, by_folds, by_training))
    median = np.median(wide[1], axis=0)
    peak = median[WIDTHS == EXAMPLES][0]
    narrow, widest = median[WIDTHS < EXAMPLES].min(), median[-1]
    parts = {
        "training error never rises": rises <= 1e-5,
        "test error falls and rises": underfit.min() > 2 and overfit.min() > 5,
        "bias falls and variance rises": bias.max() < 0.02 and variance.min() > 10,
        "bias² + variance + noise is the error": identity <= 0.05,
        "folds choose well, training error badly": folds <= 1.5 and training > 3,
        "wide nets are better again": peak > 3 * widest and peak > 2 * narrow,
    }
    beyond = "the error falls again" if parts["wide nets are better again"] else "the error does not fall again"
    titles = {
        "lecture": f"Test error is least at degree {np.median(best):.0f}; degree {DEGREES[-1]} has "
        f"{highest:.0f} times as much, what {FOLDS} folds choose {folds:.2f} times",
        "beyond": f"Beyond the lecture's curve {beyond}: {peak:.0f} with as many units as examples, "
        f"{widest:.2f} with ten times as many (least before: {narrow:.2f})",
    }
    draw(options, titles, errors, chosen, wide, sets)
    numbers = {
        "degrees": DEGREES, "best_degree": best, "test_error": by_degree,
        "training_error": errors["training"].mean(axis=1), "bias²": errors["bias²"], "variance": errors["variance"],
        "measured": errors["measured"], "worst_of_the_identity": identity, "chosen_by_folds": chosen,
        "error_over_least_by_folds": by_folds, "error_over_least_by_training": by_training,
        "widths": WIDTHS, "wide_training_error": np.median(wide[0], axis=0), "wide_test_error": median,
    }  # fmt: skip
    words = (
        f"test error at the highest degree {highest:.0f} times the least (each > 5), bias² + "
        f"variance + noise is the error within {identity:.1%} (5 %), {FOLDS} folds choose a degree with {folds:.2f} "
        f"times the least error (≤ 1.5) and training error one with {training:.0f} times (> 3), degree of least error "
        f"{spread(best)}; beyond: {peak / widest:.0f} times the error at the peak (> 3)"
    )
    return Claim(parts, words, numbers)


if __name__ == "__main__":
    main("capacity", __doc__, experiment)
