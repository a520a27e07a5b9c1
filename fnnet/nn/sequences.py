"""Sequences: what layers over a time axis ask of their input, and the simple ones among them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from fnnet.errors import ShapeError, check_key, check_size
from fnnet.nn import initializers
from fnnet.nn.base import Layer
from fnnet.nn.layers import parameter_dtype
from fnnet.recipes import recipe
from fnnet.trees import wide
from fnnet.types import Array, PyTree


def check_sequence(where: str, x: Any, mask: Any = None) -> None:
    """Raises unless ``x`` is (batch, time, features), and the mask, if there is one, (batch, time) booleans."""
    if len(x.shape) != 3:
        raise ShapeError(
            where,
            f"the input has shape {x.shape}, but (batch, time, features) is needed. For one feature a step pass "
            f"x[:, :, None], for a single sequence x[None].",
        )
    if mask is not None and (mask.shape != x.shape[:2] or mask.dtype != bool):
        raise ShapeError(
            where,
            f"the mask is {mask.shape} of {mask.dtype}, but the input has shape {x.shape}, so booleans of shape "
            f"{x.shape[:2]} are needed, one a position. A layer before may have changed the time axis.",
        )


def last_step(x: Array) -> Array:
    """The last position of a sequence: (batch, time, features) to (batch, features).

    After a recurrent layer this is the state after the last position that is there, also in padded sequences, as
    masked positions carry the state on.

    Raises:
        ShapeError: there is no time axis, or nothing on it.

    >>> import jax.numpy as jnp
    >>> last_step(jnp.arange(6.0).reshape(1, 3, 2)).tolist()
    [[4.0, 5.0]]
    """
    check_sequence("last_step", x)
    if x.shape[1] == 0:
        raise ShapeError("last_step", f"the input has shape {x.shape}: there are no steps. Drop empty sequences.")
    return x[:, -1]


@recipe
def mean_over_time() -> Layer:
    """Mean over the positions of a sequence that are there.

    f(x) = Σ_t m_t x_t / Σ_t m_t, and 0 where no position is there

    Returns:
        Layer from (batch, time, features) to (batch, features); it takes the offered ``mask``.

    Raises:
        ShapeError: the input is not (batch, time, features), or the mask not (batch, time).

    Source: Lin et al., "Network in network", 2014, global average pooling.

    >>> import jax.numpy as jnp
    >>> x, mask = jnp.array([[[1.0], [3.0], [9.0]]]), jnp.array([[True, True, False]])
    >>> mean_over_time().apply((), (), x, mask=mask)[0].tolist()
    [[2.0]]
    """

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        check_sequence("mean_over_time", x)
        return (), ()

    def apply(
        params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False, mask: Any = None
    ) -> tuple[Array, PyTree]:
        check_sequence("mean_over_time", x, mask)
        there = jnp.ones((*x.shape[:2], 1), bool) if mask is None else mask[:, :, None]
        dtype = parameter_dtype(x)
        values = jnp.where(there, x.astype(wide(dtype)), 0)
        count = jnp.maximum(there.sum(axis=1), 1).astype(values.dtype)
        return (values.sum(axis=1) / count).astype(dtype), state

    return Layer(init, apply)


_NORMAL = initializers.normal(0.02)


@recipe
def positional_embedding(longest: int, *, embedding_init: Any = _NORMAL) -> Layer:
    """Adds to each position of a sequence a vector of its own, as attention alone does not know the order.

    f(x)_t = x_t + e_t

    Parameters ``{"embedding": (longest, features)}``.

    Args:
        longest: the most positions that a sequence may have, a positive integer.
        embedding_init: ``(key, shape, dtype) -> array``; normal with standard deviation 0.02 unless told.

    Returns:
        Layer that keeps the shape (batch, time, features).

    Raises:
        HyperparameterError: ``longest`` is not a positive integer, or traced.
        ShapeError: the input is not (batch, time, features) with the features of initialisation, or longer.

    Source: Gehring et al., "Convolutional sequence to sequence learning", 2017; Vaswani et al., "Attention is all
    you need", 2017.

    >>> import jax, jax.numpy as jnp
    >>> layer, x = positional_embedding(16), jnp.zeros((2, 5, 3))
    >>> params, state = layer.init(jax.random.key(0), x)
    >>> bool((layer.apply(params, state, x)[0][1] == params["embedding"][:5]).all())
    True
    """
    check_size("positional_embedding", "longest", longest)

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        check_sequence("positional_embedding", x)
        check_key("positional_embedding", key)
        return {"embedding": embedding_init(key, (longest, x.shape[-1]), parameter_dtype(x))}, ()

    def apply(params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False) -> tuple[Array, PyTree]:
        check_sequence("positional_embedding", x)
        embedding = params["embedding"]
        time, features = x.shape[1:]
        if time > longest or features != embedding.shape[1]:
            raise ShapeError(
                "positional_embedding",
                f"the input has shape {x.shape}, but there are vectors of {embedding.shape[1]} features for "
                f"{longest} positions. Cut the sequences, or make the layer with a larger longest.",
            )
        return x.astype(embedding.dtype) + embedding[None, :time], state

    return Layer(init, apply)
