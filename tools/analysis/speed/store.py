"""Start-up and memory per worker as the index of a store grows from 1e4 to 1e7 crops.

Simulated is the content: an index of the shape of VID's (100 crops per track, two tracks per video) without images, since the
choice of a pair reads none. The file, its opening, `LMDBPairDataset.choose` and the forks are the real ones.
"""

import argparse
import itertools
import json
import multiprocessing
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from siamrpnpp_plugin.datasets import LMDBPairDataset
from siamrpnpp_plugin.datasets.crop_store import ARRAYS, FORMAT, FORMAT_VERSION

from .pysot_ways import PySOTPairs
from .timing import table, unique_memory

TRACK, VIDEO = 100, 2  # crops of a track, tracks of a video
WORKERS = 2
PYSOT_LIMIT = 1_000_000  # crops; ten times as many would take gigabytes in each process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--crops', type=float, nargs='+', default=[1e4, 1e5, 1e6, 1e7], help='store: sizes of the index')
    parser.add_argument('--choices', type=int, default=20_000, help='store: pairs that a worker chooses before it is measured')


def missing(args: argparse.Namespace) -> str:
    return '' if Path('/proc/self/smaps_rollup').exists() else 'Linux, whose kernel tells what memory belongs to a process alone'


def write_index(path: Path, crops: int) -> str:
    """A finished store without images; its path.

    Args:
        path: Of the store.
        crops: A multiple of 200: whole videos.
    """
    generator = np.random.default_rng(0)
    corner, side = generator.uniform(0, 600, (crops, 2)), generator.uniform(20, 200, (crops, 2))
    tracks, videos = crops // TRACK, crops // TRACK // VIDEO
    names = [*(f'train/ILSVRC2015_train_{video:08d}' for video in range(videos)),
             *(f'{track % VIDEO:02d}' for track in range(tracks)), *['n02084071'] * tracks]
    arrays = dict(box_xyxy=np.concatenate((corner, corner + side), axis=1), frame=np.arange(crops) % TRACK, flags=np.zeros(crops),
                  crc32=generator.integers(0, 1 << 32, crops), track_start=np.arange(tracks + 1) * TRACK,
                  video_start=np.arange(videos + 1) * VIDEO, names=np.frombuffer('\n'.join(names).encode(), 'u1'))
    blobs = {name: arrays[name].astype(dtype).tobytes() for name, (dtype, *_) in ARRAYS.items()}
    manifest = dict(format=FORMAT, format_version=FORMAT_VERSION, settings=dict(crop_size=511, template_size=127, context=0.5),
                    arrays={name: dict(bytes=len(blob), crc32=zlib.crc32(blob)) for name, blob in blobs.items()})
    with lmdb.open(str(path), lock=False, max_dbs=3, map_size=(1 << 24) + 2 * sum(map(len, blobs.values()))) as env:
        env.open_db(b'crops')
        index = env.open_db(b'index')
        with env.begin(write=True, db=index) as txn:
            for name, blob in blobs.items():
                txn.put(name.encode(), blob)
            txn.put(b'manifest', json.dumps(manifest).encode())
    return str(path)


def write_json(path: Path, crops: int) -> str:
    """An index of the same shape as PySOT keeps it, {video: {track: {frame: box}}}; its path."""
    boxes = {f'{frame:06d}': [100.25 + frame, 80.5, 190.75 + frame, 170.25] for frame in range(TRACK)}
    one = json.dumps({f'{track:02d}': boxes for track in range(VIDEO)})
    with path.open('w') as file:
        for video in range(crops // TRACK // VIDEO):
            file.write(f'{"," if video else "{"}"train/ILSVRC2015_train_{video:08d}": {one}')
        file.write('}')
    return str(path)


def ours(path: str) -> Callable[[int], Any]:
    """A function that chooses pair k."""
    pipeline = [dict(type='siamrpnpp_plugin.ShiftScaleCrop', keys='template', size=127),
                dict(type='siamrpnpp_plugin.ShiftScaleCrop', keys='search', size=255)]
    return LMDBPairDataset(path, pipeline).choose


def pysots_way(path: str) -> Callable[[int], Any]:
    """A function that chooses a pair as PySOT does: by chance, whatever k is."""
    pairs = PySOTPairs('', path, length=600_000)

    def choose(k: int) -> tuple:
        video = pairs.pick[k % len(pairs)]
        if pairs.negative > np.random.random():
            return pairs.random_target(video), pairs.random_target(np.random.randint(len(pairs.videos)))
        return pairs.positive_pair(video)

    return choose


def start_and_work(make: Callable, path: str, choices: int) -> tuple[float, float]:
    """In a process of its own: seconds until the first choice, and MB (USS) of a forked worker after its last one, the mean."""
    start = time.perf_counter()
    choose = make(path)
    choose(0)
    seconds = time.perf_counter() - start
    context = multiprocessing.get_context('fork')
    everyone, found = context.Barrier(WORKERS), context.SimpleQueue()

    def work(number: int) -> None:
        for k in range(number, choices * WORKERS, WORKERS):
            choose(k)
        everyone.wait()
        memory = unique_memory()
        everyone.wait()  # the other one's pages are shared until it is measured too
        found.put(memory)

    workers = [context.Process(target=work, args=(number, )) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    memory = [found.get() for _ in workers]
    for worker in workers:
        worker.join()
    return seconds, sum(memory) / len(memory)


def measure(make: Callable, path: str, choices: int) -> tuple[float, float]:
    """`start_and_work` in a fresh process, which inherits nothing."""
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as executor:
        return executor.submit(start_and_work, make, path, choices).result()


def run(args: argparse.Namespace, folder: Path) -> list[dict]:
    rows, own = [], []
    for size in sorted(max(round(size / TRACK / VIDEO), 1) * TRACK * VIDEO for size in args.crops):
        known = min(size, PYSOT_LIMIT)
        baseline = "PySOT's way" if known == size else f"PySOT's way with {known}"
        ways = {baseline: (pysots_way, write_json(folder / f'{size}.json', known)),
                'ours': (ours, write_index(folder / f'{size}.lmdb', size))}
        found = {name: [] for name in ways}
        for turn, (name, way) in itertools.product(range(args.rounds), ways.items()):
            seconds, memory = measure(*way, args.choices)
            found[name].append((1 / seconds, memory))
            print(f'\r  round {turn + 1} of {args.rounds}: {name} {seconds * 1e3:.4g} ms, {memory:.4g} MB          ', end='',
                  file=sys.stderr, flush=True)
        print(file=sys.stderr)
        rates = {name: [rate for rate, _ in values] for name, values in found.items()}
        memory = {name: statistics.median(used for _, used in values) for name, values in found.items()}
        rows += table(f'store of {size} crops, start-ups/s, unique memory of a worker', rates, baseline, memory=memory)
        own.append((size, rows[-1]))
    print(growth(own))
    return rows


def growth(found: list[tuple[int, dict]]) -> str:
    """What the largest index costs, and the smallest one.

    Args:
        found: (crops, row of the table), by size.
    """
    (small, first), (large, last) = found[0], found[-1]
    return (f'\nfrom {small} to {large} crops a start-up goes from {1e3 / first["per_second"]:.1f} to '
            f'{1e3 / last["per_second"]:.1f} ms, a worker from {first["memory_mb"]:.1f} to {last["memory_mb"]:.1f} MB')
