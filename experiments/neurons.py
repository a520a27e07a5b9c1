"""A neuron learns AND and OR, but never all four cases of XOR; a hidden layer learns XOR.

Lecture 003 ("What can a single neuron do?", "From a single neuron to a neural network") makes AND and OR of one neuron
with a threshold, says that a single neuron is no better than a linear model, and makes XOR of two such neurons in a
hidden layer. Seen will be, over ten seeds or more: a single neuron that is trained ends with all four cases of AND and
of OR; of XOR with three at most, and with the loss log 2 of one that knows nothing, which is the least there is: the
loss is convex, and its derivatives are 0 where all weights are. Of all neurons none does better: XOR asks for b < 0,
w₁ + b ≥ 0, w₂ + b ≥ 0 and w₁ + w₂ + b < 0, but the first and the last sum up to less than 0 and the others do not. So
neurons drawn at random make 14 of the 16 functions of two bits, all but XOR and its opposite. Nets with 8 hidden
units learn XOR from every seed. Two hidden units are enough to be right, as the lecture's weights show, but not always
enough to be trained: from some seeds they end in a local minimum.

Source: lecture 003; Minsky and Papert, "Perceptrons", 1969.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._drawing import COLOURS, drawing, label
from experiments.running import Claim, Options, main
from fnnet import data, losses, nn, optim
from fnnet.types import Array

CASES = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
FUNCTIONS = {"AND": (0, 0, 0, 1), "OR": (0, 1, 1, 1), "XOR": (0, 1, 1, 0)}
NETWORKS = ((0, "AND"), (0, "OR"), (0, "XOR"), (2, "XOR"), (8, "XOR"))
"""Hidden units, and the function that is to be learned."""
TARGETS = np.array([FUNCTIONS[name] for _, name in NETWORKS], np.float32).T
PRINTED = {"AND": (1.5,), "OR": (0.5,), "XOR": (0.5, 1.5)}
"""Where x₁ + x₂ makes the neurons of the lecture change sides."""
DRAWN = 100_000
NEAR = 0.01
"""How far from log 2 the loss of a single neuron on XOR may end."""
LOW, HIGH, PIXELS = -0.5, 1.5, 61


def learner(learning_rate: float) -> fnnet.Learner:
    """The five networks side by side: they share nothing but the input, and Adam no length of a gradient."""
    networks = (nn.mlp([hidden, 1] if hidden else [1], activation=nn.tanh) for hidden, _ in NETWORKS)
    return fnnet.Learner(nn.parallel(*networks), losses.sigmoid_binary_cross_entropy, optim.adam(learning_rate))


def of_the_lecture() -> np.ndarray:
    """What the neurons with the lecture's weights say of the four cases, (4, functions)."""
    first = nn.step(jnp.asarray(CASES) @ jnp.ones((2, 2)) + jnp.array([-1.5, -0.5]))
    return np.column_stack([first, nn.step(first @ jnp.array([-1.0, 1.0]) - 0.5)])


def random_neurons(key: Array) -> np.ndarray:
    """The functions, as numbers of four bits, that neurons with normal weights make of the cases."""
    weights, biases = jax.random.split(key)
    drawn = nn.step(jax.random.normal(weights, (DRAWN, 2)) @ CASES.T + jax.random.normal(biases, (DRAWN, 1)))
    return np.unique(np.asarray(drawn, int) @ (8, 4, 2, 1))


