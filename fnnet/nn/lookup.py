"""Tables of vectors that are looked up by whole numbers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, StructureError, check_key, check_size, is_concrete
from fnnet.nn import initializers
from fnnet.nn.base import Layer
from fnnet.recipes import recipe
from fnnet.types import Array, PyTree

_STANDARD_NORMAL = initializers.normal(1.0)


@recipe
def embedding(vocabulary: int, width: int, *, embedding_init: Any = _STANDARD_NORMAL) -> Layer:
    """Embedding: a trainable vector for each of a vocabulary of ids, such as words.

    f(i) = E[i], which is the product of a one-hot row with the matrix E

    The one parameter ``{"embedding": (vocabulary, width)}`` has the default float dtype.

    Args:
        vocabulary: number of ids, a positive integer; the ids are 0 … vocabulary − 1.
        width: number of features of a vector, a positive integer.
        embedding_init: ``(key, shape, dtype) -> array``; standard normal unless told, as the layers that follow
            expect inputs of variance 1.

    Returns:
        Layer from ids (batch, …) of any integer dtype to (batch, …, width).

    Raises:
        HyperparameterError: a size is not a positive integer.
        StructureError: the ids are not integers.
        DataError: an id is outside of the vocabulary. Where ids are traced nobody can tell, and their vectors are
            NaN, so that training diverges at once rather than go on with a wrong vector.

    Source: lecture 002, tokens as inputs; Bengio et al., "A neural probabilistic language model", 2003.

    >>> import jax, jax.numpy as jnp
    >>> layer = embedding(100, 8)
    >>> ids = jnp.array([[3, 1, 4], [1, 5, 9]])
    >>> params, state = layer.init(jax.random.key(0), ids)
    >>> layer.apply(params, state, ids)[0].shape
    (2, 3, 8)
    """
    check_size("embedding", "vocabulary", vocabulary)
    check_size("embedding", "width", width)

    def check_ids(x: Any) -> None:
        if not jnp.issubdtype(x.dtype, jnp.integer):
            raise StructureError(
                "embedding",
                f"the input has dtype {x.dtype}, but ids are integers. Pass x.astype(jnp.int32) if they are whole "
                f"numbers; nn.dense takes features.",
            )

    def init(key: Array, x: Any) -> tuple[PyTree, PyTree]:
        check_key("embedding", key)
        check_ids(x)
        return {"embedding": embedding_init(key, (vocabulary, width), jnp.result_type(float))}, ()

    def apply(params: PyTree, state: PyTree, x: Array, *, key: Any = None, train: bool = False) -> tuple[Array, PyTree]:
        check_ids(x)
        if is_concrete(x) and getattr(x, "is_fully_addressable", True):
            _check_range(np.asarray(x), vocabulary)
        # A narrow dtype could not hold the size of the table, to which ids are compared.
        ids = x.astype(jnp.int32) if x.dtype.itemsize < 4 else x
        rows = params["embedding"].at[ids].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
        return rows, state

    return Layer(init, apply)


def _check_range(ids: np.ndarray, vocabulary: int) -> None:
    wrong = (ids < 0) | (ids >= vocabulary)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        count = int(wrong.sum())
        raise DataError(
            "embedding",
            f"the input holds id {ids[place]} but the vocabulary has {vocabulary} entries (ids 0 to {vocabulary - 1}): "
            f"{count} id{'s' * (count > 1)}, first at {list(place)}. Count from 0, or enlarge the vocabulary.",
        )
