#!/usr/bin/env python3
"""Export a trained network to ONNX, and track with it in ONNX Runtime.

    python tools/export_onnx.py CONFIG CHECKPOINT OUT                        # fastest in 32 bits, boxes to .01 pixels
    python tools/export_onnx.py CONFIG CHECKPOINT OUT --weight-growth 1      # smallest in 32 bits, direct convolutions
    python tools/export_onnx.py CONFIG CHECKPOINT OUT --int8 --calibration data/my_videos    # fastest; boxes are near, not equal
    python tools/test.py CONFIG OUT --benchmark otb100 --data-root data/OTB  # OUT takes the place of a checkpoint
    python tools/demo.py video.mp4 --config CONFIG --checkpoint OUT --box 316,140,112,116

OUT gets template.onnx, search_S.onnx (S the side of search images; two of a long-term tracker), each with its .weights, and
tracker.json.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, DictAction

from siamrpnpp_plugin.apis import build_tracker, init_model
from siamrpnpp_plugin.datasets.benchmarks import BENCHMARKS, read_sequences
from siamrpnpp_plugin.export import export_onnx, quantize_onnx
from siamrpnpp_plugin.tracking.video_tracker import read_frame


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument('--weight-growth', type=float, default=8,
                        help='how many times the memory of its kernels a convolution may take for speed; 4 and 1.8 are leaner')
    parser.add_argument('--int8', action='store_true', help='8-bit convolutions on search images; needs --calibration')
    parser.add_argument('--calibration', type=Path, metavar='ROOT', help='videos with their boxes, of the kind to be tracked')
    parser.add_argument('--calibration-layout', choices=tuple(BENCHMARKS), default='folders', help='of ROOT; default: folders')
    parser.add_argument('--samples', type=int, default=100, help='images that calibrate; default: 100')
    parser.add_argument('--reduce-range', action='store_true', help='7-bit weights, for processors without VNNI')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='changes to the config')
    args = parser.parse_args(argv)
    if args.int8 and args.calibration is None:
        parser.error('--int8 needs --calibration: videos with their boxes')
    if args.samples < 1:
        parser.error(f'--samples must be positive, got {args.samples}')
    return args


def calibration_images(tracker: Any, model: Any, sequences: list, samples: int) -> Iterator[tuple]:
    """Template and search images as a tracker cuts them that has never lost its target: around the true box of the frame before.

    Args:
        tracker: The policy.
        model: Any; only makes the tracker's states.
        sequences: Videos with boxes.
        samples: How many search images at least, of each size, evenly from all videos.

    Raises:
        ValueError: If no frame has a box, or a frame cannot be read.
    """
    usable = [(sequence, np.flatnonzero(np.isfinite(sequence.boxes_xyxy[:-1]).all(axis=1))) for sequence in sequences]
    usable = [(sequence, frames) for sequence, frames in usable if len(frames)]
    if not usable:
        raise ValueError('no video to calibrate with has two frames and a box')
    share = -(-samples // len(usable))
    for sequence, frames in usable:
        images, boxes = sequence.images, sequence.boxes_xyxy
        first = frames[0]
        state = tracker.init(model, [_read(images[first])], boxes[first, None])
        template = tracker.crop(state, [_read(images[first])], tracker.template_size)[0]
        for frame in frames[np.unique(np.linspace(0, len(frames) - 1, share).astype(int))]:
            center, size = (boxes[frame, :2] + boxes[frame, 2:]) / 2, boxes[frame, 2:] - boxes[frame, :2]
            if not (size > 0).all():
                continue
            before = state._replace(center=center[None], size=size[None])
            for side in tracker.search_sizes:
                yield template, tracker.crop(before, [_read(images[frame + 1])], side)[0]


def _read(path: str) -> np.ndarray:
    image = read_frame(path)
    if image is None:
        raise ValueError(f'{path} is missing or no image')
    return image


def main(argv=None) -> None:
    args = parse_args(argv)
    try:
        config = Config.fromfile(args.config)
        config.merge_from_dict(args.cfg_options or {})
        if not args.checkpoint.is_file():
            raise FileNotFoundError(f'there is no checkpoint {args.checkpoint}')
        sequences = read_sequences(args.calibration_layout, args.calibration) if args.int8 else []
        model = init_model(config, args.checkpoint)
        if args.int8:
            with tempfile.TemporaryDirectory(prefix='export_') as folder:
                direct = export_onnx(model, folder, weight_growth=1)
                images = calibration_images(build_tracker(config), direct, sequences, args.samples)
                exported = quantize_onnx(folder, args.out, images, args.reduce_range)
        else:
            exported = export_onnx(model, args.out, weight_growth=args.weight_growth)
    except (ImportError, OSError, ValueError, KeyError) as error:
        sys.exit(f'{type(error).__name__}: {error.args[0] if isinstance(error, KeyError) and error.args else error}')
    for path in sorted(exported.folder.glob('*.weights')):
        print(f'{path}: {path.stat().st_size / 1e6:.1f} MB')
    print('the maps of random images are those of the model' if not args.int8 else
          f'calibrated on {len(sequences)} videos; look at the boxes with tools/test.py {args.config} {args.out}')


if __name__ == '__main__':
    main()
