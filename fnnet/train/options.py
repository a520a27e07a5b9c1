"""What XLA is told about single programs on a CPU, where its defaults are not for what they do."""

from __future__ import annotations

import functools
from typing import Any

import jax

ONCE = 1
"""The level of optimisation for programs that run once; the tests take less."""

TRIED = (0, 11)
"""JAX before this has all of the options; a newer one is asked, since it refuses a program with one that is gone."""


def once(platform: str, level: int | None = None) -> dict[str, Any] | None:
    """For what runs once, and whose compiling is all that it costs: it takes half as long."""
    return _known(
        platform, xla_backend_optimization_level=ONCE if level is None else level, xla_cpu_use_fusion_emitters=False
    )


def loops(platform: str) -> dict[str, Any] | None:
    """For loops whose state is large: XLA copies less of it where it looks closely at who reads what and when."""
    return _known(platform, xla_cpu_copy_insertion_use_region_analysis=True)


def _known(platform: str, **options: Any) -> dict[str, Any] | None:
    if platform != "cpu":
        return None
    return {name: value for name, value in options.items() if jax.__version_info__ < TRIED or _takes(name, value)}


@functools.cache
def _takes(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
