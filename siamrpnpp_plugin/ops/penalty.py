"""What a tracker holds against a box that differs much from the last one (Li et al. 2018, section 4.2).

B targets, N candidate boxes.
"""

import torch
from torch import Tensor


def cosine_window(height: int, width: int) -> Tensor:
    """(height, width) float64 outer product of two Hann windows: 1 in the middle, 0 at the border."""
    rows, columns = (torch.hann_window(side, periodic=False, dtype=torch.float64) for side in (height, width))
    return rows[:, None] * columns


def change(ratio: Tensor) -> Tensor:
    """How far a ratio is from 1, upwards or downwards: max(r, 1 / r)."""
    return torch.maximum(ratio, 1 / ratio)


def shape_penalty(sizes: Tensor, previous: Tensor, strength: float, context: float = 0.5) -> Tensor:
    """Factor in (0, 1] for a box whose scale or aspect differs from the previous one.

    Args:
        sizes: (B, N, 2) width and height of the candidates.
        previous: (B, 2) width and height of the last box, in the same unit.
        strength: 0 gives 1 for all.
        context: Share of width + height added to each side before the scale is taken.

    Returns:
        (B, N).
    """
    previous = previous[:, None]

    def scale(size: Tensor) -> Tensor:
        return (size + context * size.sum(dim=-1, keepdim=True)).prod(dim=-1).sqrt()

    scale_change = change(scale(sizes) / scale(previous))
    aspect_change = change(previous[..., 0] / previous[..., 1] / (sizes[..., 0] / sizes[..., 1]))
    return torch.exp(-(aspect_change * scale_change - 1) * strength)
