"""Bias, variance and mean squared error of an estimator, and how they fall with the size of the sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.errors import DataError, ShapeError, StructureError, check_key, check_size
from fnnet.stats.samples import check_sizes, known
from fnnet.types import Array, PyTree

_AT_ONCE = 2**22  # numbers of the samples that are held at a time


class EstimatorReport(NamedTuple):
    """What an estimator did on repeated samples of each size, in NumPy float64; arrays are (sizes, …).

    ``mean`` is its average over ``repetitions`` samples, ``bias`` the distance of that from ``truth``, ``variance``
    its spread around its own mean and ``mse`` that around the truth. ``str(report)`` is a table.
    """

    sizes: np.ndarray
    truth: np.ndarray
    mean: np.ndarray
    bias: np.ndarray
    variance: np.ndarray
    mse: np.ndarray
    repetitions: int

    @property
    def standard_error(self) -> np.ndarray:
        """Of the mean, and so of the bias, (sizes, …): a bias of less than two of these is not seen."""
        return np.sqrt(self.variance / self.repetitions)

    @property
    def gap(self) -> float:
        """How far MSE = bias² + variance is from holding, relative to the MSE: rounding alone."""
        distance = abs(self.mse - (self.bias**2 + self.variance))
        return float(np.max(distance / np.where(self.mse > 0, self.mse, 1)))

    @property
    def rate(self) -> float:
        """The slope of log MSE over log n: −1 for a √n-consistent estimator, 0 for one that never arrives.

        NaN for one size, and where the error is 0.
        """
        total = self._total(self.mse)
        if len(np.unique(self.sizes)) < 2 or not (total > 0).all():
            return float("nan")
        return float(np.polyfit(np.log(self.sizes), np.log(total), 1)[0])

    def _total(self, values: np.ndarray) -> np.ndarray:
        """Sums over the components of an estimate that is no scalar."""
        return values.reshape(len(self.sizes), -1).sum(axis=1)

    def __str__(self) -> str:
        columns = {
            "n": self.sizes,
            "bias": self.bias if self.bias.ndim == 1 else np.sqrt(self._total(self.bias**2)),
            "± s.e.": np.sqrt(self._total(self.standard_error**2)),
            "bias²": self._total(self.bias**2),
            "variance": self._total(self.variance),
            "bias² + variance": self._total(self.bias**2 + self.variance),
            "MSE": self._total(self.mse),
        }
        cells = [[name, *(f"{value:.4g}" if name != "n" else f"{value}" for value in c)] for name, c in columns.items()]
        lines = [
            "  ".join(cell.rjust(max(map(len, c))) for cell, c in zip(r, cells, strict=True))
            for r in zip(*cells, strict=True)
        ]
        ending = "" if np.isnan(self.rate) else f"; MSE falls like n^{self.rate:.2f}"
        return "\n".join([*lines, f"{self.repetitions} samples of each size{ending}"])


def estimator_report(
    estimator: Callable[[PyTree], Any],
    sample: Callable[[Array, int], PyTree] | Any,
    truth: Any,
    sizes: Sequence[int] = (10, 100, 1000),
    *,
    repetitions: int = 1000,
    key: Array,
) -> EstimatorReport:
    """Bias, variance and mean squared error of an estimator by repeated sampling, for growing samples.

    Bias(θ̂) = E[θ̂] − θ,   Var(θ̂) = E[(θ̂ − E[θ̂])²],   MSE(θ̂) = E[(θ̂ − θ)²] = Bias² + Var

    It is consistent if P(|θ̂ − θ| > ε) → 0, for which it is enough that the MSE falls to 0. Samples are drawn and
    estimated mapped, in one program for each size; the averages are taken in float64.

    Args:
        estimator: from a sample to a number or an array of them; pure.
        sample: a function (key, n) to a sample of n examples; or a population, an array (N, …) of which n rows are
            drawn with replacement.
        truth: θ, a number or an array of the estimates' shape.
        sizes: of the samples, n.
        repetitions: samples of each size.
        key: root of the draws.

    Returns:
        `EstimatorReport`; draw it with `plot_estimator`.

    Raises:
        StructureError: the estimator is no function, or key no random key.
        ShapeError: the estimates do not have the shape of the truth.
        HyperparameterError: a size or the number of repetitions is no positive integer.
        DataError: an estimate or the truth is not finite.

    Source: lecture 001, 3.2 "Bias", 3.3 "Mean Squared Error", 3.5 (consistency); lecture 000, "Estimating mean and
    covariance" (sample bias).

    >>> import jax, jax.numpy as jnp
    >>> report = estimator_report(jnp.var, jax.random.normal, 1.0, (4, 20), repetitions=9000, key=jax.random.key(0))
    >>> print(report.bias.round(2))  # −σ²/n, since jnp.var divides by n
    [-0.25 -0.05]
    >>> report.gap < 1e-12
    True
    """
    where = "estimator_report"
    check_key(where, key)
    if not callable(estimator):
        raise StructureError(where, f"the estimator is {estimator!r}, which is not a function of a sample.")
    check_sizes(where, "a size", sizes)
    check_size(where, "repetitions", repetitions)
    true = known(where, "truth", truth)
    if not np.isfinite(true).all():
        raise DataError(where, f"truth is {truth!r}, but it has to be finite.")
    draw = sample if callable(sample) else _from_population(where, sample)
    rows = []
    for place, n in enumerate(sizes):
        estimates = _estimates(where, estimator, draw, int(n), repetitions, jax.random.fold_in(key, place), true.shape)
        rows.append(_moments(estimates, true))
    mean, bias, variance, mse = (np.stack(column) for column in zip(*rows, strict=True))
    return EstimatorReport(np.asarray(sizes), true, mean, bias, variance, mse, repetitions)


def _moments(estimates: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean, bias, variance and mean squared error over the first axis."""
    # All from the errors, which lose no digits to a large truth, and the variance around the mean of these very errors:
    # so the identity holds up to rounding, not to 1/√R.
    errors = estimates - true
    bias = errors.mean(axis=0)
    return estimates.mean(axis=0), bias, np.mean((errors - bias) ** 2, axis=0), np.mean(errors**2, axis=0)


