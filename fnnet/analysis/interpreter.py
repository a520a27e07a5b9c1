"""Where a model bends: its jaxpr, walked operation by operation.

Of every operation of a model at inference it is known whether it is linear in what depends on the input (a product with
a kernel, a sum, a convolution, moving numbers), bends it (max, min, abs, a choice by a comparison), or does neither,
in which case the model is refused. That holds for whatever layers and combinators a model is made of, users' own
functions too, which recipes could not tell: those know a layer's name and not what it computes.

A bend is a unit with two sides: ``h = on`` where its pre-activation ``z > 0``, else ``off``. ReLU has z = on = x and
off = 0; max(a, b) has z = a − b, on = a and off = b.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from fnnet.errors import StructureError

WHOLE = "."
"""The path of a model that is one layer, as in `nn.summary`."""

Bend: TypeAlias = Callable[[str, Any, Any, Any], Any]
"""``bend(place, z, on, off) -> h`` gives the value of a bend; ``place`` is the path of its layer."""

_LINEAR: dict[str, tuple[int, ...] | None] = {
    **dict.fromkeys(
        ["add", "add_any", "concatenate", "cumsum", "neg", "pad", "reduce_sum", "reduce_window_sum", "sub"]
    ),
    **dict.fromkeys(["broadcast_in_dim", "copy", "copy_p", "expand_dims", "optimization_barrier", "reshape", "rev"]),
    **dict.fromkeys(["slice", "split", "squeeze", "transpose"]),
    **dict.fromkeys(["div", "dynamic_slice", "gather"], (0,)),
    "dynamic_update_slice": (0, 1),
    "scatter-add": (0, 2),
    "select_n": None,  # by booleans that do not depend on the input
}
"""Operations that are linear in some arguments together: which ones, None for all."""

_BILINEAR = frozenset(["mul", "dot_general", "conv_general_dilated"])
"""Linear in either argument while the other does not depend on the input."""

_CALLS = frozenset(["jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat2", "remat"])
_CALLS |= {"checkpoint", "custom_vjp_call_jaxpr"}
_ABOVE = {"gt": 1, "ge": 1, "lt": -1, "le": -1}


class Depends(NamedTuple):
    """A value that depends on the input, linearly between bends. What is in no wrapper does not depend on it."""

    value: Any


class Compared(NamedTuple):
    """Booleans: whether ``z``, which depends on the input, is above 0."""

    z: Any


class Walk:
    """Evaluates a jaxpr of which some arguments are `Depends`; every bend is asked for its value."""

    def __init__(
        self, where: str, bend: Bend, place_of: Callable[[Any, str], str], made_by: Callable[[str], str]
    ) -> None:
        self.where = where
        self.bend = bend
        self.place_of = place_of
        self.made_by = made_by

    def __call__(self, jaxpr: Any, constants: Any, arguments: Any, place: str) -> list[Any]:
        """The outputs of a jaxpr; ``place`` is the layer in which it was called."""
        known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))
        for equation in _needed(jaxpr):
            values = [v.val if isinstance(v, Literal) else known[v] for v in equation.invars]
            outputs = self._outputs(equation, values, self.place_of(equation, place))
            known.update(zip(equation.outvars, outputs, strict=True))
        return [v.val if isinstance(v, Literal) else known[v] for v in jaxpr.outvars]

    def _outputs(self, equation: Any, values: list[Any], place: str) -> list[Any]:
        name, params = equation.primitive.name, equation.params
        depends = {index for index, value in enumerate(values) if isinstance(value, Depends | Compared)}
        if name in _CALLS:
            inner = next(params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params)
            return self(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values, place)
        if not depends:
            return _bound(equation, values)
        if name == "scan":
            return self._scan(params, values, place)
        if name in ("and", "or", "not"):
            return [self._logic(name, values, place)]
        if name == "select_n" and 0 in depends:
            return [self._choice(values, place)]
        if any(isinstance(value, Compared) for value in values):
            raise self._refusal(place, f"{name} of a comparison makes it jump")
        raw = [value.value if isinstance(value, Depends) else value for value in values]
        if name == "stop_gradient":
            return values  # bound, it would hide the value from the derivative that makes the matrices
        if name in _ABOVE:
            return [Compared(_ABOVE[name] * (raw[0] - raw[1]))]
        # Whether a number is NaN or infinite is asked of finite ones here.
        if name in ("ne", "eq") and equation.invars[0] is equation.invars[1]:
            return [np.full(equation.outvars[0].aval.shape, name == "eq")]
        if name == "is_finite":
            return [np.ones(equation.outvars[0].aval.shape, bool)]
        if name in ("max", "min", "abs", "clamp"):
            return [Depends(self._extreme(name, raw, place))]
        if name in ("reduce_max", "reduce_min"):
            return [Depends(self._tournament(name, _stacked(raw[0], params["axes"]), place))]
        if name in ("reduce_window_max", "reduce_window_min"):
            if any(d != 1 for d in (*params["base_dilation"], *params["window_dilation"])):
                raise self._refusal(place, "its windows have holes")
            return [Depends(self._tournament(name, raw[0].reshape(-1)[_windows(raw[0].shape, params)], place))]
        self._check_linear(name, params, raw, depends, place)
        if name == "pad" and 1 not in depends:
            # A padding of −∞, which no maximum takes, as a number that none takes either: −∞ times 0 is NaN.
            raw[1] = jnp.maximum(raw[1], jnp.finfo(raw[0].dtype).min / 4)
        return [Depends(value) for value in _bound(equation, raw)]

    def _check_linear(self, name: str, params: Any, raw: list[Any], depends: set[int], place: str) -> None:
        if name == "convert_element_type":
            target = params["new_dtype"]
            if not jnp.issubdtype(target, jnp.floating) or target.itemsize < raw[0].dtype.itemsize:
                raise self._refusal(place, f"conversion to {target.name} makes it jump")
        elif name in _BILINEAR:
            if len(depends) > 1:
                raise self._refusal(place, f"{name} multiplies two values that both depend on the input")
        elif name not in _LINEAR or not (_LINEAR[name] is None or depends <= set(_LINEAR[name] or ())):
            raise self._refusal(place, f"{name} of what depends on the input is neither linear nor a bend")

    def _refusal(self, place: str, why: str) -> StructureError:
        return StructureError(
            self.where,
            f"{self.made_by(place)} is not known to be piecewise linear: {why}. Known are dense, conv, pooling and "
            f"batch_norm layers with nn.relu, nn.leaky_relu, nn.relu6, nn.hard_tanh or jnp.abs, however combined.",
            () if place == WHOLE else tuple(place.split("/")),
        )

    def _two_sided(self, place: str, *parts: Any) -> Any:
        shape, dtype = jnp.broadcast_shapes(*map(jnp.shape, parts)), parts[0].dtype
        return self.bend(place, *(jnp.broadcast_to(jnp.asarray(part, dtype), shape) for part in parts))

    def _extreme(self, name: str, raw: list[Any], place: str) -> Any:
        """Max, min, |x| or clamp, element by element."""
        if name == "abs":
            return self._two_sided(place, raw[0], raw[0], -raw[0])
        if name == "clamp":
            return self._extreme("min", [self._extreme("max", [raw[1], raw[0]], place), raw[2]], place)
        a, b = raw
        return self._two_sided(place, a - b if name == "max" else b - a, a, b)

    def _tournament(self, name: str, stack: Any, place: str) -> Any:
        """The largest or smallest along axis 0: the winners of pairs, then of pairs of winners."""
        while len(stack) > 1:
            half = len(stack) // 2
            winners = self._extreme(name[-3:], [stack[:half], stack[half : 2 * half]], place)
            stack = jnp.concatenate([winners, stack[2 * half :]])
        return stack[0]

    def _choice(self, values: list[Any], place: str) -> Any:
        which, *cases = values
        if not isinstance(which, Compared) or any(isinstance(case, Compared) for case in cases):
            raise self._refusal(place, "a choice depends on the input by more than one comparison")
        if not any(isinstance(case, Depends) for case in cases):
            raise self._refusal(place, "a choice between two constants makes it jump")
        off, on = (case.value if isinstance(case, Depends) else case for case in cases)
        return Depends(self._two_sided(place, which.z, on, off))

    def _logic(self, name: str, values: list[Any], place: str) -> Any:
        compared = [value for value in values if isinstance(value, Compared)]
        others = [value for value in values if not isinstance(value, Compared)]
        if name == "not" and compared:
            return Compared(-compared[0].z)
        neutral = name == "and"
        if len(compared) == 1 and all(isinstance(v, np.ndarray) and (v == neutral).all() for v in others):
            return compared[0]
        raise self._refusal(place, "a choice depends on the input by more than one comparison")

    def _scan(self, params: Any, values: list[Any], place: str) -> list[Any]:
        """A loop as the chain that it stands for."""
        first = params["num_consts"]
        after = first + params["num_carry"]
        shared, carry, scanned = values[:first], values[first:after], values[after:]
        inner, rows = params["jaxpr"], []
        order = range(params["length"])
        for index in order[::-1] if params["reverse"] else order:
            row = [type(x)(x[0][index]) if isinstance(x, Depends | Compared) else x[index] for x in scanned]
            outputs = self(inner.jaxpr, inner.consts, [*shared, *carry, *row], place)
            carry = outputs[: len(carry)]
            if any(isinstance(value, Compared) for value in outputs):
                raise self._refusal(place, "a loop over comparisons makes it jump")
            rows.append(outputs[len(carry) :])
        if params["reverse"]:
            rows.reverse()
        return [*carry, *(_rows(column) for column in zip(*rows, strict=True))]


def _needed(jaxpr: Any) -> list[Any]:
    """The equations on which outputs depend: what is computed for nothing need not be linear."""
    needed = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if needed.intersection(equation.outvars):
            kept.append(equation)
            needed.update(v for v in equation.invars if not isinstance(v, Literal))
    return kept[::-1]


def _bound(equation: Any, values: list[Any]) -> list[Any]:
    out = equation.primitive.bind(*values, **equation.params)
    return list(out) if equation.primitive.multiple_results else [out]


def _stacked(x: Any, axes: tuple[int, ...]) -> Any:
    """The axes as one, in front."""
    moved = jnp.moveaxis(x, axes, tuple(range(len(axes))))
    return moved.reshape(-1, *moved.shape[len(axes) :])


def _rows(column: Any) -> Any:
    if any(isinstance(value, Depends) for value in column):
        return Depends(jnp.stack([value.value if isinstance(value, Depends) else value for value in column]))
    return jnp.stack(column)


def _windows(shape: tuple[int, ...], params: Any) -> np.ndarray:
    """Flat indices (window, *outputs) of what each window sees; for padding stands an index from inside again."""
    places = np.pad(np.arange(np.prod(shape)).reshape(shape), params["padding"], constant_values=-1)
    steps = tuple(slice(None, None, step) for step in params["window_strides"])
    seen = np.lib.stride_tricks.sliding_window_view(places, params["window_dimensions"])[steps]
    flat = np.moveaxis(seen.reshape(*seen.shape[: len(shape)], -1), -1, 0)
    return np.where(flat < 0, flat.max(axis=0), flat)


__all__ = ["Bend", "Compared", "Depends", "Walk"]
