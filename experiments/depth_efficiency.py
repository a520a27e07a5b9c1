"""With hidden layers in place of width, equally large networks learn random labels in fewer epochs.

The lecture (Figure 20.2) fits four networks of about 15,200 parameters, with 1 to 4 hidden layers, to 4000 signals of
MNIST-1D with random labels by plain gradient descent on all of them at once, He initialisation, learning rate 0.0025:
all learn them, the deeper ones in fewer epochs. (It prints 15,139 parameters for 40–63×4–10, which has 15,319.)

At that learning rate a thousand epochs are hardly a beginning: they only undo what the initial weights happen to say.
So the default run takes steps 40 times as long, 900 epochs of 0.1 in place of 36,000 of 0.0025, and measures on the
first of them how far it is from the path of the short steps. Seen will be, over ten seeds: until 30 % of the random
labels are right (10 % would be by chance), each of the deeper networks needs fewer epochs than the one with one hidden
layer, a tenth fewer on average, and fewer in nine of ten pairs of a seed. That much and no more is claimed of so early
a stage: three and four layers are level there, and on the true labels, which stand beside it, the one with one hidden
layer is even ahead. Where the curve of a deep network is jagged, the long steps are too long for it. (With steps half
as long three seeds needed as many epochs within 2 % with one to three layers, and 5 % fewer with four: these are still
level with three.)

The lecture's whole order, and labels learned to the end, is for ``--full``: its own learning rate, ten seeds, 500,000
epochs, each layer fewer epochs than the one before until 95 % are right. ``--quick`` compares four layers with one, on
500 signals until 75 % of the labels are right. (Half of so few labels are learned equally soon.)

Source: lecture 002, "Shallow vs. deep networks", Figure 20.2.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import fnnet
from experiments._drawing import COLOURS, draw_band, drawing, label
from experiments.running import Claim, Options, main
from fnnet import data, hp, losses, metrics, nn, optim, stats

WIDTHS = {1: [298], 2: [100] * 2, 3: [75] * 3, 4: [63] * 4}
"""Hidden units by the number of hidden layers."""

RATE = 0.0025
"""The lecture's learning rate."""

LONGER = 40
"""How many times as long the steps of the default run are."""

AHEAD = 0.1
"""By which part of its epochs a deeper network has to be ahead of the shallowest, on average."""

MOST = 0.9
"""In which part of the pairs of one seed the deeper network has to be ahead."""

GPU_FLOPS = 1e13
"""Operations in a second that a GPU is taken to sustain where none is there to be timed."""


class Setting(NamedTuple):
    """One size of the experiment; ``epochs`` and ``every`` count steps ``longer`` times as long as the lecture's."""

    layers: tuple[int, ...]
    rows: int
    seeds: int
    epochs: int
    every: int
    longer: int
    right: float
    points: int = 0
    """Evaluations of the long steps that are compared with as many of the short ones."""


DEFAULT = Setting((1, 2, 3, 4), rows=4000, seeds=10, epochs=900, every=5, longer=LONGER, right=0.3, points=5)
QUICK = Setting((1, 4), rows=500, seeds=3, epochs=240, every=4, longer=LONGER, right=0.75, points=2)
FULL = Setting((1, 2, 3, 4), rows=4000, seeds=10, epochs=500_000, every=500, longer=1, right=0.95)


def learner(layers: int, learning_rate: float) -> fnnet.Learner:
    """One of the four networks, trained by plain gradient descent."""
    he = nn.initializers.he_normal()
    hidden = [part for width in WIDTHS[layers] for part in (nn.dense(width, kernel_init=he), nn.relu)]
    model = nn.chain(*hidden, nn.dense(10, kernel_init=he))
    return fnnet.Learner(model, losses.softmax_cross_entropy, optim.sgd(learning_rate), {"accuracy": metrics.accuracy})


def descend(
    setting: Setting, examples: data.Dataset, key: jax.Array, *, epochs: int, longer: int, seeds: int = 0,
    out: Path | None = None,
) -> fnnet.Sweep:  # fmt: skip
    """All networks and seeds, evaluated on the examples that they are trained on; the weights begin by ``key``."""
    return fnnet.sweep(
        learner,
        {"layers": hp.static(*setting.layers), "learning_rate": RATE * longer},
        examples,
        validation=examples,
        seeds=seeds or setting.seeds,
        epochs=epochs,
        batch_size=None,
        evaluate_every=setting.every,
        key=key,
        out=out,
        progress=False,
    )


def scores(swept: fnnet.Sweep, setting: Setting, name: str) -> np.ndarray:
    """A score on the training examples, (networks, seeds, evaluations)."""
    return np.asarray(swept.history[f"validation/{name}"]).reshape(len(setting.layers), swept.seeds, -1)


