"""The box coder: how a box is written as offsets from an anchor."""

import math

from torch import Tensor

from ..ops.boxes import cxcywh_to_xyxy, decode_deltas, encode_deltas, xyxy_to_cxcywh
from ..registry import TASK_UTILS


@TASK_UTILS.register_module()
class DeltaBoxCoder:
    """Centre shift in anchor sizes and logarithm of the size ratio (Ren et al. 2015), without mean or std.

    Args:
        max_log_ratio: Bound on the predicted size deltas; the default lets a box be 1000 / 16 times its anchor. PySOT has none
            and can overflow.
    """

    def __init__(self, max_log_ratio: float = math.log(1000 / 16)) -> None:
        if not max_log_ratio > 0:
            raise ValueError(f'max_log_ratio of DeltaBoxCoder must be positive, got {max_log_ratio!r}')
        self.max_log_ratio = max_log_ratio

    def encode(self, box_xyxy: Tensor, anchor_cxcywh: Tensor) -> Tensor:
        """(..., 4) boxes -> (..., 4) deltas."""
        return encode_deltas(xyxy_to_cxcywh(box_xyxy), anchor_cxcywh)

    def decode(self, deltas: Tensor, anchor_cxcywh: Tensor) -> Tensor:
        """(..., 4) deltas -> (..., 4) corner boxes in pixels."""
        return cxcywh_to_xyxy(decode_deltas(deltas, anchor_cxcywh, self.max_log_ratio))
