"""Targets to track, and a small network whose boxes move, for tests of trackers."""

import cv2
import numpy as np
import torch
from conftest import small_model_config
from torch import nn

from siamrpnpp_plugin.registry import MODELS
from siamrpnpp_plugin.tracking import SiamRPNTracker

BOXES = np.array([[40., 30, 80, 70], [100, 60, 130, 110], [-5, -5, 30, 40]])


def frames(count: int, seed: int = 0, sizes=((160, 120), (200, 150), (160, 120))) -> list:
    """`count` frames of three videos: smooth noise."""
    rng = np.random.default_rng(seed)
    return [[cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), size, interpolation=cv2.INTER_CUBIC) for size in sizes]
            for _ in range(count)]


def moving_model() -> nn.Module:
    """A narrow network with random weights, its outputs brought to mean 0 and a small spread: boxes move, none saturates."""
    torch.manual_seed(0)
    config = small_model_config(backbone=dict(type='siamrpnpp_plugin.ResNet', depth=18, width=0.125),
                                neck=dict(type='siamrpnpp_plugin.AdjustNeck', in_channels=(16, 32, 64), out_channels=16))
    model = MODELS.build(config).eval()
    fusion, outputs, (first, second) = model.head.fusion, [], frames(2)
    hook = fusion.register_forward_hook(lambda module, inputs, output: outputs.extend(part.clone() for part in output))
    SiamRPNTracker().update(model, SiamRPNTracker().init(model, first, BOXES), second)
    hook.remove()
    for conv, output, spread in zip((fusion.cls_conv, fusion.box_conv), outputs, (1, 0.15)):
        gain = spread / output.std(dim=(0, 2, 3))
        conv.weight.data *= gain[:, None, None, None]
        conv.bias.data = -gain * output.mean(dim=(0, 2, 3))
    return model
