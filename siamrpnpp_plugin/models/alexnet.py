"""AlexNet without padding, stride 8 (PySOT's `alexnetlegacy` / `alexnet`, after SiamFC)."""

from collections.abc import Sequence
from typing import Optional

from mmcv.cnn import build_norm_layer
from torch import nn

from ..registry import MODELS
from .base_backbone import BaseBackbone


@MODELS.register_module()
class AlexNet(BaseBackbone):
    """Five convolutions with batch norm: 127 -> 6, 255 -> 22, 287 -> 26, 256 channels. Stages 1 to 5 are layer1 to layer5.

    State dict keys are PySOT's `alexnet`; `alexnetlegacy` files, flat under `features`, are renamed at loading.

    Args:
        width: Factor on all channel numbers, > 0.
        out_levels: Stages whose maps are returned.
        frozen_stages: Stages up to this number are frozen; -1 or 0 none.
        norm_eval: If True, batch norms use their running statistics also in training.
        norm_cfg: Normalisation layer of mmcv.
        init_cfg: See `BaseBackbone.init_weights`.

    Raises:
        ValueError: If an argument is out of range.
    """

    stages = {number: (f'layer{number}',) for number in range(1, 6)}
    # channels at width 1, kernel, stride, pooled, activated
    layers = ((96, 11, 2, True, True), (256, 5, 1, True, True), (384, 3, 1, False, True), (384, 3, 1, False, True),
              (256, 3, 1, False, False))

    def __init__(self, width: float = 1.0, out_levels: Sequence[int] = (5,), frozen_stages: int = -1, norm_eval: bool = False,
                 norm_cfg: Optional[dict] = None, init_cfg: Optional[dict] = None) -> None:
        super().__init__(out_levels, frozen_stages, norm_eval, init_cfg)
        if not width > 0:
            raise ValueError(f'width of AlexNet must be positive, got {width!r}')
        norm_cfg = norm_cfg or dict(type='BN')
        in_channels = 3
        for number, (channels, kernel, stride, pooled, activated) in enumerate(self.layers, start=1):
            if number not in self.stages:
                break
            out_channels = int(channels * width)
            parts = [nn.Conv2d(in_channels, out_channels, kernel, stride), build_norm_layer(norm_cfg, out_channels)[1]]
            if pooled:
                parts.append(nn.MaxPool2d(3, stride=2))
            if activated:
                parts.append(nn.ReLU(inplace=True))
            self.add_module(f'layer{number}', nn.Sequential(*parts))
            in_channels = out_channels
        self.freeze_stages(frozen_stages)