def experiment(options: Options) -> Claim:
    """All networks from all seeds, and what they make of the plane."""
    seeds = 10 if options.quick else 100
    keys = jax.random.split(jax.random.key(options.seed))
    swept = fnnet.sweep(
        learner,
        {"learning_rate": 0.05},
        data.from_arrays(CASES, TARGETS),
        seeds=seeds,
        epochs=1000,
        batch_size=4,
        evaluate_every=1000,
        key=keys[0],
        progress=False,
    )
    axis = np.linspace(LOW, HIGH, PIXELS, dtype=np.float32)
    plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    logits = np.asarray(swept.predict(np.concatenate([CASES, plane])))  # (seeds, points, networks)
    right = ((logits[:, :4] > 0) == TARGETS).sum(axis=1)
    learned = (right == 4).sum(axis=0).tolist()
    loss = np.log1p(np.exp(np.where(TARGETS[:, 2] == 1, -1, 1) * logits[:, :4, 2])).mean(axis=-1)
    possible = random_neurons(keys[1])
    best = max(4 - bin(int(function) ^ 0b0110).count("1") for function in possible)
    printed = (of_the_lecture() == TARGETS[:, :3]).all(axis=0)
    parts = {
        "a neuron learns AND and OR": learned[0] == learned[1] == seeds,
        "no neuron learns XOR": right[:, 2].max() <= 3 and np.abs(loss - math.log(2)).max() < NEAR,
        "8 hidden units learn XOR": learned[4] == seeds,
        "random neurons make 14 functions": len(possible) == 14 and best == 3,
        "the lecture's weights are right": printed.all(),
    }
    draw(options, logits[:, 4:], learned, seeds)
    words = (
        f"of {seeds} seeds a neuron learns AND from {learned[0]}, OR from {learned[1]} and XOR from {learned[2]} "
        f"(loss {loss.mean():.4f}, log 2 is {math.log(2):.4f}), and 8 hidden units XOR from {learned[4]} "
        f"(asked for: all, all, none and all), 2 hidden units from {learned[3]}; {DRAWN} random neurons make "
        f"{len(possible)} of 16 functions, at best {best} of 4 cases of XOR"
    )
    numbers = {
        "seeds": seeds,
        "learned": {f"{name}, {words_of(hidden)}": n for (hidden, name), n in zip(NETWORKS, learned, strict=True)},
        "mean_of_cases_right": right.mean(axis=0),
        "loss_of_a_neuron_on_xor": [loss.min(), loss.max()],
        "functions_of_random_neurons": len(possible),
        "cases_of_xor_right_at_best": best,
        "weights_of_the_lecture_are_right": dict(zip(FUNCTIONS, printed.tolist(), strict=True)),
    }
    return Claim(parts, words, numbers)


def words_of(hidden: int) -> str:
    """A network by its hidden units."""
    return f"{hidden} hidden units" if hidden else "a single neuron"


def draw(options: Options, logits: np.ndarray, learned: list[int], seeds: int) -> None:
    """Where the nets say 1: the lecture's story in five panels."""
    title = f"XOR is learned by {learned[2]} of {seeds} neurons, {learned[3]} nets of 2 hidden units, {learned[4]} of 8"
    subtitle = (
        f"Blue: share of {seeds} seeds whose network says 1. A neuron on XOR ends with weights near 0, signs by chance."
    )
    handles = [
        label("#222222", "has to be 1", marker="o", linestyle="", markeredgecolor="white", markersize=8),
        label("#222222", "has to be 0", marker="o", linestyle="", markerfacecolor="white", markersize=7),
        label(COLOURS[2], "border with the weights of the lecture", linestyle="--"),
    ]
    path = options.out / "neurons.png"
    with drawing(path, title, subtitle, handles, columns=5, height=2.3, sharex=True, sharey=True) as panels:
        from matplotlib.colors import LinearSegmentedColormap

        shades = LinearSegmentedColormap.from_list("share", ["#FFFFFF", COLOURS[0]])
        for place, (axes, (hidden, name)) in enumerate(zip(panels[0], NETWORKS, strict=True)):
            share = (logits[:, :, place] > 0).mean(axis=0).reshape(PIXELS, PIXELS)
            axes.imshow(share, origin="lower", extent=(LOW, HIGH, LOW, HIGH), cmap=shades, vmin=0, vmax=1)
            for at in PRINTED[name] if hidden or name != "XOR" else ():
                axes.plot([at - HIGH, HIGH], [HIGH, at - HIGH], color=COLOURS[2], linestyle="--", linewidth=1.2)
            for point, target in zip(CASES, TARGETS[:, place], strict=True):
                face, edge = ("#222222", "white") if target else ("white", "#222222")
                axes.plot(*point, "o", markersize=7, markerfacecolor=face, markeredgecolor=edge)
            axes.set_title(f"{name}, {words_of(hidden)}\n{learned[place]} of {seeds} right")
            axes.set(xlabel="x₁", xticks=(0, 1), yticks=(0, 1), xlim=(LOW, HIGH), ylim=(LOW, HIGH))
            axes.grid(False)
        panels[0, 0].set_ylabel("x₂")


if __name__ == "__main__":
    main("neurons", __doc__, experiment)
