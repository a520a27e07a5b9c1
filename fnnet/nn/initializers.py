"""Initialisers ``(key, shape, dtype) -> array`` for the kernels of layers.

They are `jax.nn.initializers`, which agree with the lectures' formulas: n is the number of inputs of a unit,
m the number of its outputs, and the normal ones are drawn from a normal truncated at two standard deviations
and rescaled to the stated variance.

| name | variance | source |
|---|---|---|
| `zeros`, `ones`, `constant(value)` | 0 | lecture 004: they fail, as units stay equal |
| `normal(stddev)`, `uniform(scale)` | stddev², scale²/12 (uniform on [0, scale)) | lecture 003 |
| `lecun_normal()`, `lecun_uniform()` | 1/n | lecture 004 |
| `glorot_normal()`, `glorot_uniform()` | 2/(n+m) | lectures 000, 004 |
| `he_normal()`, `he_uniform()` | 2/n | lectures 000, 003 |
"""

from jax.nn import initializers as _jax

from fnnet.recipes import recipe

zeros = _jax.zeros
ones = _jax.ones
constant = recipe(_jax.constant)
normal = recipe(_jax.normal)
uniform = recipe(_jax.uniform)
lecun_normal = recipe(_jax.lecun_normal)
lecun_uniform = recipe(_jax.lecun_uniform)
glorot_normal = recipe(_jax.glorot_normal)
glorot_uniform = recipe(_jax.glorot_uniform)
he_normal = recipe(_jax.he_normal)
he_uniform = recipe(_jax.he_uniform)

__all__ = [
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "uniform",
    "zeros",
]
