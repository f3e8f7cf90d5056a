#!/usr/bin/env python3
"""Track every sequence of a benchmark, write its result files, and score them.

    python tools/test.py CONFIG CHECKPOINT --benchmark otb100 --data-root data/OTB --out work_dirs/otb100
    python tools/test.py CONFIG CHECKPOINT --benchmark got10k --data-root data/GOT-10k --split test     # zip for the server
    python tools/test.py CONFIG CHECKPOINT --benchmark folders --data-root data/my_videos --batch-videos 8
    tools/dist_test.sh CONFIG CHECKPOINT 8 --benchmark lasot --data-root data/LaSOT                     # eight GPUs

Interrupted? The same command goes on with the sequences that are not done. OUT/TRACKER has the results in the benchmark's own
format, for any toolkit; OUT has summary.json, success.png, precision.png and tracks.mp4 (the sequence of median score).
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
from eval_results import SERVERS, add_benchmark_arguments, load_boxes, read_benchmark, report, report_vot, save
from mmengine.config import Config, DictAction
from mmengine.dist import barrier, is_main_process
from mmengine.runner import Runner

from siamrpnpp_plugin.apis import init_model
from siamrpnpp_plugin.engine.launch import init_cpu_ranks, leave_ranks
from siamrpnpp_plugin.evaluation.metrics import has_truth
from siamrpnpp_plugin.evaluation.results import result_format, write_submission, write_whole
from siamrpnpp_plugin.visualization import write_tracks

STATIC = 'static box'


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('checkpoint', type=Path, help='or the folder of an exported network, see export_onnx.py')
    add_benchmark_arguments(parser, positional=False)
    parser.add_argument('--out', type=Path, help='default: NAME_OF_THE_CHECKPOINT_BENCHMARK beside the checkpoint')
    parser.add_argument('--tracker-name', help='folder of the result files in OUT; default: the checkpoint\'s name')
    parser.add_argument('--batch-videos', type=int, default=1, metavar='B', help='videos that run at once, faster on a GPU')
    parser.add_argument('--fast', action='store_true',
                        help='on a CPU less arithmetic, more memory, boxes to .01 pixels; on a GPU float16')
    parser.add_argument('--strict', action='store_true', help='a frame that cannot be read is an error; default: the box stays')
    parser.add_argument('--overwrite', action='store_true', help='track again what lies in OUT already')
    parser.add_argument('--static', action='store_true', help='score a box that stays where it was, too')
    parser.add_argument('--no-video', action='store_true', help='write no tracks.mp4')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='changes to the config')
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm'), default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    args.tracker_name = args.tracker_name or args.checkpoint.stem
    args.out = args.out or args.checkpoint.parent / f'{args.checkpoint.stem}_{args.benchmark}'
    return args


def device_of(args: argparse.Namespace) -> str:
    """Of this rank; an exported network runs on the CPU."""
    if args.checkpoint.is_dir() or not torch.cuda.is_available():
        return 'cpu'
    return f'cuda:{int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count()}'


def build_runner(args: argparse.Namespace, config: Config, sequences: list) -> Runner:
    """A Runner that only tests."""
    form = result_format(args.benchmark)
    metric = dict(vot=dict(type='VOTMetric', benchmark=args.benchmark), votlt=dict(type='VOTLTMetric'),
                  got10k=dict(type='GOT10kMetric')).get(form, dict(type='OPEMetric'))
    device = device_of(args)
    if device != 'cpu':
        torch.cuda.set_device(device)
    return Runner(
        init_model(config, args.checkpoint, device, args.fast), work_dir=str(args.out), launcher=config.launcher,
        log_level='WARNING', env_cfg=config.get('env_cfg', dict(dist_cfg=dict(backend='nccl'))),
        cfg=dict(model_wrapper_cfg=dict(type='siamrpnpp_plugin.SameOnEachRank')),
        default_scope='siamrpnpp_plugin', experiment_name=f'{args.tracker_name}_{time.time_ns()}',
        default_hooks=dict(checkpoint=None, logger=None, runtime_info=None, sampler_seed=None),
        test_dataloader=dict(batch_size=1, num_workers=0, dataset=dict(type='SequenceDataset', sequences=sequences),
                             sampler=dict(type='DefaultSampler', shuffle=False)),
        test_evaluator=metric,
        test_cfg=dict(type='TrackLoop', phase='test', result_dir=str(args.out / args.tracker_name), result_format=form,
                      progress=True, tracker=config.get('tracker'), batch_videos=args.batch_videos, supervised=form == 'vot',
                      strict=args.strict))


def fingerprint(checkpoint: Path) -> str:
    """Of a checkpoint, or of all files of an exported network."""
    digest = hashlib.sha256()
    for path in sorted(checkpoint.iterdir()) if checkpoint.is_dir() else [checkpoint]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def claim_folder(args: argparse.Namespace, config: Config) -> None:
    """Make the folder of results, or refuse one that has those of another model.

    Raises:
        ValueError: If it has.
    """
    folder = args.out / args.tracker_name
    origin = dict(checkpoint=fingerprint(args.checkpoint), benchmark=args.benchmark,
                  model=str(config.model), tracker=str(config.get('tracker')), data_root=str(args.data_root.resolve()),
                  split=args.split, first_pixel=args.first_pixel, reader_options=str(args.reader_options), strict=args.strict,
                  **dict(fast=device_of(args).split(':')[0]) if args.fast else {})
    note = folder / 'origin.json'
    if folder.exists() and args.overwrite:
        if not note.is_file():
            raise ValueError(f'{folder} was not written by this script: --overwrite removes only its own')
        shutil.rmtree(folder)
    if note.is_file():
        try:
            before = json.loads(note.read_text())
        except ValueError:
            raise ValueError(f'{note} is damaged: give another --out, or --overwrite') from None
        changed = [key for key in {**before, **origin} if before.get(key) != origin.get(key)]
        if changed:
            raise ValueError(f'{folder} has results of another {changed[0]}: give another --out, or --overwrite')
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(f'{folder} has files of something else: give another --out or --tracker-name')
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(note, [json.dumps(origin)])


def speed(folder: Path, sequences: list) -> dict:
    """Seconds by stage and frames per second."""
    details = [json.loads((folder / 'details' / f'{sequence.name}.json').read_text()) for sequence in sequences]
    stages = {stage: sum(detail['seconds'][stage] for detail in details) for stage in details[0]['seconds']}
    frames = sum(detail['frames'] for detail in details)
    print(f'  {frames / sum(stages.values()):.1f} frames/s on each rank; per frame in ms: '
          + ', '.join(f'{stage} {1000 * seconds / frames:.2f}' for stage, seconds in stages.items()))
    held = sum(len(detail['held']) for detail in details)
    if held:
        print(f'  {held} frames could not be read: the box stayed there; {folder / "details"} names them')
    return dict(frames_per_second=frames / sum(stages.values()), seconds=stages, held_frames=held)


def finish(args: argparse.Namespace, sequences: list) -> None:
    """Tables, plots, video, and the zip for a server."""
    folder = args.out / args.tracker_name
    form = result_format(args.benchmark)
    if args.benchmark in SERVERS and args.split in (None, 'test') and not all(map(has_truth, sequences)):
        if args.names or args.allow_missing:
            print('  a part of the benchmark: its server will want all of it')
        print(f'  for the server: {write_submission(folder, form, [sequence.name for sequence in sequences])}')
    if form.startswith('vot'):
        summary = report_vot(sequences, [folder], args.benchmark)
    elif any(map(has_truth, sequences)):
        trackers = {args.tracker_name: load_boxes(folder, args.benchmark, sequences)}
        if args.static:
            trackers[STATIC] = {sequence.name: np.repeat(sequence.boxes_xyxy[:1], len(sequence), axis=0)
                                for sequence in sequences}
        summary = report(sequences, trackers, args.benchmark, args.convention, args.out, args.resamples, args.tracker_name)
        if not args.no_video:
            of = summary['trackers'][args.tracker_name]['sequences']
            scored = [sequence for sequence in sequences if of.get(sequence.name, {}).get('ao') is not None]
            middle = sorted(scored, key=lambda sequence: of[sequence.name]['ao'])[len(scored) // 2]
            shown = {'ground truth': middle.boxes_xyxy, args.tracker_name: trackers[args.tracker_name][middle.name]}
            write_tracks(args.out / 'tracks.mp4', middle.images, shown)
            summary['video'] = str(args.out / 'tracks.mp4')
    else:
        print('  no truth to score by' + (': it is with the server' if args.benchmark in SERVERS else ''))
        summary = dict(benchmark=args.benchmark, num_sequences=len(sequences))
    save(dict(summary, **speed(folder, sequences)), args.out)


def main(argv=None) -> None:
    args = parse_args(argv)
    try:
        config = Config.fromfile(args.config)
        config.launcher = args.launcher
        config.merge_from_dict(args.cfg_options or {})
        config.setdefault('default_scope', 'siamrpnpp_plugin')
        if not args.checkpoint.exists():
            raise FileNotFoundError(f'there is no checkpoint {args.checkpoint}')
        sequences = read_benchmark(args)
        init_cpu_ranks(config)
        runner = build_runner(args, config, sequences)
        if is_main_process():
            claim_folder(args, config)
        barrier()
        runner.test()
        if is_main_process():
            finish(args, sequences)
        leave_ranks()
    except (ValueError, OSError, KeyError, SyntaxError) as error:
        sys.exit(f'{type(error).__name__}: {error.args[0] if isinstance(error, KeyError) and error.args else error}')


if __name__ == '__main__':
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get('LOCAL_WORLD_SIZE', 1))))
    main()
