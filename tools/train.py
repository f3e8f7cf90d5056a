#!/usr/bin/env python3
"""Train a config: on a CPU, on one GPU, or as one rank of many.

    python tools/train.py configs/siamrpnpp_r50_vid.py
    python tools/train.py configs/siamrpnpp_r50_vid.py --resume          # goes on exactly where the last run was stopped
    tools/dist_train.sh configs/siamrpnpp_r50_vid.py 8                   # eight GPUs, the same run
"""

import argparse
import os
import sys
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from siamrpnpp_plugin.datasets import StoreError
from siamrpnpp_plugin.engine import CheckpointError, newest_checkpoint
from siamrpnpp_plugin.engine.checkpoint_files import is_whole
from siamrpnpp_plugin.engine.launch import init_cpu_ranks, keep_freed_memory, leave_ranks

AMP_DTYPES = ('float16', 'bfloat16')


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('--work-dir', type=Path, help='where logs and checkpoints go; default: work_dirs/NAME_OF_THE_CONFIG')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='PATH',
                        help='go on from a checkpoint; without PATH, or with auto, from the newest whole one of the work dir')
    parser.add_argument('--amp', nargs='?', const='float16', choices=AMP_DTYPES, help='mixed precision on a GPU')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate with the global batch, in proportion to auto_scale_lr.base_batch_size')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='changes to the config')
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by launchers')
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def load_config(args: argparse.Namespace) -> Config:
    """The config with what the command line says.

    Raises:
        ValueError: If there is nothing to resume from, or the config cannot do what is asked for.
    """
    config = Config.fromfile(args.config)
    config.launcher = args.launcher
    config.merge_from_dict(args.cfg_options or {})
    if args.work_dir is not None:
        config.work_dir = str(args.work_dir)
    elif config.get('work_dir') is None:
        config.work_dir = str(Path('work_dirs') / args.config.stem)
    if 'train_dataloader' not in config or 'optim_wrapper' not in config:
        raise ValueError(f'{args.config} describes a network, not a training: it needs train_dataloader, train_cfg and '
                         'optim_wrapper, as configs/siamrpnpp_r50_vid.py has them')
    if args.amp:
        config.optim_wrapper.update(type='AmpOptimWrapper', dtype=args.amp)
        if args.amp == 'float16':
            config.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if 'base_batch_size' not in config.get('auto_scale_lr', {}):
            raise ValueError(f'--auto-scale-lr needs auto_scale_lr.base_batch_size in {args.config}')
        config.auto_scale_lr.enable = True
    if args.resume:
        config.load_from = str(_checkpoint_to_resume(args.resume, config.work_dir))
        config.resume = True
    return config


def _checkpoint_to_resume(wanted: str, work_dir: str) -> Path:
    path = newest_checkpoint(Path(work_dir)) if wanted == 'auto' else Path(wanted)
    if path is None:
        raise ValueError(f'--resume: {work_dir} has no whole checkpoint; leave --resume out to start anew')
    if not is_whole(path):
        raise ValueError(f'--resume: {path} is missing or damaged; --resume without a path takes the newest whole checkpoint')
    return path


def drop_validation_without_data(config: Config) -> None:
    """Training does not need held-out videos; say so where they are not there."""
    dataset = (config.get('val_dataloader') or {}).get('dataset', {})
    key = 'root' if 'root' in dataset else 'store'
    place = dataset.get(key)
    if isinstance(place, str) and not Path(place).exists():
        MMLogger.get_current_instance().warning(
            f'no validation: {place} is not there. Name another with --cfg-options val_dataloader.dataset.{key}=PATH')
        for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
            config.pop(key, None)


def main(argv=None) -> None:
    args = parse_args(argv)
    try:
        config = load_config(args)
        init_default_scope(config.get('default_scope', 'siamrpnpp_plugin'))
        init_cpu_ranks(config)
        if not torch.cuda.is_available():
            keep_freed_memory()
        drop_validation_without_data(config)
        runner = Runner.from_cfg(config) if 'runner_type' not in config else RUNNERS.build(config)
        runner.train()
        leave_ranks()
    except (StoreError, CheckpointError, FloatingPointError, FileNotFoundError, ValueError, KeyError) as error:
        if os.environ.get('SIAMRPNPP_TRACEBACK'):
            raise
        sys.exit(f'{type(error).__name__}: {error.args[0] if isinstance(error, KeyError) and error.args else error}\n'
                 '(SIAMRPNPP_TRACEBACK=1 shows where)')


if __name__ == '__main__':
    main()
