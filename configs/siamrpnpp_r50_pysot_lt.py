# PySOT siamrpn_r50_l234_dwxcorr_lt: every level keeps its own number of channels
_base_ = 'siamrpnpp_r50_pysot.py'
model = dict(
    neck=dict(out_channels=(128, 256, 512)),
    head=dict(rpn_head=[
        dict(
            type='RPNHead',
            in_channels=channels,
            hidden_channels=channels,
            adjust_padding=0,
            adjust_act_cfg=dict(type='ReLU'),
            conv_bias=False) for channels in (128, 256, 512)
    ]))
