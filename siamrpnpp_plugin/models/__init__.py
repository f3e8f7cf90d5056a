"""The network: one file per box of the paper's figure. Importing this room registers its classes in MODELS and TASK_UTILS."""

from .adjust_neck import AdjustNeck
from .alexnet import AlexNet
from .anchor_assigner import AnchorAssigner, AnchorTargets
from .anchor_generator import AnchorGenerator
from .box_coder import DeltaBoxCoder
from .data_preprocessor import PairDataPreprocessor
from .fusion_head import FusionHead
from .level_fusion import GroupedConvFusion, SoftmaxFusion
from .losses import BalancedCrossEntropyLoss, L1BoxLoss, SmoothL1BoxLoss
from .mobilenet_v2 import MobileNetV2
from .resnet import ResNet
from .rpn_head import RPNHead, UpChannelRPNHead
from .siamrpn import SiamRPN

__all__ = [
    'AdjustNeck', 'AlexNet', 'AnchorAssigner', 'AnchorGenerator', 'AnchorTargets', 'BalancedCrossEntropyLoss', 'DeltaBoxCoder',
    'FusionHead', 'GroupedConvFusion', 'L1BoxLoss', 'MobileNetV2', 'PairDataPreprocessor', 'ResNet', 'RPNHead', 'SiamRPN',
    'SmoothL1BoxLoss', 'SoftmaxFusion', 'UpChannelRPNHead'
]
