"""Networks: layers, activations, initialisers and the combinators that compose them."""

from fnnet.nn import initializers
from fnnet.nn.activations import (
    elu,
    gelu,
    identity,
    leaky_relu,
    logistic,
    relu,
    silu,
    softmax,
    softplus,
    tanh,
)
from fnnet.nn.base import Layer, as_layer
from fnnet.nn.combinators import chain, mlp
from fnnet.nn.layers import dense, flatten, squeeze
from fnnet.nn.regularization import dropout

__all__ = [
    "Layer",
    "as_layer",
    "chain",
    "dense",
    "dropout",
    "elu",
    "flatten",
    "gelu",
    "identity",
    "initializers",
    "leaky_relu",
    "logistic",
    "mlp",
    "relu",
    "silu",
    "softmax",
    "softplus",
    "squeeze",
    "tanh",
]
