# PySOT siamrpn_alex_dwxcorr and siamrpn_alex_dwxcorr_otb: one level, no neck
_base_ = 'siamrpnpp_r50_pysot.py'
model = dict(
    backbone=dict(_delete_=True, type='AlexNet', frozen_stages=3, init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=None,
    head=dict(num_levels=1, fusion=None))
tracker = dict(penalty_k=0.16, window_influence=0.4, smoothing=0.3, search_size=287)  # a map of 21x21
