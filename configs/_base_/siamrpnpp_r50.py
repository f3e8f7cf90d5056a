# SiamRPN++ with ResNet-50 as in the seed's tables: every block of conv4/conv5 dilated, adj convolutions with padding, grouped
# 1x1 convolution as fusion. Weights of torchvision: RGB, ImageNet mean and std.
model = dict(
    type='SiamRPN',
    data_preprocessor=dict(
        type='PairDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        type='ResNet',
        depth=50,
        first_block='dilated',
        out_levels=(2, 3, 4),
        frozen_stages=1,
        init_cfg=dict(type='Pretrained', checkpoint=None)),  # give a local torchvision file here
    neck=dict(type='AdjustNeck', in_channels=(512, 1024, 2048), out_channels=256, norm_cfg=None, template_size=7),
    head=dict(
        type='FusionHead',
        num_levels=3,
        rpn_head=dict(type='RPNHead', in_channels=256, hidden_channels=256, num_anchors=5),
        fusion=dict(type='GroupedConvFusion', num_levels=3, num_anchors=5),
        anchor_generator=dict(type='AnchorGenerator', stride=8, ratios=[0.33, 0.5, 1, 2, 3], scales=[8]),
        anchor_assigner=dict(type='AnchorAssigner', positive_iou=0.6, negative_iou=0.3, max_positives=16, max_negatives=48),
        loss_cls=dict(type='BalancedCrossEntropyLoss', loss_weight=1.0),
        loss_box=dict(type='L1BoxLoss', loss_weight=1.2)))
