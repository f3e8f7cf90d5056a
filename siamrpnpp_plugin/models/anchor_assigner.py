"""Which anchors learn what: positive, negative or ignored, for a whole batch on its device.

B batch, A anchors per cell, H, W score map, N = A * H * W anchors.
"""

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from ..ops.boxes import box_iou, cxcywh_to_xyxy, xyxy_to_cxcywh
from ..ops.random import uniform_of_seed
from ..registry import TASK_UTILS


class AnchorTargets(NamedTuple):
    """What the losses compare with."""

    labels: Tensor  # (B, A, H, W) int64: 1 positive, 0 negative, -1 ignored
    box_weights: Tensor  # (B, A, H, W) float32: 1 / positives of the sample where positive, else 0


def keep_random(candidates: Tensor, num_keep: int, noise: Tensor, limit: Optional[Tensor] = None) -> Tensor:
    """Keep at most `num_keep` candidates of every row, each subset equally likely, without a loop or a host sync.

    Args:
        candidates: (B, N) bool.
        num_keep: How many to keep of a row that has more.
        noise: (B, N) independent uniform numbers in [0, 1).
        limit: (B,) further upper bound per row, or None.

    Returns:
        (B, N) bool, a subset of `candidates`.
    """
    keys, index = noise.masked_fill(~candidates, 2).topk(min(num_keep, candidates.shape[1]), dim=1, largest=False)
    kept = keys < 2
    if limit is not None:
        kept &= torch.arange(keys.shape[1], device=keys.device) < limit[:, None]
    return torch.zeros_like(candidates).scatter(1, index, kept)