def epochs_until(at: np.ndarray, accuracy: np.ndarray, right: float) -> np.ndarray:
    """The epoch at which each run first gets so many right, between evaluations by a line; infinite if never."""
    there = accuracy >= right
    last = np.argmax(there, axis=-1)
    first = np.maximum(last - 1, 0)
    low, high = (np.take_along_axis(accuracy, at_[..., None], -1)[..., 0] for at_ in (first, last))
    part = np.where(high > low, (right - low) / np.where(high > low, high - low, 1), 1.0)
    return np.where(there.any(axis=-1), at[first] + np.clip(part, 0, 1) * (at[last] - at[first]), np.inf)


def say_how_long(setting: Setting, examples: data.Dataset, key: jax.Array, parameters: int) -> None:
    """Times a few epochs, and says how long the full run will take here, and about how long on a GPU."""
    timed = descend(setting, examples, key, epochs=100, longer=1, seeds=1)
    updates = setting.seeds * setting.epochs
    hours = float(timed.cost["seconds_a_step"].sum()) * updates / 3600
    device = jax.devices()[0]
    said = f"{setting.seeds} seeds, {setting.epochs:,} epochs: about {hours:.1f} hours on {device.device_kind}"
    if device.platform == "cpu":
        # A multiplication and an addition a parameter and row: forwards, and twice backwards.
        minutes = 6 * parameters * setting.rows * updates / GPU_FLOPS / 60
        said += f"; a GPU that sustains {GPU_FLOPS:.0e} operations a second would need {minutes:.0f} minutes"
    sys.stdout.write(f"{said}. When killed, the same command goes on where it was.\n")
    sys.stdout.flush()


def experiment(options: Options) -> Claim:
    """The four networks on random labels, on true ones, and a look at the lecture's short steps."""
    setting = QUICK if options.quick else FULL if options.full else DEFAULT
    keys = jax.random.split(jax.random.key(options.seed))
    signals = data.load("mnist1d")[: setting.rows]
    labels = np.asarray(jax.random.randint(keys[0], (setting.rows,), 0, 10))
    random = data.from_arrays(signals.inputs, labels)
    shapes = {
        layers: jax.eval_shape(learner(layers, RATE).model.init, keys[1], signals.inputs[:1])[0]
        for layers in setting.layers
    }
    sizes = {layers: nn.count_parameters(shape) for layers, shape in shapes.items()}
    folder = None
    if options.full:
        say_how_long(setting, random, keys[1], sum(sizes.values()))
        folder = options.out / "runs"
    swept = descend(setting, random, keys[1], epochs=setting.epochs, longer=setting.longer, out=folder)
    accuracy = scores(swept, setting, "accuracy")
    at = setting.longer * setting.every * np.arange(1, accuracy.shape[-1] + 1)
    needed = epochs_until(at, accuracy, setting.right)
    there = bool(np.isfinite(needed).all())
    ahead = 1 - needed[1:] / needed[:1] if there else np.zeros_like(needed[1:])
    order = there and bool((np.diff(needed.mean(axis=1)) < 0).all())
    intervals = [stats.bootstrap_interval(pairs, seed=options.seed) for pairs in ahead]
    parts = {
        "a tenth fewer epochs": (ahead.mean(axis=1) >= AHEAD).all(),
        "fewer in nine of ten pairs": (ahead > 0).mean() >= MOST,
    }
    if options.full:
        parts["each fewer than the one before"] = order
    means = ", ".join(f"{value:,.0f}" if np.isfinite(value) else "never" for value in needed.mean(axis=1))
    depths = listed(setting.layers)
    words = (
        f"{100 * setting.right:.0f} % of {setting.rows} random labels are right after {means} epochs of {RATE} with "
        f"{depths} hidden layers (means of {setting.seeds} seeds); the deeper ones need {in_words(ahead)} fewer than "
        f"the shallowest (at least {listed([f'{100 * interval.low:.0f}' for interval in intervals])}, 95 % intervals), "
        f"fewer in {(ahead > 0).sum()} of {ahead.size} pairs (asked for: {100 * AHEAD:.0f} % each, {100 * MOST:.0f} % "
        f"of these{', each fewer than the one before' if options.full else ''}); each "
        f"{'is' if order else 'is not'} ahead of the one before"
    )
    numbers: dict[str, Any] = {
        "parameters": sizes,
        "learning_rate": RATE * setting.longer,
        "epochs": setting.epochs,
        "lecture_epochs": setting.epochs * setting.longer,
        "seeds": setting.seeds,
        "right": setting.right,
        "lecture_epochs_until_right": np.where(np.isfinite(needed), needed, -1),
        "fewer_than_the_shallowest": ahead,
        "intervals_of_their_means": [list(interval) for interval in intervals],
        "each_ahead_of_the_one_before": order,
        "accuracy_at_the_end": accuracy[..., -1],
        "seconds_a_step": swept.cost["seconds_a_step"].to_list(),
    }
    apart, true = 0.0, None
    if setting.longer > 1:
        apart, early = short_steps(setting, random, keys[1], swept)
        numbers |= early
        words += f"; steps {setting.longer} times as long: loss within {100 * apart:.1f} % of the lecture's steps"
    if setting is DEFAULT:
        true = scores(descend(setting, signals, keys[1], epochs=250, longer=setting.longer), setting, "accuracy")
        numbers["true_labels_accuracy_at_the_end"] = true[..., -1]
    draw(options.out / "depth_efficiency.png", setting, at, accuracy, needed, true, ahead, all(parts.values()), apart)
    return Claim(parts, words, numbers)


