"""Random numbers that depend on the sample only, not on its place in a batch, a rank or a worker."""

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
