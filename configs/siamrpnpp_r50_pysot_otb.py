# PySOT siamrpn_r50_l234_dwxcorr_otb: the levels are averaged, without weights
_base_ = 'siamrpnpp_r50_pysot.py'
model = dict(head=dict(fusion=dict(learnable=False)))
tracker = dict(penalty_k=0.24, window_influence=0.5, smoothing=0.25)
