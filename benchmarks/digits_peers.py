"""64 learning rates for one network on digits, trained by fnnet and as its peers' users would.

64–100–10 with relus, cross entropy, Adam, batches of 50 out of 1,500 examples in a new order each epoch, 20 epochs.
Where a peer's initial weights are so much smaller that its losses end elsewhere, they are He's, as fnnet's are.
Each function here prepares the work for some learning rates, and returns a function that does it from new parameters
and gives a loss for each rate, on all examples after the last step. scikit-learn works on the processor, whatever the
device.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import PLATFORMS

ROWS, WIDTH, BATCH, EPOCHS, CORES = 1500, 100, 50, 20, 2
RATES = np.geomspace(1e-4, 1e-1, 64).tolist()
STEPS = EPOCHS * ROWS // BATCH

Losses = Callable[[], list[float]]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Inputs (1500, 64) from 0 to 1, and classes."""
    # From scikit-learn's file, for to import it would take as long as some of the contenders do.
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None, "the digits are scikit-learn's"
    assert spec.origin is not None
    table = np.loadtxt(Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")[:ROWS]
    return (table[:, :-1] / 16).astype(np.float32), table[:, -1].astype(np.int32)


def fnnet(rates: Sequence[float], device: str = "cpu", last: bool = False) -> Losses:
    """A sweep: as many lanes as fit, on as many CPU devices as there are cores.

    Its table has the mean loss of the last epoch on the way; with ``last`` one more pass gives what the others give.
    """
    import jax

    if device == "cpu":
        jax.config.update("jax_num_cpu_devices", CORES)
    import fnnet
    from fnnet import data, hp, losses, nn, optim

    def learner(learning_rate: Any) -> fnnet.Learner:
        return fnnet.Learner(nn.mlp([WIDTH, 10]), losses.softmax_cross_entropy, optim.adam(learning_rate))

    examples = data.from_arrays(*digits())
    mean_loss = jax.jit(jax.vmap(lambda logits: losses.softmax_cross_entropy(logits, examples.targets).mean()))

    def work() -> list[float]:
        swept = fnnet.sweep(
            learner,
            {"learning_rate": hp.grid(*rates)},
            examples,
            epochs=EPOCHS,
            batch_size=BATCH,
            key=jax.random.key(0),
            progress=False,
        )
        found = swept.table["train/loss"]
        return (mean_loss(swept.predict(examples.inputs)) if last else found).tolist()

    return work


def plain_vmap(rates: Sequence[float], device: str = "cpu") -> Losses:
    """Plain JAX by hand: `jax.vmap` over the rates of a scan over the steps."""
    import jax
    import jax.numpy as jnp

    from benchmarks.plain_jax import adam, loss

    x, y = map(jnp.asarray, digits())

    def init(key: Any) -> Any:
        keys = jax.random.split(key)
        he = jax.nn.initializers.he_normal()
        return [(he(k, shape), jnp.zeros(shape[1])) for k, shape in zip(keys, [(64, WIDTH), (WIDTH, 10)], strict=True)]

    def train(rate: Any, key: Any) -> Any:
        params = init(key)
        zeros = jax.tree.map(jnp.zeros_like, params)

        def epoch(carry: Any, key: Any) -> Any:
            order = jax.random.permutation(key, ROWS).reshape(-1, BATCH)

            def step(carry: Any, rows: Any) -> Any:
                return adam(carry, jax.grad(loss)(carry[0], x[rows], y[rows]), rate), None

            return jax.lax.scan(step, carry, order)

        keys = jax.random.split(key, EPOCHS)
        (params, *_), _ = jax.lax.scan(epoch, (params, zeros, zeros, 0.0), keys)
        return loss(params, x, y)

    program = jax.jit(jax.vmap(train))
    return lambda: program(jnp.asarray(rates), jax.random.split(jax.random.key(0), len(rates))).tolist()


def linen(rates: Sequence[float], device: str = "cpu", closed_over: bool = False) -> Losses:
    """Flax linen and optax: a jitted step in a loop, one rate after another.

    The rate is an argument of the compiled step (`optax.inject_hyperparams`), or closed over, which compiles each.
    """
    import jax
    import jax.numpy as jnp
    import optax
    from flax import linen as nn

    x, y = digits()

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.Dense(10)(nn.relu(nn.Dense(WIDTH)(x)))

    model = Net()

    def loss(params: Any, x: Any, y: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(model.apply(params, x), y).mean()

    def stepped_by(tx: Any) -> Any:
        @jax.jit
        def step(params: Any, state: Any, x: Any, y: Any) -> Any:
            updates, state = tx.update(jax.grad(loss)(params, x, y), state, params)
            return optax.apply_updates(params, updates), state

        return step

    shared = optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)
    step_of_all, whole, init = stepped_by(shared), jax.jit(loss), jax.jit(model.init)

    def work() -> list[float]:
        found = []
        for rate in rates:
            tx, step = (optax.adam(rate), None) if closed_over else (shared, step_of_all)
            step = step or stepped_by(tx)
            params = init(jax.random.key(0), x[:1])
            state = tx.init(params)
            if not closed_over:
                state.hyperparams["learning_rate"] = jnp.asarray(rate)
            for batch in batches(x, y):
                params, state = step(params, state, *batch)
            found.append(float(whole(params, x, y)))
        return found

    return work


def batches(x: Any, y: Any, seed: int = 0) -> Any:
    """Batches of all epochs, in an order by NumPy."""
    rng = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = rng.permutation(ROWS)
        for start in range(0, ROWS, BATCH):
            rows = order[start : start + BATCH]
            yield x[rows], y[rows]


def equinox(rates: Sequence[float], device: str = "cpu") -> Losses:
    """Equinox and optax: a step under `filter_jit` in a loop, one rate after another."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    x, y = digits()
    tx = optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)

    def loss(model: Any, x: Any, y: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(x), y).mean()

    @eqx.filter_jit
    def step(model: Any, state: Any, x: Any, y: Any) -> Any:
        updates, state = tx.update(eqx.filter_grad(loss)(model, x, y), state)
        return eqx.apply_updates(model, updates), state

    whole, he = eqx.filter_jit(loss), jax.nn.initializers.he_normal(in_axis=-1, out_axis=-2)

    @eqx.filter_jit
    def start(key: Any) -> Any:
        arrays, rest = eqx.partition(eqx.nn.MLP(64, 10, WIDTH, 1, key=key), eqx.is_array)
        keys = iter(jax.random.split(key))
        drawn = jax.tree.map(lambda x: he(next(keys), x.shape) if x.ndim > 1 else jnp.zeros_like(x), arrays)
        return eqx.combine(drawn, rest)

    def work() -> list[float]:
        found = []
        for rate in rates:
            model = start(jax.random.key(0))
            state = tx.init(eqx.filter(model, eqx.is_array))
            state.hyperparams["learning_rate"] = jnp.asarray(rate)
            for batch in batches(x, y):
                model, state = step(model, state, *batch)
            found.append(float(whole(model, x, y)))
        return found

    return work


def nnx(rates: Sequence[float], device: str = "cpu") -> Losses:
    """Flax nnx and optax: a step under `nnx.jit` in a loop, one rate after another."""
    import jax.numpy as jnp
    import optax
    from flax import nnx as nx

    x, y = digits()

    class Net(nx.Module):
        def __init__(self, rngs: Any) -> None:
            self.hidden, self.out = nx.Linear(64, WIDTH, rngs=rngs), nx.Linear(WIDTH, 10, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.out(nx.relu(self.hidden(x)))

    def loss(model: Any, x: Any, y: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    @nx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> None:
        optimizer.update(model, nx.grad(loss)(model, x, y))

    whole = nx.jit(loss)
    tx = optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)

    def work() -> list[float]:
        found = []
        for rate in rates:
            model = Net(nx.Rngs(0))
            optimizer = nx.Optimizer(model, tx, wrt=nx.Param)
            optimizer.opt_state.hyperparams["learning_rate"].set_value(jnp.asarray(rate))
            for batch in batches(x, y):
                step(model, optimizer, *batch)
            found.append(float(whole(model, x, y)))
        return found

    return work


def torch_loop(rates: Sequence[float], device: str = "cpu") -> Losses:
    """torch: the usual loop, one rate after another."""
    import torch

    torch.set_num_threads(1)  # which is quicker for nets so small
    x, y = digits()
    x, y = (torch.from_numpy(each).to(PLATFORMS[device]) for each in (x, y.astype(np.int64)))
    cross_entropy = torch.nn.functional.cross_entropy

    def work() -> list[float]:
        found = []
        for rate in rates:
            torch.manual_seed(0)
            model = torch.nn.Sequential(torch.nn.Linear(64, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, 10))
            model.to(x.device)
            for layer in model[::2]:
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                torch.nn.init.zeros_(layer.bias)
            optimizer = torch.optim.Adam(model.parameters(), lr=rate)
            for some, theirs in batches(x, y):
                optimizer.zero_grad()
                cross_entropy(model(some), theirs).backward()
                optimizer.step()
            with torch.no_grad():
                found.append(float(cross_entropy(model(x), y)))
        return found

    return work


def torch_func(rates: Sequence[float], device: str = "cpu") -> Losses:
    """torch.func: gradients of all networks at once by `vmap`, and Adam on the stacked parameters."""
    import torch

    x, y = digits()
    x, y = (torch.from_numpy(each).to(PLATFORMS[device]) for each in (x, y.astype(np.int64)))

    def loss(params: Any, x: Any, y: Any) -> Any:
        hidden = torch.relu(torch.nn.functional.linear(x, params["w1"], params["b1"]))
        return torch.nn.functional.cross_entropy(torch.nn.functional.linear(hidden, params["w2"], params["b2"]), y)

    grads_of_all = torch.func.vmap(torch.func.grad(loss))
    losses_of_all = torch.func.vmap(loss, in_dims=(0, None, None))
    shapes = {"w1": (WIDTH, 64), "b1": (WIDTH,), "w2": (10, WIDTH), "b2": (10,)}
    rate_of = {
        name: torch.tensor(rates, device=x.device).reshape(-1, *[1] * len(shape)) for name, shape in shapes.items()
    }

    def work() -> list[float]:
        torch.manual_seed(0)
        params = {
            name: torch.randn(len(rates), *shape, device=x.device) * (2 / shape[-1]) ** 0.5 if len(shape) > 1
            else torch.zeros(len(rates), *shape, device=x.device)
            for name, shape in shapes.items()
        }  # fmt: skip
        m, v = ({name: torch.zeros_like(leaf) for name, leaf in params.items()} for _ in range(2))
        t = 0
        for _ in range(EPOCHS):
            order = torch.argsort(torch.rand(len(rates), ROWS, device=x.device), dim=1)
            for start in range(0, ROWS, BATCH):
                rows, t = order[:, start : start + BATCH], t + 1
                grads = grads_of_all(params, x[rows], y[rows])
                for name, g in grads.items():
                    m[name].mul_(0.9).add_(g, alpha=0.1)
                    v[name].mul_(0.999).addcmul_(g, g, value=0.001)
                    scale = (v[name] / (1 - 0.999**t)).sqrt_().add_(1e-8)
                    params[name].sub_(rate_of[name] * m[name] / (1 - 0.9**t) / scale)
        return losses_of_all(params, x, y).tolist()

    return work


def scikit_learn(rates: Sequence[float], device: str = "cpu") -> Losses:
    """scikit-learn: an MLPClassifier a rate."""
    import warnings

    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # it says of every network that 20 epochs did not suffice
    x, y = digits()

    def work() -> list[float]:
        found = []
        for rate in rates:
            net = MLPClassifier(
                (WIDTH,), batch_size=BATCH, alpha=0.0, learning_rate_init=rate, max_iter=EPOCHS, random_state=0,
                n_iter_no_change=EPOCHS,
            )  # fmt: skip
            found.append(float(log_loss(y, net.fit(x, y).predict_proba(x))))
        return found

    return work
