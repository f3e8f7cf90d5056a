"""MobileNetV2 with stride 8: the last two strides become dilation (PySOT's `mobilenetv2`)."""

from collections.abc import Sequence
from typing import Optional

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from ..registry import MODELS
from .base_backbone import BaseBackbone


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1 without activation; identity where shapes allow it."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int, dilation: int, norm_cfg: dict) -> None:
        super().__init__()
        hidden = in_channels * expansion
        padding = dilation if stride == 1 else 0  # no padding where the stride is 2: published weights expect it
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 1, bias=False), build_norm_layer(norm_cfg, hidden)[1], nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, padding, dilation, groups=hidden, bias=False),
            build_norm_layer(norm_cfg, hidden)[1], nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, out_channels, 1, bias=False), build_norm_layer(norm_cfg, out_channels)[1])
        self.has_identity = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.has_identity else self.conv(x)


@MODELS.register_module()
class MobileNetV2(BaseBackbone):
    """Modified MobileNetV2: layers 3, 5 and 7 all have stride 8. State dict keys are PySOT's.

    Stage 0 is the stem, stages 1 to 7 are the seven groups of inverted residuals. At width 1.4 the maps of 3, 5, 7 have 44, 134
    and 448 channels.

    Args:
        width: Factor on all channel numbers, > 0.
        out_levels: Stages whose maps are returned.
        frozen_stages: Stages up to this number are frozen; -1 none, 0 the stem.
        norm_eval: If True, batch norms use their running statistics also in training.
        norm_cfg: Normalisation layer of mmcv.
        init_cfg: See `BaseBackbone.init_weights`.

    Raises:
        ValueError: If an argument is out of range.
    """

    stages = {number: (f'layer{number}',) for number in range(8)}
    # expansion, channels at width 1, blocks, stride of the first block, dilation
    groups = ((1, 16, 1, 1, 1), (6, 24, 2, 2, 1), (6, 32, 3, 2, 1), (6, 64, 4, 1, 2), (6, 96, 3, 1, 2), (6, 160, 3, 1, 4),
              (6, 320, 1, 1, 4))

    def __init__(self, width: float = 1.4, out_levels: Sequence[int] = (3, 5, 7), frozen_stages: int = -1,
                 norm_eval: bool = False, norm_cfg: Optional[dict] = None, init_cfg: Optional[dict] = None) -> None:
        super().__init__(out_levels, frozen_stages, norm_eval, init_cfg)
        if not width > 0:
            raise ValueError(f'width of MobileNetV2 must be positive, got {width!r}')
        norm_cfg = norm_cfg or dict(type='BN')
        in_channels = int(32 * width)
        self.layer0 = nn.Sequential(nn.Conv2d(3, in_channels, 3, stride=2, bias=False),
                                    build_norm_layer(norm_cfg, in_channels)[1], nn.ReLU6(inplace=True))
        previous_dilation = 1
        for number, (expansion, channels, num_blocks, stride, dilation) in enumerate(self.groups, start=1):
            if number not in self.stages:
                break
            out_channels = int(channels * width)
            # where the dilation grows, the first block takes half of it: it still sees the finer grid
            first_dilation = dilation if dilation == previous_dilation else max(dilation // 2, 1)
            blocks = []
            for index in range(num_blocks):
                blocks.append(InvertedResidual(in_channels, out_channels, stride if index == 0 else 1, expansion,
                                               first_dilation if index == 0 else dilation, norm_cfg))
                in_channels = out_channels
            self.add_module(f'layer{number}', nn.Sequential(*blocks))
            previous_dilation = dilation
        self.freeze_stages(frozen_stages)
