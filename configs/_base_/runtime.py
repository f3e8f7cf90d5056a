# What every run shares. Everything that a run draws at random follows from the seed.
default_scope = 'siamrpnpp_plugin'
log_level = 'INFO'
randomness = dict(seed=0)
env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl'))
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=None,  # PairTrainLoop does it
    checkpoint=dict(type='ResumableCheckpointHook', interval=1, iter_interval=1000, max_keep=3))
custom_hooks = [
    dict(type='SafetyHook'),
    dict(type='MonitorHook', interval=200, picture_interval=1000),
    dict(type='DrawCountHook'),
]
visualizer = dict(type='TrackingVisualizer', vis_backends=[dict(type='LocalVisBackend')])  # or Tensorboard-, WandbVisBackend
