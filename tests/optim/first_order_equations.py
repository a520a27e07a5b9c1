"""The equations of the first-order methods once more, in NumPy float64, and what the tests run them on.

Each is a function of the method's numbers that returns a function from (θ, gradients in order) to the last θ. Names
are those of the papers, and nothing is shared with the library.
"""

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import optim


def rate(alpha, t):
    """α of update t = 1, 2, …; a schedule is asked with the number of updates done."""
    return alpha(t - 1) if callable(alpha) else alpha


def sgd(alpha, gamma=0.0, nesterov=False, tau=0.0):
    def run(theta, grads):
        v = np.zeros_like(theta)
        for t, g in enumerate(grads, start=1):
            v = gamma * v + (g if t == 1 else (1 - tau) * g)
            theta = theta - rate(alpha, t) * (g + gamma * v if nesterov else v)
        return theta

    return run


def ema_momentum(alpha, beta):
    def run(theta, grads):
        m = np.zeros_like(theta)
        for g in grads:
            m = beta * m + (1 - beta) * g
            theta = theta - alpha * m
        return theta

    return run


def normalized_gradient(alpha, eps=0.0, eps_root=0.0):
    def run(theta, grads):
        for g in grads:
            theta = theta - alpha * g / (np.sqrt(g**2 + eps_root) + eps)
        return theta

    return run


def lion(alpha, b1, b2, decay):
    def run(theta, grads):
        m = np.zeros_like(theta)
        for g in grads:
            theta = theta - alpha * (np.sign(b1 * m + (1 - b1) * g) + decay * theta)
            m = b2 * m + (1 - b2) * g
        return theta

    return run


def adagrad(alpha, start=0.0, eps=0.0, eps_root=0.0):
    def run(theta, grads):
        s = np.full_like(theta, start)
        for g in grads:
            s = s + g**2
            theta = theta - alpha * g / (np.sqrt(s + eps_root) + eps)
        return theta

    return run


def rmsprop(alpha, rho=0.9, eps=0.0, eps_root=0.0, centered=False, gamma=0.0, nesterov=False):
    def run(theta, grads):
        m, v, u = np.zeros((3, *theta.shape))
        for g in grads:
            v = rho * v + (1 - rho) * g**2
            m = rho * m + (1 - rho) * g
            r = g / (np.sqrt((v - m**2 if centered else v) + eps_root) + eps)
            u = gamma * u + r
            theta = theta - alpha * (r + gamma * u if nesterov else u)
        return theta

    return run


def adadelta(alpha, rho, eps):
    def run(theta, grads):
        v, d = np.zeros((2, *theta.shape))
        for g in grads:
            v = rho * v + (1 - rho) * g**2
            step = np.sqrt(d + eps) / np.sqrt(v + eps) * g
            d = rho * d + (1 - rho) * step**2
            theta = theta - alpha * step
        return theta

    return run


def adam(alpha, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, decay=0.0, ahead=False, never_grows=False):
    def run(theta, grads):
        m, v, largest = np.zeros((3, *theta.shape))
        for t, g in enumerate(grads, start=1):
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g**2
            mean, square = m / (1 - b1**t), v / (1 - b2**t)
            if ahead:
                mean = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
            if never_grows:
                square = largest = np.maximum(largest, square)
            theta = theta - rate(alpha, t) * (mean / (np.sqrt(square + eps_root) + eps) + decay * theta)
        return theta

    return run


def adamax(alpha, b1=0.9, b2=0.999, eps=1e-8):
    def run(theta, grads):
        m, u = np.zeros((2, *theta.shape))
        for t, g in enumerate(grads, start=1):
            m = b1 * m + (1 - b1) * g
            u = np.maximum(b2 * u, np.abs(g) + eps)
            theta = theta - alpha / (1 - b1**t) * m / u
        return theta

    return run


def radam(alpha, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0, threshold=5.0):
    def run(theta, grads):
        m, v = np.zeros((2, *theta.shape))
        longest = 2 / (1 - b2) - 1
        for t, g in enumerate(grads, start=1):
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g**2
            step = m / (1 - b1**t)
            length = longest - 2 * t * b2**t / (1 - b2**t)
            if length > threshold:
                r = ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5
                step = r * step / (np.sqrt(v / (1 - b2**t) + eps_root) + eps)
            theta = theta - alpha * step
        return theta

    return run


def adan(alpha, b1=0.98, b2=0.92, b3=0.99, eps=1e-8, eps_root=0.0, decay=0.0):
    def run(theta, grads):
        m, v, n = np.zeros((3, *theta.shape))
        before = grads[0]
        for t, g in enumerate(grads, start=1):
            change, before = g - before, g
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * change
            n = b3 * n + (1 - b3) * (g + b2 * change) ** 2
            root = np.sqrt(n / (1 - b3**t) + eps_root) + eps
            theta = theta - alpha * (m / (1 - b1**t) + b2 * v / (1 - b2**t)) / root
            theta = theta / (1 + alpha * decay)
        return theta

    return run


def muon(alpha, mu=0.95, nesterov=True, decay=0.0, eps=1e-7, steps=5):
    def run(theta, grads):
        if theta.ndim != 2:
            return adam(alpha)(theta, grads)
        m = np.zeros_like(theta)
        for g in grads:
            m = mu * m + (1 - mu) * g
            x = mu * m + (1 - mu) * g if nesterov else m
            x = x / (np.sqrt((x**2).sum()) + eps)
            for _ in range(steps):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            theta = theta - alpha * (max(1, theta.shape[1] / theta.shape[0]) ** 0.5 * x + decay * theta)
        return theta

    return run


