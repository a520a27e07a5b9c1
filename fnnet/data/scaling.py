"""Bringing all features to one scale, with numbers that come from the training part alone."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet import errors
from fnnet.data.arrays import check_finite
from fnnet.data.dataset import Dataset, check_dataset
from fnnet.trees import wide


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Scaler:
    """The map x̂ = (x - shift) / scale, feature by feature, for arrays and Datasets.

    Call it on the training part, the test part and on whatever comes later, or put it first in a model:
    ``nn.chain(scaler, nn.dense(10))``. It is a pytree of two arrays and runs inside ``jit``. NumPy arrays give
    NumPy arrays. Floats keep their dtype; other numbers become floats.

    Args:
        shift: array of the shape of one example.
        scale: array of the shape of one example, without zeros.

    Raises:
        ShapeError: when called on examples of another shape.

    Example:
        >>> import numpy as np
        >>> scaler = Scaler(np.array([1.0]), np.array([2.0]))
        >>> scaler(np.array([[1.0], [5.0]])).tolist()
        [[0.0], [2.0]]
        >>> scaler.inverse(np.array([[2.0]])).tolist()
        [[5.0]]
    """

    shift: Any
    scale: Any

    def __call__(self, x: Any) -> Any:
        """Scales the array, or the inputs of the Dataset: (x - shift) / scale."""
        return self._apply("Scaler", x, lambda x, shift, scale: (x - shift) / scale)

    def inverse(self, x: Any) -> Any:
        """Undoes the scaling: x · scale + shift."""
        return self._apply("Scaler.inverse", x, lambda x, shift, scale: x * scale + shift)

    def __repr__(self) -> str:
        return f"Scaler(for examples of shape {getattr(self.shift, 'shape', '?')})"

    def _apply(self, where: str, x: Any, formula: Any) -> Any:
        if isinstance(x, Dataset):
            return dataclasses.replace(x, inputs=self._apply(where, x.inputs, formula))
        on_host = not any(isinstance(a, jax.Array) for a in (x, self.shift, self.scale))
        array = np.asarray(x) if on_host else jnp.asarray(x)
        example = np.shape(self.shift)
        if array.ndim < len(example) or array.shape[array.ndim - len(example) :] != example:
            raise errors.ShapeError(
                where,
                f"it was fitted to examples of shape {example}, but these have shape {array.shape[1:]} "
                f"(array of shape {array.shape}).",
            )
        floating = jnp.issubdtype(array.dtype, jnp.floating)
        dtype = array.dtype if floating else self.shift.dtype
        compute = wide(dtype)

        def raised(values: Any) -> Any:
            # Reshaped by hand, because JAX may be set to refuse broadcasting between ranks.
            return values.astype(compute).reshape((1,) * (array.ndim - len(example)) + example)

        return formula(array.astype(compute), raised(self.shift), raised(self.scale)).astype(dtype)


def standardizer(train: Any, epsilon: float = 1e-8) -> Scaler:
    """Fits the map to mean 0 and variance 1 of every feature.

    x̂_i = (x_i - μ_i) / √(σ²_i + ε), with μ_i = Σ_n w_n x_ni / Σ_n w_n and
    σ²_i = Σ_n w_n (x_ni - μ_i)² / Σ_n w_n over the rows n; all w_n are 1 without weights.

    A feature that is constant over the training part is only shifted, to 0: it has no scale of its own, and
    dividing by √ε would blow up the first test example that differs.

    Args:
        train: the training part, a Dataset or an array (N, ...) of floats. Never the test part: its mean is
            not known before training.
        epsilon: added to the variance, at least 0.

    Returns:
        A Scaler with arrays of the shape of one example.

    Raises:
        DataError: if there are no rows, a value is NaN or infinite, or inputs are integers (token ids).
        StructureError: if ``train`` is traced or not an array.
        HyperparameterError: if ``epsilon`` is negative.

    Source:
        lecture 004, input normalization; lecture 000, input normalization.

    Example:
        >>> import numpy as np
        >>> scaler = standardizer(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32))
        >>> scaler(np.array([[1.0, 5.0], [2.0, 6.0]], np.float32)).tolist()
        [[-1.0, 0.0], [0.0, 1.0]]
    """
    where = "data.standardizer"
    errors.check_number(where, "epsilon", epsilon, low=0.0)
    x, weights, dtype = _training_values(where, train)
    mean = np.average(x, axis=0, weights=weights)
    variance = np.average(np.square(x - mean), axis=0, weights=weights)
    constant = np.all(x == x[:1], axis=0)
    shift = np.where(constant, x[0], mean)
    scale = np.where(constant | (variance + epsilon <= 0), 1.0, np.sqrt(variance + epsilon))
    return Scaler(shift.astype(dtype), scale.astype(dtype))


def min_max_scaler(train: Any, low: float = -1.0, high: float = 1.0) -> Scaler:
    """Fits the map of every feature's range over the training part to [low, high].

    x̂_i = low + (high - low) · (x_i - min_n x_ni) / (max_n x_ni - min_n x_ni).

    Values beyond the training range land outside of [low, high]. A constant feature becomes 0, or the end of
    [low, high] next to 0, and is not stretched. Rows of weight 0 are left out; other weights do not matter.

    Args:
        train: the training part, a Dataset or an array (N, ...) of floats.
        low: where the smallest value goes.
        high: where the largest value goes, above ``low``.

    Returns:
        A Scaler with arrays of the shape of one example.

    Raises:
        DataError: if there are no rows, a value is NaN or infinite, or inputs are integers (token ids).
        StructureError: if ``train`` is traced or not an array.
        HyperparameterError: if ``low`` is not below ``high``.

    Source:
        lecture 000, weight initialization (inputs between -1 and 1).

    Example:
        >>> import numpy as np
        >>> scaler = min_max_scaler(np.array([[0.0], [4.0]], np.float32))
        >>> scaler(np.array([[1.0], [4.0]], np.float32)).tolist()
        [[-0.5], [1.0]]
    """
    where = "data.min_max_scaler"
    for name, value in (("low", low), ("high", high)):
        errors.check_number(where, name, value, low=-math.inf, high=math.inf, low_open=True, high_open=True)
    if not low < high:
        raise errors.HyperparameterError(where, f"low is {low:g} and high {high:g}; low has to be below high.")
    x, _, dtype = _training_values(where, train)
    smallest, largest = x.min(axis=0), x.max(axis=0)
    constant = smallest == largest
    scale = np.where(constant, 1.0, (largest - smallest) / (high - low))
    shift = smallest - np.where(constant, np.clip(0.0, low, high), low * scale)
    return Scaler(shift.astype(dtype), scale.astype(dtype))


def _training_values(where: str, train: Any) -> tuple[np.ndarray, np.ndarray | None, Any]:
    """Inputs in float64, the weights of the rows that count, and the dtype that the Scaler shall have."""
    if isinstance(train, Dataset):
        check_dataset(where, "train", train)
        inputs, weights = train.inputs, train.weights
    else:
        inputs, weights = train, None
    if not all(map(errors.is_concrete, (inputs, weights))):
        raise errors.StructureError(where, "it cannot be fitted inside jit. Fit it before; calling it is fine.")
    if not isinstance(inputs, np.ndarray | jax.Array) or inputs.ndim == 0:
        raise errors.StructureError(
            where, f"train is of type {type(train).__name__}; pass a Dataset or an array with rows."
        )
    if len(inputs) == 0:
        raise errors.DataError(where, "train has no rows.")
    given = np.asarray(inputs)
    measured = given.dtype in (bool, np.uint8)
    if not (measured or jnp.issubdtype(given.dtype, np.floating)):
        raise errors.DataError(
            where,
            f"inputs are {given.dtype}: integers are token ids, which have no scale. "
            f"If they measure something, pass them as floats: inputs.astype('float32').",
        )
    x = given.astype(np.float64)
    check_finite(where, "inputs", x)
    if weights is not None:
        weights = np.asarray(weights, np.float64)
        x, weights = x[weights > 0], weights[weights > 0]
        if len(x) == 0:
            raise errors.DataError(where, "no row of train has a positive weight.")
    return x, weights, np.float32 if measured else wide(given.dtype)
