"""What a mixture of stores really drew."""

from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.dist import all_reduce, get_comm_device, get_dist_info, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..registry import HOOKS


@HOOKS.register_module()
class DrawCountHook(Hook):
    """After each epoch: how many pairs were drawn from each store, and how many of them were positive.

    It counts the samples of the batches, over all ranks. The samples of an epoch that were drawn before the run was stopped and
    resumed count too: they follow from their numbers. The counts go to the log, and to every backend of the visualizer as
    `drawn/STORE` and `drawn_positive/STORE` (a share).

    Raises:
        ValueError: At the start of the training, if the data set does not number its samples as `LMDBPairDataset` does.
    """

    def __init__(self) -> None:
        self._counts = torch.zeros(0, 2)

    def before_train(self, runner: Runner) -> None:
        """Know early whether samples can be counted."""
        dataset = runner.train_dataloader.dataset
        if not hasattr(dataset, 'choose') or 'stores' not in getattr(dataset, 'metainfo', {}):
            raise ValueError(f'DrawCountHook needs an LMDBPairDataset, got {type(dataset).__name__}')

    def before_train_epoch(self, runner: Runner) -> None:
        """Start anew, with what the epoch has drawn before it was stopped."""
        dataset, sampler = runner.train_dataloader.dataset, runner.train_dataloader.sampler
        self._counts = torch.zeros(len(dataset.metainfo['stores']), 2, dtype=torch.float64)
        rank, world_size = get_dist_info()
        start = runner.epoch * getattr(sampler, 'pairs_per_epoch', len(dataset))
        self._count(dataset, range(start + rank, start + getattr(runner.train_loop, 'position', 0), world_size))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[dict] = None) -> None:
        """Count a batch."""
        self._count(runner.train_dataloader.dataset, torch.as_tensor(data_batch['sample']).tolist())

    def after_train_epoch(self, runner: Runner) -> None:
        """Add up the ranks and tell."""
        counts = self._counts.float().to(get_comm_device())  # exact up to 2 ** 24 pairs of a store
        all_reduce(counts)
        if not is_main_process():
            return
        names, scalars, told = store_names(runner.train_dataloader.dataset.metainfo['stores']), {}, []
        for name, (drawn, positive) in zip(names, counts.tolist()):
            share = positive / max(drawn, 1)
            scalars.update({f'drawn/{name}': drawn, f'drawn_positive/{name}': share})
            told.append(f'{name} {drawn:.0f} ({share:.1%} positive)')
        runner.logger.info(f'epoch {runner.epoch + 1} drew ' + ', '.join(told))
        runner.visualizer.add_scalars(scalars, step=runner.iter)

    def _count(self, dataset: Any, samples: Any) -> None:
        for k in samples:
            pair = dataset.choose(k)
            self._counts[pair.template[0]] += torch.tensor([1, pair.is_positive])


def store_names(paths: list) -> list:
    """Short names of stores: without folder and suffix, where that tells them apart."""
    stems = [Path(path).stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
