"""What the Runner needs beside mmengine's own: the training loop, the sampler, checkpoints and hooks."""

from .checkpoint_files import newest_checkpoint
from .checkpoint_hook import CheckpointError, ResumableCheckpointHook
from .draw_count_hook import DrawCountHook
from .launch import SameOnEachRank
from .param_groups import MergedGroupsConstructor
from .samplers import PairSampler
from .train_loop import PairTrainLoop
from .training_hooks import BackboneScheduleHook, MonitorHook, SafetyHook, StepEMAHook

__all__ = ['BackboneScheduleHook', 'CheckpointError', 'DrawCountHook', 'MergedGroupsConstructor', 'MonitorHook', 'PairSampler',
           'PairTrainLoop', 'ResumableCheckpointHook', 'SafetyHook', 'SameOnEachRank', 'StepEMAHook', 'newest_checkpoint']
