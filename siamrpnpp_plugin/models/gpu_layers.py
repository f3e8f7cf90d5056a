"""Layers of a folded network that a GPU computes with fewer kernels, for inference only.

A convolution, its bias, the addition of a shortcut and ReLU are four passes over memory in torch; here they are one.
"""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .resnet import ResNet, _Block


class FusedConv2d(nn.Module):
    """relu(convolution + bias + addend) in one kernel of cuDNN, where it has one; else in steps.

    Args:
        conv: A convolution with a bias.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv, self.in_channels, self.is_fused = conv, conv.in_channels, True

    def forward(self, x: Tensor, addend: Optional[Tensor] = None) -> Tensor:
        conv = self.conv
        if x.is_cuda and self.is_fused:
            settings = conv.stride, conv.padding, conv.dilation, conv.groups
            try:
                if addend is None:
                    return torch.cudnn_convolution_relu(x, conv.weight, conv.bias, *settings)
                return torch.cudnn_convolution_add_relu(x, conv.weight, addend, 1.0, conv.bias, *settings)
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError:  # no such kernel for these sizes and numbers
                self.is_fused = False
        out = conv(x)
        return F.relu(out if addend is None else out + addend)


class PointwiseConv2d(nn.Module):
    """A 1x1 convolution as one matrix product with its bias; maps are best laid out with their channels last.

    Args:
        conv: A 1x1 convolution of one group, without stride and padding.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias, self.in_channels = conv.weight, conv.bias, conv.in_channels

    def forward(self, x: Tensor) -> Tensor:
        rows = F.linear(x.permute(0, 2, 3, 1).reshape(-1, self.in_channels), self.weight.flatten(1), self.bias)
        return rows.view(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)


class DepthwiseConv2d(nn.Module):
    """A dilated depthwise convolution by torch's own kernel: cuDNN's takes ten times as long.

    Args:
        conv: A convolution with as many groups as channels.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        if not x.is_cuda:
            return conv(x)
        out = torch.ops.aten._conv_depthwise2d(x.contiguous(), conv.weight.contiguous(), conv.kernel_size, conv.bias, conv.stride,
                                               conv.padding, conv.dilation)
        return out.contiguous(memory_format=torch.channels_last)


class FusedBlock(nn.Module):
    """A residual block whose ReLUs and addition happen in its convolutions.

    Args:
        block: Of a `ResNet`, its batch norms folded.
    """

    def __init__(self, block: _Block) -> None:
        super().__init__()
        self.convs = nn.ModuleList(FusedConv2d(layer) for layer in (getattr(block, name) for name in block.branch)
                                   if isinstance(layer, nn.Conv2d))
        self.downsample = block.downsample
        if self.downsample is not None:  # one bias for both branches
            shortcut = self.downsample[0]
            self.convs[-1].conv.bias.data += shortcut.bias
            shortcut.bias = None

    def forward(self, x: Tensor) -> Tensor:
        addend = x if self.downsample is None else self.downsample(x)
        for conv in self.convs[:-1]:
            x = conv(x)
        return self.convs[-1](x, addend)


def fuse_layers(model: nn.Module) -> None:
    """Put these layers into a network whose batch norms are folded, wherever they fit; other layers stay."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _Block) and _is_folded(child):
                setattr(parent, name, FusedBlock(child))
    for parent in list(model.modules()):
        if isinstance(parent, ResNet) and _has_bias(parent.conv1) and isinstance(parent.bn1, nn.Identity):
            parent.conv1, parent.relu = FusedConv2d(parent.conv1), nn.Identity()
        elif type(parent) is nn.Sequential:
            children = [name for name, child in parent.named_children() if not isinstance(child, nn.Identity)]
            for name, following in zip(children, children[1:]):
                conv, relu = parent.get_submodule(name), parent.get_submodule(following)
                if _has_bias(conv) and type(relu) is nn.ReLU:
                    setattr(parent, name, FusedConv2d(conv))
                    setattr(parent, following, nn.Identity())
    for parent in list(model.modules()):
        for name, conv in list(parent.named_children()):
            if isinstance(parent, (FusedConv2d, DepthwiseConv2d)) or not isinstance(conv, nn.Conv2d):
                continue
            if _is_plain(conv) and conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.padding == (0, 0):
                setattr(parent, name, PointwiseConv2d(conv))
            elif conv.groups == conv.in_channels == conv.out_channels and conv.dilation != (1, 1) and _is_zero_padded(conv):
                setattr(parent, name, DepthwiseConv2d(conv))


def _is_folded(block: _Block) -> bool:
    """Whether nothing but convolutions with a bias and ReLU is left of a block."""
    layers = [getattr(block, name) for name in block.branch] + list(block.downsample or ())
    return all(_has_bias(layer) or isinstance(layer, (nn.ReLU, nn.Identity)) for layer in layers)


def _has_bias(conv: nn.Module) -> bool:
    return _is_plain(conv) and conv.bias is not None


def _is_plain(conv: nn.Module) -> bool:
    return type(conv) is nn.Conv2d and conv.groups == 1 and _is_zero_padded(conv)


def _is_zero_padded(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == 'zeros' and not isinstance(conv.padding, str)
