# The seed's own recipe: batch 96, 50 pairs of each of VID's 3862 training videos per epoch, losses per sample, learning rate .001
# for 5 epochs and then .005 * .85 ** k, every layer trained at one rate; stretch .15, grey .25.
_base_ = 'siamrpnpp_r50_vid.py'
model = dict(
    backbone=dict(frozen_stages=-1),
    head=dict(
        anchor_assigner=dict(negatives_per_positive=3),
        loss_cls=dict(per_sample=True),
        loss_box=dict(_delete_=True, type='SmoothL1BoxLoss', coordinates='mean', loss_weight=5.0)))
train_dataloader = dict(
    batch_size=24,
    dataset=dict(
        pairs_per_epoch=193100,
        negative_share=0,
        pipeline=[
            dict(type='ShiftScaleCrop', keys='template', size=127),
            dict(type='ShiftScaleCrop', keys='search', size=255, shift=64, scale=0.15),
            dict(type='RandomGray', prob=0.25),
        ]))
train_cfg = dict(global_batch_size=96)
auto_scale_lr = dict(base_batch_size=96)
optim_wrapper = dict(
    optimizer=dict(lr=0.001, weight_decay=5e-4),
    paramwise_cfg=dict(_delete_=True),
    clip_grad=dict(max_norm=1e9))  # none; logs the norm
param_scheduler = [
    dict(type='ConstantLR', factor=1, begin=0, end=5),
    dict(type='MultiStepLR', milestones=[5], gamma=5),
    dict(type='ExponentialLR', gamma=0.85, begin=5, end=20),
]
custom_hooks = [dict(type='SafetyHook'), dict(type='MonitorHook', interval=200, picture_interval=1000)]
