"""How well held-out pairs are found: one look at a search image, without a tracker."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric

from ..ops.boxes import box_iou
from ..registry import METRICS


@METRICS.register_module()
class PairMetric(BaseMetric):
    """Overlap of the best box with the target over positive pairs.

    Gives `pair/success`, the share of pairs with an IoU above the threshold, and `pair/mean_iou`.

    Args:
        threshold: IoU in [0, 1) above which a pair counts as found.
        collect_device: As in mmengine's BaseMetric.
    """

    default_prefix = 'pair'

    def __init__(self, threshold: float = 0.6, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)
        if not 0 <= threshold < 1:
            raise ValueError(f'threshold of PairMetric must be in [0, 1), got {threshold}')
        self.threshold = threshold

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Take the overlaps of a batch; negative pairs have none.

        Args:
            data_batch: With `box_xyxy` (B, 4) and `is_positive` (B,).
            data_samples: One dict with `box_xyxy` (4,) for each pair.
        """
        predicted = torch.stack([sample['box_xyxy'] for sample in data_samples]).cpu()
        overlap = box_iou(predicted, data_batch['box_xyxy'].cpu())
        self.results += [value if positive else None
                         for value, positive in zip(overlap.tolist(), data_batch['is_positive'].tolist())]

    def compute_metrics(self, results: list) -> dict:
        """The mean over all pairs of all ranks.

        Raises:
            ValueError: If there is no positive pair.
        """
        overlaps = torch.tensor([value for value in results if value is not None])
        if not len(overlaps):
            raise ValueError('PairMetric got no positive pair')
        return dict(success=(overlaps > self.threshold).float().mean().item(), mean_iou=overlaps.mean().item())
