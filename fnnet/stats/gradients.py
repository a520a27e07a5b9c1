"""The noise of mini-batch gradients: unbiased, with a variance of σ²/|I|."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.errors import DataError, HyperparameterError, ShapeError, StructureError, check_key, check_size, is_concrete
from fnnet.optim.base import check_parameters
from fnnet.optim.driver import starting_point
from fnnet.optim.vectors import as_vector, like
from fnnet.stats.samples import check_sizes
from fnnet.trees import safe_divide
from fnnet.types import Array, PyTree

_BLOCK = 16  # gradients that are held at a time


class GradientNoise(NamedTuple):
    """What is known of the gradients of single examples, and of mini-batches of each size.

    Of the N examples: ``gradient`` G, the mean of their gradients gᵢ, a tree like the parameters; ``squared_norm``
    ‖G‖²; ``trace`` of their covariance, (1/N) Σ ‖gᵢ − G‖², the lecture's σ² over all parameters; and ``noise_scale``
    trace/‖G‖², the batch size at which noise and gradient are equally large (∞ where G is 0).

    Of each size, arrays (sizes,): ``law``, what E‖ĝ − G‖² has to be; ``measured``, its mean over the drawn batches; and
    ``deviation``, how far their mean gradient is from G in its own standard errors, about 1 if ĝ is unbiased.
    """

    gradient: PyTree
    squared_norm: Array
    trace: Array
    noise_scale: Array
    sizes: Array
    law: Array
    measured: Array
    deviation: Array

    def __str__(self) -> str:
        if np.ndim(self.trace):
            return f"GradientNoise of {np.size(self.trace)} models, stacked"
        rows = [("batch size", "law", "measured", "measured / law", "deviation of the mean")]
        for size, law, measured, deviation in zip(
            *(np.asarray(x).tolist() for x in (self.sizes, self.law, self.measured, self.deviation)), strict=True
        ):
            ratio = f"{measured / law:.3f}" if law > 0 else "–"
            rows.append((f"{size}", f"{law:.4g}", f"{measured:.4g}", ratio, f"{deviation:.2f}"))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        norm, trace, scale = (float(x) for x in (self.squared_norm, self.trace, self.noise_scale))
        return "\n".join([*lines, f"‖G‖² {norm:.4g}, tr Σ {trace:.4g}, noise scale {scale:.4g}"])


def gradient_noise(
    loss: Callable[[PyTree, PyTree], Any],
    params: PyTree,
    data: PyTree,
    sizes: Sequence[int] = (1, 4, 16, 64),
    *,
    replace: bool = False,
    repetitions: int = 256,
    key: Array,
) -> GradientNoise:
    """Mean and variance of mini-batch gradients, by the law and measured on drawn batches.

    ĝ = (1/|I|) Σ_{i∈I} gᵢ,   E ĝ = G,   E‖ĝ − G‖² = tr Σ / |I|   drawn with replacement,
                                       = tr Σ / |I| · (N − |I|)/(N − 1)   without

    Args:
        loss: (params, batch) to the mean loss of the batch, a scalar; pure. Of a learner whose model has no state:
            ``lambda params, d: learner.loss(learner.model.apply(params, (), d.inputs)[0], d.targets).mean()``.
        params: a tree of floats.
        data: a tree of arrays with N examples on axis 0, such as a `fnnet.data.Dataset`.
        sizes: of the batches, |I|; at most N without replacement.
        replace: whether an example may stand in a batch twice. Training draws without replacement.
        repetitions: batches of each size that are drawn.
        key: root of the draws.

    Returns:
        `GradientNoise`; pure, so it may be mapped over stacked parameters. Draw it with `plot_gradient_noise`.

    Raises:
        ShapeError: the loss is no scalar, or the arrays of the data have different numbers of examples.
        StructureError: parameters are no floats, or key no random key.
        HyperparameterError: a size is no positive integer, or exceeds N without replacement.
        DataError: the gradients are not finite.

    Source: lecture 001, 6.1 "Mini-Batch Gradient as an unbiased Estimator", 6.2 "Batch Size" (σ²/|I|); noise scale:
    McCandlish et al., 2018.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.array([0.0, 1.0, 2.0, 5.0])
    >>> noise = gradient_noise(lambda m, x: ((m - x) ** 2).mean() / 2, jnp.array(0.0), x, (1, 4), key=jax.random.key(0))
    >>> print(noise.gradient, noise.trace, noise.law)
    -2.0 3.5 [3.5 0. ]
    """
    where = "gradient_noise"
    params = starting_point(where, params)
    count = _check(where, loss, params, data, sizes, replace, repetitions, key)
    theta, back = as_vector(params), like(params)
    dtype = theta.dtype

    def run(theta: Array, data: PyTree, key: Array) -> tuple[Array, ...]:
        data = jax.tree.map(jnp.asarray, data)

        def slope(rows: Array) -> Array:
            batch = jax.tree.map(lambda x: x[rows], data)
            return jax.grad(lambda v: jnp.asarray(loss(back(v), batch)).astype(dtype))(theta)

        mean = _mean(lambda i: slope(i[None]), count)
        trace = _mean(lambda i: jnp.sum(jnp.square(slope(i[None]) - mean)), count)

        def drawn(size: int, key: Array) -> Any:
            def once(i: Array) -> tuple[Array, Array]:
                away = slope(_batch(jax.random.fold_in(key, i), count, size, replace)) - mean
                return away, jnp.sum(jnp.square(away))

            return _mean(once, repetitions)

        measured, deviation = [], []
        for place, size in enumerate(sizes):
            away, spread = drawn(size, jax.random.fold_in(key, place))
            measured.append(spread)
            deviation.append(jnp.sqrt(safe_divide(repetitions * jnp.sum(jnp.square(away)), spread)))
        return mean, trace, jnp.stack(measured), jnp.stack(deviation)

    mean, trace, measured, deviation = jax.jit(run)(theta, data, key)
    if is_concrete(trace) and not np.isfinite([trace, *measured]).all():
        raise DataError(
            where,
            "the gradients are not finite, or too large to be squared. Look at the parameters and the data, or divide "
            "the loss by a constant.",
        )
    # Which size of a batch leaves which part of the variance.
    left = [1 / size if replace else (count - size) / max(count - 1, 1) / size for size in sizes]
    squared_norm = jnp.sum(jnp.square(mean))
    return GradientNoise(
        gradient=back(mean),
        squared_norm=squared_norm,
        trace=trace,
        noise_scale=trace / squared_norm,
        sizes=jnp.asarray(sizes),
        law=trace * jnp.asarray(left, dtype),
        measured=measured,
        deviation=deviation,
    )


def _mean(f: Callable[[Array], PyTree], count: int) -> PyTree:
    """The mean of f(0), …, f(count − 1), of which only a block is held at a time."""
    blocks = -(-count // _BLOCK)
    places = jnp.arange(blocks * _BLOCK).reshape(blocks, _BLOCK)

    def add(total: PyTree, block: Array) -> tuple[PyTree, None]:
        values = jax.vmap(f)(jnp.minimum(block, count - 1))

        def summed(sum_: Array, value: Array) -> Array:
            inside = (block < count).reshape((-1,) + (1,) * (value.ndim - 1))
            return sum_ + jnp.where(inside, value, 0).sum(axis=0)

        return jax.tree.map(summed, total, values), None

    like = jax.eval_shape(f, jax.ShapeDtypeStruct((), places.dtype))
    start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
    total, _ = lax.scan(add, start, places)
    return jax.tree.map(lambda x: x / count, total)


def _batch(key: Array, count: int, size: int, replace: bool) -> Array:
    """The rows of a batch."""
    return jax.random.randint(key, (size,), 0, count) if replace else jax.random.permutation(key, count)[:size]


def _check(where: str, loss: Any, params: Any, data: Any, sizes: Any, replace: bool, repetitions: Any, key: Any) -> int:
    """The number of examples, if everything fits."""
    if is_concrete(key):
        check_key(where, key)
    check_size(where, "repetitions", repetitions)
    if not callable(loss):
        raise StructureError(where, f"the loss is {loss!r}, which is not a function of parameters and a batch.")
    check_parameters(where, params)
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(data)]
    if len({shape[:1] for shape in shapes}) != 1 or shapes[0][:1] in ((), (0,)):
        raise ShapeError(
            where, f"the data have arrays of shapes {shapes}, but all need the same number of examples on axis 0."
        )
    count = shapes[0][0]
    check_sizes(where, "a batch size", sizes)
    for size in sizes:
        if size > count and not replace:
            raise HyperparameterError(
                where,
                f"a batch of {size} cannot be drawn from {count} examples without replacement. Pass replace=True, or "
                f"smaller sizes.",
            )
    one = jax.eval_shape(lambda data: jax.tree.map(lambda x: jnp.asarray(x)[:1], data), data)
    value = jax.eval_shape(lambda p, d: jnp.asarray(loss(p, d)), params, one)
    if value.shape != ():
        raise ShapeError(
            where,
            f"the loss of a batch of one has shape {value.shape}, but a scalar is needed. Average it with .mean().",
        )
    return count
