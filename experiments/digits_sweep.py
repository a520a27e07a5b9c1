"""Of hundreds of small networks on digits the chosen are good, a little less so on a test part.

The lectures say that learning rate and regularisation have to be searched for (001, 1.7 "Hyperparameters", 1.8 "Cross
Validation"), and that the learning rate may be too large and too small (001, 5.5). Seen will be, in a sweep whose ten
folds each choose a network by their own validation part: a plateau of good learning rates with cliffs on both sides,
the median accuracy of rates from 0.001 to 0.03 being more than 0.02 above that below 0.0003 and above 0.3; chosen
networks with an accuracy of 0.94 or more on average on a test part that chose nothing; and that the validation part
that has chosen is too optimistic about its choice: validation minus test accuracy is larger for it than for the
plateau's networks on average, which tell how hard a fold is, by more than twice its standard error over the folds. The
quick version has too few runs to choose from for that, and only tells the number.

Leaves two figures, the numbers, and the page of the sweep (``digits_sweep.html``), as ``fnnet report`` writes it.

Source: lecture 001, 1.4 to 1.8; the data are scikit-learn's.
"""

from __future__ import annotations

import tempfile

import jax
import numpy as np

import fnnet
from experiments._drawing import COLOURS, drawing, label, spread
from experiments.running import Claim, Options, main
from fnnet import data, hp, losses, metrics, nn, optim

RIGHT = {False: 0.94, True: 0.92}
"""Accuracy on the test part that the chosen networks have to reach on average, by default and after few epochs."""
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
    keys = jax.random.split(jax.random.key(options.seed))
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
    table = swept.table.assign(test=(outputs.argmax(axis=-1) == test.targets).mean(axis=-1))
    ranked = table.sort_values(swept.monitor, ascending=False, kind="stable")
    chosen = ranked.groupby("fold").head(1).sort_values("fold")
    found, right = chosen[swept.monitor].to_numpy(), chosen["test"].to_numpy()
    rates, scores = table["learning_rate"].to_numpy(), table[swept.monitor].fillna(0).to_numpy()
    parts = (rates < 3e-4, (rates > 1e-3) & (rates < 3e-2), rates > 0.3)
    low, middle, high = (float(np.median(scores[part])) for part in parts)
    plateau = table[parts[1]].groupby("fold")[[swept.monitor, "test"]].mean().sort_index()
    optimism = found - right - (plateau[swept.monitor] - plateau["test"]).to_numpy()
    error = optimism.std(ddof=1) / np.sqrt(folds)
    asked = RIGHT[options.quick]
    flattered = bool(optimism.mean() > 2 * error)
    seen = bool(right.mean() >= asked and middle - max(low, high) > CLIFF and (flattered or options.quick))
    draw(options, found, right, len(table))
    flatter = "of so few runs nothing is claimed" if options.quick else "> 2"
    words = (
        f"of {len(table)} runs those chosen by {folds} folds have test accuracy {spread(right)} (asked for: {asked}), "
        f"and validation flatters them by {optimism.mean():.4f}, {optimism.mean() / error:.1f} standard errors "
        f"({flatter}); learning rates from 0.001 to 0.03 have {middle:.3f}, smaller {low:.3f} and larger {high:.3f} "
        f"(asked for: more than {CLIFF} less)"
    )
    numbers = {
        "runs": len(table),
        "diverged": int((table["status"] == "diverged").sum()),
        "validation_accuracy": found,
        "test_accuracy": right,
        "optimism": [optimism.mean(), error],
        "chosen": {name: chosen[name].tolist() for name in space if name in chosen},
        "median_accuracy_by_learning_rate": {"below 3e-4": low, "1e-3 to 3e-2": middle, "above 0.3": high},
        "seconds_of_training": float(table["seconds"].sum()),
    }
    return Claim(seen, words, numbers)


def draw(options: Options, found: np.ndarray, right: np.ndarray, runs: int) -> None:
    """What each fold believed of its choice, and what the test part says."""
    folds = len(found)
    title = f"Chosen by validation, networks are believed {found.mean():.3f} accurate, and are {right.mean():.3f}"
    subtitle = (
        f"Digits, {runs} runs; each of {folds} folds chooses the best of its {runs // folds} by its validation part. "
        "Dashed: means."
    )
    handles = [
        label(colour, name, marker="o", linestyle="")
        for colour, name in zip(
            COLOURS, ("validation part, which has chosen", "test part, the same network"), strict=False
        )
    ]
    with drawing(options.out / "digits_choice.png", title, subtitle, handles, height=2.6) as panels:
        axes, at = panels[0, 0], np.arange(1, folds + 1)
        axes.vlines(at, right, found, color="#BBBBBB", linewidth=1)
        for colour, values in zip(COLOURS, (found, right), strict=False):
            axes.plot(at, values, "o", color=colour)
            axes.axhline(values.mean(), color=colour, linestyle="--", linewidth=1)
        axes.set(xlabel="fold", ylabel="accuracy", xticks=at)


if __name__ == "__main__":
    main("digits_sweep", __doc__, experiment)
