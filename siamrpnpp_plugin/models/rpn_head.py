"""The Siamese RPN block of one level: template and search map in, scores and box offsets of every anchor out.

B batch, C channels, A anchors per cell; h, w template map; H, W search map.
"""

from typing import Optional

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..ops.xcorr import xcorr_depthwise, xcorr_up_channel
from ..registry import MODELS
from .layers import conv_norm_act


@MODELS.register_module()
class RPNHead(BaseModule):
    """Siamese RPN block with depthwise correlation (SiamRPN++, figure 3), named as the seed's table.

    adj_1 (template) and adj_2 (search) meet in the correlation of the box branch, adj_3 and adj_4 in that of the cls branch;
    fusion_module_1 / box_head and fusion_module_2 / cls_head follow. The defaults are the seed's; PySOT's `DepthwiseRPN` is
    `adjust_padding=0, adjust_act_cfg=dict(type='ReLU'), conv_bias=False`.

    Args:
        in_channels: Channels of both maps.
        hidden_channels: Channels between adjustment and prediction.
        num_anchors: Anchors per cell.
        adjust_padding: Padding of the four 3x3 convolutions; 1 keeps 7x7 and 31x31, 0 gives 5x5 and 29x29. The correlation has
            the same size with both.
        adjust_act_cfg: Activation after adj_1..4; None for none.
        conv_bias: Whether the convolutions before a batch norm have a bias.
        norm_cfg: Normalisation layer of mmcv.
        init_cfg: mmengine initialiser; torch's default without.
    """

    def __init__(self, in_channels: int = 256, hidden_channels: int = 256, num_anchors: int = 5, adjust_padding: int = 1,
                 adjust_act_cfg: Optional[dict] = None, conv_bias: bool = True, norm_cfg: dict = dict(type='BN'),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.num_anchors = num_anchors

        def adjust() -> nn.Sequential:
            return conv_norm_act(in_channels, hidden_channels, 3, adjust_padding, conv_bias, norm_cfg, adjust_act_cfg)

        def fuse() -> nn.Sequential:
            return conv_norm_act(hidden_channels, hidden_channels, 1, 0, conv_bias, norm_cfg, dict(type='ReLU'))

        self.adj_1, self.adj_2, self.adj_3, self.adj_4 = adjust(), adjust(), adjust(), adjust()
        self.fusion_module_1, self.fusion_module_2 = fuse(), fuse()
        self.box_head = nn.Conv2d(hidden_channels, 4 * num_anchors, 1)
        self.cls_head = nn.Conv2d(hidden_channels, 2 * num_anchors, 1)

    def template_kernels(self, template_feat: Tensor) -> tuple[Tensor, Tensor]:
        """The template's share of the work, once per target: (B, C, h, w) -> kernels of the score and of the box branch."""
        _check_channels(self, 'template', template_feat)
        return self.adj_3(template_feat), self.adj_1(template_feat)

    def correlate(self, kernels: tuple[Tensor, Tensor], search_feat: Tensor) -> tuple[Tensor, Tensor]:
        """The search's share: `kernels` and a (B, C, H, W) map -> as `forward`."""
        _check_channels(self, 'search', search_feat)
        cls_kernel, box_kernel = kernels
        cls_feat = xcorr_depthwise(self.adj_4(search_feat), cls_kernel)
        box_feat = xcorr_depthwise(self.adj_2(search_feat), box_kernel)
        return self.cls_head(self.fusion_module_2(cls_feat)), self.box_head(self.fusion_module_1(box_feat))

    def forward(self, template_feat: Tensor, search_feat: Tensor) -> tuple[Tensor, Tensor]:
        """Compare a template map with a search map.

        Args:
            template_feat: (B, C, h, w).
            search_feat: (B, C, H, W).

        Returns:
            cls_score (B, 2A, H - h + 1, W - w + 1), seen as (B, 2, A, ...) with class 1 the target, and bbox_pred
            (B, 4A, H - h + 1, W - w + 1), seen as (B, 4, A, ...) anchor deltas.
        """
        return self.correlate(self.template_kernels(template_feat), search_feat)


@MODELS.register_module()
class UpChannelRPNHead(BaseModule):
    """Siamese RPN block of SiamRPN (Li et al. 2018): the template becomes one kernel per output channel.

    Without padding, norm or activation, as PySOT's `UPChannelRPN`: a 6x6 template map and a 22x22 search map give 17x17.

    Args:
        in_channels: Channels of both maps.
        num_anchors: Anchors per cell.
        init_cfg: mmengine initialiser; torch's default without.
    """

    def __init__(self, in_channels: int = 256, num_anchors: int = 5, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.num_anchors = num_anchors
        self.template_cls_conv = nn.Conv2d(in_channels, in_channels * 2 * num_anchors, 3)
        self.template_box_conv = nn.Conv2d(in_channels, in_channels * 4 * num_anchors, 3)
        self.search_cls_conv = nn.Conv2d(in_channels, in_channels, 3)
        self.search_box_conv = nn.Conv2d(in_channels, in_channels, 3)
        self.box_adjust = nn.Conv2d(4 * num_anchors, 4 * num_anchors, 1)

    def template_kernels(self, template_feat: Tensor) -> tuple[Tensor, Tensor]:
        """As `RPNHead.template_kernels`."""
        _check_channels(self, 'template', template_feat)
        return self.template_cls_conv(template_feat), self.template_box_conv(template_feat)

    def correlate(self, kernels: tuple[Tensor, Tensor], search_feat: Tensor) -> tuple[Tensor, Tensor]:
        """As `RPNHead.correlate`."""
        _check_channels(self, 'search', search_feat)
        cls_kernel, box_kernel = kernels
        cls_score = xcorr_up_channel(self.search_cls_conv(search_feat), cls_kernel)
        return cls_score, self.box_adjust(xcorr_up_channel(self.search_box_conv(search_feat), box_kernel))

    def forward(self, template_feat: Tensor, search_feat: Tensor) -> tuple[Tensor, Tensor]:
        """As `RPNHead.forward`."""
        return self.correlate(self.template_kernels(template_feat), search_feat)


def _check_channels(head: nn.Module, name: str, feat: Tensor) -> None:
    if feat.shape[1] != head.in_channels:
        raise ValueError(f'{type(head).__name__} expects {head.in_channels} channels, the {name} map is {tuple(feat.shape)}')
