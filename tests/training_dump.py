"""Hooks and a data set that the trainings of the tests load by config."""

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from siamrpnpp_plugin.datasets import LMDBPairDataset
from siamrpnpp_plugin.registry import DATASETS, HOOKS


@HOOKS.register_module()
class Dump(Hook):
    """Writes all weights and statistics of each rank, at the start and after each epoch."""

    def _dump(self, runner, when) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        torch.save(dict(model.state_dict()), f'{runner.work_dir}/dump_{get_rank()}_{when}.pth')

    def before_train(self, runner) -> None:
        self._dump(runner, 'start')

    def after_train_epoch(self, runner) -> None:
        self._dump(runner, runner.epoch)


@HOOKS.register_module()
class PoisonGradient(Hook):
    """Puts a NaN into one gradient of one iteration; the loss stays finite."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == self.iteration:
            runner.model.neck.convs[0].conv.weight.register_hook(lambda gradient: gradient * float('nan'))


@DATASETS.register_module()
class PlainPairs(torch.utils.data.Dataset):
    """Numbered pairs, and nothing told about where they are from."""

    seed = 0

    def __init__(self, **settings) -> None:
        self._pairs = LMDBPairDataset(**settings)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, k: int) -> dict:
        return self._pairs[k]
