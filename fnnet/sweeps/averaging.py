"""What the mean of several predictions is, so that it is a prediction of the same kind: it depends on the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from fnnet import losses
from fnnet.calling import bound, innermost
from fnnet.types import PyTree


class Rule(NamedTuple):
    """How outputs are averaged, run after run, in float64.

    ``terms(outputs)`` of each run are put together by ``add(total, terms)``, and ``finish(total, runs)`` makes an
    output of what they have come to. ``mean_of`` says in words what is averaged.
    """

    mean_of: str
    terms: Callable[[PyTree], PyTree]
    add: Callable[[PyTree, PyTree], PyTree]
    finish: Callable[[PyTree, int], PyTree]


def rule_of(loss: Any) -> Rule:
    """How the outputs that a loss is made for are averaged."""
    make = next((make for known, make in _RULES if known is innermost(loss)), _outputs)
    return make(bound(loss))


def _outputs(numbers: Any) -> Rule:
    return Rule("outputs", lambda outputs: outputs, _added, _divided)


def _added(total: PyTree, terms: PyTree) -> PyTree:
    return jax.tree.map(np.add, total, terms)


def _divided(total: PyTree, runs: int) -> PyTree:
    return jax.tree.map(lambda leaf: leaf / runs, total)


# Probabilities are added by their logarithms: float64 cannot tell exp(-800) from 0.


def _class_probabilities(numbers: Any) -> Rule:
    def terms(f: Any) -> Any:
        return f - np.logaddexp.reduce(f, axis=-1, keepdims=True)

    return Rule("class probabilities", terms, np.logaddexp, lambda total, runs: total - np.log(runs))


def _label_probabilities(numbers: Any) -> Rule:
    def terms(z: Any) -> Any:
        return -np.logaddexp(0, -z), -np.logaddexp(0, z)  # log p and log(1 − p)

    def add(total: Any, terms: Any) -> Any:
        return np.logaddexp(total[0], terms[0]), np.logaddexp(total[1], terms[1])

    return Rule("label probabilities", terms, add, lambda total, runs: total[0] - total[1])


def _rates(numbers: Any) -> Rule:
    return Rule("rates", lambda z: z, np.logaddexp, lambda total, runs: total - np.log(runs))


def _directions(numbers: Any) -> Rule:
    def terms(f: Any) -> Any:
        length = np.sqrt(np.square(f).sum(axis=-1, keepdims=True))
        return f / np.where(length == 0, 1, length)

    return Rule("directions", terms, _added, _divided)


def _gaussians(numbers: Any) -> Rule:
    """Of means alone the mean; of means and log-variances the mixture's, each with its own factor ``variance``.

    Squares are those of differences from the mean so far: that of a sum of squares from the square of the mean would
    round small variances away.
    """
    factor = float(numbers.get("variance", 1.0))

    def terms(outputs: Any) -> Any:
        f, s = outputs if isinstance(outputs, tuple) else (outputs, None)
        return 1, f, 0.0, None if s is None else factor * np.exp(s)

    def add(total: Any, terms: Any) -> Any:
        (count, mean, squares, variance), (_, f, _, v) = total, terms
        distance = f - mean
        squares = squares + np.square(distance) * count / (count + 1)
        return count + 1, mean + distance / (count + 1), squares, None if v is None else variance + v

    def finish(total: Any, runs: int) -> Any:
        _, mean, squares, variance = total
        return mean if variance is None else (mean, np.log((variance + squares) / (runs * factor)))

    return Rule("Gaussians", terms, add, finish)


_RULES: list[tuple[Any, Callable[[Any], Rule]]] = [
    (losses.softmax_cross_entropy, _class_probabilities),
    (losses.kl_divergence, _class_probabilities),
    (losses.sigmoid_binary_cross_entropy, _label_probabilities),
    (losses.focal, _label_probabilities),
    (losses.gaussian_nll, _gaussians),
    (losses.poisson_nll, _rates),
    (losses.cosine, _directions),
]
