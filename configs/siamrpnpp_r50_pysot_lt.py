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
tracker = dict(window_influence=0.28, smoothing=0.22, lost_search_size=831, lost_below=0.8, found_above=0.998)
