# PySOT's mixture (its siamrpn_r50_l234_dwxcorr configs): VID repeated up to 100,000 pairs, and every video of YouTube-BB and every
# image of COCO and DET once; then anew. Of the 600,000 pairs of an epoch YouTube-BB and DET have the most. PySOT's augmentation.
# YouTube-BB is annotated once a second and numbered by seconds; stills pair an image with itself (PySOT's range of 1).
_base_ = 'siamrpnpp_r50_vid.py'
train_dataloader = dict(
    dataset=dict(
        store=[
            dict(path='data/vid_train.lmdb', pairs=100000, frame_range=100),
            dict(path='data/ytbb_train.lmdb', frame_range=3),
            dict(path='data/coco_train2017.lmdb', frame_range=0),
            dict(path='data/det_train.lmdb', frame_range=0),
        ],
        pairs_per_epoch=600000,
        pipeline=[
            dict(type='ShiftScaleCrop', keys='template', size=127, shift=4, scale=0.05),
            dict(type='ShiftScaleCrop', keys='search', size=255, shift=64, scale=0.18),
            dict(type='ColorPCA', keys='template'),
            dict(type='ColorPCA', keys='search'),
            dict(type='MotionBlur', keys='search', prob=0.2),
        ]))
