"""What a checkpoint belongs to: everything that decides the next step, but not how many there are to be."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import sys
from collections.abc import Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

import jax
import numpy as np

from fnnet.data import Dataset, Stream
from fnnet.data.identity import facts
from fnnet.recipes import describe, recipe_of
from fnnet.train.learner import Learner, Monitor
from fnnet.train.stopping import EarlyStopping
from fnnet.types import Array


def identity(
    learner: Learner, train: Dataset | Stream, validation: Dataset | None, batch_size: int | None, monitor: Monitor,
    period: int, stopping: EarlyStopping | None, key: Array,
) -> dict[str, Any]:  # fmt: skip
    """What two runs have in common if one may go on where the other stopped, as JSON can hold it."""
    return {
        # An address is another in each process.
        "learner": re.sub(r" at 0x[0-9a-f]+", "", describe(learner)),
        "learner's code": code(learner),
        "data": {"train": facts(train)} | ({} if validation is None else {"validation": facts(validation)}),
        "batch_size": batch_size,
        "monitor": {"name": monitor.name, "maximize": monitor.maximize},
        "evaluate_every": period,
        "early_stopping": None if stopping is None else [float(number) for number in stopping],
        "key": np.asarray(jax.random.key_data(key)).ravel().tolist(),
    }


def code(made: Any) -> str:
    """A digest of what a description does not say: the code of a user's functions, and the values of arrays.

    Code is compared as bytecode, which is why Python's version stands before it. Of fnnet's and JAX's functions
    only what they close over counts, so that an update of these refuses nothing.
    """
    digest, seen = hashlib.blake2b(digest_size=8), set[int]()

    def add(value: Any) -> None:
        digest.update(b"|")  # so that 1, 2 is not 12
        found = recipe_of(value)
        if found is not None:
            value = found.args, found.kwargs
        if isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        if isinstance(value, np.ndarray | np.generic | jax.Array) and value.dtype != object:
            digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        elif isinstance(value, str | bytes | int | float | None.__class__):
            digest.update(repr(value).encode())
        elif isinstance(value, Mapping):
            add(tuple(value.items()))
        elif isinstance(value, frozenset | set):
            digest.update(repr(sorted(map(repr, value))).encode())
        elif isinstance(value, tuple | list):
            for item in value:
                add(item)
        elif isinstance(value, functools.partial):
            add((value.func, value.args, value.keywords))
        elif isinstance(value, CodeType):
            add((value.co_code, value.co_names, value.co_consts))
        elif isinstance(value, MethodType):
            add(value.__func__)
        elif id(value) not in seen:
            seen.add(id(value))  # a function may close over itself
            if isinstance(value, FunctionType):
                mine = (value.__module__ or "").partition(".")[0] not in ("fnnet", "jax")
                add((value.__code__ if mine else None, value.__defaults__, value.__kwdefaults__))
                for cell in value.__closure__ or ():
                    with contextlib.suppress(ValueError):  # nothing is in it yet
                        add(cell.cell_contents)
            else:
                add(getattr(value, "__wrapped__", None))  # by jax.jit, say

    add(made)
    return f"{sys.version_info.major}.{sys.version_info.minor} {digest.hexdigest()}"
