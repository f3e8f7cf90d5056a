"""Random numbers that depend on the sample only, not on its place in a batch, a rank or a worker."""

import functools

import torch
from torch import Tensor

# multipliers of the finaliser of MurmurHash3's 64-bit variant (Appleby, public domain), as signed numbers
_MIX = (-0x00ae502812aa7333, -0x3b314601e57a13ad)


def uniform_of_seed(seeds: Tensor, count: int) -> Tensor:
    """`count` uniform numbers for every seed, the same on every device.

    Args:
        seeds: (B,) int64, one per sample.
        count: Numbers per seed.

    Returns:
        (B, count) float32 in [0, 1), multiples of 2 ** -24.
    """
    index = torch.arange(count, device=seeds.device)
    state = _mix(seeds)[:, None] + index
    return (_mix(state) >> 40 & 0xffffff).float() / 2**24


def _mix(value: Tensor) -> Tensor:
    """A bijection of int64 that spreads every bit over all others; products wrap around."""
    for multiplier in _MIX:
        value = (value ^ (value >> 33 & 0x7fffffff)) * multiplier
    return value ^ (value >> 33 & 0x7fffffff)


def permute(index: int, count: int, seed: int) -> int:
    """Where `index` stands in a pseudo-random permutation of 0 ... count - 1, without making the whole of it.

    A Feistel network over the next power of four, walked until it lands below `count` (Black and Rogaway 2002).

    Args:
        index: In [0, count).
        count: Length of the permutation.
        seed: Which permutation, any integer.

    Raises:
        ValueError: If the index is not in range.
    """
    if not 0 <= index < count:
        raise ValueError(f'index must be in [0, {count}), got {index}')
    half = max((count - 1).bit_length() + 1, 2) // 2
    mask, keys = (1 << half) - 1, _round_keys(seed)
    while True:
        left, right = index >> half, index & mask
        for key in keys:
            left, right = right, left ^ (_mix_int(key + right) & mask)
        index = left << half | right
        if index < count:
            return index


@functools.lru_cache(maxsize=64)
def _round_keys(seed: int) -> tuple:
    return tuple(_mix_int(seed * 4 + step) for step in range(4))


def _mix_int(value: int) -> int:
    """`_mix` of a Python integer, modulo 2 ** 64."""
    value &= 0xffffffffffffffff
    for multiplier in _MIX:
        value = (value ^ value >> 33) * multiplier & 0xffffffffffffffff
    return value ^ value >> 33


def hash_of(*values: int) -> int:
    """One seed in [0, 2 ** 64) of several integers."""
    state = 0x9e3779b97f4a7c15  # nothing up the sleeve: 2 ** 64 over the golden ratio
    for value in values:
        state = _mix_int(state * 0x9e3779b97f4a7c15 + value + 1)
    return state
