"""Boxes in pixels: formats, overlap, and the deltas that a Siamese RPN regresses.

The suffix of a name is the format: `xyxy` corners, `xywh` corner and size, `cxcywh` centre and size. The last dimension is 4;
all dimensions before it are free and broadcast.
"""

import torch
from torch import Tensor


def xyxy_to_cxcywh(box_xyxy: Tensor) -> Tensor:
    """Corners (..., 4) to centre and size (..., 4)."""
    top_left, bottom_right = box_xyxy[..., :2], box_xyxy[..., 2:]
    return torch.cat(((top_left + bottom_right) * 0.5, bottom_right - top_left), dim=-1)


def cxcywh_to_xyxy(box_cxcywh: Tensor) -> Tensor:
    """Centre and size (..., 4) to corners (..., 4)."""
    center, half = box_cxcywh[..., :2], box_cxcywh[..., 2:] * 0.5
    return torch.cat((center - half, center + half), dim=-1)


def box_iou(box1_xyxy: Tensor, box2_xyxy: Tensor) -> Tensor:
    """Intersection over union of paired boxes, with broadcasting.

    Args:
        box1_xyxy: (..., 4) corners in pixels.
        box2_xyxy: (..., 4) corners in pixels, broadcastable to `box1_xyxy`.

    Returns:
        (...) values in [0, 1]; 0 where neither box has an area.
    """
    top_left = torch.maximum(box1_xyxy[..., :2], box2_xyxy[..., :2])
    bottom_right = torch.minimum(box1_xyxy[..., 2:], box2_xyxy[..., 2:])
    inter = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    area1 = (box1_xyxy[..., 2:] - box1_xyxy[..., :2]).prod(dim=-1)
    area2 = (box2_xyxy[..., 2:] - box2_xyxy[..., :2]).prod(dim=-1)
    union = area1 + area2 - inter
    return torch.where(union > 0, inter / union, torch.zeros_like(union))


def encode_deltas(box_cxcywh: Tensor, anchor_cxcywh: Tensor) -> Tensor:
    """Offsets from anchors to boxes: ((cx - ax) / aw, (cy - ay) / ah, ln(w / aw), ln(h / ah)) (Ren et al. 2015).

    Args:
        box_cxcywh: (..., 4) target boxes. A side of 0 gives -inf: mask such boxes.
        anchor_cxcywh: (..., 4) anchors, broadcastable to `box_cxcywh`.

    Returns:
        (..., 4) deltas without unit.
    """
    shift = (box_cxcywh[..., :2] - anchor_cxcywh[..., :2]) / anchor_cxcywh[..., 2:]
    scale = torch.log(box_cxcywh[..., 2:] / anchor_cxcywh[..., 2:])
    return torch.cat((shift, scale), dim=-1)


def decode_deltas(deltas: Tensor, anchor_cxcywh: Tensor, max_log_ratio: float) -> Tensor:
    """The inverse of `encode_deltas`.

    Args:
        deltas: (..., 4) offsets from the anchors.
        anchor_cxcywh: (..., 4) anchors, broadcastable to `deltas`.
        max_log_ratio: Size deltas are clamped to [-max_log_ratio, max_log_ratio] before `exp`, so that a finite network output
            gives a finite box with an area.

    Returns:
        (..., 4) boxes, centre and size in pixels.
    """
    center = deltas[..., :2] * anchor_cxcywh[..., 2:] + anchor_cxcywh[..., :2]
    size = deltas[..., 2:].clamp(-max_log_ratio, max_log_ratio).exp() * anchor_cxcywh[..., 2:]
    return torch.cat((center, size), dim=-1)
