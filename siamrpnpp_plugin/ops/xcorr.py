"""Cross-correlation of a search map with a template map, every sample with its own template.

B batch, C channels, K outputs per sample; h, w template map; H, W search map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

ONNX_OP = 'siamrpnpp::ConvolveEach'  # of an exported graph: its batch stays free, where one grouped convolution would fix it


def _check_sizes(search: Tensor, template: Tensor) -> None:
    if search.shape[0] != template.shape[0]:
        raise ValueError(f'batch of the search {tuple(search.shape)} is not the batch of the template {tuple(template.shape)}')
    if search.shape[2] < template.shape[2] or search.shape[3] < template.shape[3]:
        raise ValueError(f'search map {tuple(search.shape)} is smaller than the template map {tuple(template.shape)}')


def _convolve_each(search: Tensor, kernels: Tensor, groups: int) -> Tensor:
    """(B, C, H, W) and kernels (B, K, C / groups, h, w) -> (B, K, H - h + 1, W - w + 1)."""
    batch, outputs = kernels.shape[:2]
    if torch.onnx.is_in_onnx_export():
        size = [side - kernel + 1 for side, kernel in zip(search.shape[2:], kernels.shape[3:])]
        return torch.onnx.ops.symbolic(ONNX_OP, (search, kernels), dict(group=groups), dtype=search.dtype,
                                       shape=(batch, outputs, *size), version=1)
    response = F.conv2d(search.reshape(1, -1, *search.shape[2:]), kernels.reshape(-1, *kernels.shape[2:]), groups=batch * groups)
    return response.view(batch, outputs, *response.shape[2:])


def xcorr_depthwise(search: Tensor, template: Tensor) -> Tensor:
    """Correlate channel by channel, without padding (SiamRPN++, Li et al. 2019, section 3.3).

    Args:
        search: (B, C, H, W).
        template: (B, C, h, w), h <= H and w <= W.

    Returns:
        (B, C, H - h + 1, W - w + 1).

    Raises:
        ValueError: If batches or channels differ, or the search map is the smaller one.
    """
    _check_sizes(search, template)
    channels = template.shape[1]
    if search.shape[1] != channels:
        raise ValueError(f'search map has {search.shape[1]} channels, template map has {channels}')
    return _convolve_each(search, template.unsqueeze(2), channels)


def xcorr_up_channel(search: Tensor, template: Tensor) -> Tensor:
    """Correlate with K kernels of C channels per sample, without padding (SiamRPN, Li et al. 2018, section 3.2).

    Args:
        search: (B, C, H, W).
        template: (B, K * C, h, w), the K kernels one after another.

    Returns:
        (B, K, H - h + 1, W - w + 1).

    Raises:
        ValueError: If batches differ, C does not divide the template's channels, or the search map is the smaller one.
    """
    _check_sizes(search, template)
    channels = search.shape[1]
    if template.shape[1] % channels:
        raise ValueError(f'template map has {template.shape[1]} channels, not a multiple of the {channels} of the search map')
    return _convolve_each(search, template.unflatten(1, (-1, channels)), 1)
