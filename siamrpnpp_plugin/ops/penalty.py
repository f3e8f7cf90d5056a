"""What a tracker holds against a box that differs much from the last one (Li et al. 2018, section 4.2).

B targets, N candidate boxes.
"""

from typing import NamedTuple, Optional

import torch
from torch import Tensor


class Candidate(NamedTuple):
    """The chosen box of each of B targets."""

    box_cxcywh: Tensor  # (B, 4) float64, centre and size in pixels of the search image
    confidence: Tensor  # (B,) float64 its probability
    penalty: Tensor  # (B,) float64 its `shape_penalty`
    is_usable: Tensor  # (B,) bool; False where no box with finite numbers was offered, and the others mean nothing

    def pack(self) -> Tensor:
        """(B, 7) float64: one tensor to bring from a device."""
        return torch.cat((self.box_cxcywh, torch.stack([values.to(self.box_cxcywh) for values in self[1:]], dim=1)), dim=1)

    @classmethod
    def unpack(cls, packed: Tensor) -> 'Candidate':
        """What was packed."""
        return cls(packed[:, :4], packed[:, 4], packed[:, 5], packed[:, 6] > 0)


def cosine_window(height: int, width: int, device: Optional[torch.device] = None) -> Tensor:
    """(height, width) float64 outer product of two Hann windows: 1 in the middle, 0 at the border."""
    rows, columns = (torch.hann_window(side, periodic=False, dtype=torch.float64, device=device) for side in (height, width))
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


def best_candidate(boxes_cxcywh: Tensor, score: Tensor, previous: Tensor, penalty_k: float, window_influence: float,
                   context: float = 0.5) -> Candidate:
    """The box that a tracker believes: the highest score after `shape_penalty` and cosine window. Nothing waits for a device.

    Args:
        boxes_cxcywh: (B, A, H, W, 4) centre and size in pixels of the search image.
        score: (B, A, H, W) probabilities.
        previous: (B, 2) float64 width and height of the last box, in pixels of the search image.
        penalty_k: Strength of the penalty.
        window_influence: Share of the window in the ranking, in [0, 1].
        context: As in `shape_penalty`.
    """
    shape = score.shape[1:]
    boxes, scores = boxes_cxcywh.double().flatten(1, 3), score.double().flatten(1)
    penalty = shape_penalty(boxes[..., 2:], previous, penalty_k, context)
    window = cosine_window(*shape[1:], device=score.device).expand(shape).flatten()
    ranking = penalty * scores * (1 - window_influence) + window * window_influence
    usable = torch.isfinite(ranking) & torch.isfinite(boxes).all(dim=2)
    best = torch.where(usable, ranking, -torch.inf).argmax(dim=1, keepdim=True)
    return Candidate(boxes.gather(1, best[..., None].expand(-1, -1, 4))[:, 0],
                     *(values.gather(1, best)[:, 0] for values in (scores, penalty, usable)))