def _estimates(
    where: str, estimator: Any, draw: Any, n: int, repetitions: int, key: Array, shape: tuple[int, ...]
) -> np.ndarray:
    """(repetitions, …) estimates, each from a sample of its own."""

    def once(key: Array) -> Any:
        return estimator(draw(key, n))

    found = jax.eval_shape(once, key)
    if getattr(found, "shape", type(found).__name__) != shape:
        said = f"has shape {found.shape}" if hasattr(found, "shape") else f"is a {type(found).__name__}"
        raise ShapeError(
            where, f"an estimate {said} and the truth has shape {shape}; each estimate needs its own true value."
        )
    held = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(lambda key: draw(key, n), key)))
    at_once = int(np.clip(_AT_ONCE // max(1, held), 1, repetitions))
    mapped = jax.jit(lambda keys: jax.lax.map(once, keys, batch_size=at_once))
    estimates = np.asarray(mapped(jax.random.split(key, repetitions)), dtype=np.float64)
    wrong = ~np.isfinite(estimates.reshape(repetitions, -1)).all(axis=1)
    if wrong.any():
        raise DataError(
            where,
            f"{wrong.sum()} of {repetitions} estimates from {n} examples are not finite, which have neither mean nor "
            f"variance. Give the estimator a value for such samples, or leave out this size.",
        )
    return estimates


def _from_population(where: str, population: Any) -> Callable[[Array, int], Array]:
    known(where, "the population", population)
    rows = jnp.asarray(population)
    if rows.ndim == 0 or rows.shape[0] == 0:
        raise ShapeError(where, f"the population has shape {rows.shape}, but at least one row is needed to draw from.")
    return lambda key, n: rows[jax.random.randint(key, (n,), 0, rows.shape[0])]
