"""Losses as functions of the parameters alone: what slices and gradients are taken of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnnet.errors import ShapeError, StructureError, check_size, is_concrete
from fnnet.metrics import averaged
from fnnet.nn import as_layer
from fnnet.recipes import split
from fnnet.train.checks import check_data
from fnnet.train.evaluation import evaluated
from fnnet.train.learner import Learner, check_learner
from fnnet.train.programs import on_device
from fnnet.types import PyTree


def evaluation_loss(learner: Learner, model_state: PyTree, data: Any, *, batch_size: int | None = None) -> Any:
    """The loss of a learner on a dataset, as a function of the parameters: what evaluation tells of them.

    L(θ) = Σ w·ℓ(f(x; θ), y) / Σ w, over every example, at inference and without the prior.

    Args:
        learner: model and loss; the rest of it does not matter.
        model_state: of the layers, such as ``run.model_state``; it stays as it is.
        data: a dataset, or the pair (inputs, targets).
        batch_size: examples that are evaluated at once, at least 1024; None for all of them.

    Returns:
        ``loss(params) -> number``, which is a pytree itself (`jax.tree_util.Partial`): programs take it as an
        argument, and one for another dataset of the same shape compiles nothing new.

    Raises:
        DataError, ShapeError, StructureError: the data or the learner are not ones.

    >>> import fnnet, jax.numpy as jnp
    >>> from fnnet import losses, nn, optim
    >>> learner = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.sgd(0.1))
    >>> loss = evaluation_loss(learner, (), (jnp.ones((6, 4)), jnp.array([0, 1, 2, 0, 1, 2])))
    >>> params = {"kernel": jnp.zeros((4, 3)), "bias": jnp.zeros(3)}
    >>> round(float(loss(params)), 4)  # three classes, all equally likely: log 3
    1.0986
    """
    check_learner("evaluation_loss", learner)
    if batch_size is not None:
        check_size("evaluation_loss", "batch_size", batch_size)
    if all(is_concrete(leaf) for leaf in jax.tree.leaves(data)):
        data = check_data("evaluation_loss", "the data", data)
    numbers, skeleton = split(learner)
    return jax.tree_util.Partial(_evaluation(skeleton, batch_size), numbers, model_state, on_device(data))


@functools.lru_cache(maxsize=64)
def _evaluation(skeleton: Any, batch_size: int | None) -> Callable[..., Any]:
    """The same function for the same structure, so that programs that take it are found again."""

    def loss(numbers: Any, model_state: PyTree, data: Any, params: PyTree) -> Any:
        learner = skeleton(numbers)
        score = {"loss": averaged(learner.loss)}
        return evaluated(score, as_layer(learner.model).apply, params, model_state, data, batch_size)["loss"]

    return loss


def as_objective(where: str, loss: Any, params: PyTree) -> Any:
    """A loss that programs can take as an argument; raises unless it gives one number."""
    if not callable(loss):
        raise StructureError(where, f"loss is {loss!r}, which is not a function of the parameters.")
    found = jax.eval_shape(lambda p: jnp.asarray(loss(p)), params)
    if found.shape != () or not jnp.issubdtype(found.dtype, jnp.floating):
        raise ShapeError(
            where,
            f"the loss returned shape {found.shape} of {found.dtype}, but one real number is needed. Take its mean or "
            f"its sum.",
        )
    return loss if isinstance(loss, jax.tree_util.Partial) else jax.tree_util.Partial(loss)
