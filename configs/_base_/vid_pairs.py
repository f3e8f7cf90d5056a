# Pairs of ILSVRC2015 VID, packed by tools/pack_dataset.py. PySOT's augmentation, and grey and mirrored pairs beside it: VID has
# few videos (3862) for the number of pairs. 200,000 pairs are 52 of each video per epoch.
train_dataloader = dict(
    batch_size=28,  # the most that a rank takes at once
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='PairSampler'),
    collate_fn=dict(type='siamrpnpp_plugin.collate_pairs'),
    dataset=dict(
        type='LMDBPairDataset',
        store='data/vid_train.lmdb',
        pairs_per_epoch=200000,
        frame_range=100,
        negative_share=0.2,
        pipeline=[
            dict(type='ShiftScaleCrop', keys='template', size=127, shift=4, scale=0.05),
            dict(type='ShiftScaleCrop', keys='search', size=255, shift=64, scale=0.18),
            dict(type='RandomGray', prob=0.25),
            dict(type='RandomFlip', prob=0.5),
            dict(type='ColorPCA', keys='template'),
            dict(type='ColorPCA', keys='search'),
            dict(type='MotionBlur', keys='search', prob=0.2),
        ]))
# After each epoch: 32 of VID's validation videos are tracked.
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='SequenceDataset', benchmark='vid', root='data/ILSVRC2015', options=dict(split='val'), num_sequences=32,
                 max_frames=200))
val_evaluator = dict(type='OPEMetric')
val_cfg = dict(type='TrackLoop', batch_videos=8)
# For tools/analysis/evaluate_pairs.py: held-out pairs, always the same ones.
pairs_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='PairSampler'),
    collate_fn=dict(type='siamrpnpp_plugin.collate_pairs'),
    dataset=dict(
        type='LMDBPairDataset',
        store='data/vid_val.lmdb',
        pairs_per_epoch=2000,
        frame_range=100,
        negative_share=0,
        seed=0,
        pipeline=[
            dict(type='ShiftScaleCrop', keys='template', size=127),
            dict(type='ShiftScaleCrop', keys='search', size=255, shift=64, scale=0.18),
        ]))
