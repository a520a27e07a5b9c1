"""He lets ten ReLU layers learn, Glorot ten tanh layers; zeros, constants and other scales fail.

What the lectures claim. 000 and 004, Glorot initialisation: kernels of variance 2/(n+m) keep the variance of signals
and of gradients from layer to layer where the activation is odd. 003, Kaiming initialisation: for ReLUs it has to be
2/n, as a layer multiplies the variance by nσ²/2. 003: with zeros no signal and no gradient flows, with constants all
units of a layer stay equal. 004, "vanishing or exploding gradients": where all layers are one matrix, its eigenvalue
λ becomes λᵏ after k layers. 000 and 004: initial values that are too large saturate tanh, and ReLU is better there.

Asked for, of nets with ten hidden layers of 100 units (32 where they are trained):

- ReLU: variances change by nσ²/2 a layer, both ways, within 10 %, for every initialiser that draws at random;
- tanh: Glorot loses at most a fifth of a small signal's variance in all layers, as is claimed (4 % are expected, and
  a mean of ten draws is off by as much), but more than half of that of inputs with variance 1, for which "under some
  simplifying assumptions" does not hold: tanh is not linear there;
- N(0, 1) makes at least half of the tanh units flat, Glorot less than 1 %;
- ‖W‥W e‖ = λᵏ within 0.1 %, forward and backward;
- on digits, each initialiser with the best of its learning rates: He with ReLU and Glorot with tanh are right on more
  than 80 % of the validation part in the mean, those that fail on less than half in the mean: zeros, constants,
  N(0, 0.01²) and N(0, 1); every run of the former is better than every run of the latter; units that started equal are
  equal to the last bit afterwards.

Not as printed: 000 has N(0, 2/√n) for He, by which variances would grow √n-fold a layer (drawn as "He as printed").
With zeros, the lecture's "zero gradients" are those of all parameters but the biases of the last layer. And N(0, 1) is
not better with ReLU: nothing saturates, but signals explode, and the nets do not learn either.

Source: lectures 000, 003, 004; Glorot and Bengio, 2010; He et al., 2015.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fnnet
from experiments._drawing import COLOURS, draw_band, drawing, label, plain_numbers, spread
from experiments.running import Claim, Options, main
from fnnet import analysis, data, errors, hp, losses, metrics, nn, optim
from fnnet.nn import initializers

LAYERS, WIDTH, TRAINED_WIDTH = 10, 100, 32
ACTIVATIONS = ("relu", "tanh")
INITIALISERS = {
    "He": initializers.he_normal(),
    "Glorot": initializers.glorot_normal(),
    "N(0, 1)": initializers.normal(1.0),
    "N(0, 0.01²)": initializers.normal(0.01),
    "constant 1/n": lambda key, shape, dtype: jnp.full(shape, 1 / shape[0], dtype),
    "zeros": initializers.zeros,
    # Below are those whose signals alone are looked at.
    "He as printed": lambda key, shape, dtype: initializers.normal((2 / shape[0] ** 0.5) ** 0.5)(key, shape, dtype),
    "He, uniform": initializers.he_uniform(),
    "Glorot, uniform": initializers.glorot_uniform(),
    "LeCun": initializers.lecun_normal(),
}
NAMES = list(INITIALISERS)
TRAINED = NAMES[:6]
FAILING = ("N(0, 1)", "N(0, 0.01²)", "constant 1/n", "zeros")
VARIANCES = {
    "He": 2 / WIDTH, "He, uniform": 2 / WIDTH, "Glorot": 1 / WIDTH, "Glorot, uniform": 1 / WIDTH, "LeCun": 1 / WIDTH,
    "N(0, 1)": 1.0, "N(0, 0.01²)": 1e-4, "He as printed": 2 / WIDTH**0.5,
}  # fmt: skip
EIGENVALUES = np.array([0.7, 0.9, 1.0, 1.1, 1.3])
COLOUR = dict(zip([*TRAINED, "He as printed"], (*COLOURS[:5], COLOURS[7], COLOURS[5]), strict=True))


def network(initialiser: Any, tanh: Any, width: int) -> nn.Layer:
    """Ten hidden layers and ten outputs; initialiser and activation by number, so that one program does for all."""

    def kernel(key: Any, shape: Any, dtype: Any) -> Any:
        draws = [lambda key, draw=draw: draw(key, shape, dtype) for draw in INITIALISERS.values()]
        return jax.lax.switch(initialiser, draws, key)

    def activation(x: Any) -> Any:
        return jnp.where(tanh, jnp.tanh(x), jax.nn.relu(x))

    hidden = nn.chain(nn.dense(width, kernel_init=kernel), activation)
    return nn.chain(hidden, nn.repeat(hidden, LAYERS - 1), nn.dense(10, kernel_init=kernel))


def learner(initialiser: int, tanh: int, learning_rate: float) -> fnnet.Learner:
    """The net, trained by stochastic gradient descent."""
    net = network(initialiser, tanh, TRAINED_WIDTH)
    return fnnet.Learner(net, losses.softmax_cross_entropy, optim.sgd(learning_rate), {"accuracy": metrics.accuracy})


def signals(key: Any, draws: int) -> dict[str, dict[str, Any]]:
    """Variances (draws, layers) of pre-activations and of gradients, and shares of flat units, by net."""
    nets = [(name, act, 1.0) for act in ACTIVATIONS for name in NAMES] + [("Glorot", "tanh small", 0.05)]
    keys = jax.random.split(key, 3)
    inputs = jax.random.normal(keys[0], (64, WIDTH))

    @jax.jit
    @jax.vmap
    def measured(initialiser: Any, tanh: Any, scale: Any) -> Any:
        net, x = network(initialiser, tanh, WIDTH), scale * inputs
        found = analysis.signal_propagation(net, x, keys[1], draws=draws).of("dense")

        def flat(key: Any) -> Any:
            params, state = net.init(key, x)
            return analysis.saturation(net, params, x, model_state=state).flat

        sides = found.activations.variance[:, :LAYERS], found.gradients.variance[:, :LAYERS]
        return *sides, found.activations.between_units[:, :LAYERS], jax.vmap(flat)(jax.random.split(keys[2], draws))

    at = np.array([NAMES.index(name) for name, _, _ in nets]), np.array([act != "relu" for _, act, _ in nets])
    parts = map(np.asarray, measured(*at, np.array([scale for _, _, scale in nets], np.float32)))
    by_net = zip(*parts, strict=True)
    found: dict[str, dict[str, Any]] = {}
    for (name, act, _), values in zip(nets, by_net, strict=True):
        found.setdefault(act, {})[name] = dict(
            zip(("activations", "gradients", "between", "flat"), values, strict=True)
        )
    return found


def powers(key: Any, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """What k equal layers do to each eigenvector: lengths (draws, eigenvalues, k) forward, and of the gradient."""
    net = nn.repeat(nn.dense(len(EIGENVALUES), bias=False), LAYERS)

    @jax.jit
    @jax.vmap
    def measured(key: Any) -> Any:
        basis = jnp.linalg.eigh(jax.random.normal(key, (len(EIGENVALUES),) * 2))[1]
        matrix = basis * jnp.asarray(EIGENVALUES) @ basis.T
        params, state = net.init(key, basis.T)
        params = jax.tree.map(lambda kernel: jnp.broadcast_to(matrix, kernel.shape), params)
        forward = analysis.layer_outputs(net, params, basis.T, model_state=state)
        backward = analysis.layer_gradients(lambda y: jnp.sum(y * basis.T), net, params, basis.T, model_state=state)
        return [
            jnp.stack([jnp.linalg.norm(rows, axis=-1) for rows in side.values()], -1) for side in (forward, backward)
        ]

    forward, backward = measured(jax.random.split(key, draws))
    return np.asarray(forward), np.asarray(backward)


def factor(variances: np.ndarray) -> float:
    """By how much a variance is multiplied a layer: the geometric mean over layers and draws."""
    first, last = variances[:, 0].astype(float), variances[:, -1].astype(float)
    return float(np.exp(np.mean(np.log(last / first)) / (variances.shape[1] - 1)))


def trained(options: Options, key: Any) -> tuple[dict[tuple[str, str], Any], float]:
    """Validation accuracies (seeds, epochs) of each net with its best learning rate, and how equal constants stay."""
    keys = jax.random.split(key, 2)
    train, validation = data.split(data.load("digits"), fraction=0.4, key=keys[0])
    scaler = data.standardizer(train)
    seeds, rates = (3, [0.03, 0.1]) if options.quick else (10, [0.003, 0.03, 0.1, 0.3])
    space = {"initialiser": hp.grid(*range(len(TRAINED))), "tanh": hp.grid(0, 1), "learning_rate": hp.grid(*rates)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.DivergenceWarning)  # N(0, 1) has to
        swept = fnnet.sweep(
            learner, space, scaler(train), validation=scaler(validation), seeds=seeds, epochs=12, batch_size=32,
            key=keys[1], share=["initialization", "data"], progress=False,
        )  # fmt: skip
    # A run that has diverged is right on none.
    accuracies = np.nan_to_num(swept.history["validation/accuracy"]).reshape(len(TRAINED), 2, len(rates), seeds, -1)
    found = {}
    for i, name in enumerate(TRAINED):
        for j, act in enumerate(ACTIVATIONS):
            found[act, name] = accuracies[i, j, accuracies[i, j, :, :, -1].mean(axis=1).argmax()]
    table = swept.table
    constant = table.index[(table["initialiser"] == TRAINED.index("constant 1/n")) & (table["status"] != "diverged")]
    kernels = jax.tree.leaves(swept.stacked(constant)[0][1])
    apart = max(float(jnp.abs(leaf - leaf[..., :1]).max()) for leaf in kernels)
    return found, apart


def draw(options: Options, titles: dict[str, str], found: Any, curves: Any, lengths: np.ndarray, draws: int) -> None:
    """Three figures: variances by layer, training, and the two ways to fail."""
    shown = [name for name in COLOUR if name not in ("zeros", "constant 1/n")]
    handles = [label(COLOUR[name], name) for name in shown]
    where = f"{LAYERS} layers of {WIDTH} units, inputs with variance 1; lines: means of {draws} draws, bands: ranges"
    path = options.out / "initialization.png"
    with drawing(path, titles["variance"], where, handles, rows=2, columns=2, height=5.2, sharex=True) as panels:
        for row, act in zip(panels, ACTIVATIONS, strict=True):
            for axes, side in zip(row, ("activations", "gradients"), strict=True):
                for name in shown:
                    draw_band(axes, np.arange(1, LAYERS + 1), found[act][name][side], COLOUR[name])
                axes.set(yscale="log", title=f"variance of {side}, {'ReLU' if act == 'relu' else act}")
                plain_numbers(axes.yaxis)
        small = found["tanh small"]["Glorot"]["activations"]
        draw_band(panels[1, 0], np.arange(1, LAYERS + 1), small, COLOUR["Glorot"], linestyle=":")
        panels[1, 0].annotate("Glorot, small inputs", (5.5, small.mean() / 400), color=COLOUR["Glorot"], ha="center")
        panels[1, 0].set(xlabel="layer")
        panels[1, 1].set(xlabel="layer")
    draw_training(options.out / "initialization_training.png", titles["training"], curves)
    with drawing(
        options.out / "initialization_extremes.png", titles["powers"],
        f"left: {LAYERS} equal layers; right: tanh units whose slope is < 0.01; means of {draws} draws, bands: ranges",
        rows=1, columns=2, height=3.0,
    ) as panels:  # fmt: skip
        left, right = panels[0]
        for colour, eigenvalue, values in zip(COLOURS, EIGENVALUES, lengths.swapaxes(0, 1), strict=False):
            draw_band(left, np.arange(1, LAYERS + 1), values, colour, marker="o", markersize=3)
            left.annotate(f"λ = {eigenvalue}", (LAYERS + 0.2, values[:, -1].mean()), color=colour, va="center")
        left.set(yscale="log", xlabel="layer k", ylabel="length of the signal", xlim=(0.8, LAYERS + 2.2))
        for axes in (left, right):
            axes.set_xticks(range(2, LAYERS + 1, 2))
        plain_numbers(left.yaxis)
        for name in ("N(0, 1)", "He as printed", "He", "Glorot"):
            flat = found["tanh"][name]["flat"]
            draw_band(right, np.arange(1, LAYERS + 1), flat, COLOUR[name])
            place = (LAYERS + 0.2, flat[:, -1].mean() + {"He": 0.03, "Glorot": -0.03}.get(name, 0))
            right.annotate(name, place, color=COLOUR[name], va="center", annotation_clip=False)
        right.set(xlabel="layer", ylabel="share of flat units", ylim=(-0.05, 1), xlim=(0.8, LAYERS + 3))


def draw_training(path: Path, title: str, curves: dict[tuple[str, str], np.ndarray]) -> None:
    """Learning curves, a panel for each activation."""
    seeds, epochs = next(iter(curves.values())).shape
    where = f"digits, {LAYERS} layers of {TRAINED_WIDTH}, gradient descent, each with its best learning rate; "
    where += f"lines: means of {seeds} seeds, bands: ranges"
    handles = [label(COLOUR[name], name) for name in TRAINED]
    with drawing(path, title, where, handles, columns=2, height=3.0, sharey=True) as panels:
        for axes, act in zip(panels[0], ACTIVATIONS, strict=True):
            for name in reversed(TRAINED):
                draw_band(axes, np.arange(1, epochs + 1), curves[act, name], COLOUR[name])
            axes.set(title="ReLU" if act == "relu" else act, xlabel="epoch", ylim=(0, 1))
            axes.annotate("zeros and N(0, 0.01²)", (epochs, 0.11), ha="right", color=COLOUR["N(0, 0.01²)"])
        panels[0, 0].set_ylabel("validation accuracy")
        if not curves["relu", "N(0, 1)"].any():
            panels[0, 0].annotate("N(0, 1): diverged", (epochs, 0.01), ha="right", color=COLOUR["N(0, 1)"])


def experiment(options: Options) -> Claim:
    """Signals at the start, powers of eigenvalues, and training."""
    keys = jax.random.split(jax.random.key(options.seed), 3)
    draws = 10 if options.quick else 20
    found = signals(keys[0], draws)
    forward, backward = powers(keys[1], draws)
    curves, apart = trained(options, keys[2])

    factors = {
        name: [factor(found["relu"][name]["activations"]), factor(found["relu"][name]["gradients"][:, ::-1])]
        for name in VARIANCES
    }
    off = max(abs(np.log(f / (WIDTH * VARIANCES[name] / 2))) for name, both in factors.items() for f in both)
    glorot = {act: found[act]["Glorot"]["activations"] for act in ("tanh", "tanh small")}
    kept = {act: float((values[:, -1] / values[:, 0]).mean()) for act, values in glorot.items()}
    flat = {name: float(found["tanh"][name]["flat"].mean()) for name in NAMES}
    layers = np.arange(1, LAYERS + 1)
    expected = EIGENVALUES[:, None] ** layers, EIGENVALUES[:, None] ** (LAYERS - layers)
    wrong = max(float(np.abs(got / want - 1).max()) for got, want in zip((forward, backward), expected, strict=True))
    last = {both: accuracies[:, -1] for both, accuracies in curves.items()}
    right = {"He and ReLU": last["relu", "He"], "Glorot and tanh": last["tanh", "Glorot"]}
    failed = max(float(last[act, name].max()) for act in ACTIVATIONS for name in FAILING)
    equal = max(float(found[act]["constant 1/n"]["between"].max()) for act in ACTIVATIONS)

    titles = {
        "variance": f"In ReLU layers He multiplies variances by {factors['He'][0]:.2f}, Glorot by "
        f"{factors['Glorot'][0]:.2f}; in tanh layers Glorot keeps {kept['tanh small']:.0%} of small signals, "
        f"{kept['tanh']:.0%} of inputs with variance 1",
        "training": f"He with ReLU is right on {right['He and ReLU'].mean():.0%} and Glorot with tanh on "
        f"{right['Glorot and tanh'].mean():.0%}; zeros, constants, N(0, 0.01²) and N(0, 1) on {failed:.0%} at most",
        "powers": f"An eigenvalue λ becomes λᵏ (within {wrong:.0e}); N(0, 1) makes {flat['N(0, 1)']:.0%} of tanh units "
        f"flat, Glorot {flat['Glorot']:.1%}",
    }
    draw(options, titles, found, curves, forward, draws)
    parts = {
        "variances change by nσ²/2 in ReLU layers": off <= np.log(1.1),
        "Glorot keeps small signals with tanh, not large ones": kept["tanh small"] >= 0.8 and kept["tanh"] < 0.5,
        "N(0, 1) saturates tanh": flat["N(0, 1)"] >= 0.5 and flat["Glorot"] < 0.01,
        "λ to the power of k": wrong <= 1e-3,
        "He and Glorot train": all(values.mean() > 0.8 and values.min() > failed for values in right.values()),
        "the others do not": all(last[act, name].mean() < 0.5 for act in ACTIVATIONS for name in FAILING),
        "equal units stay equal": apart == 0 and equal == 0,
    }
    numbers = {
        "factors_a_layer_relu": factors, "predicted": {n: WIDTH * v / 2 for n, v in VARIANCES.items()},
        "kept_by_glorot_tanh": kept, "flat_tanh": flat, "error_of_powers": wrong, "constant_units_apart": apart,
        "validation_accuracy": {f"{act}, {name}": values for (act, name), values in last.items()},
    }  # fmt: skip
    said = "; ".join(f"{name} {spread(values)}" for name, values in right.items())
    words = (
        f"variances as nσ²/2 within {np.expm1(off):.1%} (asked: 10 %), Glorot with tanh keeps "
        f"{kept['tanh small']:.0%} of small signals and {kept['tanh']:.0%} of large ones, accuracy of "
        f"{said} (> 0.8), of those that fail at most {failed:.2f}"
    )
    return Claim(parts, words, numbers)


if __name__ == "__main__":
    main("initialization", __doc__, experiment)
