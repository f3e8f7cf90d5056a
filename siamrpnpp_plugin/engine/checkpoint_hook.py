"""Checkpoints for a run that may be stopped at any moment: written as a whole, the newer one before the older one goes."""

import signal
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.dist import all_reduce, broadcast, get_comm_device, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..registry import HOOKS
from .checkpoint_files import ATOMIC, checkpoint_name, checkpoint_order

STOPPED = 128 + signal.SIGTERM  # exit code of a run that a signal stopped


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written, or does not fit; the message says what to do."""


@HOOKS.register_module()
class ResumableCheckpointHook(Hook):
    """Saves `epoch_E.pth` after epochs and `epoch_E_iter_I.pth` within them, with all that an exact resume needs, and weights
    in `best_*.pth` after a validation; in place of mmengine's CheckpointHook.

    Checkpoints of another run that lie in the work dir, beyond where this run starts, are moved into a folder of their own.
    Weights that are not finite are not saved.

    Args:
        interval: Epochs between checkpoints; the last epoch has one always.
        iter_interval: Iterations between checkpoints within an epoch, rounded up to optimizer steps; None: none.
        max_keep: Checkpoints of epochs that are kept, at least 2; -1 all. Of those within an epoch the last two.
        save_best: Name of the metric whose best value gets a checkpoint, such as `pair/success`; None: none.
        rule: `greater` or `less`: which values are better.
        allow_partial_load: Whether `load_from` may lack tensors or have others than the model.

    Raises:
        ValueError: If an argument is out of range.
    """

    priority = 'VERY_LOW'  # after optimizer, schedulers and EMA

    def __init__(self, interval: int = 1, iter_interval: Optional[int] = None, max_keep: int = 3,
                 save_best: Optional[str] = None, rule: str = 'greater', allow_partial_load: bool = False) -> None:
        if interval < 1 or (iter_interval is not None and iter_interval < 1):
            raise ValueError(f'checkpoint intervals must be positive, got {interval}, {iter_interval}')
        if max_keep != -1 and max_keep < 2:
            raise ValueError(f'max_keep must be -1 or at least 2, so that a damaged checkpoint has one before it, got {max_keep}')
        if rule not in ('greater', 'less'):
            raise ValueError(f"rule must be 'greater' or 'less', got {rule!r}")
        self.interval, self.iter_interval, self.max_keep = interval, iter_interval, max_keep
        self.save_best, self.rule, self.allow_partial_load = save_best, rule, allow_partial_load
        self.best: Optional[float] = None

    def before_train(self, runner: Runner) -> None:
        """Take up the best value of the run so far, and put the files of other runs out of the way."""
        if is_main_process():
            self._move_others(runner)
        path = self._best_path(runner)
        if path is not None and runner._resume and path.exists():
            self.best = torch.load(path, map_location='cpu', weights_only=True)['meta'].get('best')

    def _move_others(self, runner: Runner) -> None:
        work_dir = Path(runner.work_dir)
        for path in work_dir.glob('.*.pth.*'):
            path.unlink(missing_ok=True)  # what a kill left half written
        length = len(runner.train_dataloader)
        start = (runner.epoch, runner.iter - runner.epoch * length)
        others = [path for path in work_dir.glob('epoch_*.pth') if checkpoint_order(path) and checkpoint_order(path) > start]
        if start == (0, 0):
            others += work_dir.glob('best_*.pth')
        if others:
            folder = work_dir / f'before_{runner.timestamp}'
            folder.mkdir(exist_ok=True)
            for path in others:
                path.rename(folder / path.name)
            runner.logger.warning(f'{len(others)} checkpoints of another run were moved to {folder}')

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Optional[dict] = None) -> None:
        """Save within the epoch, when it is time or the run is to stop."""
        loop = runner.train_loop
        if not getattr(loop, 'is_step', True):
            return
        is_stop = getattr(loop, 'stop_requested', False)
        accumulation = getattr(loop, 'accumulation', 1)
        is_last = batch_idx + 1 == len(runner.train_dataloader)
        is_due = self.iter_interval and (batch_idx + 1) % (-(-self.iter_interval // accumulation) * accumulation) == 0
        if is_stop or (is_due and not is_last):
            name = checkpoint_name(runner.epoch, batch_idx + 1)
            self._save(runner, name, dict(epoch=runner.epoch, iter=runner.iter + 1))
            self._remove_old(runner)
            if is_stop:
                path = Path(runner.work_dir) / name
                runner.logger.warning(f'stopped by a signal; everything is in {path}: go on with --resume')
                raise SystemExit(STOPPED)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save at the end of the epoch."""
        if (runner.epoch + 1) % self.interval == 0 or runner.epoch + 1 == runner.max_epochs:
            self._save(runner, checkpoint_name(runner.epoch + 1), dict(epoch=runner.epoch + 1, iter=runner.iter))
            self._remove_old(runner)

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """Save if it is the best so far."""
        path = self._best_path(runner)
        if path is None:
            return
        if self.save_best not in (metrics or {}):
            raise ValueError(f'save_best={self.save_best!r} is no metric of this run: {sorted(metrics or {})}')
        value = float(metrics[self.save_best])
        if self.best is None or (value > self.best if self.rule == 'greater' else value < self.best):
            self.best = value
            self._save(runner, path.name, dict(epoch=runner.epoch, iter=runner.iter, best=value), with_optimizer=False)
            runner.logger.info(f'best {self.save_best} so far: {value:.4f}, {path}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Leave functions out of the schedulers' states: their constructors set them, and torch's safe loader refuses them."""
        states = checkpoint.get('param_schedulers', [])
        for state in [state for group in states.values() for state in group] if isinstance(states, dict) else states:
            for key in [key for key, value in state.items() if callable(value)]:
                del state[key]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights of another architecture, and translate the iteration where the batch has changed."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        _check_fits(checkpoint.get('state_dict', checkpoint), model.state_dict(), self.allow_partial_load and not runner._resume,
                    runner)
        meta = checkpoint.get('meta', {})
        if runner._resume and 'optimizer' not in checkpoint:
            raise CheckpointError('this checkpoint has weights only, no optimizer: resume from epoch_*.pth, or start anew with '
                                  '--cfg-options load_from=PATH')
        if runner._resume:
            place = torch.tensor([meta['epoch'], meta['iter']], device=get_comm_device())
            first = place.clone()
            broadcast(first)
            if not torch.equal(place, first):
                raise CheckpointError(f'rank {runner.rank} resumes from epoch and iteration {place.tolist()}, the first rank '
                                      f'from {first.tolist()}: all nodes need the same work dir')
        if runner._resume and 'position' in meta:
            loop = runner.train_loop
            step = loop.samples_per_iter * loop.accumulation
            iterations = meta['position'] // step * loop.accumulation
            if meta['position'] % step:
                runner.logger.warning(f'{meta["position"] % step} samples are seen again: the global batch has changed to {step}')
            meta['iter'] = meta['epoch'] * len(loop.dataloader) + iterations

    def _best_path(self, runner: Runner) -> Optional[Path]:
        return None if self.save_best is None else Path(runner.work_dir) / f'best_{self.save_best.replace("/", "_")}.pth'

    def _save(self, runner: Runner, name: str, meta: dict, with_optimizer: bool = True) -> None:
        """All ranks take part: if the first one cannot write, all stop."""
        loop, error = runner.train_loop, None
        if hasattr(loop, 'samples_per_iter'):
            meta['position'] = (meta['iter'] - meta['epoch'] * len(loop.dataloader)) * loop.samples_per_iter
        try:
            if not all(torch.isfinite(value).all() for value in runner.model.state_dict().values() if value.is_floating_point()):
                raise OSError('the weights are not finite')
            runner.save_checkpoint(runner.work_dir, name, save_optimizer=with_optimizer, save_param_scheduler=with_optimizer,
                                   meta=meta, backend_args=dict(backend=ATOMIC))
        except OSError as caught:
            error = caught
        failed = torch.tensor(float(error is not None), device=get_comm_device())
        all_reduce(failed, 'max')
        if failed:
            raise CheckpointError(f'{Path(runner.work_dir) / name} cannot be written ({error or "on the first rank"}); '
                                  'checkpoints written before are untouched: mend that, then go on with --resume') from error

    def _remove_old(self, runner: Runner) -> None:
        """Leave the last `max_keep` checkpoints of epochs and the last two within them."""
        if not is_main_process():
            return
        found = sorted((path for path in Path(runner.work_dir).glob('epoch_*.pth') if checkpoint_order(path)),
                       key=checkpoint_order)
        of_epochs = [path for path in found if not checkpoint_order(path)[1]]
        within = [path for path in found if checkpoint_order(path)[1]]
        for path in (of_epochs[:-self.max_keep] if self.max_keep > 0 else []) + within[:-2]:
            path.unlink(missing_ok=True)


def _check_fits(weights: dict, own: dict, allow_partial: bool, runner: Runner) -> None:
    weights = {name.removeprefix('module.'): value for name, value in weights.items()}
    missing, unexpected = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    reshaped = [f'{name} {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}' for name in own.keys() & weights.keys()
                if weights[name].shape != own[name].shape]
    parts = [f'{len(names)} {kind}, such as {names[0]}' for kind, names in
             (('missing', missing), ('unexpected', unexpected), ('of another shape', sorted(reshaped))) if names]
    if not parts:
        return
    message = f'the checkpoint does not fit the model of this config: of {len(own)} tensors {"; ".join(parts)}'
    if not allow_partial:
        raise CheckpointError(message)
    runner.logger.warning(message)
