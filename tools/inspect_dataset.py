#!/usr/bin/env python3
"""What is in a store of crops: statistics, a check of every byte, and a sheet of random crops with their boxes.

    python tools/inspect_dataset.py data/vid_train.lmdb

Exits with 1 if anything is damaged, without the rest.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from siamrpnpp_plugin.datasets import CropStore, StoreError
from siamrpnpp_plugin.datasets.crop_store import GENERATED, OCCLUDED
from siamrpnpp_plugin.datasets.jpeg import EncodedImage, JPEGError
from siamrpnpp_plugin.models import AnchorAssigner, AnchorGenerator
from siamrpnpp_plugin.ops.boxes import box_iou, cxcywh_to_xyxy
from siamrpnpp_plugin.visualization import RED, draw_box, draw_text, image_grid, save_image


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('store', type=Path)
    parser.add_argument('--sheet', type=Path, help='PNG of random crops; default: contact_sheet.png in the store')
    parser.add_argument('--crops', type=int, default=40, help='crops on the sheet; 0: no sheet')
    parser.add_argument('--seed', type=int, default=0, help='which crops')
    parser.add_argument('--no-verify', action='store_true', help='do not compare checksums')
    return parser.parse_args(argv)


def best_overlaps(sizes: np.ndarray, anchors: AnchorGenerator) -> np.ndarray:
    """(N,) IoU of each target with the best anchor that has the same centre."""
    shapes = cxcywh_to_xyxy(torch.nn.functional.pad(anchors.sizes, (2, 0)))  # (A, 4) around 0
    best = []
    for part in torch.from_numpy(sizes).float().split(100_000):
        boxes = cxcywh_to_xyxy(torch.nn.functional.pad(part, (2, 0)))
        best.append(box_iou(boxes[:, None], shapes).amax(dim=1))
    return torch.cat(best).numpy()


def percentiles(name: str, values: np.ndarray, digits: int = 0) -> None:
    numbers = np.percentile(values, (0, 5, 50, 95, 100))
    print(f'  {name:40}' + ''.join(f'{number:10.{digits}f}' for number in numbers))


def print_statistics(store: CropStore) -> None:
    manifest, counts = store.manifest, store.manifest['counts']
    settings = ', '.join(f'{key} {value}' for key, value in store.settings.items())
    source = manifest['source']
    print(f'{store.path}: {counts["videos"]} videos, {counts["tracks"]} tracks, {counts["crops"]} crops, '
          f'{counts["crop_bytes"] / 2**20:.1f} MiB ({counts["crop_bytes"] / max(counts["crops"], 1) / 1000:.1f} kB each)')
    print(f'  source {source["name"]} {source["options"]}, shard {manifest["shard"][0]} of {manifest["shard"][1]}; {settings}')
    if not len(store):
        return
    boxes, flags = store.array('box_xyxy').astype(np.float64), store.array('flags')
    sides = boxes[:, 2:] - boxes[:, :2]
    lengths = np.diff(store.array('track_start'))
    starts, frames = store.array('track_start'), store.array('frame')
    steps = np.diff(frames)
    steps = np.delete(steps, starts[1:-1] - 1)  # steps from one track to the next are none
    print(f'  {"":40}' + ''.join(f'{name:>10}' for name in ('min', '5 %', 'median', '95 %', 'max')))
    percentiles('width of the box in the frame, pixels', sides[:, 0])
    percentiles('height of the box in the frame, pixels', sides[:, 1])
    percentiles('height / width', sides[:, 1] / sides[:, 0], 2)
    percentiles('crops of a track', lengths)
    percentiles('tracks of a video', np.diff(store.array('video_start')))
    if len(steps):
        percentiles('frames from one crop to the next', steps)
    anchors = AnchorGenerator()
    threshold = AnchorAssigner().positive_iou
    overlaps = best_overlaps(store.target_size(slice(None)), anchors)
    percentiles('IoU with the best anchor around its centre', overlaps, 2)
    uncovered = int((overlaps <= threshold).sum())
    print(f'  boxes that no anchor covers (IoU <= {threshold}): {uncovered} ({uncovered / len(overlaps):.2%}); they give no '
          'positives, see fallback_topk of AnchorAssigner')
    print(f'  occluded: {np.mean(flags & OCCLUDED > 0):.1%}, generated: {np.mean(flags & GENERATED > 0):.1%}, '
          f'tracks with gaps: {_with_gaps(starts, frames)} of {len(lengths)}')
    categories = Counter(store.names()[2])
    if set(categories) != {''}:
        print('  tracks by category: ' + ', '.join(f'{name or "none"} {count}' for name, count in categories.most_common(10))
              + (f' and {len(categories) - 10} more' if len(categories) > 10 else ''))
    for reason, count in counts['skipped'].items():
        print(f'  skipped: {count} x {reason}')


def _with_gaps(starts: np.ndarray, frames: np.ndarray) -> int:
    """Tracks with a step larger than their usual one."""
    tracks = (np.diff(frames[start:end]) for start, end in zip(starts[:-1], starts[1:]))
    return sum(len(steps) > 0 and steps.max() > np.median(steps) for steps in tracks)


def verify(store: CropStore) -> int:
    """Number of damaged records; the first ones are named."""
    damaged = 0
    total = len(store) + len(store.manifest['arrays'])
    for problem in tqdm(store.verify(), total=total, unit='record', mininterval=0.5 if sys.stderr.isatty() else 10):
        if problem is not None:
            damaged += 1
            if damaged <= 20:
                tqdm.write(f'  DAMAGED: {problem}', file=sys.stdout)
    print(f'{store.path}: {damaged} of {total} records are damaged: pack this store again' if damaged
          else f'{store.path}: all {total} records have the checksum that they were written with')
    return damaged


def draw_sheet(store: CropStore, count: int, seed: int, path: Path) -> None:
    """Random crops, each with its box, in the order of the store."""
    numbers = np.sort(np.random.default_rng(seed).choice(len(store), min(count, len(store)), replace=False))
    images = []
    for number in numbers.tolist():
        try:
            image = EncodedImage(store.read(number)).pixels()
        except JPEGError:
            size = store.settings['crop_size']
            images.append(draw_text(np.zeros((size, size, 3), np.uint8), f'{number}: damaged', RED))
            continue
        middle, half = np.array([image.shape[1], image.shape[0]]) / 2, store.target_size(number) / 2
        images.append(draw_box(image, (*(middle - half), *(middle + half)), text=f'{number}'))
    save_image(path, image_grid(images, columns=max(1, round(len(images) ** 0.5 * 1.3))))
    print(f'  {len(images)} random crops: {path}')


def main(argv=None) -> None:
    args = parse_args(argv)
    store = CropStore(str(args.store))
    try:
        damaged = 0 if args.no_verify else verify(store)
        if damaged:
            sys.exit(1)
        print_statistics(store)
        if args.crops > 0 and len(store):
            draw_sheet(store, args.crops, args.seed, args.sheet or args.store / 'contact_sheet.png')
    except (StoreError, ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')


if __name__ == '__main__':
    main()
