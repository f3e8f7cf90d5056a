"""Training steps per second on one batch, backbone frozen and trained; ours makes the anchor targets too."""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from mmengine import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode

from siamrpnpp_plugin.engine.launch import keep_freed_memory
from siamrpnpp_plugin.registry import MODELS

from .pysot_ways import ITSELF, add_checkout, missing_checkout, pysot_training_step
from .timing import apart, compare, matmul_gflops, threads

ROOT = Path(__file__).resolve().parents[3]
AMP, FLOOR = 'ours, bfloat16', 'matrix products alone'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkout(parser)
    parser.add_argument('--batch', type=int, help='step: pairs; default: 4 on a CPU, 32 on a GPU')
    parser.add_argument('--threads', type=int, default=os.cpu_count(), help='step: of the CPU')


def missing(args: argparse.Namespace) -> str:
    return missing_checkout(args)


def example(size: int) -> dict:
    """A batch of so many pairs, as the loader gives it."""
    generator = torch.Generator().manual_seed(0)
    images = {key: torch.randint(0, 256, (size, 3, side, side), generator=generator, dtype=torch.uint8)
              for key, side in (('template', 127), ('search', 255))}
    return dict(images, box_xyxy=torch.tensor([[95., 95., 159., 159.]]).repeat(size, 1),
                is_positive=torch.ones(size, dtype=torch.bool), sample_seed=torch.arange(size))


def our_step(batch: dict, frozen: bool, device: str, amp: bool = False) -> tuple[torch.nn.Module, Callable]:
    """Our model and a function that takes one training step and returns the loss; in bfloat16 or as PySOT does."""
    model = MODELS.build(Config.fromfile(ROOT / 'configs' / 'siamrpnpp_r50_pysot.py').model).to(device).train()
    wrap = partial(AmpOptimWrapper, dtype='bfloat16') if amp else OptimWrapper
    wrapper = wrap(optimizer=torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4),
                   clip_grad=dict(max_norm=10))
    model.backbone.freeze_stages(4 if frozen else 1)
    return model, lambda: model.train_step(batch, wrapper)['loss'].item()


def pysot_step(root: Path, batch: dict, frozen: bool, device: str) -> Callable:
    """PySOT's own, with the targets that its loader would give."""
    if device == 'cpu':
        torch.Tensor.cuda = lambda tensor: tensor  # PySOT calls it everywhere
    head = MODELS.build(Config.fromfile(ROOT / 'configs' / 'siamrpnpp_r50_pysot.py').model.head)
    anchors = head.anchors(torch.zeros(1, 1, 25, 25), 255)
    targets = head.anchor_assigner(anchors, 8, batch['box_xyxy'], batch['is_positive'], batch['sample_seed'])
    deltas = head.box_coder.encode(batch['box_xyxy'][:, None, None, None], anchors).movedim(-1, 1)
    data = dict(template=batch['template'].float(), search=batch['search'].float(), label_cls=targets.labels, label_loc=deltas,
                label_loc_weight=targets.box_weights)
    model, step = pysot_training_step(root, {key: value.to(device) for key, value in data.items()}, frozen)
    model.to(device)
    return step


def make(who: str, root: Path, size: int, number: int, frozen: bool, count: int) -> Callable:
    """In a process of its own: a function that takes so many steps, for its time."""
    init_default_scope('siamrpnpp_plugin')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.set_num_threads(number)
    torch.set_flush_denormal(True)  # random weights have vanishing gradients, whose arithmetic is slow on a CPU
    batch = example(size)
    if who != ITSELF and device == 'cpu':
        keep_freed_memory()  # as tools/train.py does
    step = pysot_step(root, batch, frozen, device) if who == ITSELF else our_step(batch, frozen, device, who == AMP)[1]
    for _ in range(2 if device == 'cpu' else 10):
        step()

    def timed() -> tuple:
        start = time.perf_counter()
        for _ in range(count):
            step()  # returns the loss: waits for the device
        return count, time.perf_counter() - start

    return timed


def flops(model: torch.nn.Module, batch: dict) -> float:
    """Additions and multiplications of convolutions and products in one step, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
        sum(losses.values()).backward()
    return counter.get_total_flops()


def run(args: argparse.Namespace, folder: Path) -> list[dict]:
    del folder
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    size = args.batch or (4 if device == 'cpu' else 32)
    rows = []
    for frozen in (True, False):
        work = flops(our_step(example(2), frozen, 'cpu')[0], example(2)) * size / 2
        rate = dict(size=2048) if device == 'cpu' else dict(device=device, size=8192, dtype=torch.bfloat16)

        def floor(work: float = work, rate: dict = rate) -> tuple:
            with threads(args.threads):
                return 1, work / (matmul_gflops(0.3, **rate) * 1e9)

        place = f'{args.threads} threads' if device == 'cpu' else torch.cuda.get_device_name()
        state = 'frozen backbone' if frozen else 'layer2-4 trained'
        title = f'step, R50, batch {size}, {place}, {work / 2e9:.0f} GMAC, {state}, steps/s'
        names, count = ((ITSELF, 'ours'), 2) if device == 'cpu' else ((ITSELF, 'ours', AMP), 20)
        with apart({who: (make, who, args.pysot, size, args.threads, frozen, count) for who in names}) as ways:
            rows += compare(title, {**ways, FLOOR: floor}, ITSELF, args.rounds, FLOOR)
    return rows
