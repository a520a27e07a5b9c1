"""An optimizer for each group of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from fnnet.errors import StructureError
from fnnet.optim.base import Optimizer, call_update, check_parameters, derivative_free, gradients_for
from fnnet.optim.masks import spread
from fnnet.optim.transforms.wrappers import check_call, check_wrapped
from fnnet.recipes import recipe
from fnnet.trees import path_name
from fnnet.types import PyTree


class PartitionState(NamedTuple):
    """The states of the optimizers by label, each for its own parameters alone."""

    inner_states: dict[Any, PyTree]


@recipe
def partition(optimizers: Mapping[Any, Any], labels: PyTree | Callable[[PyTree], PyTree]) -> Optimizer:
    """An optimizer for each group of parameters.

    Each sees the parameters with its label and None in place of the others, so that its state holds nothing for them.

    Args:
        optimizers: by label.
        labels: a tree of labels like the parameters, or like their upper part; or a function from the parameters to
            one, such as `matrices` (labels True and False) or `by_path` of a function from a path to a label.

    Returns:
        Optimizer with state ``(inner_states,)``, a dict with the labels that some parameter has.

    Raises:
        StructureError: a label without an optimizer, or labels unlike the parameters.

    Same as ``optax.partition(optimizers, labels)`` and the parameter groups of torch.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> optimizer = partition({"fast": optim.sgd(1.0), "held": optim.freeze()}, {"head": "fast", "body": "held"})
    >>> params = {"head": jnp.ones(1), "body": [jnp.ones(2), jnp.ones(3)]}
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> updates["head"].tolist(), updates["body"][0].tolist()
    ([-1.0], [0.0, 0.0])
    """
    if not isinstance(optimizers, Mapping) or not optimizers:
        raise StructureError("partition", f"optimizers is {optimizers!r}, but it has to be a dict of them by label.")
    for label, optimizer in optimizers.items():
        check_wrapped("partition", f"optimizers[{label!r}]", optimizer)

    def label_of(params: PyTree) -> PyTree:
        chosen = spread("partition", "labels", labels, params)
        for path, label in jax.tree_util.tree_leaves_with_path(chosen):
            if label not in optimizers:
                raise StructureError(
                    "partition",
                    f"parameter {path_name(path) or '(the only one)'} has the label {label!r}, but the optimizers are "
                    f"for {', '.join(map(repr, optimizers))}. Add one, or correct the label.",
                )
        return chosen

    def init(params: PyTree) -> PartitionState:
        check_parameters("partition", params)
        chosen = label_of(params)
        present = set(jax.tree.leaves(chosen))
        return PartitionState(
            {label: o.init(_only(label, chosen, params)) for label, o in optimizers.items() if label in present}
        )

    def update(grads: PyTree, state: PartitionState, params: PyTree = None, **extra: Any) -> Any:
        grads = gradients_for(marked, grads, params)
        check_call("partition", grads, params)
        chosen = label_of(grads if params is None else params)
        states, updates = {}, jax.tree.map(lambda g: None, grads)
        for label, before in state.inner_states.items():

            def own(tree: PyTree, label: Any = label) -> PyTree:
                return None if tree is None else _only(label, chosen, tree)

            offered = _offered(label, chosen, params, extra)
            part, states[label] = call_update(optimizers[label], own(grads), before, own(params), offered)
            updates = _merged(label, chosen, part, updates)
        return updates, PartitionState(states)

    marked = derivative_free(Optimizer(init, update), *optimizers.values())
    return marked


def _only(label: Any, labels: PyTree, tree: PyTree) -> PyTree:
    """The tree with None in place of every leaf that has another label."""
    return jax.tree.map(lambda own, leaf: leaf if own == label else None, labels, tree)


def _merged(label: Any, labels: PyTree, part: PyTree, rest: PyTree) -> PyTree:
    """The leaves with this label from ``part``, and the others from ``rest``."""
    return jax.tree.map(lambda own, mine, other: mine if own == label else other, labels, part, rest)


def _offered(label: Any, labels: PyTree, params: PyTree, extra: dict[str, Any]) -> dict[str, Any]:
    """What an optimizer of some parameters is offered: the others are constants to its function."""
    offered = dict(extra)
    if extra.get("grad") is not None:
        offered["grad"] = _only(label, labels, extra["grad"])
    if callable(extra.get("value_fn")) and params is not None:
        offered["value_fn"] = lambda part: extra["value_fn"](_merged(label, labels, part, params))
    return offered
