"""Random draws that cost a few integer operations: data orders and dropout masks.

The hot loop of a small network is shorter than the random-number calls that it would need: one
`jax.random.bernoulli` over 50 × 100 units takes as long as the whole training step of a 64–100–10 net, and a
shuffled order by sorting compiles longer than the net. Both draws here are arithmetic on 32-bit words instead,
keyed by JAX's random keys. They are made for masks and orders, not for cryptography or Monte Carlo integrals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnnet.types import Array, Integer

PURPOSES = 5
INITIALISATION, ORDER, NOISE, SEARCH, AUGMENTATION = range(PURPOSES)
"""What a draw is for, so that no two purposes ever share one: folded into the root key, or hashed with its words."""

_GOLDEN, _OTHER = np.uint32(0x9E3779B9), np.uint32(0x85EBCA6B)
_ROUNDS = 6


def key_for(root: Array, purpose: int, index: Integer = 0) -> Array:
    """The key of one purpose at one step or epoch: ``fold_in(fold_in(root, purpose), index)``."""
    return jax.random.fold_in(jax.random.fold_in(root_for(root, purpose), purpose), index)


def root_for(root: Array, purpose: int) -> Array:
    """The root key of one purpose: a run has one for all, or one for each, so that runs can share some draws."""
    return root[purpose] if root.ndim else root


def _mix(x: Array) -> Array:
    """A bijection of 32-bit words in which every input bit flips every output bit half of the time.

    Two multiplications between three shifts, with the constants that C. Wellons found by search for a small
    bias ("Prospecting for hash functions", 2018).
    """
    x ^= x >> 16
    x *= np.uint32(0x7FEB352D)
    x ^= x >> 15
    x *= np.uint32(0x846CA68B)
    x ^= x >> 16
    return x


def _digest(key: Array) -> Array:
    """The words of a key, of whatever generator, as one array (words,) of uint32."""
    return jax.random.key_data(key).ravel().astype(jnp.uint32)


def bits(key: Array, shape: tuple[int, ...]) -> Array:
    """Uniform 32-bit words: a hash of (key, position).

    Args:
        key: one random key.
        shape: of the result; at most 2³² elements.

    Returns:
        uint32 array of the shape.

    >>> import jax
    >>> bits(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """
    size = int(np.prod(shape))
    word = lax.iota(jnp.uint32, max(size, 1))[:size]
    for part in _digest(key):
        word = _mix(word + part)
    return word.reshape(shape)


def bernoulli(key: Array, probability: Any, shape: tuple[int, ...]) -> Array:
    """A boolean mask that is true with the given probability, which may be a tracer; resolution 2⁻²⁴.

    >>> import jax
    >>> mask = bernoulli(jax.random.key(0), 0.25, (1000, 100))
    >>> round(float(mask.mean()), 2)
    0.25
    """
    # 24 bits fill the mantissa of a float32, so probability 0 is never true and probability 1 always.
    uniform = (bits(key, shape) >> 8).astype(jnp.float32) * np.float32(2.0**-24)
    return uniform < jnp.asarray(probability, jnp.float32)


def permuted(positions: Array, size: int, root: Array, epoch: Integer) -> Array:
    """Where each position of an epoch points in a data set: a keyed bijection of 0 … size−1.

    Every epoch is another order, any part of it can be had without the rest, and nothing as large as the data
    is sorted or kept. Each round rotates by a random amount and then scrambles, one after the other, the first
    and the last 2ᵏ positions (2ᵏ ≤ size < 2ᵏ⁺¹, so that together they cover all) by multiplications with odd
    numbers and shifts modulo 2ᵏ. All steps are bijections, hence so is the whole.

    Args:
        positions: integer array of places in the epoch, 0 ≤ position < size.
        size: number of examples, at most 2³¹ − 1.
        root: the root key of the run.
        epoch: which order; an integer or a tracer of one.

    Returns:
        int32 array of the shape of ``positions``.

    >>> import jax, jax.numpy as jnp
    >>> order = permuted(jnp.arange(10), 10, jax.random.key(0), 3)
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    return arranged(positions, size, arrangement(size, root, epoch))


def arrangement(size: int, root: Array, epoch: Integer) -> Array:
    """What all positions of one epoch's order have in common (see `permuted`).

    Returns:
        (rounds, 9) uint32: of each round how far it rotates, then four words and four odd ones for scrambling.
    """
    seed = jnp.asarray(epoch).astype(jnp.uint32) + np.uint32(ORDER)
    for part in _digest(root):
        seed = _mix(seed + part)
    chain = []
    for _ in range(_ROUNDS):
        seed = _mix(seed + _GOLDEN)
        chain.append(seed)
    seeds = jnp.stack(chain)
    others = _mix(seeds ^ _OTHER)
    scrambling = jnp.stack([seeds, _mix(seeds), others, _mix(others)], axis=1)
    return jnp.concatenate([seeds[:, None] % np.uint32(size), scrambling >> 3, scrambling | np.uint32(1)], axis=1)


def arranged(positions: Array, size: int, words: Array) -> Array:
    """Where each position points in the order that the words of an `arrangement` stand for: see `permuted`."""
    if size == 1:
        return jnp.zeros(positions.shape, jnp.int32)
    width = size.bit_length() - 1
    block, last = np.uint32(2**width), np.uint32(size - 2**width)
    place = positions.astype(jnp.uint32)
    for rotation, *scrambling in words:
        pairs = list(zip(scrambling[:4], scrambling[4:], strict=True))
        place = place + rotation
        place = jnp.where(place >= np.uint32(size), place - np.uint32(size), place)
        place = jnp.where(place < block, _scramble(place, pairs[:2], width), place)
        place = jnp.where(place >= last, last + _scramble(place - last, pairs[2:], width), place)
    return place.astype(jnp.int32)


def _scramble(word: Array, pairs: Sequence[tuple[Array, Array]], width: int) -> Array:
    """A keyed bijection of the words of ``width`` bits; others give anything. A pair is a word and an odd one."""
    mask, shift = np.uint32(2**width - 1), np.uint32((width + 1) // 2)
    for flip, odd in pairs:
        word = ((word ^ flip) * odd) & mask
        word ^= word >> shift
    return word & mask
