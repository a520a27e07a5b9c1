"""One row for every public part: how to build it from its float hyperparameters, and what to call it with.

The tests in this folder walk over ``__all__`` of each family and fail for a name that has no row here, so that
whoever adds a layer, an optimizer, a schedule, a loss or a metric states how its laws are to be tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import losses, metrics, nn, optim
from fnnet.optim import schedules


class Case(NamedTuple):
    """``build(**numbers)`` makes the part; every number comes with two values that the laws compare.

    ``extra`` is what the update of an optimizer is offered by name beside gradients and parameters. ``atol`` is how
    far equal computations may lie apart in float32: more than one unit in the last place of 1 only where a result is
    a sum of terms near 1 that may cancel, as a point drawn around another one is.
    """

    build: Callable[..., Any]
    numbers: Mapping[str, tuple[float, float]] = MappingProxyType({})
    shape: tuple[int, ...] = (4, 3)
    extra: Mapping[str, Any] = MappingProxyType({})
    atol: float = 1e-7


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

        def update(grads: Any, state: Any, params: Any) -> Any:
            def value_fn(there: Any) -> Any:
                def part(t: Any, p: Any, g: Any) -> Any:
                    away = t.astype(jnp.float32) - p.astype(jnp.float32)
                    return jnp.sum(g.astype(jnp.float32) * away + away**2 / 2)

                return sum(jax.tree.leaves(jax.tree.map(part, there, params, grads)))

            return optimizer.update(grads, state, params, value_fn=value_fn)

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
        Case(lambda scale: optim.random_search(scale, population=8), {"scale": (0.5, 0.2)}, extra=SEARCH, atol=1e-6),
        Case(lambda **numbers: optim.random_search(population=64, **numbers), BOX, extra=SEARCH, atol=1e-6),
        Case(optim.random_search, {"scale": (0.5, 0.2), **BOX}, extra=SEARCH, atol=1e-6),
    ],
    "genetic": [
        Case(
            lambda **numbers: optim.genetic(8, **numbers), {**EVOLUTION, "spread": (0.5, 0.2)}, extra=SEARCH, atol=1e-6
        ),
        Case(lambda **numbers: optim.genetic(64, **numbers), {**EVOLUTION, **BOX}, extra=SEARCH, atol=1e-6),
    ],
    "cma_es": [
        Case(optim.cma_es, {"scale": (0.5, 0.2)}, extra=SEARCH, atol=1e-6),
        Case(lambda scale: optim.cma_es(scale, population=32), {"scale": (0.5, 0.2)}, extra=SEARCH, atol=1e-6),
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
    "evaluation_parameters": "reads a state",
    "learning_rate": "reads a state",
    "matrices": "a mask",
    "schedules": "a module",
    "grid_search": "a function that searches by itself",
}

START = {"init_value": (0.1, 0.3)}
SPAN = {"transition_steps": (10.0, 4.0)}

SCHEDULES: dict[str, list[Case]] = {
    "constant": [Case(schedules.constant, {"value": (0.1, 0.3)})],
    "linear_decay": [Case(schedules.linear_decay, {**START, "end_value": (0.01, 0.02), **SPAN})],
    "polynomial": [Case(schedules.polynomial, {**START, "end_value": (0.01, 0.02), "power": (2.0, 0.5), **SPAN})],
    "inverse_time": [Case(schedules.inverse_time, {**START, **SPAN, "power": (1.0, 0.5)})],
    "exponential": [Case(schedules.exponential, {**START, **SPAN, "decay_rate": (0.5, 0.9)})],
    "step": [Case(schedules.step, {**START, **SPAN, "decay_rate": (0.5, 0.9)})],
    "cosine": [Case(schedules.cosine, {**START, "decay_steps": (9.0, 5.0), "alpha": (0.0, 0.1)})],
    "cosine_restarts": [
        Case(
            schedules.cosine_restarts,
            {**START, "decay_steps": (9.0, 4.5), "multiplier": (1.0, 2.0), "alpha": (0.0, 0.1)},
        )
    ],
    "one_cycle": [
        Case(
            schedules.one_cycle,
            {
                "transition_steps": (20.0, 13.0),
                "peak_value": (0.1, 0.3),
                "pct_start": (0.3, 0.5),
                "div_factor": (25.0, 5.0),
                "final_div_factor": (1e4, 10.0),
            },
        )
    ],
    "warm_up": [
        Case(
            lambda warmup_steps, init_value, schedule: schedules.warm_up(warmup_steps, schedule, init_value),
            {"warmup_steps": (5.0, 3.0), "init_value": (0.0, 0.01), "schedule": (0.1, 0.3)},
        ),
        Case(
            lambda peak: schedules.warm_up(5.0, schedules.cosine(peak, 9.0)),
            {"peak": (0.1, 0.3)},
        ),
        Case(  # its rise would otherwise ask the schedule for where it is infinite
            lambda warmup_steps, steps: schedules.warm_up(warmup_steps, schedules.inverse_time(0.1, steps)),
            {"warmup_steps": (5.0, 0.0), "steps": (5.0, 2.0)},
        ),
    ],
    "join": [
        Case(
            lambda first, second: schedules.join(
                [schedules.constant(first), schedules.exponential(second, 3.0, 0.5)], [6]
            ),
            {"first": (0.1, 0.3), "second": (0.2, 0.4)},
        ),
        Case(
            lambda rate, boundary: schedules.join([lambda t: jnp.sqrt(7 - t), rate], [boundary]),
            {"rate": (0.1, 0.3), "boundary": (6.5, 5.0)},
        ),
    ],
    "piecewise": [
        Case(
            lambda first, second, boundary: schedules.piecewise([boundary], [first, second]),
            {"first": (0.1, 0.3), "second": (0.2, 0.4), "boundary": (6.0, 12.0)},
        )
    ],
    "piecewise_scaled": [
        Case(
            lambda init_value, scale, boundary: schedules.piecewise_scaled(init_value, [boundary, 12], [scale, 0.5]),
            {**START, "scale": (0.5, 0.0), "boundary": (6.0, 9.0)},
        )
    ],
}

LAYERS: dict[str, list[Case]] = {
    "dense": [
        Case(lambda: nn.dense(5)),
        Case(lambda: nn.dense(5, bias=False)),
        Case(lambda: nn.dense(5), shape=(4, 2, 3)),
        Case(
            lambda scale: nn.dense(5, kernel_init=nn.initializers.normal(scale)),
            {"scale": (0.1, 2.0)},
        ),
    ],
    "dropout": [Case(nn.dropout, {"drop_rate": (0.3, 0.8)})],
    "chain": [
        Case(
            lambda drop_rate: nn.chain(nn.dense(6), nn.relu, nn.chain(nn.dropout(drop_rate), nn.dense(2))),
            {"drop_rate": (0.3, 0.8)},
        )
    ],
    "mlp": [Case(lambda drop_rate: nn.mlp([6, 2], drop_rate=drop_rate), {"drop_rate": (0.3, 0.8)})],
    "flatten": [Case(lambda: nn.flatten, shape=(4, 2, 3))],
    "squeeze": [Case(lambda: nn.squeeze, shape=(4, 1))],
    "as_layer": [Case(lambda: nn.as_layer(nn.tanh))],
    **{
        name: [Case(lambda name=name: getattr(nn, name))]
        for name in (
            "elu",
            "gelu",
            "identity",
            "leaky_relu",
            "logistic",
            "relu",
            "silu",
            "softmax",
            "softplus",
            "tanh",
        )
    },
}
NOT_LAYERS = {"Layer": "the type", "initializers": "a module with tests of its own"}

_random = np.random.default_rng(0)
_numbers = _random.normal(size=(2, 6, 3)).astype(np.float32)
_ids = _random.integers(0, 3, size=6).astype(np.int32)
_yes = (_random.random((6, 3)) < 0.5).astype(np.float32)
_shares = np.exp(_numbers[1]) / np.exp(_numbers[1]).sum(axis=1, keepdims=True)


class Scored(NamedTuple):
    """A loss or a metric with predictions, targets and predictions that are as good as can be."""

    function: Callable[..., Any]
    predictions: Any
    targets: Any
    perfect: Any


LOSSES: dict[str, list[Scored]] = {
    "squared_error": [Scored(losses.squared_error, _numbers[0], _numbers[1], _numbers[1])],
    "absolute_error": [Scored(losses.absolute_error, _numbers[0], _numbers[1], _numbers[1])],
    "softmax_cross_entropy": [
        Scored(losses.softmax_cross_entropy, _numbers[0], _ids, 1e4 * np.eye(3, dtype=np.float32)[_ids]),
        Scored(losses.softmax_cross_entropy, _numbers[0], _shares, np.log(_shares)),
    ],
    "sigmoid_binary_cross_entropy": [
        Scored(losses.sigmoid_binary_cross_entropy, _numbers[0], _yes, 1e4 * (2 * _yes - 1))
    ],
}

METRICS: dict[str, list[Scored]] = {
    "accuracy": [Scored(metrics.accuracy, _numbers[0], _ids, np.eye(3, dtype=np.float32)[_ids])],
    "binary_accuracy": [Scored(metrics.binary_accuracy, _numbers[0], _yes, 2 * _yes - 1)],
    "mean_absolute_error": [Scored(metrics.mean_absolute_error, _numbers[0], _numbers[1], _numbers[1])],
    "root_mean_squared_error": [Scored(metrics.root_mean_squared_error, _numbers[0], _numbers[1], _numbers[1])],
    "r2": [Scored(metrics.r2, _numbers[0], _numbers[1], _numbers[1])],
}
NOT_METRICS = {"Metric": "the type", "as_metric": "", "averaged": "", "maximize": "a mark", "minimize": "a mark"}


SOLVERS = {
    "cma_es", "conjugate_gradient", "genetic", "lbfgs", "levenberg_marquardt", "line_search_descent", "newton",
    "random_search",
}  # fmt: skip


def rows(table: dict[str, list[Any]]) -> list[Any]:
    """The table as pytest parameters, with readable names; whole solvers take long to compile and are marked."""
    import pytest

    return [
        pytest.param(
            case,
            id=name if len(cases) == 1 else f"{name}-{index}",
            marks=[pytest.mark.exhaustive] if name in SOLVERS else [],
        )
        for name, cases in table.items()
        for index, case in enumerate(cases)
    ]


def first(case: Case) -> dict[str, Any]:
    """The first value of every number, as float32 scalars."""
    return {name: jnp.float32(values[0]) for name, values in case.numbers.items()}


def second(case: Case) -> dict[str, Any]:
    """The second value of every number, as float32 scalars."""
    return {name: jnp.float32(values[1]) for name, values in case.numbers.items()}


def both(case: Case) -> dict[str, Any]:
    """Both values of every number, stacked for `jax.vmap`."""
    return {name: jnp.asarray(values, jnp.float32) for name, values in case.numbers.items()}


def lane(tree: Any, index: int) -> Any:
    """One entry of a mapped result."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def traced_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under `jax.jit`, failing at a second trace."""
    traces = []

    def counted(*args: Any) -> Any:
        traces.append(args)
        assert len(traces) == 1, "traced again for new values"
        return function(*args)

    return jax.jit(counted)
