"""A trained network with its history: what `fit` returns."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.data import Dataset
from fnnet.errors import HyperparameterError, ShapeError, within
from fnnet.recipes import describe
from fnnet.train import files
from fnnet.train.checks import check_classes, check_data
from fnnet.train.history import History
from fnnet.train.learner import Learner, Monitor
from fnnet.train.programs import Programs, on_device, programs
from fnnet.train.state import STATUS_NAMES, STATUS_SENTENCES, TrainState
from fnnet.types import PyTree


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """One training run.

    Attributes:
        build: makes the learner from its hyperparameters.
        hyperparameters: the numbers that ``build`` takes.
        state: the `TrainState` at the end; ``params`` and ``model_state`` are its best so far.
        history: scores by name, one value an epoch.
        monitor: the score that chose the best parameters.
        input_spec: shape and dtype of one input.
        batch_size: examples a step; None for all of them.
        seconds: time in training, without ``compile_seconds``.
        compile_seconds: time in compiling.
    """

    build: Callable[[Any], Learner]
    hyperparameters: Any
    state: TrainState
    history: History
    monitor: Monitor
    input_spec: jax.ShapeDtypeStruct
    batch_size: int | None
    seconds: float = 0.0
    compile_seconds: float = 0.0

    @property
    def learner(self) -> Learner:
        """What was trained."""
        return self.build(self.hyperparameters)

    @property
    def params(self) -> PyTree:
        """The best parameters."""
        return self.state.best.params

    @property
    def model_state(self) -> PyTree:
        """The state of the layers that belongs to the best parameters."""
        return self.state.best.model_state

    @property
    def score(self) -> float:
        """The monitored score of the best parameters."""
        return float(self.state.best.score)

    @property
    def status(self) -> str:
        """How the run ended, as a name."""
        return STATUS_NAMES[int(self.state.status)]

    @property
    def sentence(self) -> str:
        """How the run ended, in words."""
        return f"{self.status} at step {int(self.state.step)}: {STATUS_SENTENCES[self.status]}."

    def predict(self, inputs: Any) -> np.ndarray:
        """The model's output with the best parameters, in inference.

        Args:
            inputs: array (examples, …) like the training inputs.

        Returns:
            Array (examples, …).

        Raises:
            ShapeError: an input has another shape than in training.
        """
        inputs = jnp.asarray(inputs)
        if inputs.shape[1:] != self.input_spec.shape:
            raise ShapeError(
                "predict",
                f"an input has shape {inputs.shape[1:]}, but the model was trained on {self.input_spec.shape}. "
                f"Pass an array (examples, {', '.join(map(str, self.input_spec.shape))}).",
            )
        predict = self._programs().predict
        return jax.tree.map(np.asarray, predict(self.hyperparameters, self.params, self.model_state, inputs))

    def evaluate(self, data: Dataset) -> dict[str, float]:
        """Loss and metrics of the best parameters over every example.

        Args:
            data: a dataset, or the pair (inputs, targets).

        Returns:
            Numbers by name: ``loss`` and one for each metric.

        Raises:
            DataError, ShapeError: the data do not fit.
        """
        data = check_data("evaluate", "the data", data)
        state = self.state._replace(params=self.params, model_state=self.model_state)
        spec = jax.ShapeDtypeStruct((1, *self.input_spec.shape), self.input_spec.dtype)
        outputs = jax.eval_shape(self._programs().predict, self.hyperparameters, self.params, self.model_state, spec)

        def check(hyperparameters: Any) -> None:  # as tracers, since a learner refuses a number such as NaN
            check_classes("evaluate", self.build(hyperparameters).loss, outputs, data)

        jax.eval_shape(check, self.hyperparameters)
        with within("evaluate"):
            scores = self._programs().evaluate(self.hyperparameters, state, on_device(data))
        return {name: float(value) for name, value in scores.items()}

    @property
    def description(self) -> str:
        """The learner as the calls that make it, or the numbers that no learner can be made of."""
        try:
            return describe(self.learner)
        except HyperparameterError:  # a learning rate of NaN, say: its run is a row of a sweep all the same
            return f"{getattr(self.build, 'function', self.build)} with {self.hyperparameters}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the best parameters as safetensors, with the model and the history in its header.

        Args:
            path: of the file; an existing one is replaced at once and never half.
        """
        files.save(self, path)

    def _programs(self) -> Programs:
        return programs(self.build, self.batch_size, self.monitor)

    def __repr__(self) -> str:
        return f"Run({self.monitor.name} {self.score:.4g} at step {int(self.state.best.step)}; {self.sentence})"
