"""Hooks of a training run: when the backbone trains, when to stop, and what to look at."""

import signal
import threading
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.dist import all_reduce, get_comm_device, get_rank, master_only
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ..registry import HOOKS


def _model(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


@HOOKS.register_module()
class BackboneScheduleHook(Hook):
    """Keep the whole backbone frozen at first, then train its upper stages (SiamRPN++, section 4.1).

    Optimizer and DDP are built with the upper stages trainable, so nothing is rebuilt: the rate of the backbone is that of its
    parameter group from the start, and the head's momentum survives. While everything is frozen no graph is built for it. The
    state follows from the epoch, so a resumed run has the right one.

    Args:
        unfreeze_epoch: Epoch, from 0, from which the stages above the backbone's own `frozen_stages` train; 0: from the start.

    Raises:
        ValueError: If the epoch is negative; at the start of the training, if the backbone has no stages, or DDP does not look
            for unused parameters.
    """

    def __init__(self, unfreeze_epoch: int = 10) -> None:
        if unfreeze_epoch < 0:
            raise ValueError(f'unfreeze_epoch must not be negative, got {unfreeze_epoch}')
        self.unfreeze_epoch = unfreeze_epoch
        self._trained_above: Optional[int] = None

    def before_train(self, runner: Runner) -> None:
        """Freeze, after optimizer and DDP have seen every parameter."""
        backbone = _model(runner).backbone
        if not hasattr(backbone, 'freeze_stages'):
            raise ValueError(f'BackboneScheduleHook needs a backbone with freeze_stages, got {type(backbone).__name__}')
        if self.unfreeze_epoch and is_model_wrapper(runner.model) and not getattr(runner.model, 'find_unused_parameters', True):
            raise ValueError("BackboneScheduleHook needs model_wrapper_cfg=dict(type='MMDistributedDataParallel', "
                             'find_unused_parameters=True)')
        self._trained_above = backbone.frozen_stages
        self._apply(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Unfreeze when the time has come."""
        self._apply(runner)

    def _apply(self, runner: Runner) -> None:
        backbone = _model(runner).backbone
        last = max(backbone.stages) if runner.epoch < self.unfreeze_epoch else self._trained_above
        if backbone.frozen_stages != last:
            backbone.freeze_stages(last)
            trained = [number for number in backbone.stages if number > last]
            runner.logger.info(f'epoch {runner.epoch + 1}: backbone stages {trained} train' if trained
                               else f'epoch {runner.epoch + 1}: the whole backbone is frozen')


@HOOKS.register_module()
class SafetyHook(Hook):
    """Ends a run in order, all ranks at the same iteration: at a signal, or when a loss is not finite.

    On SIGTERM (a cluster's notice) or SIGUSR1 the checkpoint hook saves after the running optimizer step, and the run ends with
    exit code 143. A loss or gradient norm of NaN or infinity saves the batch and the names of its samples and raises
    FloatingPointError on every rank, before another checkpoint is written.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._signalled = False
        self._before: dict = {}

    def before_train(self, runner: Runner) -> None:
        """Listen to signals."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGUSR1):
                self._before[number] = signal.signal(number, self._receive)

    def after_train(self, runner: Runner) -> None:
        """Stop listening."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, number: int, frame: Any) -> None:
        self._signalled = True

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[dict] = None) -> None:
        """Agree with the other ranks."""
        is_finite = all(bool(torch.isfinite(value).all()) for value in (outputs or {}).values() if torch.is_tensor(value))
        norm = runner.message_hub.log_scalars.get('train/grad_norm')
        if norm is not None and not hasattr(runner.optim_wrapper, 'loss_scaler'):  # a scaler leaves such steps out
            is_finite &= bool(np.isfinite(norm.current()))
        status = torch.tensor([not is_finite, self._signalled], dtype=torch.float32, device=get_comm_device())
        all_reduce(status, 'max')
        failed, stop = status.tolist()
        if failed:
            raise FloatingPointError(f'iteration {runner.iter + 1}: ' + (
                'loss or gradient of another rank is not finite, see its message' if is_finite
                else self._describe(runner, data_batch, outputs)))
        if stop:
            runner.train_loop.stop_requested = True

    def _describe(self, runner: Runner, batch: dict, outputs: dict) -> str:
        """Save the batch; the message about it."""
        losses = {name: float(value) for name, value in outputs.items() if torch.is_tensor(value) and value.numel() == 1}
        dataset = runner.train_dataloader.dataset
        samples = [dataset.describe(int(k)) for k in batch.get('sample', ())] if hasattr(dataset, 'describe') else []
        path = Path(runner.work_dir) / f'not_finite_iter_{runner.iter + 1}_rank_{get_rank()}.pth'
        try:
            tensors = {key: value.clone() for key, value in batch.items() if torch.is_tensor(value)}  # they may share memory
            torch.save(dict(batch=tensors, losses=losses, samples=samples), path)
            saved = f'the batch is saved in {path}'
        except OSError as error:
            saved = f'the batch could not be saved: {error}'
        return f'loss or gradient is not finite: {losses}; {saved}. Its samples: ' + '; '.join(samples or ['unknown'])


@HOOKS.register_module()
class StepEMAHook(EMAHook):
    """mmengine's EMAHook, arguments as there, but once per optimizer step: the average does not depend on how often gradients are
    accumulated, and so not on the number of ranks."""

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[dict] = None) -> None:
        """Average after the steps."""
        if getattr(runner.train_loop, 'is_step', True):
            super().after_train_iter(runner, batch_idx, data_batch, outputs)


@HOOKS.register_module()
class MonitorHook(Hook):
    """Now and then: positives per anchor and fusion weights in the log, and a picture of pairs with their score maps.

    The numbers go to the log and to every backend of the visualizer (TensorBoard, wandb), the picture to the visualizer too.

    Args:
        interval: Iterations between the numbers.
        picture_interval: Iterations between pictures; None: none.
        pairs: Pairs in a picture.

    Raises:
        ValueError: If a number is not positive; at the start of the training, if the visualizer cannot draw pairs.
    """

    def __init__(self, interval: int = 50, picture_interval: Optional[int] = 1000, pairs: int = 4) -> None:
        if interval < 1 or (picture_interval is not None and picture_interval < 1) or pairs < 1:
            raise ValueError(f'MonitorHook needs positive numbers, got {interval}, {picture_interval}, {pairs}')
        self.interval, self.picture_interval, self.pairs = interval, picture_interval, pairs
        self._map: Optional[torch.Tensor] = None  # a score map; for its size

    def before_train(self, runner: Runner) -> None:
        """Know early whether pictures can be drawn."""
        if self.picture_interval and not hasattr(runner.visualizer, 'add_pairs'):
            raise ValueError("MonitorHook draws pictures with visualizer=dict(type='TrackingVisualizer'), got "
                             f'{type(runner.visualizer).__name__}: change it, or set picture_interval=None')

    @master_only
    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[dict] = None) -> None:
        """Look at the present batch."""
        model = _model(runner)
        if not hasattr(model, 'head'):
            return
        if self.every_n_train_iters(runner, self.interval):
            self._log_numbers(runner, model, data_batch)
        if self.picture_interval and self.every_n_train_iters(runner, self.picture_interval):
            runner.visualizer.add_pairs('pairs', step=runner.iter + 1, **look_at_pairs(model, data_batch, self.pairs))

    def _log_numbers(self, runner: Runner, model: nn.Module, batch: dict) -> None:
        head = model.head
        if self._map is None:
            self._map = _predict(model, batch, 1)[0]
        data = model.data_preprocessor(batch)
        size = data['search'].shape[-1]
        anchors = head.anchors(self._map, size)
        targets = head.anchor_assigner(anchors, head.anchor_generator.stride, data['box_xyxy'].float(),
                                       data['is_positive'].bool(), data.get('sample_seed'))
        count = max(int(data['is_positive'].sum()), 1)
        positives = ((targets.labels == 1).sum(dim=(0, 2, 3)) / count).tolist()
        scalars = {f'positives/{width:.0f}x{height:.0f}': value
                   for (width, height), value in zip(head.anchor_generator.sizes.tolist(), positives)}
        weights = head.fusion.level_weights() if hasattr(head.fusion, 'level_weights') else {}
        scalars.update({f'fusion/{name}_{level}': value for name, values in weights.items()
                        for level, value in enumerate(values.tolist())})
        runner.visualizer.add_scalars(scalars, step=runner.iter + 1)
        runner.logger.info('positives per positive pair: ' + ', '.join(
            f'{name.split("/")[1]} {value:.2f}' for name, value in scalars.items() if name.startswith('positives')) + ''.join(
            f'; fusion of {name}: ' + ' '.join(f'{value:.3f}' for value in values.tolist()) for name, values in weights.items()))


def look_at_pairs(model: nn.Module, batch: dict, count: int) -> dict:
    """The first pairs of a batch and what the network sees in them, as arrays: the arguments of `pairs_picture`."""
    cls_score, bbox_pred = _predict(model, batch, count)
    boxes, scores = model.head.decode(cls_score, bbox_pred, batch['search'].shape[-1])
    best = boxes.flatten(1, 3)[torch.arange(len(boxes)), scores.flatten(1).argmax(dim=1)]
    shown = {key: batch[key][:count].cpu().numpy() for key in ('template', 'search', 'box_xyxy', 'is_positive')}
    return dict(shown, found_xyxy=best.cpu().numpy(), score=scores.cpu().numpy())


@torch.no_grad()
def _predict(model: nn.Module, batch: dict, count: int) -> tuple:
    """cls_score and bbox_pred of the first pairs, without touching batch norms."""
    was_training = model.training
    model.eval()
    try:
        data = model.data_preprocessor({key: batch[key][:count] for key in ('template', 'search')})
        return model(data['template'], data['search'], mode='tensor')
    finally:
        model.train(was_training)
