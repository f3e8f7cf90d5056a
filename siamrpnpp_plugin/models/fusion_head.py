"""The whole head: one Siamese RPN block per level, their fusion, anchors, losses and decoding.

B batch, L levels, A anchors per cell, H, W score map.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS, TASK_UTILS


class Detections(NamedTuple):
    """The best box of every pair."""

    box_xyxy: Tensor  # (B, 4) corners in pixels of the search image
    score: Tensor  # (B,) probability in [0, 1] that the best anchor holds the target


def decode_maps(cls_score: Tensor, bbox_pred: Tensor, anchors: Tensor, box_coder: Any) -> tuple[Tensor, Tensor]:
    """Boxes (B, A, H, W, 4) and scores (B, A, H, W) of the maps (B, 2A, H, W) and (B, 4A, H, W), see `FusionHead.decode`."""
    shape = anchors.shape[:3]
    deltas = bbox_pred.float().view(len(bbox_pred), 4, *shape).movedim(1, -1)
    score = cls_score.float().view(len(cls_score), 2, *shape).softmax(dim=1)[:, 1]
    return box_coder.decode(deltas, anchors), score


@MODELS.register_module()
class FusionHead(BaseModule):
    """L Siamese RPN blocks and their weighted fusion (SiamRPN++, section 3.4).

    Args:
        rpn_head: The block of every level, or one config per level.
        num_levels: Number of levels L.
        fusion: Fusion of the levels; None for a single level.
        anchor_generator: Anchors of the score map.
        anchor_assigner: Which anchors learn what.
        box_coder: How a box is written as the offsets `bbox_pred`.
        loss_cls: Loss on the scores.
        loss_box: Loss on the boxes.
        init_cfg: mmengine initialiser; torch's default without.

    Raises:
        ValueError: If the numbers of levels or of anchors of the parts differ.
    """

    def __init__(self,
                 rpn_head: Union[dict, Sequence[dict]],
                 num_levels: int = 3,
                 fusion: Optional[dict] = dict(type='siamrpnpp_plugin.GroupedConvFusion'),
                 anchor_generator: dict = dict(type='siamrpnpp_plugin.AnchorGenerator'),
                 anchor_assigner: dict = dict(type='siamrpnpp_plugin.AnchorAssigner'),
                 box_coder: dict = dict(type='siamrpnpp_plugin.DeltaBoxCoder'),
                 loss_cls: dict = dict(type='siamrpnpp_plugin.BalancedCrossEntropyLoss'),
                 loss_box: dict = dict(type='siamrpnpp_plugin.L1BoxLoss'),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        configs = [rpn_head] * num_levels if isinstance(rpn_head, dict) else rpn_head
        self.rpn_heads = nn.ModuleList(MODELS.build(cfg) for cfg in configs)
        self.fusion = None if fusion is None else MODELS.build(fusion)
        self.anchor_generator = TASK_UTILS.build(anchor_generator)
        self.anchor_assigner = TASK_UTILS.build(anchor_assigner)
        self.box_coder = TASK_UTILS.build(box_coder)
        self.loss_cls = MODELS.build(loss_cls)
        self.loss_box = MODELS.build(loss_box)
        fused = 1 if self.fusion is None else self.fusion.num_levels
        if not len(self.rpn_heads) == num_levels == fused:
            raise ValueError(f'FusionHead has num_levels={num_levels}, {len(self.rpn_heads)} rpn_head config(s) and a fusion for '
                             f'{fused} level(s): {fusion}')
        for level, head in enumerate(self.rpn_heads):
            self._check_anchors(f'rpn_head of level {level}', head.num_anchors)
        if hasattr(self.fusion, 'num_anchors'):
            self._check_anchors('fusion', self.fusion.num_anchors)

    def _check_anchors(self, name: str, num_anchors: int) -> None:
        if num_anchors != self.anchor_generator.num_anchors:
            raise ValueError(f'{name} has num_anchors={num_anchors}, the anchor generator gives '
                             f'{self.anchor_generator.num_anchors} per cell')

    def template_kernels(self, template_feats: Sequence[Tensor]) -> list:
        """What `correlate` needs of the template, level by level; once per target.

        Args:
            template_feats: One (B, C_l, h, w) map per level.

        Raises:
            ValueError: If the number of levels does not match.
        """
        self._check_levels('template_feats', template_feats)
        return [head.template_kernels(feat) for head, feat in zip(self.rpn_heads, template_feats)]

    def correlate(self, kernels: Sequence, search_feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Compare and fuse: `kernels` of `template_kernels` and one (B, C_l, H', W') map per level -> as `forward`."""
        self._check_levels('search_feats', search_feats)
        outputs = [head.correlate(*pair) for head, *pair in zip(self.rpn_heads, kernels, search_feats)]
        if self.fusion is None:
            return outputs[0]
        cls_scores, bbox_preds = zip(*outputs)
        return self.fusion(cls_scores, bbox_preds)

    def forward(self, template_feats: Sequence[Tensor], search_feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Compare the maps level by level and fuse.

        Args:
            template_feats: One (B, C_l, h, w) map per level.
            search_feats: One (B, C_l, H', W') map per level.

        Returns:
            cls_score (B, 2A, H, W) and bbox_pred (B, 4A, H, W), see `RPNHead.forward`.

        Raises:
            ValueError: If the number of levels does not match.
        """
        return self.correlate(self.template_kernels(template_feats), search_feats)

    def _check_levels(self, name: str, feats: Sequence[Tensor]) -> None:
        if len(feats) != len(self.rpn_heads):
            raise ValueError(f'{name} has {len(feats)} levels, FusionHead was built for {len(self.rpn_heads)}')

    def anchors(self, cls_score: Tensor, search_size: int) -> Tensor:
        """(A, H, W, 4) anchors, centre and size, in pixels of a square search image of side `search_size`."""
        return self.anchor_generator.grid(cls_score.shape[2:], center=search_size // 2)

    def loss(self, cls_score: Tensor, bbox_pred: Tensor, box_xyxy: Tensor, is_positive: Tensor, search_size: int,
             sample_seed: Optional[Tensor] = None, generator: Optional[torch.Generator] = None) -> dict[str, Tensor]:
        """Losses of a batch, in float32 also under autocast.

        Args:
            cls_score: (B, 2A, H, W).
            bbox_pred: (B, 4A, H, W).
            box_xyxy: (B, 4) target boxes in pixels of the search image.
            is_positive: (B,) bool, whether template and search show the same target.
            search_size: Side of the search image in pixels.
            sample_seed: (B,) int64, see `AnchorAssigner`.
            generator: Source of the assigner's random choice, see `AnchorAssigner`.

        Returns:
            `loss_cls` and `loss_box`, scalars.

        Raises:
            ValueError: If `box_xyxy`, `is_positive` or `sample_seed` has another shape.
        """
        batch = len(cls_score)
        if box_xyxy.shape != (batch, 4) or is_positive.shape != (batch, ):
            raise ValueError(f'a batch of {batch} needs box_xyxy ({batch}, 4) and is_positive ({batch},), got '
                             f'{tuple(box_xyxy.shape)} and {tuple(is_positive.shape)}')
        if sample_seed is not None and (sample_seed.shape != (batch, ) or sample_seed.dtype != torch.int64):
            raise ValueError(f'a batch of {batch} needs sample_seed ({batch},) of int64, got {tuple(sample_seed.shape)} of '
                             f'{sample_seed.dtype}')
        box_xyxy, is_positive = box_xyxy.float(), is_positive.bool()
        anchors, stride = self.anchors(cls_score, search_size), self.anchor_generator.stride
        targets = self.anchor_assigner(anchors, stride, box_xyxy, is_positive, sample_seed, generator)
        deltas = self.box_coder.encode(box_xyxy[:, None, None, None], anchors)
        return dict(loss_cls=self.loss_cls(cls_score.float(), targets.labels),
                    loss_box=self.loss_box(bbox_pred.float(), deltas, targets.box_weights))

    def decode(self, cls_score: Tensor, bbox_pred: Tensor, search_size: int) -> tuple[Tensor, Tensor]:
        """Box and score of every anchor.

        Args:
            cls_score: (B, 2A, H, W).
            bbox_pred: (B, 4A, H, W).
            search_size: Side of the search image in pixels.

        Returns:
            box_xyxy (B, A, H, W, 4) in pixels of the search image, not clipped, and score (B, A, H, W) in [0, 1].
        """
        return decode_maps(cls_score, bbox_pred, self.anchors(cls_score, search_size), self.box_coder)

    def predict(self, cls_score: Tensor, bbox_pred: Tensor, search_size: int) -> Detections:
        """The box with the highest score of every pair, without a tracker's window or penalty; arguments as in `decode`."""
        boxes, scores = self.decode(cls_score, bbox_pred, search_size)
        score, index = scores.flatten(1).max(dim=1)
        return Detections(boxes.flatten(1, 3)[torch.arange(len(index), device=index.device), index], score)