NOTHING = {"eps": 0.0, "eps_root": 0.0}
ROOT = {"eps": 0.0, "eps_root": 1e-3}  # where the lectures have their ε
BOTH = {"eps": 1e-3, "eps_root": 1e-2}

EQUATIONS = {
    "sgd": (optim.sgd(0.1), sgd(0.1)),
    "sgd, momentum": (optim.sgd(0.02, 0.9), sgd(0.02, 0.9)),
    "sgd, Nesterov": (optim.sgd(0.02, 0.9, nesterov=True), sgd(0.02, 0.9, True)),
    "sgd, dampening": (optim.sgd(0.1, 0.9, dampening=0.7), sgd(0.1, 0.9, tau=0.7)),
    "ema_momentum": (optim.ema_momentum(0.1, 0.8), ema_momentum(0.1, 0.8)),
    "normalized_gradient": (optim.normalized_gradient(0.1, **BOTH), normalized_gradient(0.1, **BOTH)),
    "normalized_gradient, lecture": (optim.normalized_gradient(0.1, **ROOT), normalized_gradient(0.1, **ROOT)),
    "lion": (optim.lion(0.1, weight_decay=0.3), lion(0.1, 0.9, 0.99, 0.3)),
    "adagrad": (optim.adagrad(0.1), adagrad(0.1, eps=1e-10)),
    "adagrad, lecture 000": (optim.adagrad(0.1, **ROOT), adagrad(0.1, **ROOT)),
    "adagrad, start": (optim.adagrad(0.1, 0.2, **BOTH), adagrad(0.1, 0.2, **BOTH)),
    "rmsprop": (optim.rmsprop(0.1), rmsprop(0.1, eps=1e-8)),
    "rmsprop, lecture": (optim.rmsprop(0.1, 0.99, **ROOT), rmsprop(0.1, 0.99, **ROOT)),
    "rmsprop, centred": (optim.rmsprop(0.1, **BOTH, centered=True), rmsprop(0.1, **BOTH, centered=True)),
    "rmsprop, momentum": (optim.rmsprop(0.01, momentum=0.9), rmsprop(0.01, eps=1e-8, gamma=0.9)),
    "rmsprop, all": (
        optim.rmsprop(0.01, 0.8, **BOTH, centered=True, momentum=0.7, nesterov=True),
        rmsprop(0.01, 0.8, **BOTH, centered=True, gamma=0.7, nesterov=True),
    ),
    "adadelta": (optim.adadelta(), adadelta(1.0, 0.9, 1e-6)),
    "adadelta, all": (optim.adadelta(3.0, 0.8, 1e-2), adadelta(3.0, 0.8, 1e-2)),
    "adam": (optim.adam(0.1), adam(0.1)),
    "adam, lecture": (optim.adam(0.1, **ROOT), adam(0.1, **ROOT)),
    "adamw": (optim.adamw(0.1, weight_decay=0.3), adam(0.1, decay=0.3)),
    "nadam": (optim.nadam(0.1), adam(0.1, ahead=True)),
    "nadam, all": (optim.nadam(0.1, 0.7, 0.9, **BOTH), adam(0.1, 0.7, 0.9, **BOTH, ahead=True)),
    "amsgrad": (optim.amsgrad(0.1), adam(0.1, never_grows=True)),
    "amsgrad, all": (optim.amsgrad(0.1, 0.7, 0.5, **BOTH), adam(0.1, 0.7, 0.5, **BOTH, never_grows=True)),
    "adamax": (optim.adamax(0.1), adamax(0.1)),
    "adamax, all": (optim.adamax(0.1, 0.7, 0.8, 1e-2), adamax(0.1, 0.7, 0.8, 1e-2)),
    "radam": (optim.radam(0.1), radam(0.1)),
    "radam, paper": (optim.radam(0.1, 0.7, 0.9, **BOTH, threshold=4.0), radam(0.1, 0.7, 0.9, **BOTH, threshold=4.0)),
    "radam, short memory": (optim.radam(0.1, b2=0.5), radam(0.1, b2=0.5)),
    "adan": (optim.adan(0.1), adan(0.1)),
    "adan, all": (
        optim.adan(0.1, 0.9, 0.8, 0.7, **BOTH, weight_decay=0.3),
        adan(0.1, 0.9, 0.8, 0.7, **BOTH, decay=0.3),
    ),
    "muon": (optim.muon(0.1), muon(0.1)),
    "muon, all": (
        optim.muon(0.1, 0.8, False, 0.3, 1e-2, 3, fallback=optim.adam(0.1)),
        muon(0.1, 0.8, False, 0.3, 1e-2, 3),
    ),
}


def trajectory(optimizer, params, grads):
    """The parameters and the state after all gradients, in one scan in float64."""
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, params)
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *grads)

        def step(carry, g):
            params, state = carry
            updates, state = optimizer.update(g, state, params)
            return (optim.apply_updates(params, updates), state), None

        return jax.jit(lambda p, g: jax.lax.scan(step, (p, optimizer.init(p)), g)[0])(params, stacked)


def rosenbrock(point):
    """Rosenbrock's valley, 0 at (1, 1); usually from (−1.2, 1)."""
    return (1 - point[0]) ** 2 + 100 * (point[1] - point[0] ** 2) ** 2
