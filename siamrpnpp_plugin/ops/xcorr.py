"""Cross-correlation of a search map with a template map, every sample with its own template.

B batch, C channels, K outputs per sample; h, w template map; H, W search map.
"""

import torch.nn.functional as F
from torch import Tensor


def _check_sizes(search: Tensor, template: Tensor) -> None:
    if search.shape[0] != template.shape[0]:
        raise ValueError(f'batch of the search {tuple(search.shape)} is not the batch of the template {tuple(template.shape)}')
    if search.shape[2] < template.shape[2] or search.shape[3] < template.shape[3]:
        raise ValueError(f'search map {tuple(search.shape)} is smaller than the template map {tuple(template.shape)}')


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
    batch, channels = template.shape[:2]
    if search.shape[1] != channels:
        raise ValueError(f'search map has {search.shape[1]} channels, template map has {channels}')
    response = F.conv2d(search.reshape(1, batch * channels, *search.shape[2:]),
                        template.reshape(batch * channels, 1, *template.shape[2:]), groups=batch * channels)
    return response.view(batch, channels, *response.shape[2:])


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
    batch, channels = search.shape[:2]
    if template.shape[1] % channels:
        raise ValueError(f'template map has {template.shape[1]} channels, not a multiple of the {channels} of the search map')
    response = F.conv2d(search.reshape(1, batch * channels, *search.shape[2:]),
                        template.reshape(-1, channels, *template.shape[2:]), groups=batch)
    return response.view(batch, -1, *response.shape[2:])
