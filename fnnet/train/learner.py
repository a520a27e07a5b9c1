"""What is trained: a model, a loss and an optimizer, and which score says that one is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp

from fnnet.errors import HyperparameterError, ShapeError, StructureError
from fnnet.losses.base import check_bound
from fnnet.metrics import as_metric
from fnnet.recipes import describe

_NONE: Mapping[str, Any] = MappingProxyType({})


class Learner(NamedTuple):
    """Everything that defines training but the data: structure only, no arrays.

    Args:
        model: a layer, or a plain function of one array.
        loss: ``loss(predictions, targets, *, weights=None) -> (batch,)``; its numbers are bound with
            `functools.partial`, such as ``partial(losses.huber, delta=2.0)``.
        optimizer: an (init, update) pair, fnnet's or any with the ecosystem's calling convention.
        metrics: by name, metrics or functions of one value an example.
        prior: log-prior of the parameters, ``prior(params) -> scalar``, in units of the mean loss (that is,
            divided by the number of examples), such as `losses.gaussian_prior`; training minimises
            mean loss − prior. The history and every evaluation tell the loss alone, without the prior, so that they
            can be compared between priors. None for no prior.
        transform: ``transform(key, batch) -> batch``, applied to each training `Dataset` of a step inside of the
            compiled program, with a key of its own: augmentation, noise. None for none.

    >>> from fnnet import Learner, losses, nn, optim
    >>> Learner(nn.dense(1), losses.squared_error, optim.sgd(0.1))
    Learner(model=dense(1), loss=squared_error, optimizer=sgd(0.1))
    """

    model: Any
    loss: Callable[..., Any]
    optimizer: Any
    metrics: Mapping[str, Callable[..., Any]] = _NONE
    prior: Callable[[Any], Any] | None = None
    transform: Callable[[Any, Any], Any] | None = None

    def __repr__(self) -> str:
        parts = {name: value for name, value in self._asdict().items() if value}
        return f"Learner({', '.join(f'{name}={describe(value)}' for name, value in parts.items())})"


class Monitor(NamedTuple):
    """The score that chooses the best parameters: its name in the history, and whether more is better."""

    name: str
    maximize: bool

    def better(self, score: Any, than: Any) -> Any:
        """Whether a score is strictly better than another; NaN never is."""
        return score > than if self.maximize else score < than

    @property
    def worst(self) -> float:
        """The score that every other beats."""
        return float("-inf") if self.maximize else float("inf")


def check_learner(where: str, learner: Any) -> None:
    """Raises unless ``learner`` is a `Learner` with something callable in every place."""
    if not isinstance(learner, Learner):
        hint = " Call it first: learner()." if callable(learner) else " Make one with fnnet.Learner(model=…, …)."
        raise StructureError(where, f"learner is {learner!r}, which is not a fnnet.Learner.{hint}")
    if not callable(learner.loss):
        raise StructureError(
            where, f"the loss is {learner.loss!r}, which is not a function such as losses.squared_error."
        )
    check_bound(learner.loss)
    if not all(callable(getattr(learner.optimizer, name, None)) for name in ("init", "update")):
        raise StructureError(
            where,
            f"the optimizer is {learner.optimizer!r}, which is not an (init, update) pair. "
            f"Call its factory: optim.adam(1e-3).",
        )
    if learner.transform is not None and not callable(learner.transform):
        raise StructureError(
            where, f"transform is {learner.transform!r}, which is not a function of a key and a batch."
        )
    if not isinstance(learner.metrics, Mapping):
        raise StructureError(where, f"metrics is {learner.metrics!r}, but it has to be a dict of metrics by name.")
    if learner.prior is not None and not callable(learner.prior):
        raise StructureError(
            where,
            f"the prior is {learner.prior!r}, which is not a function of the parameters such as "
            f"losses.gaussian_prior(1e-4).",
        )
    if "loss" in learner.metrics:
        raise StructureError(where, "a metric is named 'loss', but that name is the loss's own. Rename the metric.")


def log_prior(prior: Callable[[Any], Any], params: Any) -> Any:
    """The log-prior of the parameters, which is one number."""
    value = jnp.asarray(prior(params))
    if value.shape != ():
        raise ShapeError(
            "training",
            f"the prior returned shape {value.shape}, but the log-prior of all parameters is one number. "
            f"Sum over them.",
        )
    return value


def choose_monitor(where: str, learner: Learner, wanted: str | None, validated: bool) -> Monitor:
    """The score to select by: as asked, else the first metric with a known direction, else the loss.

    Without validation data there is only the training loss, which the parameters of an epoch do not own (it is
    the mean over the epoch that made them), so the last parameters are taken as the best.
    """
    if not validated:
        if wanted not in (None, "train/loss"):
            raise HyperparameterError(
                where,
                f"monitor is {wanted!r}, but without validation data there is only 'train/loss'. Pass validation=….",
            )
        return Monitor("train/loss", maximize=False)
    directions = {"loss": False} | {n: as_metric(f).higher_is_better for n, f in learner.metrics.items()}
    if wanted is None:
        known = [name for name in learner.metrics if directions[name] is not None]
        name = known[0] if known else "loss"
    else:
        name = wanted.removeprefix("validation/")
    if name not in directions:
        raise HyperparameterError(
            where,
            f"monitor is {wanted!r}, but the scores are {', '.join(f'validation/{n}' for n in directions)}.",
        )
    maximize = directions[name]
    if maximize is None:
        raise HyperparameterError(
            where,
            f"monitor is {wanted!r}, but nothing says whether more or less of it is better. "
            f"Declare the metric as metrics.maximize({name}) or metrics.minimize({name}).",
        )
    return Monitor(f"validation/{name}", maximize)
