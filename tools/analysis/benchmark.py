#!/usr/bin/env python3
"""Compare our speed with that of the predecessors, in turn on this machine.

    python tools/analysis/benchmark.py loader [--store STORE]     # training pairs per second against PySOT's way
    python tools/analysis/benchmark.py pack [--root ILSVRC2015]   # crops per second against the seed's way
    python tools/analysis/benchmark.py step --pysot PYSOT         # training steps of R50 against PySOT itself (a checkout; yacs)
    python tools/analysis/benchmark.py metrics --got10k GOT10K    # scored frames against the got10k toolkit itself (a checkout)

Each line is the median of several rounds (A B A B ...) with the smallest and largest. Without data of yours, synthetic videos are
made in a temporary folder. The predecessors' ways are written anew in `predecessors.py`.
"""

import argparse
import functools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import lmdb
import numpy as np
import torch
from mmengine import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from predecessors import PySOTPairs, pysot_training_step, seed_pack
from torch.utils.data import DataLoader

from siamrpnpp_plugin.datasets import CropStore, jpeg
from siamrpnpp_plugin.datasets.cropping import PackSettings
from siamrpnpp_plugin.datasets.packing import pack
from siamrpnpp_plugin.datasets.sources import VIDSource
from siamrpnpp_plugin.datasets.synthetic import write_synthetic_vid
from siamrpnpp_plugin.evaluation.ope import evaluate_sequence, summarize
from siamrpnpp_plugin.registry import DATASETS, MODELS

ROOT = Path(__file__).resolve().parents[2]
PYSOT_TRANSFORMS = ('ShiftScaleCrop', 'ColorPCA', 'MotionBlur')  # the others of a config are left out: like is compared with like


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('subject', choices=('loader', 'pack', 'step', 'metrics'))
    parser.add_argument('--store', type=Path, help='loader: a packed store; default: synthetic videos of 1280x720')
    parser.add_argument('--root', type=Path, help='pack: an ILSVRC2015 VID root; default: synthetic videos of 1280x720')
    parser.add_argument('--split', default='train', choices=('train', 'val'), help='pack: of the root')
    parser.add_argument('--videos', type=int, default=8, help='pack: how many videos of the root')
    parser.add_argument('--config', type=Path, default=ROOT / 'configs' / 'siamrpnpp_r50_vid.py', help='loader: its pipeline')
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2], help='numbers of worker processes to measure')
    parser.add_argument('--pairs', type=int, default=1400, help='loader: pairs per round')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--pysot', type=Path, help='step: a checkout of PySOT')
    parser.add_argument('--got10k', type=Path, help='metrics: a checkout of the got10k toolkit; needs shapely')
    parser.add_argument('--batch', type=int, default=4, help='step: pairs')
    parser.add_argument('--threads', type=int, default=os.cpu_count(), help='step: of the CPU')
    parser.add_argument('--work-dir', type=Path, help='where to write; default: a temporary folder')
    parser.add_argument('--json', type=Path, help='write the numbers here too')
    args = parser.parse_args(argv)
    if args.subject == 'step' and args.pysot is None:
        parser.error('step compares with PySOT itself: --pysot PATH_OF_A_CHECKOUT')
    if args.subject == 'metrics' and args.got10k is None:
        parser.error('metrics compares with the got10k toolkit itself: --got10k PATH_OF_A_CHECKOUT')
    return args


