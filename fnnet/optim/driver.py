"""One driver for every optimizer: `minimize` runs it until it has converged, and says how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet.errors import HyperparameterError, ShapeError, StructureError, check_key, check_number, is_concrete
from fnnet.optim.base import Optimizer, apply_updates, call_update, check_parameters, is_derivative_free
from fnnet.optim.status import CONVERGED, EXHAUSTED, NOT_FINITE, RUNNING, code, method_status, sentence_of, stands
from fnnet.trees import global_norm, path_name, tree_where, wide
from fnnet.types import Array, PyTree, Scalar


class Result(NamedTuple):
    """What a minimisation found; under `jax.vmap` each field has a lane axis.

    ``solution`` is the last point if the method converged or gave up there, and otherwise the point with the
    smallest ``value`` of all that were visited. ``gradient_norm`` is NaN for methods without gradients, ``steps``
    the number of updates, ``status`` an int32 code, and ``trace`` the value before each update, (steps,) with NaN
    after the last one, or None if it was not asked for.

    >>> import jax, jax.numpy as jnp
    >>> from fnnet import optim
    >>> run = jax.vmap(lambda x: optim.minimize(lambda x: jnp.sum(x**2), x, optim.sgd(0.5)))
    >>> run(jnp.array([[1.0], [0.0]])).steps.tolist()
    [1, 0]
    """

    solution: PyTree
    value: Array
    gradient_norm: Array
    steps: Array
    status: Array
    trace: Array | None = None

    @property
    def sentence(self) -> str | list[Any]:
        """The status in words; for mapped results a list with an entry a lane."""
        return sentence_of(self.status)


class _Point(NamedTuple):
    """A place and what is known about it."""

    params: PyTree
    value: Array
    grads: PyTree
    norm: Array


class _Carry(NamedTuple):
    here: _Point
    best: _Point
    optimizer_state: PyTree
    step: Array
    status: Array
    trace: Array | None


def minimize(
    fun: Callable[[PyTree], Any],
    x0: PyTree,
    optimizer: Any,
    *,
    steps: int = 1000,
    tol: Scalar = 1e-6,
    key: Array | None = None,
    trace: bool = False,
) -> Result:
    """Minimises a function of a pytree with any optimizer.

    θ ← θ + update(∇f(θ)) until ‖∇f(θ)‖ ≤ tol, ``steps`` updates are done, something is not finite, or the method
    says that it cannot go on. Methods without gradients use up their steps, and may start where f has no finite value.

    Args:
        fun: from a pytree of floats to a scalar; pure.
        x0: where to start.
        optimizer: an (init, update) pair, fnnet's or the ecosystem's. Its update is offered ``value``, ``grad``,
            ``value_fn`` and, with a key, ``key``.
        steps: the most updates, a positive integer.
        tol: of the gradient's norm, at least 0. In float32 the gradient of a function with values near 1 is
            seldom known to better than 1e-6.
        key: root of the draws of methods that draw.
        trace: whether to keep the value before each update.

    Returns:
        `Result`; pure, so it may be mapped over starting points, hyperparameters or keys. Each call compiles
        once; put it into `jax.jit` to call it again for other numbers.

    Raises:
        ShapeError: ``fun`` does not return a scalar.
        StructureError: ``x0`` is empty or holds integers; something is not a function or an optimizer.
        HyperparameterError: ``steps`` or ``tol`` out of range.

    Source: lecture 000, "Optimization"; lecture 001, gradient-based optimisation.

    >>> import jax.numpy as jnp
    >>> from fnnet import optim
    >>> result = optim.minimize(lambda x: jnp.sum((x - 3) ** 2), jnp.zeros(2), optim.sgd(0.25), tol=1e-4)
    >>> print(result.solution.round(2), result.sentence)
    [3. 3.] converged: the tolerance was reached
    """
    x0 = starting_point("minimize", x0)
    optimizer = Optimizer(*optimizer) if type(optimizer) is tuple and len(optimizer) == 2 else optimizer
    _check(fun, x0, optimizer, steps, tol, key)
    free = is_derivative_free(optimizer)

    def look(params: PyTree) -> _Point:
        if free:
            value = jnp.asarray(fun(params))
            return _Point(params, value, None, jnp.full((), jnp.nan, wide(value.dtype)))
        value, grads = jax.value_and_grad(fun)(params)
        return _Point(params, value, grads, global_norm(grads))

    def is_finite(point: _Point) -> Array:
        """Whether a method can go on from a point: without gradients it can from one that has no value."""
        known = jnp.isfinite(point.value) & jnp.isfinite(point.norm)
        return jnp.isfinite(global_norm(point.params)) & (free | known)

    def judge(point: _Point, step: Array, tol: Array) -> Array:
        """The status at a point that was just reached."""
        converged = point.norm <= tol.astype(point.norm.dtype)
        ended = jnp.where(jnp.isfinite(point.value), EXHAUSTED, NOT_FINITE)
        going = jnp.where(step >= steps, ended, RUNNING)
        return code(jnp.where(is_finite(point), jnp.where(converged, CONVERGED, going), NOT_FINITE))

    def run(x0: PyTree, tol: Array, key: Array | None) -> Result:
        def body(carry: _Carry) -> _Carry:
            here, step = carry.here, carry.step
            extra: dict[str, Any] = {"value": here.value, "grad": here.grads, "value_fn": fun}
            if key is not None:
                extra["key"] = jax.random.fold_in(key, step)
            updates, state = call_update(optimizer, here.grads, carry.optimizer_state, here.params, extra)
            there = look(apply_updates(here.params, updates))
            failed = method_status(state)
            status = jnp.where(failed == RUNNING, judge(there, step + 1, tol), failed)
            # A step that failed is not taken: the last point stays a good one.
            taken = (failed == RUNNING) & is_finite(there)
            there = tree_where(taken, there, here)
            better = (there.value < carry.best.value) | ~jnp.isfinite(carry.best.value)
            return _Carry(
                here=there,
                best=tree_where(better, there, carry.best),
                optimizer_state=state,
                step=step + taken.astype(step.dtype),
                status=status,
                trace=None if carry.trace is None else carry.trace.at[step].set(here.value),
            )

        here, step = look(x0), jnp.zeros((), jnp.int32)
        start = _Carry(
            here=here,
            best=here,
            optimizer_state=optimizer.init(x0),
            step=step,
            status=judge(here, step, tol),
            trace=jnp.full(steps, jnp.nan, here.value.dtype) if trace else None,
        )
        end = lax.while_loop(lambda carry: carry.status == RUNNING, body, start)
        found = tree_where(stands(end.status), end.here, end.best)
        return Result(found.params, found.value, found.norm, end.step, end.status, end.trace)

    # One program, also for a caller who is not inside of jax.jit, instead of one a primitive.
    return jax.jit(run)(x0, jnp.asarray(tol, jnp.result_type(float)), key)


def starting_point(where: str, x0: PyTree) -> PyTree:
    """The leaves as arrays; a Python number gets a dtype of its own, so that the loop keeps it."""

    def array(path: Any, leaf: Any) -> Array:
        try:
            leaf = jnp.asarray(leaf)
        except (TypeError, ValueError) as error:
            name = path_name(path) or "(the only one)"
            raise StructureError(where, f"parameter {name} of x0 is {leaf!r}, which is not an array.") from error
        return lax.convert_element_type(leaf, leaf.dtype)

    return jax.tree_util.tree_map_with_path(array, x0)


def _check(fun: Any, x0: PyTree, optimizer: Any, steps: Any, tol: Scalar, key: Any) -> None:
    if not (isinstance(optimizer, tuple) and len(optimizer) == 2 and hasattr(optimizer, "update")):
        raise StructureError(
            "minimize",
            f"the optimizer is {optimizer!r}, which is not an (init, update) pair. Call its factory: optim.adam(0.1).",
        )
    check_steps("minimize", "steps", steps)
    if callable(tol):
        raise StructureError("minimize", f"tol is {tol!r}, which is not a number.")
    check_number("minimize", "tol", tol, low=0.0)
    if key is not None and is_concrete(key):
        check_key("minimize", key)
    check_parameters("minimize", x0)
    check_scalar("minimize", fun, x0)


def check_scalar(where: str, fun: Callable[[PyTree], Any], x0: PyTree) -> None:
    """Raises unless a function is one, and of a point like x0 gives a floating-point scalar."""
    if not callable(fun):
        raise StructureError(where, f"fun is {fun!r}, which is not a function.")
    result = jax.eval_shape(lambda x: fun(x), x0)
    found = getattr(result, "shape", type(result).__name__)
    if found != ():
        raise ShapeError(
            where,
            f"fun returns {f'shape {found}' if isinstance(found, tuple) else f'a {found}'}, but a scalar is needed. "
            f"Sum or average what it returns.",
        )
    if not jnp.issubdtype(result.dtype, jnp.floating):
        raise StructureError(where, f"fun returns dtype {result.dtype}, but a floating-point scalar is needed.")


def check_steps(where: str, name: str, steps: Any) -> None:
    """Raises unless a number of steps is a positive Python integer."""
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise HyperparameterError(where, f"{name} is {steps!r}, but it has to be a positive integer.")
