"""Frames per second of tracking one target on a CPU: PySOT, ours in torch, and ours in ONNX Runtime with 32 and 8 bits.

Weights are random, and the last convolutions give zeros, so that the boxes of all trackers stay near the target: speed does not
depend on what the weights know. Each way has a process of its own, whose largest memory is told too.
"""

import argparse
import importlib.util
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Optional

import cv2
import torch
from torch.utils.flop_counter import FlopCounterMode

from siamrpnpp_plugin.apis import SOTracker, build_tracker, init_model
from siamrpnpp_plugin.export import export_onnx, quantize_onnx

from .pysot_ways import PySOTTracker, add_checkout, baseline, pysot_tracker
from .samples import synthetic_root
from .timing import apart, compare, matmul_gflops, threads

ROOT = Path(__file__).resolve().parents[3]
FLOOR = 'its products alone, direct'
BOX_XYWH = (560., 300., 120., 90.)


class Network(NamedTuple):
    """A published network."""

    config: str
    experiment: str  # PySOT's
    frames: int  # per turn: a second or two


NETWORKS = {'r50': Network('siamrpnpp_r50_pysot.py', 'siamrpn_r50_l234_dwxcorr', 2),
            'mobilenetv2': Network('siamrpnpp_mobilenetv2_pysot.py', 'siamrpn_mobilev2_l234_dwxcorr', 24),
            'alexnet': Network('siamrpn_alexnet_pysot.py', 'siamrpn_alex_dwxcorr', 24)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkout(parser)
    parser.add_argument('--networks', nargs='+', choices=tuple(NETWORKS), default=list(NETWORKS), help='track: default: all')
    parser.add_argument('--track-threads', type=int, nargs='+', default=[1, 2], help='track: numbers of threads to measure')
    parser.add_argument('--video', type=Path, help='track: a folder of frames; default: a synthetic video of 1280x720')


def missing(args: argparse.Namespace) -> str:
    del args
    lacking = [name for name in ('onnx', 'onnxscript', 'onnxruntime') if importlib.util.find_spec(name) is None]
    return f"{', '.join(lacking)}: pip install 'siamrpnpp_plugin[onnx]'" if lacking else ''


def random_model(config: str, checkpoint: Optional[Path] = None) -> torch.nn.Module:
    """A network of ours whose boxes are the anchors; from a file where there is one."""
    torch.manual_seed(0)
    model = init_model(ROOT / 'configs' / config, checkpoint)
    for name, parameter in model.named_parameters():
        if 'box_head.' in name or 'cls_head.' in name:
            torch.nn.init.zeros_(parameter)
    return model


def timed(tracker: object, update: Callable, images: list, count: int, number: int) -> Callable:
    """What a process does in a turn: so many frames, which are in memory."""
    torch.set_num_threads(number)
    torch.set_flush_denormal(True)  # random weights have vanishing activations, whose arithmetic is slow
    cv2.setNumThreads(0)
    frames = [cv2.imread(str(path)) for path in images]
    tracker.init(frames[0], BOX_XYWH)
    update(frames[1])
    turn = itertools.cycle(frames)

    def run() -> tuple:
        start = time.perf_counter()
        for frame in itertools.islice(turn, count):
            update(frame)
        return count, time.perf_counter() - start

    return run


def make_pysot(root: Path, experiment: str, *args: object) -> Callable:
    tracker = pysot_tracker(root, experiment, 'cpu')
    return timed(tracker, tracker.track, *args)


def make_pysots_way(config: str, *args: object) -> Callable:
    model = random_model(config)
    tracker = PySOTTracker(model, build_tracker(model.cfg))
    return timed(tracker, tracker.track, *args)


def make_torch(config: str, fast: bool, checkpoint: Path, *args: object) -> Callable:
    tracker = SOTracker(init_model(ROOT / 'configs' / config, checkpoint, fast=fast))
    return timed(tracker, tracker.update, *args)


def make_onnx(folder: Path, config: str, images: list, count: int, number: int) -> Callable:
    torch.set_num_threads(number)
    tracker = SOTracker(init_model(ROOT / 'configs' / config, folder))
    return timed(tracker, tracker.update, images, count, number)


def export(network: Network, folder: Path, images: list) -> Path:
    """Checkpoint and exported networks, each once per folder: `model.pth`, `fast`, `direct`, `int8`."""
    folder.mkdir(exist_ok=True)
    if not (folder / 'model.pth').exists():
        torch.save(dict(state_dict=random_model(network.config).state_dict()), folder / 'model.pth')
        for name, growth in (('fast', 8), ('direct', 1)):
            export_onnx(init_model(ROOT / 'configs' / network.config, folder / 'model.pth'), folder / name, weight_growth=growth)
        tracker = SOTracker(init_model(ROOT / 'configs' / network.config, folder / 'direct'))
        samples, policy = [], tracker.tracker
        for path in images[:8]:
            frame = cv2.imread(str(path))
            tracker.init(frame, BOX_XYWH)
            samples.append([policy.crop(tracker.state, [frame], side)[0] for side in (policy.template_size, policy.search_size)])
        quantize_onnx(folder / 'direct', folder / 'int8', samples)
    return folder


def products(network: Network) -> float:
    """Additions and multiplications of the search image's share, convolved directly."""
    model = random_model(network.config)
    side = model.cfg.tracker.get('search_size', 255)
    with torch.no_grad():
        kernels = model.template_kernels(torch.zeros(1, 3, 127, 127))
        with FlopCounterMode(display=False) as counter:
            model.correlate(kernels, torch.zeros(1, 3, side, side))
    return counter.get_total_flops()


def run(args: argparse.Namespace, folder: Path) -> list[dict]:
    video = args.video or next(path.parent for path in sorted(synthetic_root(folder).rglob('*.JPEG')))
    images = sorted(path for path in video.iterdir() if path.suffix.lower() in ('.jpeg', '.jpg', '.png'))[:20]
    if len(images) < 2:
        raise SystemExit(f'{video} has no two images')
    rows = []
    for name, number in itertools.product(args.networks, args.track_threads):
        network = NETWORKS[name]
        work, exported = products(network), export(network, folder / name, images)
        common = images, network.frames, number
        theirs = baseline(args)
        makers = {
            theirs: ((make_pysot, args.pysot, network.experiment) if args.pysot else (make_pysots_way, network.config)),
            'torch': (make_torch, network.config, False, exported / 'model.pth'),
            'torch, fast': (make_torch, network.config, True, exported / 'model.pth'),
            'ONNX Runtime, fast': (make_onnx, exported / 'fast', network.config),
            'ONNX Runtime, direct': (make_onnx, exported / 'direct', network.config),
            'ONNX Runtime, 8 bits': (make_onnx, exported / 'int8', network.config)}
        title = f'track, {name}, {work / 2e9:.1f} GMAC, {number} thread(s), frames/s'

        def floor(work: float = work, number: int = number) -> tuple:
            with threads(number):
                return 1, work / (matmul_gflops(0.3) * 1e9)

        with apart({way: (*maker, *common) for way, maker in makers.items()}) as ways:
            rows += compare(title, {**ways, FLOOR: floor}, theirs, args.rounds, FLOOR)
    return rows
