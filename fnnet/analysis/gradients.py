"""Gradients with respect to what flows between layers, and to the parameters of each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnnet.analysis.checks import checked_inputs, state_of
from fnnet.analysis.intermediates import Watcher, compiled
from fnnet.analysis.objectives import as_objective
from fnnet.errors import ShapeError
from fnnet.nn import as_layer
from fnnet.nn.base import Layer, LayerLike
from fnnet.trees import global_norm, path_name
from fnnet.types import Array, PyTree


def layer_gradients(
    loss: Callable[[Any], Any],
    model: LayerLike,
    params: PyTree,
    inputs: Any,
    *,
    model_state: PyTree = None,
    key: Any = None,
    train: bool = False,
) -> OrderedDict[str, Array]:
    """The gradient of a loss with respect to the output of every part of a model.

    δ_k = ∂L/∂h_k, where h_k is the output of part k.

    Args:
        loss: a function of the model's outputs that gives one number.
        model: a layer.
        params: its parameters; map over stacked ones with `jax.vmap`.
        inputs: array (batch, …).
        model_state: of the layers, where they have one.
        key: for layers that draw in training.
        train: whether layers act as in training.

    Returns:
        Ordered dict with the names of `layer_outputs`, those of whole numbers left out, of arrays (batch, …).

    Raises:
        ShapeError: the loss is not one number.
        StructureError, ShapeError, DataError: as `layer_outputs`.

    Source: lecture 003, the backward pass δ; lecture 000, gradients of higher levels are multiplied.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> model = nn.chain(nn.dense(2, kernel_init=nn.initializers.constant(0.5)), nn.relu)
    >>> params, _ = model.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> layer_gradients(lambda y: 3 * y.sum(), model, params, jnp.ones((1, 3)))["0"].tolist()
    [[3.0, 3.0]]
    """
    x = checked_inputs("layer_gradients", inputs)
    state = state_of("layer_gradients", model, model_state, x)
    return compiled("layer_gradients", _gradients, (model, loss), params, state, x, key, train=train)


def _gradients(made: Any, params: Any, state: Any, x: Any, key: Any, *, train: bool) -> Any:
    model, loss = made

    def value(outputs: Any) -> Array:
        found = jnp.asarray(loss(outputs))
        if found.shape != ():
            raise ShapeError(
                "layer_gradients",
                f"the loss returned shape {found.shape}, but one number is needed. Take its mean or its sum.",
            )
        return found

    return forward_and_backward(model, value, params, state, x, key, train).gradients


class Flow(NamedTuple):
    """What the parts of a model are, what they give, and the gradients with respect to that; each by name."""

    layers: OrderedDict[str, Layer]
    outputs: OrderedDict[str, Array]
    gradients: OrderedDict[str, Array]


def forward_and_backward(
    model: LayerLike, value: Any, params: Any, state: Any, x: Any, key: Any, train: bool, kernels: Any = None
) -> Flow:
    """Everything between the inputs and ``value(outputs)``, one number, and back; ``kernels`` as in `Watcher`."""
    layer = as_layer(model)
    first = Watcher(kernels=kernels)

    def outputs() -> Any:
        first.run(layer, params, state, x, key=key, train=train)
        return first.outputs

    # A gradient with respect to an output is one with respect to zeros that are added to it.
    zeros = OrderedDict(
        (name, jnp.zeros(y.shape, y.dtype))
        for name, y in jax.eval_shape(outputs).items()
        if jnp.issubdtype(y.dtype, jnp.floating)
    )

    def objective(added: Any) -> tuple[Array, Any]:
        watcher = Watcher(added, kernels)
        y = watcher.run(layer, params, state, x, key=key, train=train)
        return value(y), watcher.outputs

    gradients, found = jax.grad(objective, has_aux=True)(zeros)
    return Flow(first.layers, found, gradients)


def gradient_norms(loss: Callable[[PyTree], Any], params: PyTree) -> OrderedDict[str, Array]:
    """The norm of the gradient of each layer's parameters.

    ‖∂L/∂θ_l‖₂, over all parameters θ_l of layer l

    A callback of `fnnet.fit` can write them down while a net is trained, for `plot_gradient_norms`: ``callbacks=[lambda
    run: norms.append(gradient_norms(evaluation_loss(run.learner, run.state.model_state, data), run.state.params))]``.
    Between two calls of ``training.step`` or in a scan of yours it is the same function. Parameters of a sweep,
    stacked, are mapped: ``jax.vmap(gradient_norms, in_axes=(None, 0))(loss, stacked)``.

    Args:
        loss: a function of the parameters that gives one number, such as `evaluation_loss` makes.
        params: parameters. The copies of `nn.repeat`, which are stacked, count as one layer.

    Returns:
        Ordered dict of numbers, by the path of the layer.

    Raises:
        ShapeError: the loss is not one number.

    Source: lectures 000 and 004, vanishing and exploding gradients.

    >>> import jax, jax.numpy as jnp
    >>> params = ({"kernel": jnp.array([3.0]), "bias": jnp.array([4.0])}, (), {"kernel": jnp.array([6.0])})
    >>> gradient_norms(lambda p: sum(jnp.square(leaf).sum() / 2 for leaf in jax.tree.leaves(p)), params)
    OrderedDict([('0', Array(5., dtype=float32)), ('2', Array(6., dtype=float32))])
    """
    return _norms(as_objective("gradient_norms", loss, params), params)


@jax.jit
def _norms(loss: Any, params: PyTree) -> OrderedDict[str, Array]:
    grads, _ = jax.tree_util.tree_flatten_with_path(jax.grad(loss)(params))
    layers: OrderedDict[str, list[Array]] = OrderedDict()
    for path, leaf in grads:
        layers.setdefault(path_name(path[:-1]), []).append(leaf)
    return OrderedDict((name, global_norm(leaves)) for name, leaves in layers.items())
