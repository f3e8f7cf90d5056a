"""The Siamese tracker network: one backbone and neck for both images, one head that compares them."""

from typing import Optional, Union

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from ..registry import MODELS


@MODELS.register_module()
class SiamRPN(BaseModel):
    """SiamRPN (Li et al. 2018) and SiamRPN++ (Li et al. 2019).

    Tracking needs two methods: `extract_template` once, then `match` for every frame. The tracker calls `template_kernels` and
    `correlate` instead, which share the work the other way: all of the template's once.

    Args:
        backbone: Any registered backbone that returns a tuple of maps.
        head: Any registered head with `forward`, `loss` and `predict` as `FusionHead`.
        neck: Any registered neck with `forward(feats, is_template)` as `AdjustNeck`; None hands the maps on.
        data_preprocessor: Normalisation of the images on the device.
        init_cfg: mmengine initialiser of the whole model.
    """

    def __init__(self, backbone: dict, head: dict, neck: Optional[dict] = None,
                 data_preprocessor: Optional[dict] = dict(type='siamrpnpp_plugin.PairDataPreprocessor'),
                 init_cfg: Optional[dict] = None) -> None:
        if isinstance(data_preprocessor, dict):
            data_preprocessor = MODELS.build(data_preprocessor)
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        self.head = MODELS.build(head)

    use_cuda_graphs = False  # whether the tracker plays back what it does on a GPU; `optimize_for_inference` sets it

    def cuda(self, device: Optional[Union[int, str, torch.device]] = None) -> 'SiamRPN':
        """As `to`."""
        return self.to(torch.device('cuda' if device is None else device))

    def to(self, *args, **kwargs) -> 'SiamRPN':
        """As torch's. On a GPU weights lie channels last, as the maps do."""
        model = super().to(*args, **kwargs)
        if next(self.parameters()).is_cuda:
            super().to(memory_format=torch.channels_last)
        return model

    def extract_template(self, template: Tensor) -> tuple[Tensor, ...]:
        """Features of the target, one map per level.

        Args:
            template: (B, 3, h, w) preprocessed images, 127x127 in the paper.

        Returns:
            One (B, C_l, 7, 7) map per level (6x6 for AlexNet, which has no neck).
        """
        _check_images('template', template)
        feats = self.backbone(template)
        return tuple(feats) if self.neck is None else self.neck(feats, is_template=True)

    def match(self, template_feats: tuple[Tensor, ...], search: Tensor) -> tuple[Tensor, Tensor]:
        """Look for the targets in search images.

        Args:
            template_feats: From `extract_template`, of the same batch size.
            search: (B, 3, H, W) preprocessed images, 255x255 in the paper.

        Returns:
            cls_score (B, 2A, H', W') and bbox_pred (B, 4A, H', W'), see `RPNHead.forward`; 25x25 at 255.
        """
        _check_images('search', search)
        feats = self.backbone(search)
        if self.neck is not None:
            feats = self.neck(feats)
        return self.head(template_feats, feats)

    def prepare_images(self, images: Union[np.ndarray, Tensor]) -> Tensor:
        """(B, S, S, 3) uint8 BGR images -> what the model takes: (B, 3, S, S) on its device and of its type, normalised."""
        weight = next(self.parameters())
        images = torch.as_tensor(images).to(weight.device).permute(0, 3, 1, 2)
        if images.device.type == 'cpu':
            images = images.contiguous()
        return self.data_preprocessor.normalize(images).to(weight.dtype)

    def template_kernels(self, template: Tensor) -> list:
        """All that a tracker needs of the target, computed once: what `correlate` takes.

        Args:
            template: (B, 3, h, w) preprocessed images.

        Returns:
            What the head makes of the template's features, level by level: tuples of tensors with B first.
        """
        return self.head.template_kernels(self.extract_template(template))

    def correlate(self, kernels: list, search: Tensor) -> tuple[Tensor, Tensor]:
        """`match` with what `template_kernels` has computed; the same result."""
        _check_images('search', search)
        feats = self.backbone(search)
        return self.head.correlate(kernels, feats if self.neck is None else self.neck(feats))

    def forward(self, template: Tensor, search: Tensor, box_xyxy: Optional[Tensor] = None, is_positive: Optional[Tensor] = None,
                sample_seed: Optional[Tensor] = None,
                mode: str = 'tensor') -> Union[tuple[Tensor, Tensor], dict[str, Tensor], list[dict]]:
        """Run a batch of pairs.

        Args:
            template: (B, 3, h, w) preprocessed images.
            search: (B, 3, H, W) preprocessed images, square and not smaller than the template.
            box_xyxy: (B, 4) target boxes in pixels of the search image; needed by `loss`.
            is_positive: (B,) bool, whether both images show the same target; needed by `loss`.
            sample_seed: (B,) int64, seeds of the samples' random anchors, for losses that do not depend on how samples are
                batched; torch's global generator without.
            mode: 'tensor': (cls_score, bbox_pred). 'loss': losses by name. 'predict': one dict per pair with the best `box_xyxy`
                (4,) in pixels of the search image and its `score` (); boxes that came along are not used.

        Raises:
            ValueError: If the search is smaller than the template or not square, the mode is unknown, or `loss` lacks boxes.
        """
        if any(side < smaller for side, smaller in zip(search.shape[-2:], template.shape[-2:])):
            raise ValueError(f'search {tuple(search.shape)} is smaller than the template {tuple(template.shape)}')
        if mode not in ('tensor', 'loss', 'predict'):
            raise ValueError(f"mode of SiamRPN must be 'tensor', 'loss' or 'predict', got {mode!r}")
        if mode != 'tensor' and search.shape[-2] != search.shape[-1]:
            raise ValueError(f'search images must be square, got {tuple(search.shape)}')
        if mode == 'loss' and (box_xyxy is None or is_positive is None):
            raise ValueError("mode 'loss' needs box_xyxy and is_positive in the batch")
        with torch.set_grad_enabled(torch.is_grad_enabled() and mode != 'predict'):
            cls_score, bbox_pred = self.match(self.extract_template(template), search)
            if mode == 'tensor':
                return cls_score, bbox_pred
            if mode == 'loss':
                return self.head.loss(cls_score, bbox_pred, box_xyxy, is_positive, search.shape[-1], sample_seed)
            detections = self.head.predict(cls_score, bbox_pred, search.shape[-1])
        return [dict(box_xyxy=box, score=score) for box, score in zip(*detections)]


def _check_images(name: str, images: Tensor) -> None:
    if images.dim() != 4 or not images.is_floating_point():
        raise ValueError(f'{name} must be float (B, 3, H, W), as the data preprocessor gives it, got {images.dtype} '
                         f'{tuple(images.shape)}')
