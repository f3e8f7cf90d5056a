"""Frames per second of tracking on a GPU: PySOT's one target, ours one at a time and many at once, from memory and from files.

Weights are random, as in `track`. Each way has a process of its own; its memory is the GPU's.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch

from siamrpnpp_plugin.apis import SOTracker, init_model
from siamrpnpp_plugin.tracking import VideoTracker

from .pysot_ways import ITSELF, add_checkout, missing_checkout, pysot_tracker
from .samples import synthetic_root
from .timing import apart, compare, matmul_gflops
from .track import BOX_XYWH, NETWORKS, ROOT, products, random_model

FLOOR = 'its products alone, float16'
BATCHES = 1, 16, 64
BOX_XYXY = (*BOX_XYWH[:2], BOX_XYWH[0] + BOX_XYWH[2], BOX_XYWH[1] + BOX_XYWH[3])
BATCH_OF_FILES = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkout(parser)
    parser.add_argument('--networks', nargs='+', choices=tuple(NETWORKS), default=list(NETWORKS), help='track, gpu: default: all')


def missing(args: argparse.Namespace) -> str:
    if not torch.cuda.is_available():
        return 'a GPU that torch sees'
    return missing_checkout(args)


def timed(update: Callable, batch: int) -> Callable:
    """What a process does in a turn: updates for a second; each waits for its result."""
    for _ in range(10):
        update()

    def run() -> tuple:
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < 1:
            update()
            count += batch
        return count, time.perf_counter() - start

    return run


def normalised(model: torch.nn.Module) -> torch.nn.Module:
    """With the statistics of its batch norms those of noise, as training leaves them: activations stay in float16's range."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches
            module.train()
    with torch.no_grad():
        model(*(torch.rand(4, 3, side, side) * 255 for side in (127, 287)))
    return model.eval()


def make_pysot(root: Path, experiment: str, images: list) -> Callable:
    tracker = pysot_tracker(root, experiment, 'cuda')
    frames = [cv2.imread(str(path)) for path in images]
    tracker.init(frames[0], BOX_XYWH)
    turn = itertools.cycle(frames)
    return timed(lambda: tracker.track(next(turn)), 1)


def make_ours(config: str, checkpoint: Path, fast: bool, batch: int, images: list) -> Callable:
    model = init_model(ROOT / 'configs' / config, checkpoint, 'cuda', fast=fast)
    frames = [cv2.imread(str(path)) for path in images]
    if batch == 1:
        tracker = SOTracker(model)
        tracker.init(frames[0], BOX_XYWH)
        turn = itertools.cycle(frames)
        return timed(lambda: tracker.update(next(turn)), 1)
    return timed(_Lockstep(model, frames, batch), batch)


class _Lockstep:
    """Updates of many targets, each in a video of its own, whose frames are in memory."""

    def __init__(self, model: torch.nn.Module, frames: list, batch: int) -> None:
        videos = VideoTracker(model.cfg.tracker, batch_videos=batch)
        self.model, self.tracker, self.cutters = model, videos.tracker, ThreadPoolExecutor(videos.readers)
        self.turns = [itertools.islice(itertools.cycle(frames), number % len(frames), None) for number in range(batch)]
        self.state = self.tracker.init(model, self._frames(), np.array([BOX_XYXY] * batch))

    def _frames(self) -> list:
        return [next(turn) for turn in self.turns]

    def __call__(self) -> None:
        self.state = self.tracker.update(self.model, self.state, self._frames(), map_crops=self.cutters.map)


def make_pysot_from_files(root: Path, experiment: str, images: list) -> Callable:
    tracker = pysot_tracker(root, experiment, 'cuda')
    tracker.init(cv2.imread(str(images[0])), BOX_XYWH)
    turn = itertools.cycle(images)
    return timed(lambda: tracker.track(cv2.imread(str(next(turn)))), 1)


def make_ours_from_files(config: str, checkpoint: Path, batch: int, images: list) -> Callable:
    """`VideoTracker`, as tools/test.py runs it; a turn is three times as many videos as run at once, of 25 to 40 frames."""
    model = init_model(ROOT / 'configs' / config, checkpoint, 'cuda', fast=True)
    tracker = VideoTracker(model.cfg.tracker, batch_videos=batch)
    paths = [str(path) for path in images]
    sequences = [SimpleNamespace(name=str(number), images=paths[number % 16:], polygons=None,
                                 boxes_xyxy=np.array([BOX_XYXY] * len(paths[number % 16:]))) for number in range(3 * batch)]

    def run() -> tuple:
        start = time.perf_counter()
        count = sum(len(result.boxes_xyxy) - 1 for _, result in tracker.track(model, sequences))  # without the first frames
        return count, time.perf_counter() - start

    run()
    return run


def run(args: argparse.Namespace, folder: Path) -> list[dict]:
    video = next(path.parent for path in sorted(synthetic_root(folder).rglob('*.JPEG')))
    images = sorted(path for path in video.iterdir() if path.suffix == '.JPEG')[:40]
    rows = []
    for name in args.networks:
        network, checkpoint = NETWORKS[name], folder / f'{name}.pth'
        torch.save(dict(state_dict=normalised(random_model(network.config)).state_dict()), checkpoint)
        work, ours = products(network), (network.config, checkpoint)

        def floor(work: float = work) -> tuple:
            return 1, work / (matmul_gflops(0.3, 'cuda', 8192, torch.float16) * 1e9)

        place = f'{name}, {work / 2e9:.1f} GMAC, {torch.cuda.get_device_name()}'
        makers = {ITSELF: (make_pysot, args.pysot, network.experiment, images[:20]),
                  'torch': (make_ours, *ours, False, 1, images[:20]),
                  **{f'fast, {batch} at once': (make_ours, *ours, True, batch, images[:20]) for batch in BATCHES}}
        with apart(makers) as ways:
            rows += compare(f'track, {place}, frames/s', {**ways, FLOOR: floor}, ITSELF, args.rounds, FLOOR)
        makers = {ITSELF: (make_pysot_from_files, args.pysot, network.experiment, images),
                  f'fast, {BATCH_OF_FILES} videos at once': (make_ours_from_files, *ours, BATCH_OF_FILES, images)}
        with apart(makers) as ways:
            rows += compare(f'test from JPEG files of 1280x720, {place}, frames/s', ways, ITSELF, args.rounds)
    return rows
