"""How far every public optimizer gets, and in how many updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from fnnet import optim

START = (-1.2, 1.0)
BOWL_START = (2.0, 2.0)
BOWL = ((1.0, 0.3), (0.0, 0.5))
"""R of the convex quadratic ½‖Rθ‖²: condition number 5, its axes are not those of the parameters."""


class Journey(NamedTuple):
    """``build(rate, residuals)`` is the optimizer, and the objective of all of them is ½‖residuals‖².

    On the quadratic it goes down with the learning rate ``bowl``. On Rosenbrock's valley, 24.2 at the start and 0 at
    the minimum, it gets from (−1.2, 1) below ``reached`` within ``steps`` updates with ``valley``. ``strict`` says
    whether every single update goes down. ``params(point)`` is the point as the parameters of a useful combination.
    """

    build: Callable[..., Any]
    bowl: float
    valley: float
    steps: int
    reached: float
    strict: bool = True
    params: Callable[[Any], Any] = lambda point: {"point": point}


def residuals(params: Any, on_bowl: Any) -> Any:
    """Of the quadratic or of the valley: two numbers; ``held`` stands for the 1 in (1 − x)² where it is a parameter."""
    x, y = params["point"].reshape(-1)
    one = params["held"] if "held" in params else jnp.ones((), x.dtype)
    valley = jnp.stack([2**0.5 * (one - x), 2**0.5 * 10 * (y - x**2)])
    return jnp.where(on_bowl, jnp.asarray(BOWL, x.dtype) @ jnp.stack([x, y]), valley)


def falling(rate: Any) -> Callable[[Any], Any]:
    """A rate that falls like 1/t, without which steps of a fixed size never come to rest."""
    return lambda t: rate / (1 + t / 100)


def warming(rate: Any) -> Callable[[Any], Any]:
    """A rate that rises over the first 1000 updates, before RAdam adapts to gradients of 200."""
    return lambda t: rate * jnp.minimum(1, (t + 1) / 1000)


def by(make: Callable[..., Any], *args: Any, **numbers: Any) -> Callable[..., Any]:
    """Makes an optimizer from a learning rate and what is fixed."""
    return lambda rate, _: make(rate, *args, **numbers)


def around(make: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a combination with gradient descent."""
    return lambda rate, _: make(optim.sgd(rate, momentum=0.9))


def as_matrix(point: Any) -> Any:
    """The point as a matrix of one row, or the fallback of `muon` alone would be tested."""
    return {"point": point[None]}


def with_a_constant(point: Any) -> Any:
    """The 1 of the valley as one more parameter, that has to stay what it is for (1, 1) to be the minimum."""
    return {"point": point, "held": jnp.ones((), point.dtype)}


HELD = {"point": False, "held": True}
wolfe = optim.line_search.strong_wolfe

