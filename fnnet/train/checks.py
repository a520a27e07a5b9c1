"""What can be known to be wrong before anything is compiled, said in sentences."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.calling import innermost
from fnnet.data import Dataset, Stream
from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError, check_key, within
from fnnet.metrics import as_metric
from fnnet.nn import as_layer
from fnnet.train.learner import Learner, check_learner, log_prior


def check_data(where: str, name: str, data: Any) -> Dataset:
    """A `Dataset` that training can use: rows of equal number, none of them NaN or infinite.

    A pair of arrays (inputs, targets) is taken as a dataset.
    """
    if isinstance(data, tuple) and len(data) == 2:
        inputs, targets = data
        data = Dataset(np.asarray(inputs), np.asarray(targets))
    if isinstance(data, Stream):
        raise StructureError(
            where,
            f"{name} is a stream, but it has to be in memory: evaluation sees every row. Read them, or some of them, "
            f"with stream.read(range(…)).",
        )
    if not isinstance(data, Dataset):
        raise StructureError(
            where,
            f"{name} is a {type(data).__name__}, which is not a dataset. "
            f"Make one with data.from_arrays(inputs, targets), or pass the pair (inputs, targets).",
        )
    fields = {"inputs": data.inputs, "targets": data.targets, "weights": data.weights}
    fields = {field: np.asarray(values) for field, values in fields.items() if values is not None}
    rows = {field: values.shape[0] if values.ndim else 0 for field, values in fields.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{count} {field}" for field, count in rows.items())
        raise ShapeError(where, f"{name} has {counts}; there has to be one of each for every example.")
    if rows["inputs"] == 0:
        raise DataError(where, f"{name} has no examples. A filter or a split before may have taken all of them.")
    for field, values in fields.items():
        if not jnp.issubdtype(values.dtype, jnp.number) and values.dtype != bool:
            raise DataError(where, f"the {field} of {name} have dtype {values.dtype}, but numbers are needed.")
        if jnp.issubdtype(values.dtype, jnp.floating):
            bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
            if bad.any():
                raise DataError(
                    where,
                    f"the {field} of {name} hold NaN or infinite values: {bad.sum()} examples, first at row "
                    f"{np.flatnonzero(bad)[0]}. Fill or drop them before training.",
                )
    if 0 in fields["inputs"].shape[1:]:
        raise DataError(where, f"an input of {name} has shape {fields['inputs'].shape[1:]}: there are no features.")
    weights = fields.get("weights")
    if weights is not None and weights.ndim != 1:
        raise ShapeError(
            where, f"the weights of {name} have shape {weights.shape}, but one weight an example is needed, shape (N,)."
        )
    if weights is not None and (weights.min() < 0 or weights.max() <= 0):
        raise DataError(
            where,
            f"the weights of {name} go from {weights.min()} to {weights.max()}; they have to be at least 0, and one of "
            f"them more.",
        )
    return data


def check_run(
    where: str, train: Any, validation: Any, epochs: Any, batch_size: Any, key: Any
) -> tuple[Any, Dataset | None, int, int | None]:
    """The checked data sets, the epochs, and a batch size that is None where a batch is all of the data."""
    check_key(where, key)
    for name, value in {"epochs": epochs, "batch_size": batch_size}.items():
        if name == "batch_size" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise HyperparameterError(where, f"{name} is {value!r}, but it has to be a positive integer.")
    if not isinstance(train, Stream):
        train = check_data(where, "the training data", train)
    elif batch_size is None or where != "fit":
        raise StructureError(where, "the training data are a stream, which only fnnet.fit takes, with a batch_size=.")
    if validation is not None:
        validation = check_data(where, "the validation data", validation)
        if np.shape(validation.inputs)[1:] != tuple(train.inputs.shape[1:]):
            raise ShapeError(
                where,
                f"an input has shape {tuple(train.inputs.shape[1:])} in the training data and "
                f"{np.shape(validation.inputs)[1:]} in the validation data. Prepare both alike.",
            )
    whole = batch_size is None or batch_size >= len(train)
    if whole and isinstance(train, Stream):
        train = train.read(range(len(train)))  # the first batch would bring all of it
    return train, validation, int(epochs), None if whole else int(batch_size)


def check_fit(
    where: str, learner: Learner, train: Dataset, validation: Dataset | None, batch_size: int | None
) -> Callable[[Dataset], None]:
    """Raises what tracing would find: shapes of model, loss and metrics; and classes without an output.

    Traces abstractly and compiles nothing. What comes back is the last of these checks, for rows that are yet to come.
    """
    check_learner(where, learner)
    with within(where):
        model = as_layer(learner.model)
        key = jax.eval_shape(lambda: jax.random.key(0))
        params, state = jax.eval_shape(model.init, key, _batch_spec(train.inputs, batch_size))

        def outputs(params: Any, state: Any, x: Any, key: Any) -> Any:
            return model.apply(params, state, x, key=key, train=True)[0]

        for data in (train, validation):
            if data is None:
                continue
            inputs, targets = _batch_spec(data.inputs, batch_size), _batch_spec(data.targets, batch_size)
            if data is train and learner.transform is not None:
                inputs, targets = _transformed(where, learner.transform, key, Dataset(inputs, targets))
            predictions = jax.eval_shape(outputs, params, state, inputs, key)
            jax.eval_shape(learner.loss, predictions, targets)
            weights: Any = jax.ShapeDtypeStruct(inputs.shape[:1], jnp.result_type(float))
            for function in learner.metrics.values():
                jax.eval_shape(as_metric(function).sums, predictions, targets, weights)
            check_classes(where, learner.loss, predictions, data)
        if learner.prior is not None:
            jax.eval_shape(functools.partial(log_prior, learner.prior), params)
    return functools.partial(check_classes, where, learner.loss, predictions)


def _transformed(where: str, transform: Any, key: Any, batch: Dataset) -> tuple[Any, Any]:
    """Inputs and targets after the transform of a short batch, which has weights."""
    batch = dataclasses.replace(batch, weights=jax.ShapeDtypeStruct(batch.inputs.shape[:1], jnp.result_type(float)))
    found = jax.eval_shape(transform, key, batch)
    hint = "Change what it is to change by dataclasses.replace(batch, inputs=…)."
    if not isinstance(found, Dataset):
        raise StructureError(
            where, f"the transform returned a {type(found).__name__}, but it has to return a batch. {hint}"
        )
    if found.weights is None:
        raise StructureError(
            where,
            f"the transform dropped the weights of a batch, so that rows which fill up a short one would count. {hint}",
        )
    if found.inputs.shape[1:] != batch.inputs.shape[1:]:
        raise ShapeError(
            where,
            f"the transform made inputs of shape {found.inputs.shape[1:]} of {batch.inputs.shape[1:]}, which is what "
            f"the model is made for and evaluated on. Crop or pad the data beforehand.",
        )
    return found.inputs, found.targets


def check_callbacks(where: str, callbacks: Any) -> tuple[Any, ...]:
    """Functions of a run, one after the other."""
    if callable(callbacks) or not isinstance(callbacks, Iterable) or not all(map(callable, callbacks)):
        raise StructureError(where, f"callbacks is {callbacks!r}, but a list of functions of the run is needed.")
    return tuple(callbacks)


def check_classes(where: str, loss: Any, predictions: Any, data: Dataset) -> None:
    """Asks the loss, if it has something to say, whether concrete targets fit outputs like these of any batch."""
    check_targets = getattr(innermost(loss), "check_targets", None)
    if check_targets is not None and hasattr(predictions, "shape"):
        with within(where):
            check_targets((len(data), *predictions.shape[1:]), data.targets)


def _batch_spec(field: Any, batch_size: int | None) -> jax.ShapeDtypeStruct:
    dtype = jax.dtypes.canonicalize_dtype(np.asarray(field).dtype)
    return jax.ShapeDtypeStruct((batch_size or len(field), *np.shape(field)[1:]), dtype)
