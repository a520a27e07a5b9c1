"""Whether a gradient is the derivative of its function: every leaf beside central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnnet.calculus.differences import Differences, central, in_double, precision_of, relative_step
from fnnet.calculus.points import check_value, direction_at
from fnnet.errors import check_key, check_number, check_size
from fnnet.optim.vectors import as_vector, like
from fnnet.precision import double_precision
from fnnet.trees import path_name
from fnnet.types import PyTree, Scalar

_DIRECTIONS = 2
"""Random directions for a leaf of which only a sample of entries is looked at."""

_NOISE = 10
"""How many roundings of the terms of f a difference of two values may hold."""


class LeafCheck(NamedTuple):
    """What was found in one leaf.

    ``entries`` of its ``size`` numbers were looked at, and ``directions`` through all of them; ``wrong`` of these are
    out of tolerance. The worst has the relative ``error``; it is the entry at ``position``, or a direction if that is
    None, where the gradient says ``given`` and differences say ``measured``. ``kink`` says whether the slopes to its
    two sides differ.
    """

    path: str
    shape: tuple[int, ...]
    size: int
    entries: int
    directions: int
    wrong: int
    error: float
    position: tuple[int, ...] | None
    given: float
    measured: float
    kink: bool

    @property
    def place(self) -> str:
        """The worst place in words."""
        name = self.path or "the parameter"
        if self.position is None:
            return f"{name} along a random direction"
        return f"{name}[{', '.join(map(str, self.position))}]" if self.position else name


class GradientReport(NamedTuple):
    """A row a leaf; true if all are within the tolerance, and its text says what is wrong where."""

    leaves: tuple[LeafCheck, ...]
    tol: float
    precision: str

    @property
    def passed(self) -> bool:
        """Whether no entry and no direction is out of tolerance."""
        return all(leaf.wrong == 0 for leaf in self.leaves)

    @property
    def worst(self) -> LeafCheck:
        """The leaf with the largest error."""
        return max(self.leaves, key=lambda leaf: leaf.error)

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return "\n".join([self._sentence(), *_table(self.leaves)])

    def _sentence(self) -> str:
        worst, checked = self.worst, sum(leaf.entries + leaf.directions for leaf in self.leaves)
        rule = f"tolerance {self.tol:g}, differences in {self.precision}"
        if self.passed:
            most = f"worst relative error {worst.error:.1e}" if worst.error else "no error beyond rounding"
            return f"The gradient agrees with differences in {checked} places: {most} ({rule})."
        wrong = sum(leaf.wrong for leaf in self.leaves)
        said = (
            f"The gradient is wrong in {wrong} of {checked} places, worst at {worst.place}: it says {worst.given:.9g} "
            f"and differences {worst.measured:.9g}, a relative error of {worst.error:.1e} ({rule})."
        )
        if not np.isfinite(worst.measured):
            return said + " A step away from the point the function is not finite."
        kink = " The slopes to both sides differ there: the function has a kink, where no gradient is right."
        return said + (kink if worst.kink else "")


def check_gradient(
    fun: Callable[[PyTree], Any],
    params: PyTree,
    gradient: Any = None,
    *,
    tol: Scalar | None = None,
    entries: int = 1000,
    key: Any = None,
) -> GradientReport:
    """Compares a gradient with central differences, leaf by leaf, in float64.

    error = max(|g − d| − r, 0) / max(|g|, |d|)   with d = (f(θ + h e) − f(θ − h e)) / 2h

    where r = 10 ε (|f| + Σ|d_i θ_i|)/h is what rounding may do to a difference, which is no fault of the gradient (g_i
    stands for d_i where that was not measured). Of a leaf with more than ``entries`` numbers, so many are drawn and
    looked at, and two random directions through all of the leaf besides, in which every wrong entry shows if it is
    large enough beside the whole.

    Args:
        fun: f, from a pytree of floats to a scalar; pure. What it closes over may be float32.
        params: θ, concrete, of any precision.
        gradient: what is checked: a function of the parameters, or a pytree like them. None for ``jax.grad(fun)``,
            which is a check of the rules that ``fun`` brings along, such as those of `jax.custom_vjp`.
        tol: of the relative error, positive. None for 1e-6, or 1e-2 if ``fun`` casts to a lower precision.
        entries: how many entries of a leaf are looked at, a positive integer.
        key: root of the draws of entries and directions; None for the same ones always.

    Returns:
        `GradientReport`: true if all is right, with a `LeafCheck` a leaf; print it.

    Raises:
        ShapeError: ``fun`` does not return a scalar, or the gradient has other shapes.
        StructureError: ``params`` is empty, traced or holds integers; the gradient is another tree.
        DataError: ``params``, or the value of ``fun`` there, is not finite.
        HyperparameterError: ``tol`` or ``entries`` is not positive.

    Source: lecture 000, "Differential Calculus"; lecture 001, "Taking the Derivative in Multiple Dimensions".

    >>> import jax.numpy as jnp
    >>> cube = lambda p: jnp.sum(p["w"] ** 3)
    >>> print(check_gradient(cube, {"w": jnp.array([1.0, 2.0])}, lambda p: {"w": 3 * p["w"]}))
    The gradient is wrong in 1 of 2 places, worst at w[1]: it says 6 and differences 12, a relative error of ...
    path  shape  checked  wrong    error  given  differences
    ----  -----  -------  -----  -------  -----  -----------
    w[1]  (2,)         2      1  5.0e-01      6           12
    """
    where = "check_gradient"
    if tol is not None:
        check_number(where, "tol", tol, low=0.0, low_open=True)
    check_size(where, "entries", entries)
    if key is not None:
        check_key(where, key)
    with double_precision():
        wide = in_double(where, fun, params)
        precision = precision_of(fun, wide)
        limit = float(tol) if tol is not None else 1e-6 if precision == np.float64 else 1e-2
        value = jax.jit(lambda p: fun(p))(wide)  # a function of its own, which shares no program with another precision
        check_value(where, value)
        given = jax.jit(jax.grad(lambda p: fun(p)))(wide) if gradient is None else gradient
        given = direction_at(where, wide, given(wide) if callable(given) else given, "the gradient")
        g, theta = np.asarray(as_vector(given)), np.asarray(as_vector(wide))
        words = [0] if key is None else np.asarray(jax.random.key_data(key)).ravel().tolist()
        asked = _Question(fun, wide, g, theta, float(jnp.finfo(precision).eps), relative_step(precision), limit)
        rows = asked.rows(entries, np.random.default_rng(words))
    return GradientReport(tuple(rows), limit, str(precision))


class _Question(NamedTuple):
    """A function, a point, the gradient in question, and what counts as right."""

    fun: Callable[[PyTree], Any]
    params: PyTree
    g: np.ndarray
    theta: np.ndarray
    eps: float
    step: float
    tol: float

    def rows(self, entries: int, rng: np.random.Generator) -> list[LeafCheck]:
        """All leaves; the entries of all of them are one batch of evaluations."""
        named = [(path_name(p), leaf) for p, leaf in jax.tree_util.tree_leaves_with_path(self.params) if leaf.size]
        starts = np.cumsum([0, *(leaf.size for _, leaf in named)])
        chosen = [_drawn(rng, leaf.size, entries) for _, leaf in named]
        places = np.concatenate([start + c for start, c in zip(starts[:-1], chosen, strict=True)])
        found = central(self.fun, self.params, places, self.step)
        noise = self._noise(places, found)
        value = jax.jit(lambda theta: self.fun(like(self.params)(theta)))
        rows, done = [], 0
        for (path, leaf), start, inside in zip(named, starts[:-1], chosen, strict=True):
            part = Differences(found.here, *(field[done : done + len(inside)] for field in found[1:]))
            done += len(inside)
            given, measured, steps = self.g[start + inside], part.slopes, part.steps_above
            directions = _DIRECTIONS if len(inside) < leaf.size else 0
            for _ in range(directions):
                along = self._along(value, slice(start, start + leaf.size), rng)
                given, measured, steps = (np.append(a, b) for a, b in zip((given, measured, steps), along, strict=True))
            errors = _errors(given, measured, noise / steps)
            worst, wrong = int(np.argmax(errors)), int((errors > self.tol).sum())
            position = None if worst >= len(inside) else tuple(map(int, np.unravel_index(inside[worst], leaf.shape)))
            rows.append(
                LeafCheck(
                    path=path,
                    shape=leaf.shape,
                    size=leaf.size,
                    entries=len(inside),
                    directions=directions,
                    wrong=wrong,
                    error=float(errors[worst]),
                    position=position,
                    given=float(given[worst]),
                    measured=float(measured[worst]),
                    kink=wrong > 0 and position is not None and self._has_kink(value, start + inside[worst], noise),
                )
            )
        return rows

    def _noise(self, places: np.ndarray, found: Differences) -> float:
        """What rounding may do to a difference of values; no entry in question says how large the terms of f are."""
        slopes = self.g.copy()
        slopes[places] = found.slopes
        terms = np.abs(slopes * self.theta)
        return _NOISE * self.eps * (abs(float(found.here)) + float(terms[np.isfinite(terms)].sum()))

    def _has_kink(self, value: Any, entry: int, noise: float) -> bool:
        """Whether the slopes to both sides differ by as much at one step as at eight.

        Those of a smooth function then differ eight times as much, however curved it is.
        """
        e = np.zeros_like(self.theta)
        e[entry] = self.step * max(1.0, abs(float(self.theta[entry])))

        def jump(scale: float) -> float:
            above, here, below = (float(value(self.theta + k * scale * e)) for k in (1, 0, -1))
            return abs(above - 2 * here + below) / (scale * e[entry])

        near = jump(1)
        return bool(near * e[entry] > noise and near > jump(8) / 2)

    def _along(self, value: Any, leaf: slice, rng: np.random.Generator) -> tuple[float, float, float]:
        """A direction of length 1 in which each entry of a leaf counts alike: slope given, slope measured, step."""
        u = np.zeros_like(self.theta)
        count = leaf.stop - leaf.start
        u[leaf] = rng.choice([-1.0, 1.0], count) / np.sqrt(count)
        h = self.step * max(1.0, float(np.abs(self.theta[leaf]).max()))
        rise = float(value(self.theta + h * u)) - float(value(self.theta - h * u))
        return float(self.g @ u), rise / (2 * h), h


def _errors(given: np.ndarray, measured: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Relative errors beyond rounding; ∞ where either is not finite."""
    known = np.isfinite(given) & np.isfinite(measured)
    size = np.maximum(np.abs(given), np.abs(measured))
    apart = np.maximum(np.abs(np.where(known, given, 0) - np.where(known, measured, 0)) - rounding, 0)
    return np.where(known, apart / np.where(known & (size > 0), size, 1), np.inf)


def _drawn(rng: np.random.Generator, size: int, entries: int) -> np.ndarray:
    return np.arange(size) if size <= entries else np.sort(rng.choice(size, entries, replace=False, shuffle=False))


def _table(leaves: tuple[LeafCheck, ...]) -> list[str]:
    head = ("path", "shape", "checked", "wrong", "error", "given", "differences")
    body = [
        (
            leaf.place if leaf.position is not None else leaf.path,
            str(leaf.shape),
            f"{leaf.entries:,}" + (f" of {leaf.size:,} and {leaf.directions} directions" if leaf.directions else ""),
            f"{leaf.wrong:,}",
            f"{leaf.error:.1e}",
            f"{leaf.given:.6g}",
            f"{leaf.measured:.6g}",
        )
        for leaf in leaves
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = [head, tuple("-" * width for width in widths), *body]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
