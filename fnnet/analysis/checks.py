"""What is asked of inputs, parameters and states before a model is looked at."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, StructureError, is_concrete
from fnnet.nn import as_layer
from fnnet.nn.base import LayerLike
from fnnet.trees import flatten_with_names
from fnnet.types import PyTree


def checked_inputs(where: str, inputs: Any) -> Any:
    """The inputs as arrays.

    Raises:
        DataError: some are NaN or infinite.
    """
    inputs = jax.tree.map(jnp.asarray, inputs)
    if not all(_finite(leaf) for leaf in jax.tree.leaves(inputs)):
        raise DataError(where, "the inputs hold NaN or infinity. Clean the data before they are passed.")
    return inputs


def check_parameters(where: str, params: PyTree, model_state: PyTree) -> None:
    """Raises unless parameters and state are finite, as far as they are known.

    Raises:
        DataError: some are not.
    """
    for name, leaf in flatten_with_names({"params": params, "state": model_state}).items():
        if not _finite(leaf):
            raise DataError(where, f"{name} has a value that is not finite. Did training diverge?")


def _finite(leaf: Any) -> bool:
    known = is_concrete(leaf) and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    return not known or bool(np.isfinite(np.asarray(leaf)).all())


def shapes_of(where: str, model: LayerLike, inputs: Any) -> tuple[PyTree, PyTree]:
    """The shapes of the parameters and of the state of a model for inputs like these."""
    return jax.eval_shape(as_layer(model, where).init, jax.eval_shape(lambda: jax.random.key(0)), inputs)


def state_of(where: str, model: LayerLike, model_state: PyTree, inputs: Any) -> PyTree:
    """The state that was passed, or that of a model which needs none.

    Raises:
        StructureError: one is needed, and None was passed.
    """
    if model_state is not None:
        return model_state
    state = shapes_of(where, model, inputs)[1]
    if jax.tree.leaves(state):
        raise StructureError(
            where,
            "the model keeps a state, such as running averages, and none was passed. Pass model_state=run.model_state, "
            "or what init gives beside the parameters.",
        )
    return state


__all__ = ["check_parameters", "checked_inputs", "shapes_of", "state_of"]
