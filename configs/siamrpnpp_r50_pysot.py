# PySOT siamrpn_r50_l234_dwxcorr
_base_ = ['_base_/siamrpnpp_r50_pysot.py', '_base_/runtime.py']
tracker = dict(type='SiamRPNTracker', penalty_k=0.05, window_influence=0.42, smoothing=0.38, align='pixel')  # for VOT
