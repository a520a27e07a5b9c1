"""Backpropagation written out for multilayer perceptrons: the forward pass, and the recursion of δ."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import jax.numpy as jnp

from fnnet import losses, nn
from fnnet.calculus.slopes import activation_slope, loss_slope
from fnnet.errors import ShapeError, StructureError, is_concrete, within
from fnnet.recipes import recipe_of
from fnnet.types import Array, PyTree


class Backpropagation(NamedTuple):
    """All that the two passes compute.

    ``f`` holds the pre-activations f_0 … f_K, (batch, D) each, ``h`` what goes into the dense layers, h_0 = x … h_K,
    and ``delta`` δ_k = ∂ℓ/∂f_k for each example. ``output`` is f_K, or the activation of it if the model ends with one.
    ``loss`` is the mean over examples, and ``gradients`` its derivatives, in the layout of the parameters.
    """

    loss: Array
    output: Array
    f: tuple[Array, ...]
    h: tuple[Array, ...]
    delta: tuple[Array, ...]
    gradients: PyTree


class _Stage(NamedTuple):
    """A dense layer, by the name under which its parameters stand, and the activation after it."""

    name: Any
    activation: Any = nn.identity


def backprop_mlp(
    model: Any, params: PyTree, x: Array, y: Array, *, loss: Any = losses.squared_error
) -> Backpropagation:
    """Gradient of a multilayer perceptron by the forward pass and the δ recursion of the lectures.

    forward:   h_0 = x,  f_k = h_k W_k + b_k,  h_{k+1} = a(f_k)  for k = 0 … K
    backward:  δ_K = ∂ℓ/∂f_K,  δ_{k−1} = (δ_k W_kᵀ) ∘ a′(f_{k−1})
    gradients: ∂L/∂W_k = 1/n Σ_i h_k,iᵀ δ_k,i,  ∂L/∂b_k = 1/n Σ_i δ_k,i

    with an example a row, so that W_k is Ω_kᵀ of lecture 002 and (W⁽ᵏ⁺¹⁾)ᵀ of lecture 003. It is what `jax.grad` gives,
    in the open; for training use that.

    Args:
        model: made by ``nn.mlp`` without normalisation and dropout, or by ``nn.chain`` of dense layers with at most one
            activation after each: identity, relu, leaky_relu, logistic, tanh, softplus, sin, exp, cos or step.
        params: its parameters.
        x: (batch, features) inputs.
        y: targets, as the loss wants them.
        loss: ``losses.squared_error``, ``half_squared_error``, ``sum_of_squares``, ``softmax_cross_entropy`` or
            ``sigmoid_binary_cross_entropy``; of cross entropies the output is the logits.

    Returns:
        `Backpropagation`; pure in params, x and y.

    Raises:
        StructureError: another kind of model, an activation or a loss whose derivative is not written out.
        ShapeError: inputs, parameters or targets do not fit.
        DataError: a class id is out of range, or shares of classes do not sum to 1.

    Source: lecture 002, "Backpropagation algorithm"; lecture 003, "Backpropagation", with δ = f − y.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import nn
    >>> model = nn.mlp([4, 2], activation=nn.tanh)
    >>> x, y = jnp.ones((5, 3)), jnp.zeros((5, 2))
    >>> params, _ = model.init(jax.random.key(0), x)
    >>> found = backprop_mlp(model, params, x, y)
    >>> jax.tree.map(jnp.shape, found.gradients) == jax.tree.map(jnp.shape, params)
    True
    """
    where = "backprop_mlp"
    names, stages = _stages(where, model)
    slopes = [activation_slope(where, stage.activation) for stage in stages]
    by_output = loss_slope(where, loss)
    layers = [_parameters(where, params, stage.name) for stage in stages]
    x, y = jnp.asarray(x), jnp.asarray(y)
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != layers[0]["kernel"].shape[0]:
        raise ShapeError(
            where, f"x has shape {x.shape}, but (batch, {layers[0]['kernel'].shape[0]}) is needed: an example a row."
        )

    f: list[Array] = []
    h: list[Array] = [x.astype(layers[0]["kernel"].dtype)]
    for layer, stage in zip(layers, stages, strict=True):
        if layer["kernel"].shape[:-1] != h[-1].shape[1:]:
            raise ShapeError(
                where,
                f"the kernel of layer {stage.name} has shape {layer['kernel'].shape}, but {h[-1].shape[1]} features "
                f"come in.",
            )
        z = h[-1] @ layer["kernel"]
        f.append(z + layer["bias"][None, :] if "bias" in layer else z)
        h.append(stage.activation(f[-1]))
    output = h.pop()

    if loss.check_targets is not None and is_concrete(y):
        with within(where):
            loss.check_targets(output.shape, y)
    if not (loss is losses.softmax_cross_entropy and jnp.issubdtype(y.dtype, jnp.integer)):
        y = y.astype(output.dtype)
    values = loss(output, y)  # also sees to it that the targets fit
    delta = by_output(output, y) * slopes[-1](f[-1])
    deltas = [delta]
    for k in range(len(stages) - 1, 0, -1):
        delta = (delta @ layers[k]["kernel"].T) * slopes[k - 1](f[k - 1])
        deltas.insert(0, delta)

    found: dict[Any, Any] = dict.fromkeys(names, ())
    for k, (layer, stage) in enumerate(zip(layers, stages, strict=True)):
        gradient = {"kernel": h[k].T @ deltas[k] / len(x), "bias": deltas[k].sum(axis=0) / len(x)}
        found[stage.name] = {part: gradient[part] for part in layer}
    gradients = found if isinstance(params, dict) else tuple(found.values())
    return Backpropagation(values.mean(), output, tuple(f), tuple(h), tuple(deltas), gradients)


def _stages(where: str, model: Any) -> tuple[list[Any], list[_Stage]]:
    """The names of all parts of a model, and its dense layers with the activations after them."""
    stages: list[_Stage] = []
    parts = _parts(where, model)
    for name, part in parts.items():
        made = recipe_of(part)
        if made is not None and made.factory is nn.dense:
            stages.append(_Stage(name))
        elif isinstance(part, nn.Layer):
            raise StructureError(
                where,
                f"the model has the part {part!r}, but only dense layers and activations are taken. Use jax.grad.",
            )
        elif not stages or stages[-1].activation is not nn.identity:
            raise StructureError(
                where,
                f"the part {name} of the model is an activation that stands "
                f"{'behind another' if stages else 'before all layers'}; there is one after each dense layer at most.",
            )
        else:
            stages[-1] = _Stage(stages[-1].name, part)
    if not stages:
        raise StructureError(where, "the model has no dense layer, so there is nothing to differentiate by.")
    return list(parts), stages


def _parts(where: str, model: Any) -> dict[Any, Any]:
    """What a chain or a perceptron is made of, by the names of its parameters."""
    made = recipe_of(model)
    if made is not None and made.factory is nn.chain:
        return dict(made.kwargs) if made.kwargs else dict(enumerate(made.args))
    if made is not None and made.factory is nn.mlp:
        asked = inspect.signature(nn.mlp).bind(*made.args, **made.kwargs)
        asked.apply_defaults()
        widths, activation, *others = asked.arguments.values()
        if any(other is not None for other in others):
            raise StructureError(
                where, f"the model is {model!r}, but normalisation and dropout are not written out. Use jax.grad."
            )
        parts = [part for width in widths[:-1] for part in (nn.dense(width), activation)]
        return dict(enumerate([*parts, nn.dense(widths[-1])]))
    raise StructureError(
        where, f"the model is {model!r}, which was made neither by nn.mlp nor by nn.chain, so its parts are not known."
    )


def _parameters(where: str, params: PyTree, name: Any) -> Any:
    """The kernel, and the bias if there is one, of a dense layer."""
    try:
        layer = params[name]
        fits = {"kernel"} <= set(layer) <= {"kernel", "bias"}
    except (KeyError, IndexError, TypeError):
        fits = False
    if not fits:
        raise StructureError(
            where, f"params has no kernel for the dense layer {name} of the model. Pass those that its init gave."
        )
    return layer
