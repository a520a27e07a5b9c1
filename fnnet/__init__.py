"""Neural networks trained as pure functions in JAX: one net, or a thousand at once."""

from fnnet._version import __version__ as __version__
from fnnet.lazy import front_door

__getattr__, __dir__, __all__ = front_door(__name__, __file__)
