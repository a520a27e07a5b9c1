"""Attention: positions of a sequence look at each other."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import HyperparameterError, ShapeError, StructureError, check_number, check_size, inside, within
from fnnet.nn import initializers
from fnnet.nn.base import Layer, apply_layer, fold_key
from fnnet.nn.layers import dense
from fnnet.nn.regularization import dropout
from fnnet.nn.sequences import check_sequence
from fnnet.recipes import recipe
from fnnet.trees import wide
from fnnet.types import Array, PyTree, Scalar

_GLOROT_UNIFORM = initializers.glorot_uniform()
_WHERE = "multi_head_attention"


@recipe
def multi_head_attention(
    heads: int,
    *,
    width: int | None = None,
    causal: bool = False,
    drop_rate: Scalar = 0.0,
    bias: bool = True,
    kernel_init: Any = _GLOROT_UNIFORM,
) -> Layer:
    """Multi-head attention: each position takes the mean of the others' values, weighted by how well they fit.

    f(x, m) = concat_h(softmax(Q_h K_hᵀ / √d + M) V_h) W_o + b_o, with Q = xW_q + b_q, K = mW_k + b_k, V = mW_v + b_v
    cut into heads of d = width / heads; M is −∞ where a position may not be looked at

    Self-attention for an array x, with m = x; cross-attention for a pair (x, m). The offered ``mask`` says which
    positions of m are there. A position that may look at none gets b_o. The softmax is computed in at least float32.

    Parameters ``{"query", "key", "value", "out"}``, each as of `dense`.

    Args:
        heads: how many, a positive integer that divides ``width``.
        width: features of Q, K and V, all heads together; those of x unless told.
        causal: whether position t may look only at positions up to t.
        drop_rate: dropout of the weights after the softmax, in [0, 1]; may be traced.
        bias: whether the four biases are there.
        kernel_init: of all four, ``(key, shape, dtype) -> array``; Glorot uniform unless told.

    Returns:
        Layer from (batch, time, features) to the same shape; it needs ``key=`` for dropout in training.

    Raises:
        HyperparameterError: ``heads`` or ``width`` is not a positive integer, the one does not divide the other, or
            ``drop_rate`` is outside [0, 1].
        ShapeError: an input is not (batch, time, features), x and m differ in batch, the mask does not fit m, or
            ``causal`` with x and m of different lengths.
        StructureError: dropout without a key in training, or a tuple that is not a pair.

    Source: Vaswani et al., "Attention is all you need", 2017. Same as ``torch.nn.MultiheadAttention``.

    >>> import jax, jax.numpy as jnp
    >>> layer, x = multi_head_attention(2, causal=True), jnp.ones((3, 5, 8))
    >>> params, state = layer.init(jax.random.key(0), x)
    >>> layer.apply(params, state, x)[0].shape
    (3, 5, 8)
    """
    check_size(_WHERE, "heads", heads)
    if width is not None:
        check_size(_WHERE, "width", width)
    check_number(_WHERE, "drop_rate", drop_rate, low=0.0, high=1.0)
    drop = dropout(drop_rate)

    def projections(x: Any) -> tuple[int, dict[str, Layer]]:
        """The width of the heads together, and the four layers, for queries like ``x``."""
        inner = x.shape[-1] if width is None else width
        if inner % heads:
            raise HyperparameterError(
                _WHERE,
                f"{inner} features do not divide into {heads} heads. Choose heads that divide them, or pass a width "
                f"that is a multiple of heads.",
            )
        sizes = {"query": inner, "key": inner, "value": inner, "out": x.shape[-1]}
        return inner, {name: dense(size, bias=bias, kernel_init=kernel_init) for name, size in sizes.items()}

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        x, memory = _pair(x)
        inner, layers = projections(x)
        among = jax.ShapeDtypeStruct((*x.shape[:2], inner), x.dtype)
        inputs = {"query": x, "key": memory, "value": memory, "out": among}
        params = {}
        for index, (name, layer) in enumerate(layers.items()):
            with inside(name):
                params[name], _ = layer.init(fold_key(_WHERE, key, index), inputs[name])
        return params, ()

    def apply(
        params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False, mask: Any = None
    ) -> tuple[Array, PyTree]:
        x, memory = _pair(x, mask)
        if causal and x.shape[1] != memory.shape[1]:
            raise ShapeError(
                _WHERE,
                f"causal=True compares positions of one sequence, but the queries have {x.shape[1]} and what they look "
                f"at has {memory.shape[1]}. Leave causal out.",
            )
        inner, layers = projections(x)

        def projected(name: str, x: Array) -> Array:
            return apply_layer(layers[name], params[name], (), x, part=name)[0]

        q, k, v = (
            y.reshape(*y.shape[:2], heads, inner // heads)
            for y in (projected("query", x), projected("key", memory), projected("value", memory))
        )
        dtype = wide(q.dtype)
        fit = jnp.einsum("bqhd,bkhd->bhqk", q, k, preferred_element_type=dtype) / math.sqrt(q.shape[-1])
        weights = _softmax(fit, _allowed(x.shape[1], memory.shape[1], causal, mask))
        with within(_WHERE):
            weights, _ = drop.apply((), (), weights, key=key, train=train)
        among = jnp.einsum("bhqk,bkhd->bqhd", weights.astype(v.dtype), v)
        return projected("out", among.reshape(*x.shape[:2], inner)), state

    return Layer(init, apply)


def _pair(x: Any, mask: Any = None) -> tuple[Any, Any]:
    """Queries and what they look at, checked; an array looks at itself."""
    if isinstance(x, tuple | list) and len(x) != 2:
        raise StructureError(
            _WHERE,
            f"the input is a tuple of {len(x)}, but an array, or a pair (queries, memory), is needed.",
        )
    queries, memory = x if isinstance(x, tuple | list) else (x, x)
    check_sequence(_WHERE, queries)
    check_sequence(_WHERE, memory, mask)
    if queries.shape[0] != memory.shape[0]:
        raise ShapeError(
            _WHERE, f"there are {queries.shape[0]} sequences of queries and {memory.shape[0]} to look at. Pair them up."
        )
    return queries, memory


def _allowed(queries: int, keys: int, causal: bool, mask: Any) -> Array | None:
    """Which query may look at which key, (batch or 1, 1, queries or 1, keys) booleans; None if all at all."""
    allowed = None if mask is None else mask[:, None, None, :]
    if causal:
        past = jnp.tri(queries, keys, dtype=bool)[None, None]
        allowed = past if allowed is None else allowed & past
    return allowed


def _softmax(fit: Array, allowed: Array | None) -> Array:
    """Softmax over the allowed keys; 0, with derivatives 0, for a query that may look at none."""
    if allowed is None:
        return jax.nn.softmax(fit, axis=-1)
    # A finite number in place of −∞: a row of −∞ alone would be 0/0, and the choice after would not stop its NaN
    # from reaching the derivatives.
    least = jnp.finfo(fit.dtype).min
    return jnp.where(allowed, jax.nn.softmax(jnp.where(allowed, fit, least), axis=-1), 0)
