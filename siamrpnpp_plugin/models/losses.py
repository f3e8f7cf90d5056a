"""Losses on anchor targets; always a finite tensor with a graph, 0 where nothing is labelled.

B batch, A anchors per cell, H, W score map.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from ..registry import MODELS


@MODELS.register_module()
class BalancedCrossEntropyLoss(nn.Module):
    """Half the mean loss of the positives plus half that of the negatives.

    Args:
        per_sample: False takes the two means over the whole batch (PySOT); True takes them within each sample and averages the
            samples (the seed).
        loss_weight: Factor on the result.

    PySOT drops the term of the positives (or negatives) if the whole batch holds exactly one: here it counts. In training on
    several ranks the batch is that of all of them, at once: the mean of the ranks' losses is the loss of their common batch
    (PySOT takes each rank's own mean). Batches that are accumulated one after the other have a mean each.
    """

    def __init__(self, per_sample: bool = False, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.per_sample = per_sample
        self.loss_weight = loss_weight

    def forward(self, cls_score: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            cls_score: (B, 2A, H, W) logits, seen as (B, 2, A, H, W); class 1 is the target.
            labels: (B, A, H, W) int64: 1 positive, 0 negative, -1 ignored.

        Returns:
            Scalar.
        """
        log_prob = F.log_softmax(cls_score.view(len(cls_score), 2, *labels.shape[1:]), dim=1)
        dims = tuple(range(1, labels.dim())) if self.per_sample else tuple(range(labels.dim()))
        chosen = torch.stack([(labels == target).to(log_prob.dtype) for target in (0, 1)])  # (2, B, A, H, W)
        counts = chosen.flatten(2).sum(dim=2) if self.per_sample else chosen.flatten(1).sum(dim=1)  # (2, B) or (2,)
        num_ranks = get_world_size() if self.training and not self.per_sample else 1
        if num_ranks > 1:
            all_reduce(counts)
        counts = counts.clamp(min=1) / num_ranks
        loss = cls_score.new_zeros(())
        for target in (0, 1):
            loss = loss - 0.5 * (log_prob[:, target] * chosen[target]).sum(dims) / counts[target]
        return loss.mean() * self.loss_weight


class _BoxLoss(nn.Module, ABC):
    """Weighted elementwise loss on deltas: anchors summed with their weights, samples averaged."""

    def __init__(self, coordinates: str, loss_weight: float) -> None:
        super().__init__()
        if coordinates not in ('sum', 'mean'):
            raise ValueError(f"coordinates of {type(self).__name__} must be 'sum' or 'mean', got {coordinates!r}")
        self.coordinates = coordinates
        self.loss_weight = loss_weight

    @abstractmethod
    def elementwise(self, pred: Tensor, target: Tensor) -> Tensor:
        """Error of every coordinate of every anchor: two (B, 4, A, H, W) -> (B, 4, A, H, W)."""

    def forward(self, bbox_pred: Tensor, deltas: Tensor, box_weights: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            bbox_pred: (B, 4A, H, W) predicted deltas, seen as (B, 4, A, H, W).
            deltas: (B, A, H, W, 4) target deltas.
            box_weights: (B, A, H, W), 1 / positives of the sample at positives, else 0.

        Returns:
            Scalar: the sum over anchors, divided by B, so that a sample without positives counts as 0.
        """
        batch = len(bbox_pred)
        # a mask, not only a product: a box without area has infinite deltas, and 0 * inf is NaN
        deltas = deltas.masked_fill(box_weights[..., None] == 0, 0)
        error = self.elementwise(bbox_pred.view(batch, 4, *deltas.shape[1:4]), deltas.movedim(-1, 1))
        error = error.sum(dim=1) if self.coordinates == 'sum' else error.mean(dim=1)
        return (error * box_weights).sum() / batch * self.loss_weight


@MODELS.register_module()
class L1BoxLoss(_BoxLoss):
    """Absolute error of the deltas (PySOT: summed over the four coordinates, weight 1.2).

    Args:
        coordinates: 'sum' or 'mean' over x, y, w, h.
        loss_weight: Factor on the result.
    """

    def __init__(self, coordinates: str = 'sum', loss_weight: float = 1.2) -> None:
        super().__init__(coordinates, loss_weight)

    def elementwise(self, pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).abs()


@MODELS.register_module()
class SmoothL1BoxLoss(_BoxLoss):
    """Huber-like error of the deltas: quadratic below `beta` (the seed: mean over the four coordinates, weight 5).

    Args:
        beta: Error at which the loss becomes linear, > 0.
        coordinates: 'sum' or 'mean' over x, y, w, h.
        loss_weight: Factor on the result.
    """

    def __init__(self, beta: float = 1.0, coordinates: str = 'mean', loss_weight: float = 5.0) -> None:
        super().__init__(coordinates, loss_weight)
        if not beta > 0:
            raise ValueError(f'beta of SmoothL1BoxLoss must be positive, got {beta!r}')
        self.beta = beta

    def elementwise(self, pred: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(pred, target, reduction='none', beta=self.beta)
