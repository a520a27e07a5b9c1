"""The transformer block, made of attention, dense layers and residual connections."""

from __future__ import annotations

from typing import Any

from fnnet.errors import check_number, check_size
from fnnet.nn.activations import gelu
from fnnet.nn.attention import multi_head_attention
from fnnet.nn.base import Layer, LayerLike, apply_layer
from fnnet.nn.combinators import chain, residual
from fnnet.nn.layers import dense
from fnnet.nn.normalization import layer_norm
from fnnet.nn.regularization import dropout
from fnnet.nn.sequences import check_sequence
from fnnet.recipes import recipe
from fnnet.types import Elementwise, PyTree, Scalar

_LAYER_NORM = layer_norm()


@recipe
def transformer_block(
    heads: int,
    *,
    hidden: int | None = None,
    activation: Elementwise = gelu,
    drop_rate: Scalar = 0.0,
    causal: bool = False,
    normalization: LayerLike = _LAYER_NORM,
) -> Layer:
    """Pre-norm transformer block: attention between positions, then a perceptron at each of them.

    y = x + d(attention(n_1(x))), f(x) = y + d(W_2 d(a(W_1 n_2(y) + b_1)) + b_2), with dropout d, which also acts on
    the weights of the attention

    It is ``chain(attention=residual(chain(…)), feedforward=residual(chain(…)))``, and its parameters stand as those
    of the chain: ``attention/body/attention/query/kernel``, ``feedforward/body/hidden/kernel`` and so on. The offered
    ``mask`` says which positions are there. Stack them by ``nn.repeat(nn.transformer_block(4), 6)``.

    Args:
        heads: of `multi_head_attention`; a positive integer that divides the features.
        hidden: units between W_1 and W_2; 4 times the features unless told.
        activation: a, a plain function of one array.
        drop_rate: of d, in [0, 1]; may be traced.
        causal: whether position t may look only at positions up to t.
        normalization: n_1 and n_2, a layer; layer normalisation unless told.

    Returns:
        Layer that keeps the shape (batch, time, features); it needs ``key=`` for dropout in training.

    Raises:
        HyperparameterError: ``heads`` or ``hidden`` is not a positive integer, ``drop_rate`` is outside [0, 1], or
            the heads do not divide the features.
        ShapeError: the input is not (batch, time, features) with the features of initialisation.

    Source: Xiong et al., "On layer normalization in the transformer architecture", 2020. Same as
    ``torch.nn.TransformerEncoderLayer`` with ``norm_first=True``.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> block, x = nn.transformer_block(2), jnp.ones((3, 5, 8))
    >>> params, state = block.init(jax.random.key(0), x)
    >>> nn.count_parameters(params)
    872
    """
    check_size("transformer_block", "heads", heads)
    if hidden is not None:
        check_size("transformer_block", "hidden", hidden)
    check_number("transformer_block", "drop_rate", drop_rate, low=0.0, high=1.0)

    def built(x: Any) -> Layer:
        """The block for inputs like ``x``, whose features fix the sizes that were not told."""
        check_sequence("transformer_block", x)
        features = x.shape[-1]
        drop = dropout(drop_rate)
        attention = chain(
            normalization=normalization,
            attention=multi_head_attention(heads, causal=causal, drop_rate=drop_rate),
            dropout=drop,
        )
        feedforward = chain(
            normalization=normalization,
            hidden=dense(4 * features if hidden is None else hidden),
            activation=activation,
            inner_dropout=drop,
            out=dense(features),
            dropout=drop,
        )
        return chain(attention=residual(attention), feedforward=residual(feedforward))

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        return built(x).init(key, x)

    def apply(
        params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False, **offered: Any
    ) -> tuple[Any, PyTree]:
        return apply_layer(built(x), params, state, x, key=key, train=train, **offered)

    return Layer(init, apply)
