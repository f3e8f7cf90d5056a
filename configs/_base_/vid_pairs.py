# Pairs of ILSVRC2015 VID, packed by tools/pack_dataset.py, with PySOT's augmentation.
train_dataloader = dict(
    batch_size=28,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='PairSampler'),
    collate_fn=dict(type='siamrpnpp_plugin.collate_pairs'),
    dataset=dict(
        type='LMDBPairDataset',
        store='data/vid_train.lmdb',
        pairs_per_epoch=600000,
        frame_range=100,
        negative_share=0.2,
        pipeline=[
            dict(type='ShiftScaleCrop', keys='template', size=127, shift=4, scale=0.05),
            dict(type='ShiftScaleCrop', keys='search', size=255, shift=64, scale=0.18),
            dict(type='ColorPCA', keys='template'),
            dict(type='ColorPCA', keys='search'),
            dict(type='MotionBlur', keys='search', prob=0.2),
        ]))