def rounds(ways: dict, number: int) -> dict:
    """Units per second of each way: {name: [rate, ...]}; a way does its work and returns (units, seconds)."""
    rates = {name: [] for name in ways}
    for turn in range(number):
        for name, run in ways.items():
            units, seconds = run()
            rates[name].append(units / seconds)
            print(f'\r  round {turn + 1} of {number}: {name} {rates[name][-1]:.0f}/s      ', end='', file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rates


def table(title: str, rates: dict, baseline: str) -> list:
    """Print medians and ratios to the baseline of the same round; rows for `--json`."""
    print(f'\n{title}\n  {"":36s}{"median/s":>10s}{"min":>8s}{"max":>8s}{"ratio":>8s}{"min":>7s}{"max":>7s}')
    rows = []
    for name, values in rates.items():
        ratios = [value / base for value, base in zip(values, rates[baseline])]
        row = dict(table=title, name=name, per_second=statistics.median(values), per_second_all=values,
                   ratio=statistics.median(ratios), ratio_all=ratios)
        rows.append(row)
        print(f'  {name:36s}{row["per_second"]:10.4g}{min(values):8.4g}{max(values):8.4g}{row["ratio"]:8.2f}{min(ratios):7.2f}'
              f'{max(ratios):7.2f}')
    return rows


@contextmanager
def single_thread():
    """One core per process: what is compared is work, not threads."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    yield


def synthetic_root(folder: Path) -> Path:
    """Four videos of 1280x720, as ILSVRC2015 VID has them."""
    print('making synthetic videos of 1280x720 ...', file=sys.stderr)
    list(write_synthetic_vid(folder / 'synthetic', videos=4, frames=40, size=(1280, 720), seed=0, workers=os.cpu_count()))
    return folder / 'synthetic'


def dump_crops(store: CropStore, folder: Path, limit: int = 1500) -> tuple:
    """The first crops of a store as PySOT keeps them: ordinary JPEG files and a JSON file."""
    videos, tracks, _ = store.names()
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


def benchmark_loader(args: argparse.Namespace, folder: Path) -> list:
    """Pairs per second out of a DataLoader, ours and PySOT's, after the first batch."""
    if args.store is None:
        args.store = folder / 'store.lmdb'
        pack(VIDSource(synthetic_root(folder)), args.store, workers=os.cpu_count())
    store = CropStore(args.store)
    print(f'{args.store}: {len(store)} crops of {store.settings["crop_size"]} pixels, '
          f'{store.manifest["counts"]["crop_bytes"] / len(store) / 1000:.0f} kB each', file=sys.stderr)
    crops, annotations = dump_crops(store, folder / 'pysot')
    config = Config.fromfile(args.config).train_dataloader
    config.dataset.pipeline = [transform for transform in config.dataset.pipeline if transform.type in PYSOT_TRANSFORMS]
    batch = config.batch_size
    pairs = batch * max(args.pairs // batch, 2)
    config.dataset.update(store=str(args.store), pairs_per_epoch=pairs)
    config.pin_memory = False
    rows = []

    def timed(loader: DataLoader) -> tuple:
        iterator = iter(loader)
        next(iterator)
        start, count = time.perf_counter(), 0
        for item in iterator:
            count += len(item['search'])
        return count, time.perf_counter() - start

    def decode_only() -> tuple:
        """The floor: JPEG decoding of just the pixels that each sample needs, in this process."""
        dataset = DATASETS.build(config.dataset)
        regions = []
        original = jpeg.EncodedImage.region
        jpeg.EncodedImage.region = lambda image, window: regions.append((image, window)) or original(image, window)
        try:
            for k in range(200):
                dataset[k]
        finally:
            jpeg.EncodedImage.region = original
        start = time.perf_counter()
        for image, window in regions:
            image.region(window)
        return 200, time.perf_counter() - start

    for workers in args.workers:
        def ours(workers: int = workers) -> tuple:
            loader = dict(config, num_workers=workers, persistent_workers=False)
            return timed(Runner.build_dataloader(loader, seed=0))

        def pysot(workers: int = workers) -> tuple:
            return timed(DataLoader(PySOTPairs(crops, annotations, pairs), batch, num_workers=workers, drop_last=True))

        ways = {"PySOT's way": pysot, 'ours': ours}
        if workers == 1:
            ways['decoding alone, as ours'] = decode_only
        rows += table(f'loader, {workers} worker(s), batch {batch}, pairs/s', rounds(ways, args.rounds), "PySOT's way")
    return rows


def benchmark_step(args: argparse.Namespace, folder: Path) -> list:
    """Training steps per second on one batch, backbone frozen and trained; ours makes the anchor targets too."""
    del folder
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # random weights have vanishing gradients, whose arithmetic is slow on a CPU
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if device == 'cpu':
        torch.Tensor.cuda = lambda tensor: tensor  # PySOT calls it everywhere
    generator = torch.Generator().manual_seed(0)
    images = {key: torch.randint(0, 256, (args.batch, 3, size, size), generator=generator, dtype=torch.uint8)
              for key, size in (('template', 127), ('search', 255))}
    batch = dict(images, box_xyxy=torch.tensor([[95., 95., 159., 159.]]).repeat(args.batch, 1),
                 is_positive=torch.ones(args.batch, dtype=torch.bool), sample_seed=torch.arange(args.batch))
    config = Config.fromfile(ROOT / 'configs' / 'siamrpnpp_r50_pysot.py').model
    rows = []
    for frozen in (True, False):
        model = MODELS.build(config).to(device).train()
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4),
                               clip_grad=dict(max_norm=10))
        model.backbone.freeze_stages(4 if frozen else 1)
        head = model.head
        anchors = head.anchors(torch.zeros(1, 1, 25, 25), 255)
        targets = head.anchor_assigner(anchors, 8, batch['box_xyxy'], batch['is_positive'], batch['sample_seed'])
        deltas = head.box_coder.encode(batch['box_xyxy'][:, None, None, None], anchors).movedim(-1, 1)
        theirs, pysot_step = pysot_training_step(args.pysot, dict(
            {key: value.float().to(device) for key, value in images.items()}, label_cls=targets.labels.to(device),
            label_loc=deltas.to(device), label_loc_weight=targets.box_weights.to(device)), frozen)
        theirs.to(device)

        def timed(step, count: int = 2 if device == 'cpu' else 20) -> tuple:
            if device == 'cuda':
                torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(count):
                step()
            if device == 'cuda':
                torch.cuda.synchronize()
            return count, time.perf_counter() - start

        def our_step(model=model, wrapper=wrapper) -> float:
            return model.train_step(batch, wrapper)['loss'].item()

        print(f'first losses: PySOT {pysot_step():.3f}, ours {our_step():.3f} (other random weights)', file=sys.stderr)
        ways = {'PySOT itself': functools.partial(timed, pysot_step), 'ours': functools.partial(timed, our_step)}
        state = 'frozen backbone' if frozen else 'layer2-4 trained'
        rows += table(f'step, R50, batch {args.batch}, {args.threads} threads, {state}, steps/s', rounds(ways, args.rounds),
                      'PySOT itself')
    return rows


