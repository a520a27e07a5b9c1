"""Methods that need no gradients, only values."""

from fnnet.optim.zeroth_order.evolution import cma_es, genetic
from fnnet.optim.zeroth_order.search import grid_search, random_search

__all__ = ["cma_es", "genetic", "grid_search", "random_search"]
