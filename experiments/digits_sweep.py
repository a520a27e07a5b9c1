"""Of hundreds of small networks on digits the chosen are good, a little less so on a test part.

The lectures say that learning rate and regularisation have to be searched for (001, 1.7 "Hyperparameters", 1.8 "Cross
Validation"), and that the learning rate may be too large and too small (001, 5.5). Seen will be, in a sweep over ten
folds: a plateau of good learning rates with cliffs on both sides, the median accuracy of rates from 0.001 to 0.03 being
more than 0.02 above that below 0.0003 and above 0.3; networks chosen by the validation part of their fold with an
accuracy of 0.94 or more on average on a test part that chose nothing; and that rows that have chosen are too optimistic
about their choice. For that a tenth of the test rows choose among the networks of a fold and the others judge the
choice, which is done for 200 draws of the tenth: the first are expected to say more than the second, on average over
draws in each fold, and over folds by more than twice the standard error. (The validation parts themselves, one draw a
fold, flatter theirs too, but ten of them cannot tell it from chance.)

Leaves two figures, the numbers, and the page of the sweep (``digits_sweep.html``), as ``fnnet report`` writes it.

Source: lecture 001, 1.4 to 1.8; the data are scikit-learn's.
"""

from __future__ import annotations

import tempfile

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._drawing import COLOURS, drawing, label, spread
from experiments.running import Claim, Options, main
from fnnet import data, hp, losses, metrics, nn, optim

RIGHT = {False: 0.94, True: 0.92}
"""Accuracy on the test part that the chosen networks have to reach on average, by default and after few epochs."""
DRAWS = 200
"""Of the rows that choose."""
CLIFF = 0.02
"""By how much accuracy has to fall beyond both ends of the plateau."""


def learner(learning_rate: float, drop_rate: float, width: int) -> fnnet.Learner:
    """One hidden layer with dropout, trained by Adam."""
    return fnnet.Learner(
        model=nn.mlp([width, 10], drop_rate=drop_rate),
        loss=losses.softmax_cross_entropy,
        optimizer=optim.adam(learning_rate),
        metrics={"accuracy": metrics.accuracy},
    )


def experiment(options: Options) -> Claim:
    """The sweep, its pictures, and the test of what each fold has chosen."""
    keys = jax.random.split(jax.random.key(options.seed), 3)
    rest, test = data.split(data.load("digits"), fraction=0.5, key=keys[0])
    folds = 5 if options.quick else 10
    space = {
        "learning_rate": hp.log_uniform(1e-4, 1.0),
        "drop_rate": hp.uniform(0.0, 0.7),
        "width": hp.static(32) if options.quick else hp.static(32, 128),
    }
    with tempfile.TemporaryDirectory() as folder:
        swept = fnnet.sweep(
            learner,
            space,
            rest,
            folds=folds,
            trials=16 if options.quick else 64,
            epochs=15 if options.quick else 40,
            batch_size=32,
            sampler="sobol",
            key=keys[1],
            progress=False,
            out=folder,
        )
        fnnet.write_report(folder, options.out / "digits_sweep.html")
        outputs = swept.predict(test.inputs)
    swept.plot(options.out / "digits_sweep.png")
    correct = outputs.argmax(axis=-1) == test.targets
    table = swept.table.assign(test=correct.mean(axis=-1))
    ranked = table.sort_values(swept.monitor, ascending=False, kind="stable")
    chosen = ranked.groupby("fold").head(1).sort_values("fold")
    right = chosen["test"].to_numpy()
    rates, scores = table["learning_rate"].to_numpy(), table[swept.monitor].fillna(0).to_numpy()
    ranges = (rates < 3e-4, (rates > 1e-3) & (rates < 3e-2), rates > 0.3)
    low, middle, high = (float(np.median(scores[inside])) for inside in ranges)
    found, told = choices(correct[np.argsort(table["fold"], kind="stable")].reshape(folds, -1, len(test)), keys[2])
    optimism = found - told
    error = optimism.std(ddof=1) / np.sqrt(folds)
    asked = RIGHT[options.quick]
    parts = {
        "the chosen are good": right.mean() >= asked,
        "a plateau of learning rates with cliffs": middle - low > CLIFF and middle - high > CLIFF,
        "rows that choose flatter their choice": optimism.mean() > 2 * error and (optimism > 0).all(),
    }
    draw(options, found, told, len(table))
    words = (
        f"of {len(table)} runs those chosen by {folds} folds have test accuracy {spread(right)} (asked for: {asked}), "
        f"and rows that choose flatter their choice by {optimism.mean():.4f}, {optimism.mean() / error:.1f} standard "
        f"errors (> 2), in {(optimism > 0).sum()} of {folds} folds (all); learning rates from 0.001 to 0.03 have "
        f"{middle:.3f}, smaller {low:.3f} and larger {high:.3f} (asked for: more than {CLIFF} less)"
    )
    numbers = {
        "runs": len(table),
        "diverged": int((table["status"] == "diverged").sum()),
        "test_accuracy_of_the_chosen": right,
        "accuracy_on_rows_that_chose": found,
        "accuracy_on_others": told,
        "chosen": {name: chosen[name].tolist() for name in space if name in chosen},
        "median_accuracy_by_learning_rate": {"below 3e-4": low, "1e-3 to 3e-2": middle, "above 0.3": high},
        "seconds_of_training": float(table["seconds"].sum()),
    }
    return Claim(parts, words, numbers)


def choices(correct: np.ndarray, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """What rows that choose among networks say of their choice, and what the other rows say of it; means over draws.

    Args:
        correct: (folds, networks, rows), which rows a network has right.
        key: of the draws.

    Returns:
        Two arrays (folds,).
    """

    def once(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        order = jax.random.permutation(key, correct.shape[-1])
        by, others = jnp.split(jnp.asarray(correct, jnp.float32)[..., order], [correct.shape[-1] // 10], axis=-1)
        best = by.mean(axis=-1).argmax(axis=-1)[:, None]
        said, told = (jnp.take_along_axis(rows.mean(axis=-1), best, axis=-1)[:, 0] for rows in (by, others))
        return said, told

    found, told = jax.jit(lambda keys: jax.lax.map(once, keys))(jax.random.split(key, DRAWS))
    return np.asarray(found).mean(axis=0), np.asarray(told).mean(axis=0)


def draw(options: Options, found: np.ndarray, told: np.ndarray, runs: int) -> None:
    """What rows believed of the network that they chose, and what other rows say, fold by fold."""
    folds = len(found)
    title = f"Rows that choose a network believe it {found.mean():.3f} accurate; on others it is {told.mean():.3f}"
    subtitle = (
        f"Digits, {runs} runs; of the {runs // folds} networks of each fold a tenth of the test rows choose the best, "
        f"and the others judge it. Means of {DRAWS} draws; dashed: over folds."
    )
    handles = [
        label(colour, name, marker="o", linestyle="")
        for colour, name in zip(COLOURS, ("rows that have chosen", "other rows, the same network"), strict=False)
    ]
    with drawing(options.out / "digits_choice.png", title, subtitle, handles, height=2.6) as panels:
        axes, at = panels[0, 0], np.arange(1, folds + 1)
        axes.vlines(at, told, found, color="#BBBBBB", linewidth=1)
        for colour, values in zip(COLOURS, (found, told), strict=False):
            axes.plot(at, values, "o", color=colour)
            axes.axhline(values.mean(), color=colour, linestyle="--", linewidth=1)
        axes.set(xlabel="fold", ylabel="accuracy", xticks=at)


if __name__ == "__main__":
    main("digits_sweep", __doc__, experiment)
