"""Every public optimizer and transformation of gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from catalogue.cases import Case
from fnnet import optim
from fnnet.optim import schedules

RATE = {"learning_rate": (0.1, 0.03)}
MOMENTUM = {**RATE, "momentum": (0.9, 0.5)}
ADAM = {**RATE, "b1": (0.9, 0.5), "b2": (0.999, 0.9), "eps": (1e-8, 1e-3), "eps_root": (1e-12, 1e-4)}


def bowl(params: Any) -> Any:
    """A convex function of any parameters, in float32 whatever their dtype."""
    return sum(jnp.sum((leaf.astype(jnp.float32) - 0.5) ** 2) for leaf in jax.tree.leaves(params))


def on_a_bowl(make: Callable[..., Any]) -> Callable[..., Any]:
    """For methods that look at the objective: at each update it is a bowl with the gradient that the law gives."""

    def build(**numbers: Any) -> Any:
        optimizer = make(**numbers)

        def update(grads: Any, state: Any, params: Any = None, **extra: Any) -> Any:
            def value_fn(there: Any) -> Any:
                def part(t: Any, p: Any, g: Any) -> Any:
                    away = t.astype(jnp.float32) - p.astype(jnp.float32)
                    return jnp.sum(g.astype(jnp.float32) * away + away**2 / 2)

                return sum(jax.tree.leaves(jax.tree.map(part, there, params, grads)))

            return optimizer.update(grads, state, params, **{"value_fn": value_fn, **extra})

        return optim.Optimizer(optimizer.init, update)

    return build


def residuals(params: Any) -> Any:
    """Not linear, and nowhere near 0 at the parameters of the laws."""
    return jax.tree.map(lambda leaf: (leaf - 3) * (leaf + 5), params)


WOLFE = {"decrease": (1e-4, 1e-3), "curvature": (0.9, 0.1)}
SEARCH = {"value_fn": bowl, "key": jax.random.key(0)}
BOX = {"low": (-2.0, -1.0), "high": (2.0, 1.5)}
EVOLUTION = {"crossover_rate": (0.9, 0.1), "mutation_rate": (0.5, 0.9), "mutation_scale": (0.1, 0.3)}

OPTIMIZERS: dict[str, list[Case]] = {
    "sgd": [
        Case(optim.sgd, RATE),
        Case(optim.sgd, MOMENTUM),
        Case(lambda **numbers: optim.sgd(nesterov=True, **numbers), MOMENTUM),
        Case(optim.sgd, {**MOMENTUM, "dampening": (0.5, 0.1)}),
        Case(
            lambda **numbers: optim.sgd(schedules.linear_decay(**numbers)),
            {"init_value": (0.1, 0.2), "end_value": (0.01, 0.05), "transition_steps": (5.0, 2.0)},
        ),
    ],
    "adam": [Case(optim.adam, ADAM), Case(lambda learning_rate: optim.adam(learning_rate), RATE)],
    "adamw": [
        Case(optim.adamw, {**ADAM, "weight_decay": (0.1, 0.01)}),
        Case(
            lambda **numbers: optim.adamw(mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params), **numbers),
            {**RATE, "weight_decay": (0.1, 0.01)},
        ),
    ],
    "ema_momentum": [Case(optim.ema_momentum, {**RATE, "decay": (0.9, 0.5)})],
    "normalized_gradient": [
        Case(optim.normalized_gradient, {**RATE, "eps": (1e-8, 1e-3), "eps_root": (1e-8, 1e-2)}),
        Case(lambda learning_rate: optim.normalized_gradient(learning_rate, eps_root=0.0), RATE),
    ],
    "lion": [
        Case(optim.lion, {**RATE, "b1": (0.9, 0.5), "b2": (0.99, 0.8), "weight_decay": (0.1, 0.01)}),
        Case(lambda learning_rate: optim.lion(learning_rate, mask=optim.matrices), RATE),
    ],
    "adagrad": [
        Case(
            optim.adagrad,
            {**RATE, "initial_accumulator_value": (0.1, 0.0), "eps": (1e-8, 1e-3), "eps_root": (1e-12, 1e-4)},
        ),
        Case(lambda learning_rate: optim.adagrad(learning_rate), RATE),
    ],
    "rmsprop": [
        Case(
            lambda centered=centered, nesterov=nesterov, **numbers: optim.rmsprop(
                centered=centered, nesterov=nesterov, **numbers
            ),
            {**RATE, "decay": (0.9, 0.5), "eps": (1e-8, 1e-3), "eps_root": (1e-12, 1e-4), **momentum},
        )
        for centered, nesterov, momentum in (
            (False, False, {}),
            (True, False, {}),
            (False, False, {"momentum": (0.9, 0.5)}),
            (True, True, {"momentum": (0.9, 0.5)}),
        )
    ],
    "adadelta": [Case(optim.adadelta, {"learning_rate": (1.0, 0.5), "rho": (0.9, 0.5), "eps": (1e-6, 1e-3)})],
    "nadam": [Case(optim.nadam, ADAM)],
    "amsgrad": [Case(optim.amsgrad, ADAM)],
    "adamax": [Case(optim.adamax, {name: ADAM[name] for name in ("learning_rate", "b1", "b2", "eps")})],
    "radam": [Case(optim.radam, {**ADAM, "threshold": (5.0, 4.0)})],
    "adan": [Case(optim.adan, {**ADAM, "b3": (0.99, 0.9), "weight_decay": (0.1, 0.01)})],
    "muon": [
        Case(optim.muon, {**MOMENTUM, "weight_decay": (0.1, 0.01), "eps": (1e-7, 1e-3)}),
        Case(
            lambda learning_rate, rate: optim.muon(learning_rate, nesterov=False, fallback=optim.sgd(rate)),
            {**RATE, "rate": (0.2, 0.1)},
        ),
    ],
    "clip": [Case(optim.clip, {"max_delta": (0.5, 100.0)})],
    "clip_by_norm": [Case(optim.clip_by_norm, {"max_norm": (0.5, 100.0)})],
    "clip_by_global_norm": [Case(optim.clip_by_global_norm, {"max_norm": (0.5, 100.0)})],
    "add_weight_decay": [
        Case(optim.add_weight_decay, {"weight_decay": (0.1, 0.01)}),
        Case(lambda weight_decay: optim.add_weight_decay(weight_decay, optim.matrices), {"weight_decay": (0.5, 0.01)}),
    ],
    "decoupled_weight_decay": [
        Case(
            lambda weight_decay, **numbers: optim.decoupled_weight_decay(
                optim.sgd(**numbers), weight_decay, optim.matrices
            ),
            {**MOMENTUM, "weight_decay": (0.5, 0.01)},
        ),
        Case(
            lambda weight_decay, learning_rate: optim.decoupled_weight_decay(
                optim.clip(1.0), weight_decay, learning_rate=learning_rate
            ),
            {**RATE, "weight_decay": (0.5, 0.01)},
        ),
    ],
    "freeze": [Case(lambda learning_rate: optim.chain(optim.sgd(learning_rate), optim.freeze(optim.matrices)), RATE)],
    "accumulate": [
        Case(lambda learning_rate: optim.accumulate(optim.adam(learning_rate), 2), RATE),
        Case(
            lambda learning_rate, steps: optim.accumulate(optim.sgd(learning_rate), steps),
            {**RATE, "steps": (2.0, 3.0)},
        ),
    ],
    "ema_parameters": [
        Case(
            lambda decay, learning_rate: optim.ema_parameters(optim.adam(learning_rate), decay),
            {**RATE, "decay": (0.9, 0.5)},
        ),
        Case(
            lambda decay, learning_rate: optim.ema_parameters(optim.sgd(learning_rate), decay, debias=False),
            {**RATE, "decay": (0.9, 0.5)},
        ),
    ],
    "skip_nonfinite": [
        Case(lambda learning_rate: optim.skip_nonfinite(optim.adam(learning_rate)), RATE),
        Case(
            lambda learning_rate, limit: optim.skip_nonfinite(optim.sgd(learning_rate), limit),
            {**RATE, "limit": (0.0, 2.0)},
        ),
    ],
    "partition": [
        Case(
            lambda learning_rate, b1: optim.partition(
                {True: optim.adam(learning_rate, b1), False: optim.sgd(learning_rate)}, optim.matrices
            ),
            {**RATE, "b1": (0.9, 0.5)},
        ),
        Case(
            lambda learning_rate: optim.partition(
                {"trained": optim.sgd(learning_rate), "held": optim.freeze()}, {"kernel": "trained", "bias": "held"}
            ),
            RATE,
        ),
    ],
    "chain": [
        Case(
            lambda max_norm, learning_rate: optim.chain(optim.clip_by_global_norm(max_norm), optim.adam(learning_rate)),
            {"max_norm": (0.5, 100.0), **RATE},
        )
    ],
    "random_search": [
        Case(lambda scale: optim.random_search(scale, population=8), {"scale": (0.5, 0.2)}, extra=SEARCH),
        Case(lambda **numbers: optim.random_search(population=64, **numbers), BOX, extra=SEARCH),
        Case(optim.random_search, {"scale": (0.5, 0.2), **BOX}, extra=SEARCH),
    ],
    "genetic": [
        Case(lambda **numbers: optim.genetic(8, **numbers), {**EVOLUTION, "spread": (0.5, 0.2)}, extra=SEARCH),
        Case(lambda **numbers: optim.genetic(64, **numbers), {**EVOLUTION, **BOX}, extra=SEARCH),
    ],
    "cma_es": [
        Case(optim.cma_es, {"scale": (0.5, 0.2)}, extra=SEARCH),
        Case(lambda scale: optim.cma_es(scale, population=32), {"scale": (0.5, 0.2)}, extra=SEARCH),
    ],
    "newton": [
        Case(on_a_bowl(optim.newton), {"damping": (1.0, 0.5)}),
        Case(
            on_a_bowl(lambda **numbers: optim.newton(schedules.linear_decay(**numbers))),
            {"init_value": (0.1, 0.2), "end_value": (0.01, 0.05), "transition_steps": (5.0, 2.0)},
        ),
    ],
    "line_search_descent": [
        Case(
            on_a_bowl(
                lambda learning_rate, **numbers: optim.line_search_descent(
                    learning_rate, optim.line_search.backtracking(**numbers)
                )
            ),
            {"learning_rate": (5.0, 4.0), "decrease": (1e-4, 0.3), "shrink": (0.5, 0.4)},
        ),
        Case(
            on_a_bowl(
                lambda learning_rate: optim.line_search_descent(
                    learning_rate, optim.line_search.backtracking(evaluations=1)
                )
            ),
            RATE,
        ),
    ],
    "lbfgs": [
        Case(
            on_a_bowl(lambda **numbers: optim.lbfgs(memory=2, search=optim.line_search.strong_wolfe(**numbers))), WOLFE
        )
    ],
    "conjugate_gradient": [
        Case(
            on_a_bowl(
                lambda method=method, **numbers: optim.conjugate_gradient(
                    method, optim.line_search.strong_wolfe(**numbers)
                )
            ),
            WOLFE,
        )
        for method in ("polak_ribiere", "fletcher_reeves")
    ],
    "levenberg_marquardt": [
        Case(lambda damping: optim.levenberg_marquardt(residuals, damping), {"damping": (1e-3, 1.0)})
    ],
}
NOT_OPTIMIZERS = {
    "Result": "what minimize returns",
    "augmented_lagrangian": "a function that minimises by itself",
    "half_sum_of_squares": "an objective",
    "least_squares": "a solver",
    "line_search": "a module",
    "minimize": "the driver",
    "minimize_quadratic": "a solver",
    "newton_root": "a solver",
    "solve_conjugate_gradient": "a solver",
    "Optimizer": "the type",
    "apply_updates": "a step",
    "by_path": "a mask",
    "elementwise": "a decorator",
    "rate": "the learning rate of an update, a number",
    "evaluation_parameters": "reads a state",
    "learning_rate": "reads a state",
    "matrices": "a mask",
    "schedules": "a module",
    "grid_search": "a function that searches by itself",
}
