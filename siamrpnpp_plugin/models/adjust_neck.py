"""The neck: one 1x1 convolution per level, and the centre crop of the template map (SiamRPN++, section 3.4)."""

from collections.abc import Sequence
from typing import Optional, Union

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS
from .layers import conv_norm_act


@MODELS.register_module()
class AdjustNeck(BaseModule):
    """Reduce every level to the channels of the head.

    Args:
        in_channels: Channels of each level of the backbone.
        out_channels: Channels after the reduction, one number for all levels or one per level.
        norm_cfg: Normalisation after the convolution; None for none (the seed's code), BN by default (PySOT).
        template_size: Side in cells of the centre crop of a template map; None keeps the whole map.
        init_cfg: mmengine initialiser; torch's default without.

    Raises:
        ValueError: If `out_channels` has another length than `in_channels`.
    """

    def __init__(self, in_channels: Sequence[int] = (512, 1024, 2048), out_channels: Union[int, Sequence[int]] = 256,
                 norm_cfg: Optional[dict] = dict(type='BN'), template_size: Optional[int] = 7,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if isinstance(out_channels, int):
            out_channels = (out_channels, ) * len(in_channels)
        if len(out_channels) != len(in_channels):
            raise ValueError(f'out_channels of AdjustNeck has {len(out_channels)} levels, in_channels {len(in_channels)}: '
                             f'{tuple(out_channels)}, {tuple(in_channels)}')
        self.template_size = template_size
        self.convs = nn.ModuleList(conv_norm_act(before, after, 1, norm_cfg=norm_cfg)
                                   for before, after in zip(in_channels, out_channels))

    def forward(self, feats: Sequence[Tensor], is_template: bool = False) -> tuple[Tensor, ...]:
        """Reduce the channels, and crop the centre if the maps are a template's.

        Args:
            feats: One (B, C_l, H, W) map per level.
            is_template: Whether to cut the centre `template_size` x `template_size` out.

        Returns:
            One (B, out_channels, H', W') map per level.

        Raises:
            ValueError: If the number of levels or a level's channels do not match, or a template map is smaller than the crop.
        """
        if len(feats) != len(self.convs):
            raise ValueError(f'AdjustNeck was built for {len(self.convs)} levels, the backbone gives {len(feats)}')
        adjusted = []
        for level, (conv, feat) in enumerate(zip(self.convs, feats)):
            if feat.shape[1] != conv.conv.in_channels:
                raise ValueError(f'AdjustNeck expects {conv.conv.in_channels} channels on level {level}, the backbone gives '
                                 f'{feat.shape[1]}')
            feat = conv(feat)
            if is_template and self.template_size is not None:
                feat = self._center_crop(feat)  # after the batch norm: its training statistics are of the whole map, as PySOT's
            adjusted.append(feat)
        return tuple(adjusted)

    def _center_crop(self, feat: Tensor) -> Tensor:
        size = self.template_size
        height, width = feat.shape[2:]
        if height < size or width < size:
            raise ValueError(f'template map {tuple(feat.shape)} is smaller than template_size {size} of AdjustNeck')
        top, left = (height - size) // 2, (width - size) // 2
        return feat[:, :, top:top + size, left:left + size]
