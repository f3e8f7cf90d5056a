"""Convolution, normalisation and activation as one named block."""

from collections import OrderedDict
from typing import Optional

from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import nn


def conv_norm_act(in_channels: int, out_channels: int, kernel_size: int, padding: int = 0, bias: bool = False,
                  norm_cfg: Optional[dict] = None, act_cfg: Optional[dict] = None) -> nn.Sequential:
    """A convolution named `conv`, then `bn` if `norm_cfg` is given, then `act` if `act_cfg` is.

    torch's own initialisation, as PySOT and the seed have it; mmcv's ConvModule would change it and warn of the seed's bias.
    """
    layers = OrderedDict(conv=nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=bias))
    if norm_cfg is not None:
        layers['bn'] = build_norm_layer(norm_cfg, out_channels)[1]
    if act_cfg is not None:
        layers['act'] = build_activation_layer(act_cfg)
    return nn.Sequential(layers)
