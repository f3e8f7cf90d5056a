# The seed's architecture, trained on ILSVRC2015 VID with PySOT's recipe.
_base_ = ['_base_/siamrpnpp_r50.py', '_base_/vid_pairs.py', '_base_/schedule_pysot.py', '_base_/runtime.py']
tracker = dict(type='SiamRPNTracker', penalty_k=0.05, window_influence=0.42, smoothing=0.38)  # as PySOT's ResNet-50
default_hooks = dict(checkpoint=dict(save_best='ope/auc'))
custom_hooks = [
    dict(type='SafetyHook'),
    dict(type='MonitorHook', interval=200, picture_interval=1000),
    dict(type='BackboneScheduleHook', unfreeze_epoch=10),
    dict(type='DrawCountHook'),
]
