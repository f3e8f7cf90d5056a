"""What a mixture of stores really drew."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.dist import all_reduce, get_comm_device, get_dist_info, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..registry import HOOKS


@HOOKS.register_module()
class DrawCountHook(Hook):
    """After each epoch: how many pairs were drawn from each store, and the share of them that was positive.

    It counts the samples of the batches by the store of their template, over all ranks. What an epoch drew before the run was
    stopped and resumed counts too: it follows from the numbers of the samples (35 microseconds each). The counts go to the log,
    and to every backend of the visualizer as `drawn/STORE` and `drawn_positive/STORE`.

    A data set that does not tell its `stores` in `metainfo` and what it drew by `choose(k)`, as `LMDBPairDataset` does, is
    warned of once and not counted.
    """

    def __init__(self) -> None:
        self._dataset: Any = None
        self._counts = np.zeros((0, 2), np.int64)  # of each store: pairs, positive ones

    def before_train(self, runner: Runner) -> None:
        """Know early whether samples can be counted."""
        dataset = runner.train_dataloader.dataset
        self._dataset = dataset if hasattr(dataset, 'choose') and 'stores' in getattr(dataset, 'metainfo', ()) else None
        if self._dataset is None:
            runner.logger.warning(f'DrawCountHook counts the draws of LMDBPairDataset, not those of {type(dataset).__name__}')

    def before_train_epoch(self, runner: Runner) -> None:
        """Start anew, with what the epoch drew before it was stopped."""
        if self._dataset is None:
            return
        self._counts = np.zeros((len(self._dataset.metainfo['stores']), 2), np.int64)
        rank, world_size = get_dist_info()
        start = runner.epoch * len(self._dataset)
        self._count(range(start + rank, start + getattr(runner.train_loop, 'position', 0), world_size))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[dict] = None) -> None:
        """Count a batch."""
        if self._dataset is not None:
            self._count(torch.as_tensor(data_batch['sample']).tolist())

    def after_train_epoch(self, runner: Runner) -> None:
        """Add up the ranks and tell."""
        if self._dataset is None:
            return
        counts = torch.from_numpy(self._counts).to(get_comm_device())
        all_reduce(counts)
        if not is_main_process():
            return
        scalars, told = {}, []
        for name, (drawn, positive) in zip(store_names(self._dataset.metainfo['stores']), counts.tolist()):
            share = positive / max(drawn, 1)
            scalars.update({f'drawn/{name}': drawn, f'drawn_positive/{name}': share})
            told.append(f'{name} {drawn} ({share:.1%} positive)')
        runner.logger.info(f'epoch {runner.epoch + 1} drew ' + ', '.join(told))
        runner.visualizer.add_scalars(scalars, step=runner.iter)

    def _count(self, samples: Iterable[int]) -> None:
        for k in samples:
            pair = self._dataset.choose(k)
            self._counts[pair.template[0]] += (1, pair.is_positive)


def store_names(paths: list) -> list:
    """Short names of stores: without folder and suffix, where that tells them apart; with their place if one occurs twice."""
    stems, whole = [Path(path).stem for path in paths], [str(path) for path in paths]
    numbered = [f'{place}: {path}' for place, path in enumerate(paths)]
    return next(names for names in (stems, whole, numbered) if len(set(names)) == len(names))
