"""Networks: layers, activations, initialisers and the combinators that compose them."""

from fnnet.nn import initializers
from fnnet.nn.activations import (
    celu,
    cos,
    elu,
    exp,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    identity,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logistic,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    sin,
    softmax,
    softplus,
    step,
    tanh,
)
from fnnet.nn.base import Layer, as_layer
from fnnet.nn.batch_statistics import batch_norm
from fnnet.nn.combinators import chain, mlp
from fnnet.nn.convolution import conv
from fnnet.nn.layers import dense, flatten, reshape, squeeze
from fnnet.nn.lookup import embedding
from fnnet.nn.normalization import group_norm, layer_norm, rms_norm
from fnnet.nn.pooling import avg_pool, global_avg_pool, max_pool
from fnnet.nn.regularization import dropout

__all__ = [
    "Layer",
    "as_layer",
    "avg_pool",
    "batch_norm",
    "celu",
    "chain",
    "conv",
    "cos",
    "dense",
    "dropout",
    "elu",
    "embedding",
    "exp",
    "flatten",
    "gelu",
    "global_avg_pool",
    "glu",
    "group_norm",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "identity",
    "initializers",
    "layer_norm",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logistic",
    "max_pool",
    "mish",
    "mlp",
    "relu",
    "relu6",
    "reshape",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "squeeze",
    "step",
    "tanh",
]
