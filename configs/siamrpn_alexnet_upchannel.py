# The up-channel head of SiamRPN (CVPR 2018), PySOT's UPChannelRPN
_base_ = 'siamrpn_alexnet_pysot.py'
model = dict(head=dict(rpn_head=dict(_delete_=True, type='UpChannelRPNHead', in_channels=256, num_anchors=5)))
