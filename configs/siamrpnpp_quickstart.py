# The main job small enough for five minutes on two CPU cores: the same three-level network and the same training, with a narrow
# ResNet-18, three quarters of the image sizes, and synthetic videos. Nothing is pretrained, so everything trains from the start.
_base_ = 'siamrpnpp_r50_vid.py'
model = dict(
    backbone=dict(depth=18, width=0.1875, frozen_stages=-1),
    neck=dict(in_channels=(24, 48, 96), out_channels=48, norm_cfg=dict(_delete_=True, type='BN')),
    head=dict(
        rpn_head=dict(in_channels=48, hidden_channels=48),
        anchor_generator=dict(scales=[6])))  # 48 pixels: three quarters of 64, as the images
tracker = dict(type='SiamRPNTracker', window_influence=0.2, template_size=95, search_size=191)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        store='work_dirs/quickstart/train.lmdb',
        pairs_per_epoch=2000,
        negative_share=0.1,
        pipeline=[
            dict(type='ShiftScaleCrop', keys='template', size=95, shift=3, scale=0.05),
            dict(type='ShiftScaleCrop', keys='search', size=191, shift=48, scale=0.18),
            dict(type='RandomFlip', prob=0.5),
            dict(type='ColorPCA', keys='template'),
            dict(type='ColorPCA', keys='search'),
            dict(type='MotionBlur', keys='search', prob=0.2, sizes=(5, 33)),
        ]))
val_dataloader = dict(dataset=dict(root='work_dirs/quickstart/videos', num_sequences=4))
val_cfg = dict(batch_videos=4)
pairs_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        store='work_dirs/quickstart/val.lmdb',
        pairs_per_epoch=512,
        pipeline=[
            dict(type='ShiftScaleCrop', keys='template', size=95),
            dict(type='ShiftScaleCrop', keys='search', size=191, shift=48, scale=0.18),
        ]))
train_cfg = dict(max_epochs=8, global_batch_size=8)
auto_scale_lr = dict(base_batch_size=8)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1.5e-3, weight_decay=1e-4),
    paramwise_cfg=dict(_delete_=True),
    clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type='OneCycleLR', eta_max=1.5e-3, pct_start=0.15, by_epoch=True, total_steps=8, convert_to_iter_based=True)]
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(iter_interval=None))
custom_hooks = [dict(type='SafetyHook'), dict(type='MonitorHook', interval=250, picture_interval=250)]
