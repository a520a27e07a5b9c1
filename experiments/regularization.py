"""Dropout, early stopping and weight decay each keep a net from learning noise by heart.

What the lectures claim. 001, 1.4: a net overfits that learns "the noise in the data instead of the underlying
structure". 000, "Early Stopping": general concepts are learned first and particular instances later, so training ends
best where the error on a validation set begins to rise. 000 and 004, dropout: dropping units at random reduces
overfitting. 000, AdamW, and 001, maximum a posteriori: so does weight decay, a Gaussian prior.

A net of 128 ReLUs has 300 handwritten digits to learn from, of whose labels a fifth are replaced by random ones
(200 more, as noisy, choose when to stop), and learns until it fits them. Each repetition has digits, noise
and initialisation of its own, the same for every method, and the test labels are clean. Asked for:

- without regularisation the training loss ends below 0.1 and the validation loss above 1.25 times its least;
- each of the three makes fewer errors on the test part than none, by 3 percent points in the mean over paired
  repetitions and at the lower end of its 95 % interval still by more than 0.

With clean labels there is little to gain: what each of them does there is measured and drawn, and nothing is claimed.

Source: lecture 000, "Overfitting and Deep Architectures" and "Early Stopping"; lecture 001, 1.4; lecture 004, "Applying
Dropout".
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._drawing import COLOURS, draw_band, drawing, label, spread
from experiments.running import Claim, Options, main
from fnnet import data, losses, metrics, nn, optim, stats

TRAINING, VALIDATION, NOISE = 300, 200, 0.2
WIDTH, EPOCHS, BATCH_SIZE = 128, 100, 30
TRIALS = [
    {"drop_rate": 0.0, "strength": 0.0},
    {"drop_rate": 0.5, "strength": 0.0},
    {"drop_rate": 0.0, "strength": 0.02},
]
METHODS = ("none", "dropout", "weight decay", "early stopping")
COLOUR = dict(zip(METHODS, (COLOURS[6], COLOURS[0], COLOURS[1], COLOURS[2]), strict=True))


def learner(drop_rate: float, strength: float) -> fnnet.Learner:
    """One hidden layer, with dropout and a prior of the kernels that may be none."""
    return fnnet.Learner(
        model=nn.mlp([WIDTH, 10], drop_rate=drop_rate),
        loss=losses.softmax_cross_entropy,
        optimizer=optim.adam(3e-3),
        metrics={"accuracy": metrics.accuracy},
        prior=losses.gaussian_prior(strength, mask=optim.matrices),
    )


def split_digits(key: Any, noise: float) -> list[data.Dataset]:
    """Training and validation part, a share of whose labels are random, and the rest of the digits to test on."""
    keys = jax.random.split(key, 3)
    digits = data.load("digits")
    order = np.asarray(jax.random.permutation(keys[0], len(digits)))
    labels = np.asarray(digits.targets).copy()
    wrong = order[: TRAINING + VALIDATION][np.asarray(jax.random.bernoulli(keys[1], noise, (TRAINING + VALIDATION,)))]
    labels[wrong] = np.asarray(jax.random.randint(keys[2], labels.shape, 0, 10))[wrong]
    inputs = np.asarray(digits.inputs)
    bounds = np.split(order, [TRAINING, TRAINING + VALIDATION])
    return [data.from_arrays(inputs[rows], labels[rows], classes=digits.about.classes) for rows in bounds]


@jax.jit
def errors(params: Any, state: Any, test: data.Dataset) -> Any:
    """The share of the test part on which each of stacked nets is wrong."""
    model = learner(0.0, 0.0).model

    def one(params: Any, state: Any) -> Any:
        outputs, _ = model.apply(params, state, test.inputs)
        return jnp.mean(outputs.argmax(axis=-1) != test.targets)

    return jax.vmap(one)(params, state)


def repetition(key: Any, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Test errors by method, losses (trials, epochs) on training and validation part, and where stopping is best."""
    keys = jax.random.split(key)
    train, validation, test = split_digits(keys[0], noise)
    swept = fnnet.sweep(
        learner, TRIALS, train, validation=validation, epochs=EPOCHS, batch_size=BATCH_SIZE, key=keys[1],
        monitor="validation/loss", share=["initialization", "data"], progress=False,
    )  # fmt: skip
    last = [swept.run(trial).state for trial in range(len(TRIALS))]
    nets = [(state.params, state.model_state) for state in last]
    # Early stopping is the first trial at the epoch that the validation part likes best.
    nets.append((last[0].best.params, last[0].best.model_state))
    found = errors(*jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets), test)
    curve = swept.history["validation/loss"]
    return np.asarray(found, float), swept.history["train/loss"], curve, int(curve[0].argmin()) + 1