def short_steps(
    setting: Setting, random: data.Dataset, key: jax.Array, swept: fnnet.Sweep
) -> tuple[float, dict[str, Any]]:
    """How far the losses of the lecture's short steps are from those of the long ones, from the same weights."""
    seeds, epochs = min(3, setting.seeds), setting.points * setting.every * setting.longer
    short = descend(setting, random, key, epochs=epochs, longer=1, seeds=seeds)
    exact = scores(short, setting, "loss")[..., setting.longer - 1 :: setting.longer]
    lapse = scores(swept, setting, "loss")[:, :seeds, : setting.points]
    apart = np.abs(lapse / exact - 1)
    found = {
        "short_steps_epochs": epochs,
        "short_steps_loss": exact[..., -1],
        "short_steps_accuracy": scores(short, setting, "accuracy")[..., -1],
        "long_steps_loss_there": lapse[..., -1],
        "relative_difference_of_losses": apart.max(axis=(0, 1)),
    }
    return float(apart.max()), found


def listed(values: Sequence[Any]) -> str:
    """``2, 3 and 4``."""
    return " and ".join(filter(None, [", ".join(map(str, values[:-1])), str(values[-1])]))


def in_words(ahead: np.ndarray) -> str:
    """By how much each deeper network is ahead on average: ``21, 31 and 30 %``."""
    return f"{listed([f'{100 * part:.0f}' for part in ahead.mean(axis=1)])} %"


def draw(
    path: Path, setting: Setting, at: np.ndarray, accuracy: np.ndarray, needed: np.ndarray, true: np.ndarray | None,
    ahead: np.ndarray, seen: bool, apart: float,
) -> None:  # fmt: skip
    """Wrong labels against epochs, the epochs needed by each seed, and the same on true labels."""
    share = f"{100 * setting.right:.0f} %"
    title = (
        f"Networks with {listed(setting.layers[1:])} hidden layers learn random labels in {in_words(ahead)} fewer "
        f"epochs than an equally large one with {setting.layers[0]}"
        if seen
        else "Deeper networks of the same size did not learn random labels in fewer epochs this time"
    )
    steps = (
        f"Steps of {RATE * setting.longer:g} stand for {setting.longer} of the lecture's {RATE} each (losses differ by "
        f"{100 * apart:.1f} % at most in the first {setting.points * setting.every * setting.longer:,} epochs, where "
        f"both were run; a jagged curve has too long steps). "
        if setting.longer > 1
        else ""
    )
    subtitle = (
        f"MNIST-1D, {setting.rows} signals, about 15,200 parameters each, full-batch gradient descent, learning rate "
        f"{RATE}. {steps}Lines and bars: mean of {setting.seeds} seeds; bands: their range; dots: seeds."
    )
    names = [f"{layers} hidden layer{'s' if layers > 1 else ''} of {WIDTHS[layers][0]}" for layers in setting.layers]
    handles = [label(colour, name) for colour, name in zip(COLOURS, names, strict=False)]
    columns = 2 if true is None else 3
    with drawing(path, title, subtitle, handles, columns=columns) as panels:
        axes = panels[0]
        for colour, runs in zip(COLOURS, accuracy, strict=False):
            draw_band(axes[0], at / 1000, 100 * (1 - runs), colour)
        axes[0].axhline(100 * (1 - setting.right), color=COLOURS[-1], linewidth=0.8, linestyle="--")
        axes[0].set(title="Random labels", xlabel="thousand epochs", ylabel="wrong labels, %", xlim=(0, at[-1] / 1000))
        axes[1].set(title=f"Epochs until {share} of them are right", xlabel="hidden layers")
        axes[1].set(ylabel="thousand epochs", xticks=range(len(setting.layers)), xticklabels=setting.layers)
        for place, (colour, runs) in enumerate(zip(COLOURS, needed / 1000, strict=False)):
            runs = runs[np.isfinite(runs)]
            axes[1].scatter(place + np.linspace(-0.2, 0.2, len(runs)), runs, color=colour, s=14, linewidths=0)
            if len(runs):
                axes[1].hlines(runs.mean(), place - 0.32, place + 0.32, color=colour, linewidth=2)
        axes[1].set_ylim(bottom=0)
        if true is not None:
            for colour, runs in zip(COLOURS, true, strict=False):
                draw_band(axes[2], at[: runs.shape[-1]] / 1000, 100 * (1 - runs), colour)
            axes[2].set(title="True labels", xlabel="thousand epochs", ylabel="wrong labels, %")
            axes[2].set(xlim=(0, at[true.shape[-1] - 1] / 1000))


if __name__ == "__main__":
    main(
        "depth_efficiency",
        __doc__,
        experiment,
        full="the lecture's own learning rate, 500,000 epochs: hours on a CPU (it says how many), resumable",
    )
