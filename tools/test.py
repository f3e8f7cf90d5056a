#!/usr/bin/env python3
"""Track every sequence of a benchmark and score the boxes.

    python tools/test.py configs/siamrpnpp_r50_vid.py epoch_20.pth --benchmark vid --data-root data/ILSVRC2015 --split val
    python tools/test.py configs/siamrpnpp_r50_vid.py epoch_20.pth --benchmark folders --data-root data/my_videos

Writes a text file of boxes (x,y,w,h) and one of scores per sequence, summary.json, success.png, precision.png, and a video of one
sequence. A call that was interrupted goes on with the sequences that have no boxes yet.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from torch import nn
from tqdm import tqdm

from siamrpnpp_plugin.apis import init_model
from siamrpnpp_plugin.datasets.sequences import Sequence, read_sequences
from siamrpnpp_plugin.evaluation.ope import PRECISION_THRESHOLDS, SUCCESS_THRESHOLDS, average, evaluate_sequence
from siamrpnpp_plugin.registry import TASK_UTILS
from siamrpnpp_plugin.tracking import SiamRPNTracker
from siamrpnpp_plugin.visualization import plot_curves, write_tracks

STATIC = 'static box'


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--benchmark', required=True, choices=('vid', 'folders'))
    parser.add_argument('--data-root', required=True, type=Path)
    parser.add_argument('--split', default='val', choices=('train', 'val'), help='vid: which')
    parser.add_argument('--first-pixel', type=float, default=0, help='folders: coordinate of the upper left corner; 1: MATLAB')
    parser.add_argument('--out', type=Path, help='folder of results; default: NAME_OF_THE_CHECKPOINT_BENCHMARK beside it')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='changes to the config')
    return parser.parse_args(argv)


def build_tracker(config: Config) -> SiamRPNTracker:
    """That of the config, else the default."""
    return TASK_UTILS.build(config.get('tracker', dict(type='siamrpnpp_plugin.SiamRPNTracker')))


def read_frame(path: str) -> np.ndarray:
    frame = cv2.imread(path, cv2.IMREAD_COLOR)
    if frame is None:
        raise ValueError(f'{path} is missing or no image')
    return frame


def track(model: nn.Module, tracker: SiamRPNTracker, sequence: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """(T, 4) boxes and (T,) confidences."""
    state = tracker.init(model, [read_frame(sequence.images[0])], sequence.boxes_xyxy[:1])
    boxes, scores = [sequence.boxes_xyxy[0]], [1.0]
    for path in sequence.images[1:]:
        state = tracker.update(model, state, [read_frame(path)])
        boxes.append(state.box_xyxy[0])
        scores.append(state.confidence[0])
    return np.array(boxes), np.array(scores)


def to_xywh(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)


def track_all(model: nn.Module, tracker: SiamRPNTracker, sequences: list, out: Path) -> tuple[dict, float]:
    """Boxes of every sequence by name, and frames per second of those tracked now."""
    found, frames, seconds = {}, 0, 0.0
    for sequence in tqdm(sequences, unit='sequence', mininterval=0.5 if sys.stderr.isatty() else 10):
        path = out / 'boxes' / f'{sequence.name}.txt'
        if path.exists():
            boxes = np.loadtxt(path, delimiter=',', ndmin=2)
            boxes[:, 2:] += boxes[:, :2]
            if len(boxes) != len(sequence):
                raise ValueError(f'{path} has {len(boxes)} boxes for {len(sequence)} frames: remove it')
        else:
            start = time.perf_counter()
            boxes, scores = track(model, tracker, sequence)
            seconds, frames = seconds + time.perf_counter() - start, frames + len(boxes)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savetxt(out / 'boxes' / f'{sequence.name}_confidence.value', scores, fmt='%.6f')
            np.savetxt(path.with_suffix('.part'), to_xywh(boxes), fmt='%.4f', delimiter=',')
            path.with_suffix('.part').replace(path)
        found[sequence.name] = boxes
    return found, frames / seconds if seconds else float('nan')


def report(sequences: list, found: dict, out: Path, name: str) -> dict:
    """Print the table, draw the plots and a video; the summary."""
    scores = {name: [evaluate_sequence(found[sequence.name], sequence.boxes_xyxy) for sequence in sequences],
              STATIC: [evaluate_sequence(np.repeat(sequence.boxes_xyxy[:1], len(sequence), axis=0), sequence.boxes_xyxy)
                       for sequence in sequences]}
    means = {tracker: average(values) for tracker, values in scores.items()}
    columns = ('ao', 'sr50', 'sr75', 'auc', 'precision')
    print(f'\n{len(sequences)} sequences, {sum(map(len, sequences))} frames'.ljust(44) + ''.join(f'{key:>10}' for key in columns))
    for tracker, values in means.items():
        print(f'  {tracker:42}' + ''.join(f'{values[key]:10.3f}' for key in columns))
    print('  by sequence, ' + name)
    for sequence, values in zip(sequences, scores[name]):
        print(f'    {sequence.name:40}' + ''.join(f'{values[key]:10.3f}' for key in columns))
    title = f'{len(sequences)} sequences'
    plot_curves(out / 'success.png', SUCCESS_THRESHOLDS, {key: value['success'] for key, value in means.items()},
                ('overlap threshold', 'share of frames above it'), title)
    plot_curves(out / 'precision.png', PRECISION_THRESHOLDS, {key: value['precisions'] for key, value in means.items()},
                ('centre error in pixels', 'share of frames within it'), title)
    order = np.argsort([values['ao'] for values in scores[name]])
    shown = sequences[int(order[len(order) // 2])]  # the median one: neither the best nor the worst
    write_tracks(out / 'tracks.mp4', shown.images, {'ground truth': shown.boxes_xyxy, name: found[shown.name]})
    summary = {key: float(means[name][key]) for key in columns}
    summary.update({f'static_box_{key}': float(means[STATIC][key]) for key in columns})
    summary.update(success_plot=str(out / 'success.png'), precision_plot=str(out / 'precision.png'),
                   video=str(out / 'tracks.mp4'), sequences={
                       sequence.name: {key: float(values[key]) for key in columns}
                       for sequence, values in zip(sequences, scores[name])})
    return summary


def main(argv=None) -> None:
    args = parse_args(argv)
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options or {})
    init_default_scope(config.get('default_scope', 'siamrpnpp_plugin'))
    out = args.out or args.checkpoint.parent / f'{args.checkpoint.stem}_{args.benchmark}'
    options = dict(split=args.split) if args.benchmark == 'vid' else dict(first_pixel=args.first_pixel)
    try:
        sequences = read_sequences(args.benchmark, args.data_root, **options)
        model = init_model(config, args.checkpoint, device=args.device)
        found, rate = track_all(model, build_tracker(config), sequences, out)
        summary = report(sequences, found, out, args.checkpoint.stem)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    summary['frames_per_second'] = rate
    (out / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    print(f'  {rate:.1f} frames/s; plot: {summary["success_plot"]}, video: {summary["video"]}, numbers: {out / "summary.json"}')


if __name__ == '__main__':
    main()