CONVERGENCE: dict[str, list[Journey]] = {
    "sgd": [
        Journey(by(optim.sgd), 0.01, 2e-3, 5000, 1e-3),
        Journey(by(optim.sgd, 0.9), 1e-3, 2e-3, 1000, 1e-6),
        Journey(by(optim.sgd, 0.9, nesterov=True), 1e-3, 1e-3, 2000, 1e-6),
        Journey(by(optim.sgd, 0.9, dampening=0.5), 1e-3, 2e-3, 2000, 1e-6),
    ],
    "ema_momentum": [Journey(by(optim.ema_momentum, 0.9), 0.01, 2e-2, 1000, 1e-6)],
    "normalized_gradient": [Journey(by(optim.normalized_gradient, eps_root=1.0), 0.01, 2e-3, 5000, 1e-3)],
    "lion": [Journey(lambda rate, _: optim.lion(falling(rate), weight_decay=0.0), 0.01, 1e-2, 5000, 1e-5)],
    "adagrad": [Journey(by(optim.adagrad), 0.01, 1.0, 5000, 1e-3)],
    "rmsprop": [
        Journey(lambda rate, _: optim.rmsprop(falling(rate)), 0.01, 1e-2, 5000, 1e-4),
        Journey(lambda rate, _: optim.rmsprop(falling(rate), centered=True), 2e-3, 2e-3, 5000, 1e-4),
        Journey(lambda rate, _: optim.rmsprop(falling(rate), momentum=0.9), 1e-3, 1e-2, 5000, 1e-8),
    ],
    "adadelta": [Journey(by(optim.adadelta), 1.0, 7e-3, 20000, 1e-3)],
    "adam": [Journey(by(optim.adam), 0.01, 0.4, 1000, 1e-6)],
    "adamw": [Journey(by(optim.adamw, weight_decay=0.0), 0.01, 0.4, 1000, 1e-6)],
    "nadam": [Journey(by(optim.nadam), 0.01, 0.05, 2000, 1e-6)],
    "amsgrad": [Journey(by(optim.amsgrad), 0.01, 1.0, 5000, 1e-6)],
    "adamax": [Journey(by(optim.adamax), 0.01, 1.0, 2500, 1e-6)],
    "radam": [Journey(lambda rate, _: optim.radam(warming(rate)), 1.0, 0.8, 1200, 1e-6)],
    "adan": [Journey(by(optim.adan), 0.01, 0.05, 2000, 1e-6)],
    "muon": [Journey(lambda rate, _: optim.muon(falling(rate)), 0.01, 0.05, 5000, 1e-4, params=as_matrix)],
    # Transformations in a combination in which they are of use.
    "chain": [
        Journey(lambda rate, _: optim.chain(optim.clip_by_global_norm(100.0), optim.adam(rate)), 0.01, 0.4, 1000, 1e-6)
    ],
    "clip": [Journey(lambda rate, _: optim.chain(optim.clip(5.0), optim.sgd(rate, 0.9)), 1e-3, 2e-3, 1500, 1e-6)],
    "clip_by_norm": [
        Journey(lambda rate, _: optim.chain(optim.clip_by_norm(5.0), optim.sgd(rate, 0.9)), 1e-3, 2e-3, 1500, 1e-6)
    ],
    "clip_by_global_norm": [
        Journey(
            lambda rate, _: optim.chain(optim.clip_by_global_norm(5.0), optim.sgd(rate, 0.9)), 1e-3, 2e-3, 1500, 1e-6
        )
    ],
    "add_weight_decay": [
        Journey(
            lambda rate, _: optim.chain(optim.add_weight_decay(1e-6), optim.sgd(rate, 0.9)), 1e-3, 2e-3, 1500, 1e-6
        )
    ],
    "decoupled_weight_decay": [
        Journey(around(lambda o: optim.decoupled_weight_decay(o, 1e-6)), 1e-3, 2e-3, 1500, 1e-6)
    ],
    "freeze": [
        Journey(
            lambda rate, _: optim.chain(optim.sgd(rate, 0.9), optim.freeze(HELD)),
            1e-3, 2e-3, 1000, 1e-6, params=with_a_constant,
        )
    ],
    "partition": [
        Journey(
            lambda rate, _: optim.partition({True: optim.freeze(), False: optim.adam(rate)}, HELD),
            0.01, 0.4, 1000, 1e-6, params=with_a_constant,
        )
    ],
    "accumulate": [Journey(around(lambda o: optim.accumulate(o, 2)), 1e-3, 2e-3, 2000, 1e-6, strict=False)],
    "ema_parameters": [Journey(around(lambda o: optim.ema_parameters(o, 0.9)), 1e-3, 2e-3, 1000, 1e-6)],
    "skip_nonfinite": [Journey(around(optim.skip_nonfinite), 1e-3, 2e-3, 1000, 1e-6)],
    # Methods that look at the objective: the number is the damping or the first step size.
    "newton": [Journey(lambda rate, _: optim.newton(rate), 0.5, 1.0, 7, 1e-16)],
    "line_search_descent": [Journey(by(optim.line_search_descent), 0.1, 1.0, 3000, 1e-3)],
    "conjugate_gradient": [
        Journey(lambda rate, _: optim.conjugate_gradient(), 1.0, 1.0, 30, 1e-12),
        Journey(lambda rate, _: optim.conjugate_gradient("fletcher_reeves"), 1.0, 1.0, 50, 1e-12),
    ],
    "lbfgs": [
        Journey(lambda rate, _: optim.lbfgs(), 1.0, 1.0, 46, 1e-12),
        Journey(lambda rate, _: optim.lbfgs(search=optim.line_search.backtracking()), 1.0, 1.0, 55, 1e-12),
    ],
    "levenberg_marquardt": [
        Journey(lambda rate, residuals: optim.levenberg_marquardt(residuals, rate), 1.0, 1e-3, 25, 1e-16)
    ],
    # Methods without gradients: the number is the scale.
    "random_search": [Journey(by(optim.random_search), 0.1, 0.05, 1000, 1e-5, strict=False)],
    "genetic": [
        Journey(lambda rate, _: optim.genetic(mutation_scale=falling(rate)), 0.3, 0.3, 1000, 1e-4, strict=False)
    ],
    "cma_es": [Journey(by(optim.cma_es), 0.5, 0.5, 170, 1e-8, strict=False)],
}  # fmt: skip
