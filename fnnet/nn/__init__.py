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
from fnnet.nn.attention import multi_head_attention
from fnnet.nn.base import Layer, as_layer
from fnnet.nn.batch_statistics import batch_norm
from fnnet.nn.combinators import chain, mlp, parallel, residual
from fnnet.nn.convolution import conv
from fnnet.nn.inspection import count_parameters, summary
from fnnet.nn.layers import dense, flatten, reshape, squeeze
from fnnet.nn.lookup import embedding
from fnnet.nn.normalization import group_norm, layer_norm, rms_norm
from fnnet.nn.pooling import avg_pool, global_avg_pool, max_pool
from fnnet.nn.precision import mixed_precision
from fnnet.nn.recurrence import gru, lstm, rnn
from fnnet.nn.regularization import dropout
from fnnet.nn.sequences import last_step, mean_over_time, positional_embedding
from fnnet.nn.transformer import transformer_block
from fnnet.nn.wrapping import freeze, masked, remat, repeat

__all__ = [
    "Layer",
    "as_layer",
    "avg_pool",
    "batch_norm",
    "celu",
    "chain",
    "conv",
    "cos",
    "count_parameters",
    "dense",
    "dropout",
    "elu",
    "embedding",
    "exp",
    "flatten",
    "freeze",
    "gelu",
    "global_avg_pool",
    "glu",
    "group_norm",
    "gru",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "identity",
    "initializers",
    "last_step",
    "layer_norm",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logistic",
    "lstm",
    "masked",
    "max_pool",
    "mean_over_time",
    "mish",
    "mixed_precision",
    "mlp",
    "multi_head_attention",
    "parallel",
    "positional_embedding",
    "relu",
    "relu6",
    "remat",
    "repeat",
    "reshape",
    "residual",
    "rms_norm",
    "rnn",
    "selu",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "squeeze",
    "step",
    "summary",
    "tanh",
    "transformer_block",
]
