"""A real sweep: hundreds of small networks on handwritten digits as a handful of programs.

The lectures say that learning rate and regularisation have to be searched for, and that a choice made on data
is too optimistic about these data. Seen will be: the score against each hyperparameter, a plateau of good
learning rates with cliffs on both sides; and that the run chosen on the validation part is also good, if a
little less, on a test part that chose nothing.
"""

from __future__ import annotations

import jax

import fnnet
from experiments.running import Claim, Options, main
from fnnet import data, hp, losses, metrics, nn, optim

RIGHT = 0.95
"""Accuracy on the test part that the chosen run has to reach."""


def learner(learning_rate: float, drop_rate: float, width: int) -> fnnet.Learner:
    """One hidden layer with dropout, trained by Adam."""
    return fnnet.Learner(
        model=nn.mlp([width, 10], drop_rate=drop_rate),
        loss=losses.softmax_cross_entropy,
        optimizer=optim.adam(learning_rate),
        metrics={"accuracy": metrics.accuracy},
    )


def experiment(options: Options) -> Claim:
    """The sweep, its picture, and the test of its winner."""
    keys = jax.random.split(jax.random.key(options.seed), 3)
    rest, test = data.split(data.load("digits"), fraction=0.2, key=keys[0])
    train, validation = data.split(rest, fraction=0.25, key=keys[1])
    space = {
        "learning_rate": hp.log_uniform(1e-4, 1.0),
        "drop_rate": hp.uniform(0.0, 0.7),
        "width": hp.static(32, 128),
    }
    swept = fnnet.sweep(
        learner,
        space,
        train,
        validation=validation,
        trials=32 if options.quick else 256,
        seeds=1 if options.quick else 2,
        epochs=20 if options.quick else 40,
        batch_size=32,
        sampler="sobol",
        key=keys[2],
        progress=False,
    )
    swept.plot(options.out / "digits_sweep.png")
    best = swept.best
    chosen = float(best["validation/accuracy"])
    right = swept.run(best["trial"], best["seed"]).evaluate(test)["accuracy"]
    numbers = {
        "runs": len(swept.table),
        "diverged": int((swept.table["status"] == "diverged").sum()),
        "validation_accuracy": chosen,
        "test_accuracy": right,
        "best": {name: float(best[name]) for name in space},
        "seconds": float(swept.table["seconds"].sum()),
    }
    words = f"of {len(swept.table)} runs the best on validation ({chosen:.3f}) has test accuracy {right:.3f} ≥ {RIGHT}"
    return Claim(right >= RIGHT, words, numbers)


if __name__ == "__main__":
    main("digits_sweep", __doc__, experiment)
