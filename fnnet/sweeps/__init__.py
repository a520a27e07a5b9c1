"""Sweeps: many networks as the lanes of one program."""

from fnnet.lazy import front_door

__getattr__, __dir__, __all__ = front_door(__name__, __file__)
