"""Crops per second from frames and xml files to an LMDB, ours and the seed's."""

import argparse
import functools
import multiprocessing
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from siamrpnpp_plugin.datasets.cropping import PackSettings
from siamrpnpp_plugin.datasets.jpeg import encode_jpeg
from siamrpnpp_plugin.datasets.packing import pack

from .samples import FirstVideos, synthetic_root
from .seed_ways import seed_pack
from .timing import compare, threads

FLOOR = 'decoding and encoding alone'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--root', type=Path, help='pack: an ILSVRC2015 VID root; default: synthetic videos of 1280x720')
    parser.add_argument('--split', default='train', choices=('train', 'val'), help='pack: of the root')
    parser.add_argument('--videos', type=int, default=8, help='pack: how many videos of the root')
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2], help='numbers of worker processes to measure')


def missing(args: argparse.Namespace) -> str:
    return ''


def decode_and_encode(source: FirstVideos, crop: np.ndarray, video: str) -> int:
    """The floor of a video: each frame decoded, a crop encoded for each of its targets, nothing cut or written."""
    cv2.setNumThreads(0)
    tracks, _ = source.read(video)
    images = [image for track in tracks for image in track.images]
    for image in set(images):
        cv2.imread(image)
    for _ in images:
        encode_jpeg(crop)
    return len(images)


def run(args: argparse.Namespace, folder: Path) -> list[dict]:
    source = FirstVideos(args.root or synthetic_root(folder), args.split, args.videos)
    chosen = source.videos()
    image = cv2.imread(source.read(chosen[0])[0][0].images[0])
    crop = cv2.resize(image[:min(image.shape[:2]), :min(image.shape[:2])], (511, 511))
    rows = []
    with threads(1):
        for workers in args.workers:
            def ours(workers: int = workers) -> tuple:
                with tempfile.TemporaryDirectory(dir=folder) as out:
                    start = time.perf_counter()
                    manifest = pack(source, Path(out) / 'ours.lmdb', PackSettings(min_track_length=1), workers=workers)
                    return manifest['counts']['crops'], time.perf_counter() - start

            def seed(workers: int = workers) -> tuple:
                with tempfile.TemporaryDirectory(dir=folder) as out:
                    start = time.perf_counter()
                    number = seed_pack([str(source.images / video) for video in chosen], out, 511, workers)
                    return number, time.perf_counter() - start

            def floor(workers: int = workers) -> tuple:
                start = time.perf_counter()
                with multiprocessing.Pool(workers) as pool:
                    number = sum(pool.imap_unordered(functools.partial(decode_and_encode, source, crop), chosen))
                return number, time.perf_counter() - start

            ways = {"the seed's way": seed, 'ours': ours, FLOOR: floor}
            title = f'pack, {workers} worker(s), {len(chosen)} videos, crops/s'
            rows += compare(title, ways, "the seed's way", args.rounds, FLOOR)
    return rows
