# The mixture that today's trackers train with: a quarter of the pairs from each. For a VOT challenge pack GOT-10k with --exclude.
# LaSOT and TrackingNet have 30 frames a second, GOT-10k 10: 100 frames are 3 and 10 seconds.
_base_ = 'siamrpnpp_r50_vid.py'
train_dataloader = dict(
    dataset=dict(
        store=[
            dict(path='data/lasot_train.lmdb', weight=1, frame_range=100),
            dict(path='data/got10k_train.lmdb', weight=1, frame_range=100),
            dict(path='data/coco_train2017.lmdb', weight=1, frame_range=0),
            dict(path='data/trackingnet_train.lmdb', weight=1, frame_range=100),
        ],
        pairs_per_epoch=600000))
val_dataloader = dict(dataset=dict(benchmark='got10k', root='data/GOT-10k'))
pairs_dataloader = dict(dataset=dict(store='data/got10k_val.lmdb'))
