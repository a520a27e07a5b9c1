"""Networks that compute in a lower precision than they are kept in."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import HyperparameterError
from fnnet.nn.base import Layer, LayerLike, apply_layer, as_layer
from fnnet.recipes import recipe
from fnnet.types import PyTree

_COMPUTE = ("bfloat16", "float16", "float32")


@recipe
def mixed_precision(layer: LayerLike, compute: str = "bfloat16") -> Layer:
    """The layer computed in ``compute``, while parameters, layer states and outputs keep their dtype.

    Parameters and inputs are rounded at each call, so that updates too small for a bfloat16 number are not lost,
    and the derivative with respect to a parameter has the parameter's dtype.

    Args:
        layer: a layer or plain function.
        compute: "bfloat16", "float16" (whose range of 6e-5 to 65504 is small for gradients) or "float32".

    Returns:
        Layer with the parameters and the state of ``layer``.

    Raises:
        HyperparameterError: ``compute`` is none of these.

    Source: Micikevicius et al., "Mixed Precision Training", 2018.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> model = nn.mixed_precision(nn.dense(3))
    >>> params, state = model.init(jax.random.key(0), jnp.ones((2, 4)))
    >>> params["kernel"].dtype.name, model.apply(params, state, jnp.ones((2, 4)))[0].dtype.name
    ('float32', 'float32')
    """
    if compute not in _COMPUTE:
        raise HyperparameterError(
            "mixed_precision", f"compute is {compute!r}, but it has to be one of {', '.join(_COMPUTE)}."
        )
    inner = as_layer(layer, "mixed_precision")
    dtype = jnp.dtype(compute)

    def init(key: Any, x: Any) -> tuple[PyTree, PyTree]:
        return inner.init(key, x)

    def apply(
        params: PyTree, state: PyTree, x: Any, *, key: Any = None, train: bool = False, **offered: Any
    ) -> tuple[Any, PyTree]:
        y, after = apply_layer(
            inner, _cast(params, dtype), state, _cast(x, dtype), key=key, train=train, **offered
        )  # fmt: skip
        return _cast(y, _widest(x)), jax.tree.map(lambda new, old: new.astype(old.dtype), after, state)

    return Layer(init, apply)


def _cast(tree: PyTree, dtype: Any) -> PyTree:
    """Floats in another dtype; ids and masks as they are."""

    def cast(leaf: Any) -> Any:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(cast, tree)


def _widest(x: Any) -> Any:
    """The dtype of floating-point inputs, or the default one for ids."""
    found = [leaf.dtype for leaf in jax.tree.leaves(x) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return max(found, key=lambda dtype: dtype.itemsize, default=jnp.result_type(float))
