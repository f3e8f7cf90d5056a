"""Training pairs per second out of a DataLoader, and how many workers that makes for a GPU."""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import cv2
from mmengine import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from siamrpnpp_plugin.datasets import CropStore, jpeg
from siamrpnpp_plugin.registry import DATASETS

from .pysot_ways import PySOTPairs, add_checkout, baseline, pysot_dataset
from .samples import synthetic_store
from .timing import compare, threads

ROOT = Path(__file__).resolve().parents[3]
PYSOT_TRANSFORMS = ('ShiftScaleCrop', 'ColorPCA', 'MotionBlur')  # the others of a config are left out: like is compared with like
FLOOR = 'decoding alone'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--store', type=Path, help='loader: a packed store; default: synthetic videos of 1280x720')
    parser.add_argument('--config', type=Path, default=ROOT / 'configs' / 'siamrpnpp_r50_vid.py', help='loader: its pipeline')
    parser.add_argument('--pairs', type=int, default=1400, help='loader: pairs per round')
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2], help='numbers of worker processes to measure')
    add_checkout(parser)
    parser.add_argument('--gpu-pairs-per-second', type=float, default=657,
                        help='pairs that a GPU trains per second. The default was measured: R50 with layers 2 to 4 trained, '
                             'batch 32, bfloat16, on an H200')


def missing(args: argparse.Namespace) -> str:
    return ''


def dump_crops(store: CropStore, folder: Path, limit: int = 1500) -> tuple[str, str]:
    """The first crops of a store as PySOT keeps them: ordinary JPEG files and a JSON file; their paths."""
    videos, _, _ = store.names()
    labels, written = {}, 0
    for video in range(store.num_videos):
        if written > limit:
            break
        name = videos[video].replace('/', '_')
        (folder / name).mkdir(parents=True)
        labels[name] = {}
        for track in store.tracks(video):
            boxes = labels[name].setdefault(f'{track:02d}', {})
            for number in store.crops(track):
                frame = f'{store.array("frame")[number]:06d}'
                boxes[frame] = store.array('box_xyxy')[number].tolist()
                cv2.imwrite(str(folder / name / f'{frame}.{track:02d}.x.jpg'), jpeg.EncodedImage(store.read(number)).pixels())
                written += 1
    (folder / 'annotations.json').write_text(json.dumps(labels))
    return str(folder), str(folder / 'annotations.json')


class DecodingAlone(Dataset):
    """The floor: JPEG decoding of just the pixels that samples need, cut out of the crops beforehand.

    Args:
        dataset: Whose samples.
        samples: So many of them are kept, and taken in turn.
        length: Of this data set.
    """

    def __init__(self, dataset: Dataset, samples: int, length: int) -> None:
        self.parts, self.length = [], length
        decode = jpeg.EncodedImage._decode
        for k in range(samples):
            parts = []
            jpeg.EncodedImage._decode = lambda image, data, parts=parts: parts.append((image, data)) or decode(image, data)
            try:
                dataset[k]
            finally:
                jpeg.EncodedImage._decode = decode
            self.parts.append(parts)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        for image, part in self.parts[index % len(self.parts)]:
            image._decode(part)
        return dict(search=index)


def timed(loader: DataLoader) -> tuple[int, float]:
    """Pairs and seconds after the first batch."""
    iterator = iter(loader)
    next(iterator)
    start, count = time.perf_counter(), 0
    for item in iterator:
        count += len(item['search'])
    return count, time.perf_counter() - start


def run(args: argparse.Namespace, folder: Path) -> list[dict]:
    path = args.store or synthetic_store(folder)
    store = CropStore(path)
    print(f'{path}: {len(store)} crops of {store.settings["crop_size"]} pixels, '
          f'{store.manifest["counts"]["crop_bytes"] / len(store) / 1000:.0f} kB each', file=sys.stderr)
    crops, annotations = dump_crops(store, folder / 'pysot')
    config = Config.fromfile(args.config).train_dataloader
    shipped_workers = config.num_workers
    config.dataset.pipeline = [transform for transform in config.dataset.pipeline if transform.type in PYSOT_TRANSFORMS]
    batch = config.batch_size
    pairs = batch * max(args.pairs // batch, 2)
    config.dataset.update(store=str(path), pairs_per_epoch=pairs)
    config.pin_memory = False
    decoding = DecodingAlone(DATASETS.build(config.dataset), min(pairs, 280), pairs)
    theirs = baseline(args)
    rows, per_worker = [], []
    with threads(1):
        for workers in args.workers:
            def ours(workers: int = workers) -> tuple:
                return timed(Runner.build_dataloader(dict(config, num_workers=workers, persistent_workers=False), seed=0))

            def pysot(workers: int = workers) -> tuple:
                dataset = (PySOTPairs(crops, annotations, pairs) if args.pysot is None else
                           pysot_dataset(args.pysot, crops, annotations, pairs))
                return timed(DataLoader(dataset, batch, num_workers=workers, drop_last=True))

            def floor(workers: int = workers) -> tuple:
                return timed(DataLoader(decoding, batch, num_workers=workers))

            ways = {theirs: pysot, 'ours': ours, FLOOR: floor}
            found = compare(f'loader, {workers} worker(s), batch {batch}, pairs/s', ways, theirs, args.rounds, FLOOR)
            rows += found
            per_worker.append(found[1]['per_second'] / max(workers, 1))
    print(feeding(min(per_worker), args.gpu_pairs_per_second, shipped_workers))
    return rows


def feeding(pairs_per_worker: float, pairs_per_gpu: float, workers: int) -> str:
    """How many workers feed a GPU, and how long it waits with those of the config.

    Args:
        pairs_per_worker: Per second, measured.
        pairs_per_gpu: Per second that a GPU trains.
        workers: Of each rank, as the config has them.
    """
    wait = max(1 - workers * pairs_per_worker / pairs_per_gpu, 0)
    relation = 'less than' if wait else 'no less than'
    needed = {gpus: math.ceil(gpus * pairs_per_gpu / pairs_per_worker) for gpus in (1, 2, 4, 8)}
    counts = ', '.join(f'{gpus}: {number}' for gpus, number in needed.items())
    return (f'\nthe GPU waits {wait:.0%}, because {workers} workers of a core each give {workers * pairs_per_worker:.0f} pairs/s '
            f'({pairs_per_worker:.0f} each, measured),\n{relation} the {pairs_per_gpu:.0f} that it trains '
            f'(--gpu-pairs-per-second)\nworkers that feed so many GPUs: {counts}')