@TASK_UTILS.register_module()
class AnchorAssigner:
    """Labels by overlap, with a fixed number of anchors per sample, as PySOT's `AnchorTarget`.

    A positive pair: anchors with IoU > `positive_iou` are positive, those with IoU < `negative_iou` negative, at most
    `max_positives` and `max_negatives` of them, drawn at random; the rest is ignored. A negative pair has another object at the
    box: up to `max_hard_negatives` anchors in the 7x7 cells around it are negative, the rest is ignored, no box is regressed.

    Args:
        positive_iou: Overlap above which an anchor is positive.
        negative_iou: Overlap below which an anchor is negative.
        max_positives: Positives kept per sample.
        max_negatives: Negatives kept per positive pair.
        max_hard_negatives: Negatives kept per negative pair.
        hard_radius: Cells on each side of the target's cell where a negative pair takes its negatives.
        negatives_per_positive: If set, a positive pair with positives keeps at most this many times as many negatives (the seed
            has 3).
        fallback_topk: Positives for a box that no anchor covers: its k best anchors with an overlap. 0, as PySOT and the seed,
            gives none; a box of aspect 6 has an IoU of at most .54 and then is never regressed.

    Raises:
        ValueError: If the thresholds are not 0 <= negative <= positive <= 1, or a count is negative.
    """

    def __init__(self, positive_iou: float = 0.6, negative_iou: float = 0.3, max_positives: int = 16, max_negatives: int = 48,
                 max_hard_negatives: int = 16, hard_radius: int = 3, negatives_per_positive: Optional[int] = None,
                 fallback_topk: int = 0) -> None:
        if not 0 <= negative_iou <= positive_iou <= 1:
            raise ValueError(f'AnchorAssigner needs 0 <= negative_iou <= positive_iou <= 1, got {negative_iou}, {positive_iou}')
        counts = dict(max_positives=max_positives, max_negatives=max_negatives, max_hard_negatives=max_hard_negatives,
                      hard_radius=hard_radius, negatives_per_positive=negatives_per_positive or 0, fallback_topk=fallback_topk)
        for name, count in counts.items():
            if count < 0:
                raise ValueError(f'{name} of AnchorAssigner must not be negative, got {count}')
        self.positive_iou, self.negative_iou = positive_iou, negative_iou
        self.max_positives, self.max_negatives = max_positives, max_negatives
        self.max_hard_negatives, self.hard_radius = max_hard_negatives, hard_radius
        self.negatives_per_positive, self.fallback_topk = negatives_per_positive, fallback_topk

    def candidates(self, anchors: Tensor, stride: int, box_xyxy: Tensor, is_positive: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The anchors that may become positive and negative, before the random choice.

        Args:
            anchors: (A, H, W, 4) centre and size in pixels of the search image, from `AnchorGenerator.grid`.
            stride: Pixels between cells.
            box_xyxy: (B, 4) target boxes in the same pixels.
            is_positive: (B,) bool, whether template and search show the same target.

        Returns:
            positive (B, A, H, W) bool, negative (B, A, H, W) bool, overlap (B, A, H, W) float32.
        """
        overlap = box_iou(cxcywh_to_xyxy(anchors), box_xyxy[:, None, None, None])
        same = is_positive[:, None, None, None]
        positive = same & (overlap > self.positive_iou)
        if self.fallback_topk:
            flat = overlap.flatten(1)
            best, index = flat.topk(min(self.fallback_topk, flat.shape[1]), dim=1)
            fallback = torch.zeros_like(flat, dtype=torch.bool).scatter(1, index, best > 0).view_as(overlap)
            uncovered = ~positive.flatten(1).any(dim=1)[:, None, None, None]
            positive = positive | (same & uncovered & fallback)
        hard = self._near_target(anchors, stride, xyxy_to_cxcywh(box_xyxy)[:, :2])
        negative = torch.where(same, (overlap < self.negative_iou) & ~positive, hard)
        return positive, negative, overlap

    def __call__(self, anchors: Tensor, stride: int, box_xyxy: Tensor, is_positive: Tensor,
                 sample_seed: Optional[Tensor] = None, generator: Optional[torch.Generator] = None) -> AnchorTargets:
        """Targets of a batch; arguments as in `candidates`.

        Args:
            sample_seed: (B,) int64: the choice of a sample depends on its seed only, so it is the same in any batch, on any rank
                and on any device.
            generator: Without seeds, the source of the random choice, on the device of the boxes; torch's global one by default.
        """
        positive, negative, _ = self.candidates(anchors, stride, box_xyxy, is_positive)
        shape = positive.shape
        positive, negative = positive.flatten(1), negative.flatten(1)
        if sample_seed is None:
            noise = torch.rand(2, *positive.shape, generator=generator, device=positive.device)
        else:
            noise = uniform_of_seed(sample_seed, 2 * positive.shape[1]).unflatten(1, (2, -1)).transpose(0, 1)
        positive = keep_random(positive, self.max_positives, noise[0])
        num_positives = positive.sum(dim=1)
        limit = torch.where(is_positive, self.max_negatives, self.max_hard_negatives)
        if self.negatives_per_positive is not None:
            ratio_limit = num_positives * self.negatives_per_positive
            limit = torch.where(is_positive & (num_positives > 0), torch.minimum(limit, ratio_limit), limit)
        negative = keep_random(negative, max(self.max_negatives, self.max_hard_negatives), noise[1], limit)

        labels = torch.full(positive.shape, -1, dtype=torch.int64, device=positive.device)
        labels = labels.masked_fill(negative, 0).masked_fill(positive, 1).view(shape)
        weights = positive.float() / num_positives.clamp(min=1)[:, None]
        return AnchorTargets(labels, weights.view(shape))

    def _near_target(self, anchors: Tensor, stride: int, center: Tensor) -> Tensor:
        """(B, A, H, W) bool: cells from c - radius to c + radius, where c is the cell after the target's centre (PySOT)."""
        num_anchors, height, width = anchors.shape[:3]
        middle = anchors[0, height // 2, width // 2, :2]  # grid cell n // 2 sits on the middle of the search image
        offset = torch.ceil((center - middle) / stride + 0.5)  # (B, 2) cells, x and y
        xs = torch.arange(width, device=anchors.device) - width // 2
        ys = torch.arange(height, device=anchors.device) - height // 2
        near_x = (xs - offset[:, :1]).abs() <= self.hard_radius  # (B, W)
        near_y = (ys - offset[:, 1:]).abs() <= self.hard_radius  # (B, H)
        near = near_y[:, None, :, None] & near_x[:, None, None, :]
        return near.expand(-1, num_anchors, -1, -1)
