"""How alike two representations of the same examples are, whatever their axes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, ShapeError, StructureError, is_concrete
from fnnet.trees import safe_divide, safe_sqrt, wide
from fnnet.types import Array


@functools.partial(jax.tree_util.register_dataclass, data_fields=["similarity"], meta_fields=["first", "second"])
@dataclasses.dataclass(frozen=True, eq=False)
class RepresentationSimilarity:
    """Similarities of all layers of two models; a pytree, so that it may be mapped over models.

    Attributes:
        first: names of the layers of the first model, the rows.
        second: those of the second, the columns.
        similarity: array (first, second) of numbers in [0, 1].
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    similarity: Array


def linear_cka(a: Any, b: Any) -> Array:
    """Linear centred kernel alignment: how alike two representations of the same examples are.

    CKA(A, B) = ‖AᵀB‖²/(‖AᵀA‖·‖BᵀB‖), Frobenius norms of matrices whose columns have their means taken away

    It is 1 for representations that are each other's up to a rotation, a reflection, a shift and one factor, and
    0 if no feature of one correlates with one of the other. With fewer examples than features it is large for
    unrelated ones too.

    Args:
        a: array (examples, …); axes after the first are features.
        b: array (examples, …), with features of its own.

    Returns:
        Number in [0, 1]; 0 if one of the two is the same for all examples.

    Raises:
        ShapeError: not as many examples in both, fewer than two, or no features.
        DataError: a number is not finite.

    Source: Kornblith et al., "Similarity of neural network representations revisited", 2019.

    >>> import jax.numpy as jnp
    >>> a = jnp.array([[1.0, 0.0], [0.0, 1.0], [3.0, 2.0]])
    >>> float(linear_cka(a, 5 * a[:, ::-1] + 1).round(4))
    1.0
    """
    first, second = _representations("linear_cka", {"a": a}, {"b": b})
    return _similarity(list(first.values()), list(second.values()))[0, 0]


def compare_representations(first: Mapping[str, Any], second: Mapping[str, Any]) -> RepresentationSimilarity:
    """Linear centred kernel alignment of every layer of one model with every layer of another, or of the same.

    Args:
        first: arrays (examples, …) by layer, such as `layer_outputs` of a model.
        second: those of the other on the same examples.

    Returns:
        `RepresentationSimilarity`.

    Raises:
        StructureError: an argument is not a mapping, or is empty.
        ShapeError, DataError: as `linear_cka`.

    Source: Kornblith et al., "Similarity of neural network representations revisited", 2019.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> from fnnet.analysis import layer_outputs
    >>> model, x = nn.mlp([4, 2]), jax.random.normal(jax.random.key(0), (20, 3))
    >>> one, other = (layer_outputs(model, model.init(jax.random.key(seed), x)[0], x) for seed in (1, 2))
    >>> compare_representations(one, other).similarity.shape
    (3, 3)
    """
    a, b = _representations("compare_representations", first, second)
    return RepresentationSimilarity(tuple(a), tuple(b), _similarity(list(a.values()), list(b.values())))


def _representations(where: str, *models: Any) -> list[dict[str, Array]]:
    """The representations of each model as floats (examples, features)."""
    found: list[dict[str, Array]] = []
    for model in models:
        if not isinstance(model, Mapping) or not model:
            raise StructureError(
                where, f"got {type(model).__name__}, but a mapping from layers to arrays is needed: layer_outputs(…)."
            )
        found.append({str(name): jnp.asarray(values) for name, values in model.items()})
    examples = found[0][next(iter(found[0]))].shape[:1]
    for model in found:
        for name, values in model.items():
            if values.ndim < 2 or values.shape[:1] != examples or values.shape[0] < 2 or values.size == 0:
                raise ShapeError(
                    where,
                    f"{name!r} has shape {values.shape}, but (examples, features) is needed with at least two "
                    f"examples, as many for all: {examples[0] if examples else 'none'} as in the first.",
                )
            if is_concrete(values) and not np.isfinite(np.asarray(values)).all():
                raise DataError(where, f"{name!r} holds NaN or infinity.")
            dtype = wide(values.dtype) if jnp.issubdtype(values.dtype, jnp.floating) else jnp.result_type(float)
            model[name] = values.astype(dtype).reshape(values.shape[0], -1)
    return found


@jax.jit
def _similarity(first: list[Array], second: list[Array]) -> Array:
    """The alignments of all pairs, (first, second)."""
    dtype = max((x.dtype for x in (*first, *second)), key=lambda dtype: dtype.itemsize)
    a, b = ([_centred(x.astype(dtype)) for x in side] for side in (first, second))
    own = [jnp.stack([_cross([x], [x])[0, 0] for x in side]) for side in (a, b)]
    lengths = safe_sqrt(own[0])[:, None] * safe_sqrt(own[1])[None, :]
    # Rounding may leave the interval, in which Cauchy and Schwarz say that it is.
    return jnp.clip(safe_divide(_cross(a, b), lengths), 0, 1)


def _centred(x: Array) -> Array:
    """Columns without their means, scaled so that no square is infinite or 0."""
    # Before the mean too, as a sum of large numbers is infinite.
    x = safe_divide(x, jnp.broadcast_to(jnp.abs(x).max(), x.shape))
    # What is the same for all examples is then exactly 0, where a mean would leave its rounding.
    x = x - x[:1]
    x = x - x.mean(axis=0, keepdims=True)
    return safe_divide(x, jnp.broadcast_to(safe_sqrt(jnp.square(x).sum()), x.shape))


def _cross(first: Sequence[Array], second: Sequence[Array]) -> Array:
    """‖AᵀB‖² of all pairs: over features, or where these are many, as the product ⟨AAᵀ, BBᵀ⟩ of kernels."""
    examples = first[0].shape[0]
    widths = [[x.shape[1] for x in side] for side in (first, second)]
    if examples**2 * (len(first) + len(second)) < sum(widths[0]) * sum(widths[1]):
        kernels = [jnp.stack([(x @ x.T).reshape(-1) for x in side]) for side in (first, second)]
        return kernels[0] @ kernels[1].T
    squares = jnp.square(jnp.concatenate(first, axis=1).T @ jnp.concatenate(second, axis=1))
    ends = [np.cumsum([0, *width[:-1]]) for width in widths]
    return jnp.add.reduceat(jnp.add.reduceat(squares, ends[0], axis=0), ends[1], axis=1)
