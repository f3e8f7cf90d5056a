#!/usr/bin/env python3
"""Write small synthetic videos in the layout of ILSVRC2015 VID, to try training, packing and tracking without a download.

    python tools/make_synthetic_vid.py data/synthetic --videos 60 --frames 60 --size 320x240 --seed 0
    python tools/make_synthetic_vid.py data/synthetic --videos 8 --frames 60 --size 320x240 --seed 0 --split val
"""

import argparse
import os
import sys
from pathlib import Path

from tqdm import tqdm

from siamrpnpp_plugin.datasets.synthetic import SPLITS, write_synthetic_vid


def size(text: str) -> tuple:
    try:
        width, height = map(int, text.lower().split('x'))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form WxH, such as 320x240') from None
    return width, height


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder that becomes an ILSVRC2015 root')
    parser.add_argument('--videos', type=int, default=60)
    parser.add_argument('--frames', type=int, default=60, help='of each video')
    parser.add_argument('--size', type=size, default=(320, 240), metavar='WxH')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--split', default='train', choices=SPLITS)
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes (0: this one only)')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    args = parse_args(argv)
    try:
        names = write_synthetic_vid(args.out, args.videos, args.frames, args.size, args.seed, args.split, args.workers)
        for _ in tqdm(names, total=args.videos, unit='video', mininterval=0.5 if sys.stderr.isatty() else 10):
            pass
    except (ValueError, FileExistsError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'{args.out}: {args.videos} {args.split} videos of {args.frames} frames, {args.size[0]}x{args.size[1]}')


if __name__ == '__main__':
    main()
