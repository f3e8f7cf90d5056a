# PySOT's recipe for a global batch of 224. PySOT sums the gradients of 8 GPUs, here they are averaged over the global batch: its
# learning rate .001 -> .005 -> .0005, weight decay 1e-4 and clip 10 are .008 -> .04 -> .004, 1.25e-5 and 1.25.
train_cfg = dict(type='PairTrainLoop', max_epochs=20, global_batch_size=224)
auto_scale_lr = dict(enable=False, base_batch_size=224)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='MergedGroupsConstructor',
    optimizer=dict(type='SGD', lr=0.008, momentum=0.9, weight_decay=1.25e-5),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=1.25))
param_scheduler = [  # by epochs, geometric: .008 at epoch 0, .04 at epoch 5, .004 at epoch 19
    dict(type='ExponentialLR', gamma=5**(1 / 5), begin=0, end=6),
    dict(type='ExponentialLR', gamma=0.1**(1 / 14), begin=5, end=20),
]
model_wrapper_cfg = dict(type='MMDistributedDataParallel', find_unused_parameters=True, broadcast_buffers=False)
