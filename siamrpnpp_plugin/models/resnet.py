"""ResNet-18/34/50 with stride 8: conv4 and conv5 trade their stride for dilation (SiamRPN++, section 3.1)."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Optional

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from ..registry import MODELS
from .base_backbone import BaseBackbone, fan_out_init


class _Block(nn.Module):
    """Residual branch plus identity or downsample; `branch` names the layers as torchvision does."""

    expansion: int

    def __init__(self, layers: 'OrderedDict[str, nn.Module]', branch: Sequence[str], downsample: Optional[nn.Module]) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.branch = tuple(branch)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = x
        for name in self.branch:
            out = getattr(self, name)(out)
        out += identity
        return self.relu(out)


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution without bias. A 3x3 with stride 2 has no padding (the seed, PySOT), any other one keeps the size."""
    padding = 0 if kernel == 1 or stride > 1 else dilation
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=False)


class BasicBlock(_Block):
    """Two 3x3 convolutions (ResNet-18/34)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, first_dilation: int, dilation: int,
                 downsample: Optional[nn.Module], norm_cfg: dict) -> None:
        super().__init__(OrderedDict(
            conv1=_conv(in_channels, channels, 3, stride, first_dilation), bn1=build_norm_layer(norm_cfg, channels)[1],
            conv2=_conv(channels, channels, 3, 1, dilation), bn2=build_norm_layer(norm_cfg, channels)[1],
        ), ('conv1', 'bn1', 'relu', 'conv2', 'bn2'), downsample)


class Bottleneck(_Block):
    """1x1, 3x3, 1x1 (ResNet-50); stride and dilation sit in the 3x3."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, first_dilation: int, dilation: int,
                 downsample: Optional[nn.Module], norm_cfg: dict) -> None:
        del dilation  # the only 3x3 is the first one
        out_channels = channels * self.expansion
        super().__init__(OrderedDict(
            conv1=_conv(in_channels, channels, 1), bn1=build_norm_layer(norm_cfg, channels)[1],
            conv2=_conv(channels, channels, 3, stride, first_dilation), bn2=build_norm_layer(norm_cfg, channels)[1],
            conv3=_conv(channels, out_channels, 1), bn3=build_norm_layer(norm_cfg, out_channels)[1],
        ), ('conv1', 'bn1', 'relu', 'conv2', 'bn2', 'relu', 'conv3', 'bn3'), downsample)


@MODELS.register_module()
class ResNet(BaseBackbone):
    """Modified ResNet: maps of conv3, conv4 and conv5 all have stride 8 (127 -> 15, 255 -> 31).

    State dict keys are torchvision's and PySOT's. Stage 0 is the stem (7x7, no padding), stages 1 to 4 are layer1 to layer4.

    Args:
        depth: 18, 34 or 50.
        width: Factor on all channel numbers, > 0; published weights have 1.
        first_block: Dilation in the first block of layer3 and layer4. 'dilated': that of the stage, 2 and 4, in every block, with
            a 1x1 downsample (the seed's table). 'half': 1 and 2, with a 3x3 downsample of that dilation (PySOT's checkpoints).
        out_levels: Stages whose maps are returned; 2, 3, 4 are conv3, conv4, conv5.
        frozen_stages: Stages up to this number are frozen; -1 none, 0 the stem, 1 stem and layer1.
        norm_eval: If True, batch norms use their running statistics also in training.
        norm_cfg: Normalisation layer of mmcv, for instance `dict(type='SyncBN')`.
        init_cfg: See `BaseBackbone.init_weights`.

    Raises:
        ValueError: If an argument is out of range.
    """

    architectures = {18: (BasicBlock, (2, 2, 2, 2)), 34: (BasicBlock, (3, 4, 6, 3)), 50: (Bottleneck, (3, 4, 6, 3))}
    stages = {0: ('conv1', 'bn1', 'relu'), 1: ('maxpool', 'layer1'), 2: ('layer2',), 3: ('layer3',), 4: ('layer4',)}

    def __init__(self, depth: int = 50, width: float = 1.0, first_block: str = 'dilated', out_levels: Sequence[int] = (2, 3, 4),
                 frozen_stages: int = -1, norm_eval: bool = False, norm_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(out_levels, frozen_stages, norm_eval, init_cfg)
        if depth not in self.architectures:
            raise ValueError(f'depth of ResNet must be one of {sorted(self.architectures)}, got {depth!r}')
        if first_block not in ('dilated', 'half'):
            raise ValueError(f"first_block of ResNet must be 'dilated' or 'half', got {first_block!r}")
        if not width > 0:
            raise ValueError(f'width of ResNet must be positive, got {width!r}')
        norm_cfg = norm_cfg or dict(type='BN')
        block, num_blocks = self.architectures[depth]
        in_channels = int(64 * width)
        self.conv1 = nn.Conv2d(3, in_channels, 7, stride=2, padding=0, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, in_channels)[1]
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for stage, (stride, dilation) in enumerate(((1, 1), (2, 1), (1, 2), (1, 4)), start=1):
            if stage not in self.stages:
                break
            channels = int(32 * 2 ** stage * width)
            half = first_block == 'half' and dilation > 1
            first_dilation = dilation // 2 if half else dilation
            blocks = []
            for index in range(num_blocks[stage - 1]):
                out_channels = channels * block.expansion
                downsample = None
                if index == 0 and (stride > 1 or in_channels != out_channels):
                    kernel = 3 if stride > 1 or half else 1
                    downsample = nn.Sequential(_conv(in_channels, out_channels, kernel, stride, first_dilation),
                                               build_norm_layer(norm_cfg, out_channels)[1])
                blocks.append(block(in_channels, channels, stride if index == 0 else 1,
                                    first_dilation if index == 0 else dilation, dilation, downsample, norm_cfg))
                in_channels = out_channels
            self.add_module(f'layer{stage}', nn.Sequential(*blocks))
        fan_out_init(self)
        self.freeze_stages(frozen_stages)
