"""How signals and gradients grow or fade from layer to layer in nets that have just been initialised."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.analysis.checks import checked_inputs
from fnnet.analysis.gradients import forward_and_backward
from fnnet.analysis.intermediates import compiled, kind
from fnnet.errors import ShapeError, StructureError, check_key, check_size, is_concrete
from fnnet.nn import as_layer
from fnnet.nn.base import LayerLike
from fnnet.precision import as_double, double_precision
from fnnet.recipes import split
from fnnet.trees import wide
from fnnet.types import Array


class Moments(NamedTuple):
    """Moments of numbers (batch, …, units), each an array (draws, layers).

    ``mean`` and ``variance`` over all of them; ``between_units`` is the variance over the units (the last axis) alone,
    averaged over the rest: 0 if all units of a layer do the same.
    """

    mean: Array
    variance: Array
    between_units: Array


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["activations", "gradients"], meta_fields=["layers", "kinds"]
)
@dataclasses.dataclass(frozen=True, eq=False)
class SignalPropagation:
    """Moments of activations and of gradients by layer; a pytree, so that it may be mapped over hyperparameters.

    Attributes:
        layers: paths, in the order in which the layers act, as in `layer_outputs`.
        kinds: what each of them is, such as "dense" or "relu".
        activations: `Moments` of what each layer gives.
        gradients: `Moments` of the gradient with respect to it.
    """

    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    activations: Moments
    gradients: Moments

    def of(self, kind: str) -> SignalPropagation:
        """The layers of one kind alone, such as "dense", whose outputs are the pre-activations.

        Raises:
            StructureError: there are none.
        """
        places = [index for index, found in enumerate(self.kinds) if found == kind]
        if not places:
            known = ", ".join(dict.fromkeys(self.kinds))
            raise StructureError("SignalPropagation.of", f"there are no layers of kind {kind!r}, but of {known}.")
        activations, gradients = jax.tree.map(lambda x: x[..., np.array(places)], (self.activations, self.gradients))
        chosen = tuple(self.layers[place] for place in places)
        return SignalPropagation(chosen, (kind,) * len(places), activations, gradients)

    def __repr__(self) -> str:
        draws = self.activations.mean.shape[-2]
        return f"SignalPropagation({draws} draws of {len(self.layers)} layers: {', '.join(self.layers)})"


def signal_propagation(
    model: LayerLike,
    inputs: Any,
    key: Array,
    *,
    draws: int = 16,
    initializer: Any = None,
    loss: Callable[[Any], Any] | None = None,
    train: bool = True,
) -> SignalPropagation:
    """Mean and variance of activations and of gradients by layer, over random initialisations.

    Where kernels have the variance σ² and the activations are ReLUs, the variance of pre-activations is multiplied by
    n·σ²/2 in each layer of n inputs, and that of gradients on their way back by m·σ²/2 in one of m units: it stays
    for σ² = 2/n (He). For activations that are nearly linear around 0 the factors are n·σ² and m·σ² (Glorot).

    Parameters are drawn in the precision of the inputs, and everything after that is computed in float64: a dozen
    layers may lead beyond 1e±38, where the numbers of float32 end. Inside of `jax.jit`, `jax.vmap` and others, where
    the precision is the caller's, it is that of the inputs, and a variance may be 0 or infinite.

    Args:
        model: a layer.
        inputs: array (batch, …).
        key: of all draws; draw i is the same however many there are.
        draws: initialisations, a positive integer.
        initializer: ``(key, shape, dtype) -> array`` to draw the kernels of dense and convolutional layers in place of
            the model's own, such as ``nn.initializers.glorot_normal()``; None for these.
        loss: a function of the model's outputs that gives one number, whose gradients are told; None for one that is
            linear in the outputs, with independent standard normal coefficients.
        train: whether layers act as in training.

    Returns:
        `SignalPropagation`, NumPy arrays (draws, layers) of float64; JAX arrays inside of a transformation.

    Raises:
        HyperparameterError: ``draws`` is not a positive integer.
        ShapeError: the inputs do not fit, or the loss is not one number.
        StructureError, DataError: as `layer_outputs`.

    Source: lecture 003, Kaiming initialisation; lectures 000 and 004, Glorot initialisation, vanishing and exploding
    gradients. Glorot and Bengio, 2010; He et al., 2015.

    >>> import jax
    >>> from fnnet import nn
    >>> x = jax.random.normal(jax.random.key(0), (10, 100))
    >>> thin = nn.initializers.normal(0.01)  # variance 1e-4 = 0.01 / n, so a relu layer leaves 0.005 of it
    >>> found = signal_propagation(nn.mlp([100] * 2), x, jax.random.key(1), initializer=thin).of("dense")
    >>> found.layers, [f"{variance:.0e}" for variance in found.activations.variance.mean(axis=0).tolist()]
    (('0', '2'), ['1e-02', '5e-05'])
    """
    check_size("signal_propagation", "draws", draws)
    check_key("signal_propagation", key)
    as_layer(model, "signal_propagation")
    x = checked_inputs("signal_propagation", inputs)
    made = (model, initializer, loss)
    call = functools.partial(compiled, "signal_propagation", _propagation, made, x, key, draws=draws, train=train)
    # Under jit new arrays are traced, under vmap only those that depend on what is mapped.
    if all(map(is_concrete, jax.tree.leaves((jnp.zeros(()), split(made)[0], x, key)))):
        with double_precision():
            found = call(double=True)
        if all(map(is_concrete, jax.tree.leaves(found))):  # not so if a function closes over what is mapped
            return jax.tree.map(np.asarray, found)
    return call(double=False)


def _propagation(made: Any, x: Any, key: Any, *, draws: int, train: bool, double: bool) -> SignalPropagation:
    model, initializer, loss = made
    layer = as_layer(model)
    exact = as_double if double else lambda values: values
    names: list[tuple[str, str]] = []

    def one(index: Any) -> tuple[Moments, Moments]:
        init, kernel, noise, cotangent = jax.random.split(jax.random.fold_in(key, index), 4)
        params, state = layer.init(init, x)

        def drawn(place: int, old: Array) -> Array:
            # In the precision of all parameters: that of the kernel itself is already float64.
            dtype = jnp.result_type(*jax.tree.leaves(params)) if double else old.dtype
            return exact(initializer(jax.random.fold_in(kernel, place), old.shape, dtype))

        def value(outputs: Any) -> Array:
            found = jnp.asarray(_linear(outputs, cotangent) if loss is None else loss(outputs))
            if found.shape != ():
                raise ShapeError(
                    "signal_propagation",
                    f"the loss returned shape {found.shape}, but one number is needed. Take its mean or its sum.",
                )
            return found

        kernels = None if initializer is None else drawn
        given = exact((params, state, x))
        flow = forward_and_backward(layer, value, given[0], given[1], given[2], noise, train, kernels)
        names[:] = [(name, kind(flow.layers[name])) for name in flow.gradients]
        forward, backward = (
            [_moments(side[name]) for name in flow.gradients] for side in (flow.outputs, flow.gradients)
        )
        return tuple(Moments(*map(jnp.stack, zip(*side, strict=True))) for side in (forward, backward))  # type: ignore[return-value]

    activations, gradients = jax.vmap(one)(jnp.arange(draws))
    layers, kinds = zip(*names, strict=True)
    return SignalPropagation(layers, kinds, activations, gradients)


def _linear(outputs: Any, key: Any) -> Array:
    """Σ c·y over all outputs y with independent standard normal c."""
    total = jnp.zeros(())
    for index, y in enumerate(jax.tree.leaves(outputs)):
        coefficients = jax.random.normal(jax.random.fold_in(key, index), y.shape, wide(y.dtype))
        total = total + jnp.sum(coefficients * y.astype(coefficients.dtype)).astype(total.dtype)
    return total


def _moments(values: Array) -> Moments:
    values = values.astype(wide(values.dtype))
    by_unit = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[:, None]
    # Less the first, so that nothing of what is equal is left as rounding.
    return Moments(values.mean(), values.var(), (by_unit - by_unit[:, :1]).var(axis=-1).mean())
