# PySOT siamrpn_r50_l234_dwxcorr
_base_ = ['_base_/siamrpnpp_r50_pysot.py', '_base_/runtime.py']
