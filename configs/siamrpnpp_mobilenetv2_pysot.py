# PySOT siamrpn_mobilev2_l234_dwxcorr
_base_ = 'siamrpnpp_r50_pysot.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        width=1.4,
        out_levels=(3, 5, 7),
        frozen_stages=0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(in_channels=(44, 134, 448)),
    head=dict(fusion=dict(learnable=False)))
tracker = dict(penalty_k=0.04, window_influence=0.4, smoothing=0.5)
