"""Epochs in global batches that do not depend on the number of ranks, and that go on after a stop at the very sample.

The recipe names the *global* batch: the samples of one optimizer step over all ranks. Batch per rank and gradient accumulation
follow from the number of ranks.
"""

import os
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Optional, Union

import numpy as np
import torch
from mmengine.dist import broadcast
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from ..ops.random import hash_of
from ..registry import DATASETS, LOOPS
from .samplers import PairSampler


def share_batch(global_batch_size: int, world_size: int, largest: int) -> tuple[int, int]:
    """How ranks share a global batch.

    Args:
        global_batch_size: Samples of an optimizer step over all ranks.
        world_size: Number of ranks.
        largest: Most samples that a rank may take through the network at once.

    Returns:
        Samples at once and per rank, and how many of such batches are accumulated before a step: the fewest possible.

    Raises:
        ValueError: If the ranks cannot share it evenly.
    """
    share, rest = divmod(global_batch_size, world_size)
    if rest or not share:
        raise ValueError(f'global_batch_size={global_batch_size} cannot be shared evenly by {world_size} ranks: set '
                         f'train_cfg.global_batch_size to a multiple of {world_size}, such as '
                         f'{max(round(global_batch_size / world_size), 1) * world_size}')
    accumulation = next(count for count in range(1, share + 1) if share % count == 0 and share // count <= largest)
    return share // accumulation, accumulation


def _start_worker(init: Optional[Callable], worker_id: int) -> None:
    """In a fresh worker of the loader: out of the rank's process group, so that a signal to the group reaches the rank alone,
    which then finishes its step."""
    os.setpgrp()
    if init is not None:
        init(worker_id)


@LOOPS.register_module()
class PairTrainLoop(EpochBasedTrainLoop):
    """Training of numbered samples (`LMDBPairDataset`, `PairSampler`).

    An epoch has the whole global batches that fit into the data set's length; with fewer samples than a global batch, one step
    over all that the ranks can share. Each iteration seeds the random number generators from the run's seed, its first sample and
    the rank, so that nothing depends on what ran before.

    Args:
        runner: The Runner.
        dataloader: Config; its `batch_size` is the most that a rank takes at once.
        max_epochs: Number of epochs.
        global_batch_size: Samples per optimizer step over all ranks; None: `batch_size` on every rank.
        val_begin: First epoch, from 1, after which to validate.
        val_interval: Epochs between validations.

    Raises:
        ValueError: If the ranks cannot share the global batch, the sampler is another one, or gradient accumulation is set twice.
    """

    def __init__(self, runner: Runner, dataloader: Union[dict, DataLoader], max_epochs: int,
                 global_batch_size: Optional[int] = None, val_begin: int = 1, val_interval: int = 1) -> None:
        self.accumulation = 1
        if isinstance(dataloader, dict):
            dataloader = self._share(runner, dict(dataloader), global_batch_size)
        elif global_batch_size is not None:
            raise ValueError('global_batch_size needs the dataloader as a config, not built')
        super().__init__(runner, dataloader, max_epochs, val_begin, val_interval)
        self.sampler = self.dataloader.sampler
        if not isinstance(self.sampler, PairSampler):
            raise ValueError(f'PairTrainLoop needs the sampler PairSampler, got {type(self.sampler).__name__}')
        self.samples_per_iter = self.dataloader.batch_size * runner.world_size
        self.sampler.trim(self.samples_per_iter * self.accumulation)
        self._max_iters = self.max_epochs * len(self.dataloader)
        self.stop_requested = False
        self.dataloader.worker_init_fn = partial(_start_worker, self.dataloader.worker_init_fn)

    def _share(self, runner: Runner, dataloader: dict, global_batch_size: Optional[int]) -> dict:
        """The loader's config with this rank's batch size; tells the Runner how much to accumulate."""
        if not isinstance(dataloader.get('dataset'), torch.utils.data.Dataset):
            dataloader['dataset'] = DATASETS.build(dataloader['dataset'])
        largest, world_size, pairs = dataloader['batch_size'], runner.world_size, len(dataloader['dataset'])
        if largest < 1 or (global_batch_size is not None and global_batch_size < 1):
            raise ValueError(f'batch_size and global_batch_size must be positive, got {largest} and {global_batch_size}')
        wanted = global_batch_size or largest * world_size
        if pairs < world_size:
            raise ValueError(f'an epoch of {pairs} pairs cannot be shared by {world_size} ranks')
        if pairs < wanted:
            runner.logger.warning(f'an epoch has {pairs} pairs, fewer than a global batch of {wanted}: each epoch is one step')
            wanted = pairs // world_size * world_size
        batch_size, self.accumulation = share_batch(wanted, world_size, largest)
        if 4 * batch_size < min(largest, wanted // world_size):
            runner.logger.warning(f'a global batch of {wanted} only divides into batches of {batch_size} per rank, {largest} '
                                  f'would be possible: better take a multiple of {largest * world_size}')
        wrapper = runner.optim_wrapper
        if isinstance(wrapper, OptimWrapper):
            wrapper._accumulative_counts = self.accumulation
        else:
            if global_batch_size is not None and wrapper.get('accumulative_counts', self.accumulation) != self.accumulation:
                raise ValueError('accumulative_counts follows from train_cfg.global_batch_size: set only one of them')
            wrapper['accumulative_counts'] = self.accumulation
        if runner.auto_scale_lr:  # mmengine compares the config's batch size with the base
            base = runner.auto_scale_lr['base_batch_size']
            runner.auto_scale_lr = dict(runner.auto_scale_lr, base_batch_size=base * largest * world_size / wanted)
        dataloader['batch_size'] = batch_size
        if not torch.cuda.is_available():
            dataloader['pin_memory'] = False
        if not dataloader.get('num_workers'):
            dataloader['persistent_workers'] = False
        return dataloader

    @property
    def position(self) -> int:
        """Samples of this epoch that all ranks together have seen."""
        return (self._iter - self._epoch * len(self.dataloader)) * self.samples_per_iter

    @property
    def is_step(self) -> bool:
        """Whether the present iteration ends with an optimizer step."""
        return (self._iter + 1) % self.accumulation == 0

    def run(self) -> torch.nn.Module:
        self.sampler.set_seed(self.runner.seed)  # a resumed run has another one than its config may say
        self._log_recipe()
        return super().run()

    def run_epoch(self) -> None:
        """The rest of an epoch: all of it, or what was left when the run was stopped."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        start = self._iter - self._epoch * len(self.dataloader)
        self.sampler.set_epoch(self._epoch)
        self.sampler.set_position(self.position)
        if start < len(self.dataloader):
            for index, batch in enumerate(self.dataloader, start):
                self.run_iter(index, batch)
        for buffer in self.runner.model.buffers():  # statistics of batch norms: validated on all ranks, saved from the first
            broadcast(buffer)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: dict) -> None:
        seed = hash_of(self.runner.seed, self._iter * self.samples_per_iter, self.runner.rank)
        torch.manual_seed(seed >> 1)
        np.random.seed(seed & 0xffffffff)
        random.seed(seed)
        super().run_iter(idx, data_batch)

    def _log_recipe(self) -> None:
        """What the config comes to on this machine."""
        world_size, wrapper = self.runner.world_size, self.runner.optim_wrapper
        batch = self.dataloader.batch_size
        steps = len(self.dataloader) // self.accumulation
        pairs = self.sampler.pairs_per_epoch
        groups: Counter = Counter()
        for group in wrapper.optimizer.param_groups:
            rate, decay = group.get('initial_lr', group['lr']), group.get('weight_decay', 0)
            groups[rate, decay] += sum(parameter.numel() for parameter in group['params'])
        lines = [f'global batch {world_size * batch * self.accumulation} = {world_size} rank(s) x {batch} pairs x '
                 f'{self.accumulation} accumulated',
                 f'{self.max_epochs} epochs x {steps} steps = {self.max_epochs * steps} steps; {steps * self.accumulation} '
                 f'iterations and {self.sampler.epoch_size} of {pairs} pairs per epoch',
                 f'{type(wrapper.optimizer).__name__} on the mean over the global batch, '
                 f'gradient clip {wrapper.clip_grad_kwargs}']
        lines += [f'  first lr {lr:.6g}, weight decay {decay:.6g}: {count / 1e6:.2f} M parameters'
                  for (lr, decay), count in sorted(groups.items(), reverse=True)]
        lines.append(f'seed {self.runner.seed}, {type(wrapper).__name__}, starting at epoch {self._epoch + 1}, sample '
                     f'{self.position} of it')
        self.runner.logger.info('Recipe:\n  ' + '\n  '.join(lines))
