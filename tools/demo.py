#!/usr/bin/env python3
"""Track one target in a video, a folder of images, or a camera's picture.

    python tools/demo.py video.mp4 --box 316,140,112,116 --save out.mp4
    python tools/demo.py frames/ --show                         # draw the box with the mouse
    python tools/demo.py 0 --show --config configs/siamrpnpp_r50_pysot.py --checkpoint siamrpnpp_r50.pth

Without --config and --checkpoint it takes what the quick start trained. Without a screen give --box and --save.
"""

import argparse
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import torch
from tqdm import tqdm

from siamrpnpp_plugin.apis import SOTracker, init_model
from siamrpnpp_plugin.datasets.sources import image_files
from siamrpnpp_plugin.engine.checkpoint_files import newest_checkpoint
from siamrpnpp_plugin.visualization import GREEN, RED, VideoFile, draw_box, draw_text, draw_trail

ROOT = Path(__file__).resolve().parents[1]
TRAIL = 30  # frames
WINDOW = 'siamrpnpp_plugin: q ends'


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='video file, folder of images, or number of a camera')
    parser.add_argument('--config', type=Path, default=ROOT / 'configs' / 'siamrpnpp_quickstart.py')
    parser.add_argument('--checkpoint', type=Path, help='or an exported folder; default: the newest one of the quick start')
    parser.add_argument('--box', type=parse_box, metavar='X,Y,W,H', help='target in the first frame, pixels; default: the mouse')
    parser.add_argument('--save', type=Path, metavar='OUT.mp4', help='video with boxes; OUT.txt beside it has x,y,w,h,score')
    parser.add_argument('--show', action='store_true', help='show each frame in a window')
    parser.add_argument('--max-frames', type=int, metavar='N')
    parser.add_argument('--fast', action='store_true',
                        help='on a CPU less arithmetic, more memory, boxes to .01 pixels; on a GPU float16')
    parser.add_argument('--strict', action='store_true', help='a frame that cannot be read is an error; default: the box stays')
    parser.add_argument('--device', help='default: a GPU if there is one; an exported network runs on the CPU')
    return parser.parse_args(argv)


def parse_box(text: str) -> list:
    try:
        box = [float(part) for part in text.split(',')]
    except ValueError:
        box = []
    if len(box) != 4:
        raise argparse.ArgumentTypeError(f'expected x,y,w,h, got {text!r}')
    return box


def open_source(source: str) -> tuple[Iterator[Optional[np.ndarray]], Optional[int], float]:
    """Frames (None: cannot be read), how many if that is known, frames per second."""
    if Path(source).is_dir():
        files = image_files(Path(source))
        if not files:
            raise ValueError(f'{source} has no images')
        return (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in files), len(files), 25.0
    is_camera = source.isdecimal() and not Path(source).exists()
    if not is_camera and not Path(source).is_file():
        raise FileNotFoundError(f'{source} is no video, no folder and no number of a camera')
    capture = cv2.VideoCapture(int(source) if is_camera else source)
    if not capture.isOpened():
        raise ValueError(f'camera {source} cannot be opened' if is_camera else f'{source} cannot be read as a video')
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return _captured(capture), count if count > 0 else None, capture.get(cv2.CAP_PROP_FPS) or 25.0