class FirstVideos(VIDSource):
    """The first videos of a data set."""

    def __init__(self, root: Path, split: str, count: int) -> None:
        super().__init__(root, split)
        self.count = count

    def videos(self) -> list:
        return super().videos()[:self.count]


def benchmark_pack(args: argparse.Namespace, folder: Path) -> list:
    """Crops per second from frames and xml files to an LMDB, ours and the seed's."""
    root = args.root or synthetic_root(folder)
    source = FirstVideos(root, args.split, args.videos)
    chosen = source.videos()
    rows = []
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

        ways = {"the seed's way": seed, 'ours': ours}
        rows += table(f'pack, {workers} worker(s), {len(chosen)} videos, crops/s', rounds(ways, args.rounds), "the seed's way")
    return rows


def benchmark_metrics(args: argparse.Namespace, folder: Path) -> list:
    """Frames per second scored: all numbers of 280 sequences as long as LaSOT's, ours and those of its `ExperimentLaSOT`."""
    del folder
    sys.path.insert(0, str(args.got10k))
    from got10k.experiments import ExperimentLaSOT
    toolkit = object.__new__(ExperimentLaSOT)
    toolkit.nbins_iou, toolkit.nbins_ce, toolkit.nbins_nce = 21, 51, 51
    generator, sequences = np.random.default_rng(0), []
    for length in generator.integers(1000, 4000, 280):
        truth = np.rint(generator.uniform((0, 0, 20, 20), (1000, 1000, 200, 200), (length, 4)))
        predicted = np.round(truth + generator.normal(0, 15, (length, 4)), 2)
        predicted[:, 2:] = predicted[:, 2:].clip(1)
        predicted[0] = truth[0]  # as the toolkit's report does it
        sequences.append((predicted, truth))
    frames = sum(len(truth) for _, truth in sequences)
    corners = [[np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1) for boxes in pair] for pair in sequences]

    def ours() -> tuple:
        start = time.perf_counter()
        summary = summarize([evaluate_sequence(*pair, 'lasot') for pair in corners], 'lasot')
        return frames / 1000, time.perf_counter() - start, summary

    def theirs() -> tuple:
        start = time.perf_counter()
        curves = [toolkit._calc_curves(*toolkit._calc_metrics(*pair)) for pair in sequences]
        means = [np.mean(curve, axis=0) for curve in zip(*curves)]
        return frames / 1000, time.perf_counter() - start, means

    summary, means = ours()[2], theirs()[2]
    for key, mean in zip(('success', 'precisions', 'norm_precisions'), means):
        if not np.allclose(summary[key], mean, atol=1e-9):
            raise SystemExit(f'{key} differs from the toolkit: what is compared is not the same')
    ways = {'the got10k toolkit itself': lambda: theirs()[:2], 'ours': lambda: ours()[:2]}
    return table(f'metrics, 280 sequences, {frames} frames, thousands/s', rounds(ways, args.rounds), 'the got10k toolkit itself')


def main(argv=None) -> None:
    args = parse_args(argv)
    cpu = next((line.split(':')[1].strip() for line in Path('/proc/cpuinfo').read_text().splitlines() if 'model name' in line),
               platform.processor()) if os.path.exists('/proc/cpuinfo') else platform.processor()
    machine = dict(cpu=cpu, cores=os.cpu_count(), python=platform.python_version(), torch=torch.__version__,
                   opencv=cv2.__version__, numpy=np.__version__, lmdb=lmdb.__version__)
    init_default_scope('siamrpnpp_plugin')
    print(', '.join(f'{key} {value}' for key, value in machine.items()))
    with tempfile.TemporaryDirectory(dir=args.work_dir) as folder, single_thread():
        subjects = dict(loader=benchmark_loader, pack=benchmark_pack, step=benchmark_step, metrics=benchmark_metrics)
        rows = subjects[args.subject](args, Path(folder))
    if args.json:
        args.json.write_text(json.dumps(dict(machine=machine, rows=rows), indent=2) + '\n')


if __name__ == '__main__':
    main()
