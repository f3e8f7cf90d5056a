# The seed's architecture, for training on ILSVRC2015 VID.
_base_ = ['_base_/siamrpnpp_r50.py', '_base_/vid_pairs.py', '_base_/runtime.py']
