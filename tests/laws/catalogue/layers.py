"""Every public layer that is not made of others, and every activation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from catalogue.cases import NUMBERS, SIZES, Case, Wrong
from fnnet import nn

EPS = {"eps": (1e-5, 0.1)}
PADDINGS = ("same", -1, 1.5, True, (), ((1, 2, 3),), ((1, -1),))
WINDOWS = (*SIZES, (), (3, 0), (2, 2, 2, 2))


def refused(make: Callable[..., Any], **arguments: tuple[Any, ...]) -> dict[str, Wrong]:
    """A row's ``wrong`` for ``make``, which takes the arguments by name and has a value for all others."""
    return {
        name: Wrong(lambda bad, name=name: make(**{name: bad}), values)  # type: ignore[misc]
        for name, values in arguments.items()
    }


def _positive(make: Callable[..., Any], *names: str) -> dict[str, Wrong]:
    return refused(make, **dict.fromkeys(names, (*NUMBERS, 0.0, -1.0)))


_pooling = {"window": WINDOWS, "stride": WINDOWS, "padding": (*PADDINGS, 2, (0, 3))}

SIMPLE_LAYERS: dict[str, list[Case]] = {
    "dense": [
        Case(lambda: nn.dense(5), wrong=refused(nn.dense, width=SIZES)),
        Case(lambda: nn.dense(5, bias=False)),
        Case(lambda: nn.dense(5), shape=(4, 2, 3)),
        Case(
            lambda scale: nn.dense(5, kernel_init=nn.initializers.normal(scale)),
            {"scale": (0.1, 2.0)},
        ),
    ],
    "conv": [
        Case(
            lambda: nn.conv(4, 3),
            shape=(4, 5, 2),
            wrong=refused(
                functools.partial(nn.conv, **{"channels": 4, "kernel_size": 3}),
                channels=SIZES,
                kernel_size=WINDOWS,
                stride=WINDOWS,
                dilation=WINDOWS,
                padding=PADDINGS,
                groups=(*SIZES, 3),
            ),
        ),
        Case(
            lambda: nn.conv(4, (2, 3), stride=(2, 1), padding=((1, 0), 1), dilation=(1, 2), groups=2, bias=False),
            shape=(3, 4, 5, 2),
        ),
        Case(lambda: nn.conv(2, 2, padding="VALID"), shape=(3, 2, 3, 2, 1)),
    ],
    "avg_pool": [
        Case(
            lambda: nn.avg_pool(2),
            shape=(4, 5, 3),
            wrong=refused(functools.partial(nn.avg_pool, **{"window": 2}), **_pooling),
        ),
        Case(lambda: nn.avg_pool((2, 3), stride=1, padding="SAME"), shape=(3, 3, 4, 2)),
    ],
    "max_pool": [
        Case(
            lambda: nn.max_pool(2),
            shape=(4, 5, 3),
            wrong=refused(functools.partial(nn.max_pool, **{"window": 2}), **_pooling),
        ),
        Case(lambda: nn.max_pool((2, 3), stride=(1, 2), padding=(0, (1, 2))), shape=(3, 3, 4, 2)),
    ],
    "global_avg_pool": [Case(lambda: nn.global_avg_pool, shape=(4, 3, 2, 5))],
    "embedding": [
        Case(
            lambda: nn.embedding(7, 3),
            shape=(4, 2),
            integers=7,
            wrong=refused(
                functools.partial(nn.embedding, **{"vocabulary": 7, "width": 3}), vocabulary=SIZES, width=SIZES
            ),
        )
    ],
    "batch_norm": [
        Case(
            nn.batch_norm,
            {"decay": (0.9, 0.5), **EPS},
            wrong={**refused(nn.batch_norm, decay=(*NUMBERS, -0.1, 1.1)), **_positive(nn.batch_norm, "eps")},
        ),
        Case(lambda: nn.batch_norm(scale=False, bias=False), shape=(3, 2, 2, 3)),
    ],
    "layer_norm": [
        Case(nn.layer_norm, EPS, wrong=_positive(nn.layer_norm, "eps")),
        Case(lambda: nn.layer_norm(scale=False, bias=False), shape=(4, 2, 3)),
    ],
    "group_norm": [
        Case(
            lambda eps: nn.group_norm(2, eps=eps),
            EPS,
            shape=(4, 3, 4),
            wrong={
                **refused(nn.group_norm, groups=SIZES),
                **_positive(functools.partial(nn.group_norm, **{"groups": 2}), "eps"),
            },
        ),
    ],
    "rms_norm": [Case(nn.rms_norm, EPS, wrong=_positive(nn.rms_norm, "eps"))],
    "dropout": [
        Case(nn.dropout, {"drop_rate": (0.3, 0.8)}, wrong=refused(nn.dropout, drop_rate=(*NUMBERS, -0.1, 1.1)))
    ],
    "flatten": [Case(lambda: nn.flatten, shape=(4, 2, 3))],
    "reshape": [
        Case(
            lambda: nn.reshape((3, -1)),
            shape=(4, 2, 3),
            wrong=refused(nn.reshape, shape=((0,), (2.5,), (True,), ("3",), (-1, -1), (-2,))),
        )
    ],
    "squeeze": [Case(lambda: nn.squeeze, shape=(4, 1))],
    "as_layer": [Case(lambda: nn.as_layer(nn.tanh))],
}

_tuned: dict[str, Case] = {
    "celu": Case(
        lambda alpha: functools.partial(nn.celu, alpha=alpha),
        {"alpha": (1.0, 0.5)},
        wrong=_positive(functools.partial(nn.celu, 1.0), "alpha"),
    ),
    "elu": Case(
        lambda alpha: functools.partial(nn.elu, alpha=alpha),
        {"alpha": (1.0, 0.5)},
        wrong=refused(functools.partial(nn.elu, 1.0), alpha=NUMBERS),
    ),
    "leaky_relu": Case(
        lambda negative_slope: functools.partial(nn.leaky_relu, negative_slope=negative_slope),
        {"negative_slope": (0.01, 0.2)},
        wrong=refused(functools.partial(nn.leaky_relu, 1.0), negative_slope=NUMBERS),
    ),
    "softplus": Case(
        lambda beta: functools.partial(nn.softplus, beta=beta),
        {"beta": (1.0, 3.0)},
        wrong=_positive(functools.partial(nn.softplus, 1.0), "beta"),
    ),
}
ACTIVATIONS: dict[str, list[Case]] = {
    name: [_tuned.get(name, Case(lambda name=name: getattr(nn, name)))]  # type: ignore[misc]
    for name in nn.activations.__all__
}


def _side_by_side(**numbers: Any) -> Callable[[Any], Any]:
    """All activations of one input along the last axis, so that one compiled program serves them all."""
    functions = [cases[0].build(**{name: numbers[name] for name in cases[0].numbers}) for cases in ACTIVATIONS.values()]
    return lambda x: jnp.concatenate([function(x) for function in functions], axis=-1)


TOGETHER = {
    "activations": [
        Case(
            _side_by_side,
            {name: values for case in _tuned.values() for name, values in case.numbers.items()},
            shape=(4, 6),
        )
    ]
}
SIMPLE_LAYERS |= ACTIVATIONS
NOT_LAYERS = {
    "Layer": "the type",
    "initializers": "a module with tests of its own",
    "count_parameters": "counts, see test_summary",
    "summary": "likewise",
}
