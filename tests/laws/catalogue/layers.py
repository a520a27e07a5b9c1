"""Every public layer that is not made of others, and every activation."""

from __future__ import annotations

from catalogue.cases import Case
from fnnet import nn

SIMPLE_LAYERS: dict[str, list[Case]] = {
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