def draw_curves(options: Options, title: str, training: np.ndarray, validation: np.ndarray, stop: np.ndarray) -> None:
    """Learning curves of the three trials, a panel each, and where early stopping would end the first."""
    at = np.arange(1, EPOCHS + 1)
    handles = [
        label(COLOURS[7], "training loss (with dropout where there is one)", linestyle="--"),
        label(COLOURS[6], "validation loss"),
    ]
    handles += [label(COLOUR["early stopping"], "early stopping ends here", marker="|", linestyle="")]
    where = f"{TRAINING} digits, {NOISE:.0%} of the labels random; lines: means of {len(training)} repetitions, "
    where += "bands: their ranges"
    with drawing(
        options.out / "regularization.png", title, where, handles, columns=3, height=2.8, sharey=True
    ) as panels:
        for axes, name, train, valid in zip(
            panels[0], METHODS, training.swapaxes(0, 1), validation.swapaxes(0, 1), strict=False
        ):
            draw_band(axes, at, train, COLOUR[name], linestyle="--")
            draw_band(axes, at, valid, COLOUR[name])
            axes.set(title="without regularisation" if name == "none" else name, xlabel="epoch", ylim=(0, 3.4))
        lowest = np.full(len(stop), 0.06)
        panels[0, 0].plot(stop, lowest, "|", color=COLOUR["early stopping"], markersize=14, markeredgewidth=1.5)
        panels[0, 0].set_ylabel("cross entropy, nats")


def draw_errors(options: Options, title: str, noisy: np.ndarray, clean: np.ndarray) -> None:
    """Test errors of each method, a line for each repetition, with noisy and with clean labels."""
    where = f"Error on the other digits, with their right labels; thin lines: {len(noisy)} repetitions; dots: means"
    panels_of = {f"{NOISE:.0%} of the training labels random": noisy, "clean training labels": clean}
    with drawing(options.out / "regularization_errors.png", title, where, columns=2, height=2.8, sharey=True) as panels:
        for axes, (name, values) in zip(panels[0], panels_of.items(), strict=True):
            axes.plot(np.arange(len(METHODS)), values.T, color=COLOURS[7], linewidth=0.7, alpha=0.7)
            for place, method in enumerate(METHODS):
                mean = values[:, place].mean()
                axes.plot(place, mean, "o", color=COLOUR[method], markersize=8)
                axes.annotate(f"{mean:.1%}", (place + 0.09, mean), va="bottom", color=COLOUR[method], weight="bold")
            axes.set(title=name, ylim=(0, None), xlim=(-0.3, 3.6))
            axes.set_xticks(range(len(METHODS)), METHODS)
        panels[0, 0].set_ylabel("test error")


def experiment(options: Options) -> Claim:
    """Paired repetitions with noisy labels and with clean ones."""
    keys = jax.random.split(jax.random.key(options.seed), 4 if options.quick else 10)
    noisy, clean = ([repetition(key, noise) for key in keys] for noise in (NOISE, 0.0))
    wrong, training, validation, stop = map(np.stack, zip(*noisy, strict=True))
    plainly = np.stack([found[0] for found in clean])
    gains = {name: wrong[:, 0] - wrong[:, i] for i, name in enumerate(METHODS) if i}
    intervals = {name: stats.bootstrap_interval(gain, seed=options.seed) for name, gain in gains.items()}
    clean_gains = {name: plainly[:, 0] - plainly[:, i] for i, name in enumerate(METHODS) if i}
    end = training[:, 0, -1].mean()
    rise = float((validation[:, 0, -1] / validation[:, 0].min(axis=1)).mean())
    means = dict(zip(METHODS, wrong.mean(axis=0), strict=True))
    draw_curves(
        options,
        f"Without regularisation the validation loss rises to {rise:.1f} times its least while the training loss "
        f"falls to {end:.2f}",
        training, validation, stop,
    )  # fmt: skip
    said = ", ".join(f"{name} {means[name]:.1%}" for name in METHODS[1:])
    draw_errors(options, f"Test error: {means['none']:.1%} without regularisation, with {said}", wrong, plainly)
    parts = {
        "it overfits": end < 0.1 and rise > 1.25,
        **{name: gain.mean() >= 0.03 and intervals[name][0] > 0 for name, gain in gains.items()},
    }
    numbers = {
        "methods": METHODS, "test_errors": wrong, "test_errors_clean_labels": plainly,
        "intervals_of_the_gain": intervals, "training_loss_at_the_end": end, "validation_loss_over_least": rise,
        "epochs_of_early_stopping": stop,
        "gains_clean_labels": {name: [gain.mean(), gain.std(ddof=1)] for name, gain in clean_gains.items()},
    }  # fmt: skip
    low = {name: 100 * interval[0] for name, interval in intervals.items()}
    said = ", ".join(f"{name} {100 * gain.mean():.1f} (from {low[name]:.1f})" for name, gain in gains.items())
    with_clean = ", ".join(f"{name} {100 * gain.mean():+.1f}" for name, gain in clean_gains.items())
    words = (
        f"test error {spread(100 * wrong[:, 0])} % without regularisation; fewer percent points of errors with {said} "
        f"(each ≥ 3, interval above 0); with clean labels: {with_clean}"
    )
    return Claim(parts, words, numbers)


if __name__ == "__main__":
    main("regularization", __doc__, experiment)
