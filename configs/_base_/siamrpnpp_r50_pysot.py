# SiamRPN++ with ResNet-50 as PySOT's published checkpoints have it: raw BGR, half dilation in the first block of conv4/conv5,
# batch norm in the neck, adj convolutions without padding and with ReLU, softmax fusion.
_base_ = 'siamrpnpp_r50.py'
model = dict(
    data_preprocessor=dict(mean=None, std=None, bgr_to_rgb=False),
    backbone=dict(first_block='half'),
    neck=dict(norm_cfg=dict(_delete_=True, type='BN')),
    head=dict(
        rpn_head=dict(adjust_padding=0, adjust_act_cfg=dict(type='ReLU'), conv_bias=False),
        fusion=dict(_delete_=True, type='SoftmaxFusion', num_levels=3)))