def _captured(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while capture.grab():
        is_there, frame = capture.retrieve()
        yield frame if is_there else None
    capture.release()


def select_box(frame: np.ndarray) -> list:
    """Draw the box with the mouse."""
    try:
        box = cv2.selectROI('draw the target, then press Enter', frame, showCrosshair=False)
        cv2.destroyAllWindows()
    except cv2.error as error:
        raise ValueError('there is no screen to draw the box on: give --box x,y,w,h') from error
    if box[2] <= 0 or box[3] <= 0:
        raise ValueError('no box was drawn')
    return list(box)


def has_screen() -> bool:
    """Whether a window can be opened; OpenCV's Qt ends the process where it cannot."""
    return any(os.environ.get(name) for name in ('DISPLAY', 'WAYLAND_DISPLAY', 'QT_QPA_PLATFORM'))


def show(picture: np.ndarray) -> bool:
    """Whether to go on."""
    try:
        cv2.imshow(WINDOW, picture)
        return cv2.waitKey(1) & 0xFF not in (27, ord('q'))
    except cv2.error as error:
        raise ValueError('there is no screen: leave --show out and give --save OUT.mp4') from error


def run(args: argparse.Namespace) -> None:
    if args.checkpoint is None:
        args.checkpoint = newest_checkpoint(ROOT / 'work_dirs' / 'quickstart')
        if args.checkpoint is None:
            raise FileNotFoundError('no trained model: run tools/quickstart.sh, or give --config and --checkpoint')
    if not args.show and args.save is None:
        raise ValueError('give --save OUT.mp4, --show, or both')
    if (args.show or args.box is None) and sys.platform.startswith('linux') and not has_screen():
        raise ValueError('there is no screen: give --box x,y,w,h and --save OUT.mp4, without --show')
    if args.max_frames is not None and args.max_frames < 1:
        raise ValueError(f'--max-frames must be positive, got {args.max_frames}')
    if args.save is not None and Path(args.source).resolve() in (args.save.resolve(), args.save.resolve().parent):
        raise ValueError(f'--save {args.save} would write over the source, or into it')
    frames, count, rate = open_source(args.source)
    first = next(frames, None)
    if first is None:
        raise ValueError(f'the first frame of {args.source} cannot be read')
    box = args.box or select_box(first)
    uses_gpu = torch.cuda.is_available() and not args.checkpoint.is_dir()
    device = args.device or ('cuda' if uses_gpu else 'cpu')
    tracker = SOTracker(init_model(args.config, args.checkpoint, device=device, fast=args.fast))
    tracker.init(first, box)
    rows, trail, held, seconds, confidence = [], deque(maxlen=TRAIL), 0, 0.0, 1.0
    known, count = count, min(count or args.max_frames or 0, args.max_frames or count or 0) or None
    with VideoFile(args.save or 'unused.mp4', rate) as video, tqdm(total=count, unit='frame') as bar:
        frame: Optional[np.ndarray] = first
        shown = first
        while True:
            if len(rows):
                start = time.perf_counter()
                if frame is None:
                    if args.strict:
                        raise ValueError(f'frame {len(rows)} of {args.source} cannot be read')
                    held, confidence = held + 1, 0.0
                else:
                    box, confidence, shown = tracker.update(frame).tolist(), tracker.confidence, frame
                seconds += time.perf_counter() - start
            rows.append([*box, confidence])
            trail.append((box[0] + box[2] / 2, box[1] + box[3] / 2))
            picture = draw_trail(draw_box(shown, [box[0], box[1], box[0] + box[2], box[1] + box[3]]), trail)
            picture = draw_text(picture, f'{confidence:.2f}', GREEN if confidence > 0.5 else RED)
            if args.save is not None:
                video.write(picture)
            bar.update()
            if args.show and not show(picture):
                break
            if args.max_frames and len(rows) >= args.max_frames:
                break
            try:
                frame = next(frames)
            except StopIteration:
                break
    if args.save is not None:
        text = args.save.with_suffix('.txt')
        np.savetxt(text, rows, fmt='%.3f', delimiter=',')
        print(f'{args.save}: {len(rows)} frames; boxes and scores in {text}')
    if known and not args.show and len(rows) < min(known, args.max_frames or known):
        message = f'{args.source} ends after {len(rows)} of {known} frames: the file is damaged there'
        if args.strict:
            raise ValueError(message)
        print(message, file=sys.stderr)
    if held:
        print(f'{held} frames could not be read: the box stayed', file=sys.stderr)
    if len(rows) > 1:
        print(f'{(len(rows) - 1) / max(seconds, 1e-9):.1f} frames/s')


def main(argv=None) -> None:
    args = parse_args(argv)
    try:
        run(args)
    except (ValueError, OSError, KeyError) as error:
        sys.exit(f'{type(error).__name__}: {error}')


if __name__ == '__main__':
    main()
