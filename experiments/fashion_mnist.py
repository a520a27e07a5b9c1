"""Fashion-MNIST: a perceptron gets 0.885 of the test images right or more, a small convolutional net 0.91.

60,000 images of clothes to train on and 10,000 to test. Seen will be: the mean accuracy over seeds on the test images,
0.885 or more for the perceptron and 0.91 or more for the convolutional net, on a processor in minutes, for which there
are five seeds of the one and two of the other. The networks and their training are those of ``fnnet train
fashion_mnist`` with ``--model mlp`` and ``--model conv``. A fifth of the 60,000 chooses the best epoch of each run; the
test images choose nothing here. (They were seen once before, while structures and numbers were compared, as the page of
the experiments tells.)

The data are Debian's package dataset-fashion-mnist; `fnnet.data.load` says where they are looked for.

Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017 (arXiv 1708.07747).
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import jax
import numpy as np

import fnnet
from experiments._drawing import Curves, draw_curves
from experiments.running import Claim, Options, main
from fnnet import data, losses, metrics, nn, optim

TRAINING_ROWS = 60_000


class Case(NamedTuple):
    """A network, how it is trained, over how many seeds, and the accuracy that it has to reach."""

    model: Any
    learning_rate: float
    batch_size: int
    epochs: int
    seeds: int
    claimed: float


CASES = {
    "perceptron": Case(nn.chain(nn.flatten, nn.mlp([128, 128, 10], drop_rate=0.2)), 3e-3, 128, 50, 5, 0.885),
    "convolutions": Case(
        nn.chain(
            nn.conv(16, 5, stride=2),
            nn.relu,
            nn.conv(32, 3),
            nn.relu,
            nn.avg_pool(2),
            nn.dropout(0.25),
            nn.flatten,
            nn.dense(128),
            nn.relu,
            nn.dropout(0.25),
            nn.dense(10),
        ),
        3e-3,
        128,
        20,
        2,
        0.91,
    ),
}
QUICK = {"perceptron": 0.75, "convolutions": 0.78}
"""What is claimed after few epochs of a part of the data."""


def experiment(options: Options) -> Claim:
    """Both networks over their seeds, their curves, and what they make of the test images."""
    keys = jax.random.split(jax.random.key(options.seed), 1 + len(CASES))
    everything = data.load("fashion_mnist")
    rest, test = everything[:TRAINING_ROWS], everything[TRAINING_ROWS:]
    if options.quick:
        rest, test = rest[:4000], test[:2000]
    train, validation = data.split(rest, fraction=0.2, key=keys[0])
    numbers: dict[str, Any] = {}
    curves = {}
    for key, (name, case) in zip(keys[1:], CASES.items(), strict=True):
        epochs = min(case.epochs, 6) if options.quick else case.epochs
        seeds = 2 if options.quick else case.seeds
        claimed = QUICK[name] if options.quick else case.claimed
        started = time.perf_counter()
        swept = fnnet.sweep(
            learner,
            {"name": name, "learning_rate": case.learning_rate, "steps": epochs * -(-len(train) // case.batch_size)},
            train,
            validation=validation,
            trials=1,
            seeds=seeds,
            epochs=epochs,
            batch_size=case.batch_size,
            key=key,
            progress=False,
        )
        accuracies = [swept.run(0, seed).evaluate(test)["accuracy"] for seed in range(seeds)]
        curve = swept.history["validation/accuracy"]
        curves[f"{name} ≥ {claimed}"] = Curves(np.arange(1, epochs + 1), curve, (claimed, claimed))
        numbers[name] = {
            "claimed": claimed,
            "test_accuracies": accuracies,
            "mean": float(np.mean(accuracies)),
            "spread": float(np.std(accuracies, ddof=1)),
            "epochs": epochs,
            "seconds": time.perf_counter() - started,
        }
    draw_curves(
        options.out / "fashion_mnist.png",
        "Right on the test images of Fashion-MNIST: "
        + ", ".join(f"{name} {100 * found['mean']:.1f} %" for name, found in numbers.items()),
        "Lines: mean over seeds on validation images, bands: their range; bars at the right: asked for on test images.",
        curves,
        "epoch",
        "validation accuracy",
        low=0.6 if options.quick else 0.84,
    )
    parts = {name: found["mean"] >= found["claimed"] for name, found in numbers.items()}
    words = " and ".join(
        f"{name} {found['mean']:.4f} ± {found['spread']:.4f} over {len(found['test_accuracies'])} seeds"
        f" in {found['seconds']:.0f} s (asked for: {found['claimed']})"
        for name, found in numbers.items()
    )
    return Claim(parts, f"test accuracy of {words}", numbers)


def learner(name: str, learning_rate: float, steps: int) -> fnnet.Learner:
    """One of the networks, trained by AdamW while its learning rate falls to 0 as a cosine."""
    return fnnet.Learner(
        CASES[name].model,
        losses.softmax_cross_entropy,
        optim.adamw(optim.schedules.cosine(learning_rate, steps), weight_decay=0.0),
        {"accuracy": metrics.accuracy},
    )


if __name__ == "__main__":
    main("fashion_mnist", __doc__, experiment)
