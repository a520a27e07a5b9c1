"""Several trained networks as one: the mean of what they predict."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.data import Dataset
from fnnet.errors import DataError, DivergenceWarning, ShapeError, StructureError, within
from fnnet.metrics import as_metric, averaged
from fnnet.sweeps.averaging import rule_of
from fnnet.train.checks import check_classes, check_data
from fnnet.train.programs import on_device
from fnnet.train.run import Run

Combine = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True, repr=False)
class Ensemble:
    """Runs whose mean is the prediction.

    Attributes:
        runs: the members; loss and metrics are those of the first.
        combine: makes one output of those of all runs; None for the mean that suits the loss.
        score: the monitored score of the ensemble on validation data; None if there were none.
    """

    runs: tuple[Run, ...]
    combine: Combine | None = None
    score: float | None = None

    def predict(self, inputs: Any) -> Any:
        """The mean of the runs' outputs, as outputs of the same kind.

        Args:
            inputs: array (examples, …) like the training inputs.

        Returns:
            Array (examples, …), or a tuple or dict of such if the models have several outputs.

        Raises:
            ShapeError: an input has another shape than in training, or the runs' outputs differ in shape.
        """
        inputs = jnp.asarray(inputs)
        with within("ensemble.predict"):
            if self.combine is not None:
                outputs = [run.predict(inputs) for run in self.runs]
                for index, other in enumerate(outputs):
                    _check_alike(outputs[0], other, index)
                return jax.tree.map(np.asarray, self.combine(jax.tree.map(lambda *leaves: np.stack(leaves), *outputs)))
            return self._mean(inputs)

    def _mean(self, inputs: Any) -> Any:
        """One run at a time, so that the memory is that of two runs however many there are."""
        total: Any = None
        for index, run in enumerate(self.runs):
            outputs, rule = run.predict(inputs), rule_of(run.learner.loss)
            if index == 0:
                like, first = outputs, rule
            _check_alike(like, outputs, index)
            terms = rule.terms(jax.tree.map(lambda leaf: leaf.astype(np.float64), outputs))
            total = terms if total is None else rule.add(total, terms)
        mean = first.finish(total, len(self.runs))
        return jax.tree.map(lambda leaf, x: leaf.astype(_float_dtype(x.dtype)), mean, like)

    def evaluate(self, data: Dataset) -> dict[str, float]:
        """Loss and metrics of the mean over every example.

        Args:
            data: a dataset, or the pair (inputs, targets).

        Returns:
            Numbers by name: ``loss`` and one for each metric.

        Raises:
            DataError, ShapeError: the data do not fit.
        """
        where = "ensemble.evaluate"
        data = on_device(check_data(where, "the data", data))
        with within(where):
            predictions = self.predict(data.inputs)
            check_classes(where, self.runs[0].learner.loss, predictions, data)
            first = self.runs[0]
            weights = jnp.ones(len(data)) if data.weights is None else data.weights
            found = _scores(first.build)(first.hyperparameters, predictions, data.targets, weights)
        return {name: float(value) for name, value in found.items()}

    def __repr__(self) -> str:
        name = self.runs[0].monitor.name.split("/", 1)[1]
        score = "" if self.score is None else f": validation/{name} {self.score:.4g}"
        return f"Ensemble({len(self.runs)} runs{score})"


def ensemble(runs: Sequence[Run], *, validation: Dataset | None = None, combine: Combine | None = None) -> Ensemble:
    """The mean of several runs: steadier than any one of them, and often better.

    What is averaged depends on the loss, so that the mean is a prediction of the same kind, which the loss and the
    metrics take as they take one run's:

    - `losses.softmax_cross_entropy`, `kl_divergence`: log (1/k) Σ_i softmax(f_i), log-probabilities, whose softmax
      gives them back.
    - `losses.sigmoid_binary_cross_entropy`, `focal`: log p − log(1 − p) with p = (1/k) Σ_i σ(z_i).
    - `losses.gaussian_nll` of means and log-variances: mean and variance of the mixture of the Gaussians,
      f = (1/k) Σ_i f_i and v = (1/k) Σ_i (v_i + f_i²) − f².
    - `losses.poisson_nll`: log (1/k) Σ_i exp(z_i).
    - `losses.cosine`: the mean of the directions f_i / ‖f_i‖.
    - any other loss: (1/k) Σ_i f_i.

    A run without a finite score is left out with a warning.

    Args:
        runs: of models with inputs and outputs of the same shapes; they may differ in everything else.
        validation: data to score the ensemble on; None leaves ``score`` at None.
        combine: makes outputs (examples, …) of an array (runs, examples, …), or of a tuple or dict of such, in the
            place of the mean, such as ``lambda outputs: np.median(outputs, axis=0)``; all outputs are then in memory.

    Returns:
        `Ensemble`, which predicts and evaluates as a `Run` does.

    Raises:
        DataError: there is no run, or none with a finite score.
        ShapeError: the runs were trained on inputs of different shapes.
        StructureError: a run is not one, or the runs' losses need different means.

    Source: Lakshminarayanan et al., 2017.

    >>> import jax
    >>> import fnnet
    >>> from fnnet import losses, nn, optim
    >>> x = jax.numpy.arange(4.0)[:, None]
    >>> learner = fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(0.1))
    >>> runs = [fnnet.fit(learner, (x, 2 * x), epochs=300, key=jax.random.key(seed), progress=False) for seed in (0, 1)]
    >>> ensemble(runs).predict(x).round(2).tolist()
    [[0.0], [2.0], [4.0], [6.0]]
    """
    where = "ensemble"
    runs = tuple(runs)
    for run in runs:
        if not isinstance(run, Run):
            raise StructureError(
                where, f"a run is {run!r}, but runs such as those of fnnet.fit or sweep.run are needed."
            )
    if not runs:
        raise DataError(where, "there are no runs, so there is nothing to average.")
    shapes = {run.input_spec.shape: index for index, run in reversed(list(enumerate(runs)))}
    if len(shapes) > 1:
        told = " and ".join(f"{shape} in run {index}" for shape, index in sorted(shapes.items(), key=lambda s: s[1]))
        raise ShapeError(where, f"an input has shape {told}; the members of an ensemble see the same inputs.")
    members = _with_a_score(where, runs)
    means = dict.fromkeys(rule_of(run.learner.loss).mean_of for run in members)
    if combine is None and len(means) > 1:
        raise StructureError(
            where,
            f"the runs' losses need different means, of {' and of '.join(means)}. Average runs of one kind of loss, or "
            f"pass combine=….",
        )
    found = Ensemble(members, combine)
    if validation is not None:
        name = members[0].monitor.name.split("/", 1)[1]
        found = dataclasses.replace(found, score=found.evaluate(validation)[name])
    return found


def _with_a_score(where: str, runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """The runs that have ever had a finite score: parameters without one are no better than those at the start."""
    lost = [index for index, run in enumerate(runs) if not np.isfinite(run.score)]
    if not lost:
        return runs
    first, count = lost[0], len(lost)
    if count == len(runs):
        raise DataError(where, f"none of the {count} runs has a finite score. Run 0 {runs[0].sentence}")
    told = "runs has no finite score and is" if count == 1 else "runs have no finite score and are"
    which = f"run {first}" if count == 1 else f"the first is run {first}"
    warnings.warn(
        f"{where}: {count} of {len(runs)} {told} left out: {which}, {runs[first].sentence}",
        DivergenceWarning,
        stacklevel=3,
    )
    return tuple(run for index, run in enumerate(runs) if index not in lost)


def _check_alike(first: Any, other: Any, index: int) -> None:
    shapes = [jax.tree.map(np.shape, outputs) for outputs in (first, other)]
    if shapes[0] != shapes[1]:
        raise ShapeError(
            "ensemble.predict",
            f"the outputs have shape {shapes[0]} in run 0 and {shapes[1]} in run {index}; a mean needs equal shapes.",
        )


def _float_dtype(dtype: Any) -> Any:
    return dtype if jnp.issubdtype(dtype, jnp.floating) else np.float32


@functools.lru_cache(maxsize=16)
def _scores(build: Callable[[Any], Any]) -> Callable[..., Any]:
    """Loss and metrics of predictions, as one compiled program."""

    def scores(hyperparameters: Any, predictions: Any, targets: Any, weights: Any) -> dict[str, Any]:
        learner = build(hyperparameters)
        metrics = {"loss": averaged(learner.loss)} | {name: as_metric(f) for name, f in learner.metrics.items()}
        return {name: metric(predictions, targets, weights=weights) for name, metric in metrics.items()}

    return jax.jit(scores)
