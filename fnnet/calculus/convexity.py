"""Convexity: by chords between sampled points, and by the eigenvalues of a Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.calculus.points import check_value, point
from fnnet.errors import DataError, ShapeError, StructureError, check_key, check_number, check_size, is_concrete
from fnnet.trees import path_name, wide
from fnnet.types import Array, PyTree, Scalar


class ConvexityTest(NamedTuple):
    """True if no chord lies below the function; else the pair that violates the inequality most.

    ``violation`` is f(t·x + (1 − t)·y) − t·f(x) − (1 − t)·f(y) for x = ``first``, y = ``second`` and ``t``: the
    largest of all pairs, whether it is positive or not.
    """

    convex: Array
    violation: Array
    first: PyTree
    second: PyTree
    t: Array

    def __bool__(self) -> bool:
        return bool(self.convex)


def is_convex_on_samples(
    fun: Callable[[PyTree], Any],
    samples: PyTree,
    *,
    key: Any,
    pairs: int = 1000,
    tol: Scalar | None = None,
) -> ConvexityTest:
    """Chord test (Jensen's inequality) on random pairs of points.

    f(t·x + (1 − t)·y) ≤ t·f(x) + (1 − t)·f(y) for t in [0, 1]

    One violation proves that f is not convex; that none was found proves nothing, but makes it likely. Linear
    functions pass: they are convex, though not strictly.

    Args:
        fun: f, from a pytree of floats to a scalar; pure.
        samples: points of the domain, a pytree whose leaves have an axis of points in front, at least two.
        key: of the pairs and of t.
        pairs: how many, a positive integer.
        tol: what rounding may cost, as a share of the largest of the three values, at least 0; None for 100 ε.

    Returns:
        `ConvexityTest`, true if every pair meets the inequality.

    Raises:
        ShapeError: ``fun`` does not return a scalar, or the leaves do not all hold the same two points or more.
        StructureError: ``samples`` is empty or holds integers, ``key`` is no key.
        DataError: a sample, or the value of ``fun`` there, is not finite.
        HyperparameterError: ``pairs`` or ``tol`` is out of range.

    Source: lectures 000 and 001, "Convex functions".

    >>> import jax, jax.numpy as jnp
    >>> points = jnp.linspace(-2.0, 2.0, 20)
    >>> bool(is_convex_on_samples(lambda x: x**2, points, key=jax.random.key(0)))
    True
    >>> found = is_convex_on_samples(jnp.sin, points, key=jax.random.key(0))
    >>> bool(found), bool(found.violation > 0.1)
    (False, True)
    """
    where = "is_convex_on_samples"
    check_size(where, "pairs", pairs)
    if tol is not None:
        check_number(where, "tol", tol, low=0.0)
    if is_concrete(key):
        check_key(where, key)
    count = _count(where, samples)
    point(where, fun, jax.tree.map(lambda leaf: leaf[0], samples))

    def run(samples: PyTree, key: Array) -> tuple[ConvexityTest, Array]:
        values = jax.lax.map(fun, samples)
        for_first, for_other, for_t = jax.random.split(key, 3)
        i = jax.random.randint(for_first, (pairs,), 0, count)
        j = (i + jax.random.randint(for_other, (pairs,), 1, count)) % count  # never i
        t = jax.random.uniform(for_t, (pairs,), wide(values.dtype))

        def one(pair: Any) -> tuple[Array, Array]:
            i, j, t = pair
            x, y = (jax.tree.map(lambda leaf, at=at: leaf[at], samples) for at in (i, j))
            between = fun(jax.tree.map(lambda a, b: t.astype(a.dtype) * a + (1 - t).astype(a.dtype) * b, x, y))
            above = between - (t.astype(values.dtype) * values[i] + (1 - t).astype(values.dtype) * values[j])
            size = jnp.maximum(jnp.abs(between), jnp.maximum(jnp.abs(values[i]), jnp.abs(values[j])))
            share = 100 * jnp.finfo(size.dtype).eps if tol is None else tol
            return above, above <= jnp.asarray(share, size.dtype) * size

        above, fine = jax.lax.map(one, (i, j, t))
        worst = jnp.argmax(jnp.where(fine & ~fine.all(), -jnp.inf, above))
        first, second = (jax.tree.map(lambda leaf, at=at: leaf[at], samples) for at in (i[worst], j[worst]))
        return ConvexityTest(fine.all(), above[worst], first, second, t[worst]), values

    found, values = jax.jit(run)(samples, key)
    if is_concrete(values):
        wrong = np.flatnonzero(~np.isfinite(np.asarray(values, np.float64)))
        if wrong.size:
            raise DataError(
                where,
                f"the function is not finite at {wrong.size} of {count} samples, first at sample {wrong[0]}. Sample "
                f"points of its domain only.",
            )
    check_value(where, found.violation)
    return found


def _count(where: str, samples: PyTree) -> int:
    """How many points the leaves hold; raises unless all hold as many, and two at least."""
    found = jax.tree_util.tree_leaves_with_path(samples)
    sizes = {path_name(path) or "(the only leaf)": jnp.shape(leaf)[:1] for path, leaf in found}
    if len(set(sizes.values())) != 1 or next(iter(sizes.values())) in [(), (0,), (1,)]:
        said = ", ".join(f"{name} {size[0] if size else 'no axis of points'}" for name, size in sizes.items())
        raise ShapeError(
            where,
            f"samples have in front: {said or 'nothing, as the tree is empty'}; all leaves need an axis of the same "
            f"two points or more. Stack points with jax.tree.map(lambda *x: jnp.stack(x), *points).",
        )
    return next(iter(sizes.values()))[0]


def is_positive_semidefinite(matrix: Array, *, tol: Scalar | None = None) -> Array:
    """Whether no eigenvalue of a symmetric matrix is negative, up to rounding.

    xᵀMx ≥ 0 for all x, which is λ_min ≥ 0; a function whose Hessian is so everywhere is convex

    Args:
        matrix: M, (…, n, n), symmetric, such as ``jax.hessian(f)(x)``. Where n is too large for a matrix, the sign of
            ``extreme_curvatures(f, x).least`` tells it.
        tol: how negative an eigenvalue may be, as a share of the largest |λ|; None for 10 n ε.

    Returns:
        (…) booleans; False where the matrix is not finite.

    Raises:
        ShapeError: not square.
        StructureError: not symmetric, which a Hessian always is.
        HyperparameterError: ``tol`` is negative.

    Source: lecture 000, "Convex and Non-Convex Objective Functions".

    >>> import jax.numpy as jnp
    >>> is_positive_semidefinite(jnp.array([[[1.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]])).tolist()
    [True, False]
    """
    where = "is_positive_semidefinite"
    if tol is not None:
        check_number(where, "tol", tol, low=0.0)
    matrix = jnp.asarray(matrix)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2] or matrix.shape[-1] == 0:
        raise ShapeError(where, f"matrix has shape {matrix.shape}, but (…, n, n) is needed. Flatten the point first.")
    dtype = wide(matrix.dtype) if jnp.issubdtype(matrix.dtype, jnp.floating) else jnp.result_type(float)
    matrix = matrix.astype(dtype)
    eps, other = float(jnp.finfo(dtype).eps), jnp.swapaxes(matrix, -1, -2)
    if is_concrete(matrix):
        known = np.asarray(matrix)
        apart, size = (np.abs(m).max(axis=(-1, -2)) for m in (known - np.swapaxes(known, -1, -2), known))
        if (apart > eps**0.5 * size).any():
            raise StructureError(
                where,
                f"the matrix is not symmetric: entries that should be equal differ by {float(apart.max()):g}. For any "
                f"matrix test its symmetric part, (M + M.T)/2.",
            )
    values = jnp.linalg.eigvalsh((matrix + other) / 2)
    share = 10 * matrix.shape[-1] * eps if tol is None else tol
    return values[..., 0] >= -jnp.asarray(share, dtype) * jnp.abs(values).max(axis=-1)
