"""Fusion of the predictions of several levels into one (SiamRPN++, section 3.4).

L levels, A anchors per cell; every level gives cls_score (B, 2A, H, W) and bbox_pred (B, 4A, H, W).
"""

from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS


@MODELS.register_module()
class GroupedConvFusion(BaseModule):
    """One weight per level and output channel: a 1x1 convolution with a group for every output channel (the seed).

    Starts as the mean of the levels.

    Args:
        num_levels: Number of levels.
        num_anchors: Anchors per cell.
        init_cfg: mmengine initialiser.
    """

    def __init__(self, num_levels: int = 3, num_anchors: int = 5, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.num_levels = num_levels
        self.num_anchors = num_anchors
        self.cls_conv = nn.Conv2d(num_levels * 2 * num_anchors, 2 * num_anchors, 1, groups=2 * num_anchors)
        self.box_conv = nn.Conv2d(num_levels * 4 * num_anchors, 4 * num_anchors, 1, groups=4 * num_anchors)
        for conv in (self.cls_conv, self.box_conv):
            nn.init.constant_(conv.weight, 1 / num_levels)
            nn.init.zeros_(conv.bias)

    def level_weights(self) -> dict[str, Tensor]:
        """`cls` and `box`: (L,) each level's share, the mean over the output channels."""
        return {'cls': self.cls_conv.weight.detach().flatten(1).mean(dim=0),
                'box': self.box_conv.weight.detach().flatten(1).mean(dim=0)}

    def forward(self, cls_scores: Sequence[Tensor], bbox_preds: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Fused (cls_score, bbox_pred) of `num_levels` predictions each."""
        # a group holds the levels of one output channel: (B, channels, L, H, W) -> (B, channels * L, H, W)
        return (self.cls_conv(torch.stack(tuple(cls_scores), dim=2).flatten(1, 2)),
                self.box_conv(torch.stack(tuple(bbox_preds), dim=2).flatten(1, 2)))


@MODELS.register_module()
class SoftmaxFusion(BaseModule):
    """One weight per level, normalised by softmax, separately for scores and boxes (PySOT's `MultiRPN`).

    Args:
        num_levels: Number of levels.
        learnable: False is the plain mean, without parameters (PySOT's `weighted: False`).
        init_cfg: mmengine initialiser.
    """

    def __init__(self, num_levels: int = 3, learnable: bool = True, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.num_levels = num_levels
        self.learnable = learnable
        if learnable:
            self.cls_weight = nn.Parameter(torch.ones(num_levels))
            self.box_weight = nn.Parameter(torch.ones(num_levels))

    def level_weights(self) -> dict[str, Tensor]:
        """`cls` and `box`: (L,) each level's share; they sum to 1."""
        if not self.learnable:
            return {name: torch.full((self.num_levels, ), 1 / self.num_levels) for name in ('cls', 'box')}
        return {'cls': self.cls_weight.detach().softmax(dim=0), 'box': self.box_weight.detach().softmax(dim=0)}

    def forward(self, cls_scores: Sequence[Tensor], bbox_preds: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Fused (cls_score, bbox_pred) of `num_levels` predictions each."""
        if not self.learnable:
            return sum(cls_scores) / self.num_levels, sum(bbox_preds) / self.num_levels
        cls_weight, box_weight = self.cls_weight.softmax(dim=0), self.box_weight.softmax(dim=0)
        return (sum(score * weight for score, weight in zip(cls_scores, cls_weight)),
                sum(pred * weight for pred, weight in zip(bbox_preds, box_weight)))
