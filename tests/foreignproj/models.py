import torch
from mmengine.model import BaseModule
from torch import nn

from .registry import MODELS


@MODELS.register_module()
class TinyBackbone(BaseModule):
    """Three levels of stride 8; knows nothing of us."""

    def __init__(self, channels=8, init_cfg=None):
        super().__init__(init_cfg)
        self.stem = nn.Conv2d(3, channels, 15, stride=8)
        self.stages = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = torch.relu(stage(x))
            maps.append(x)
        return tuple(maps)


@MODELS.register_module()
class ResNet(BaseModule):
    """Of the same name as ours, to see which one is built."""

    def __init__(self, backbone=None, init_cfg=None):
        super().__init__(init_cfg)
        self.inner = None if backbone is None else MODELS.build(backbone)

    def forward(self, x):
        return x if self.inner is None else self.inner(x)
