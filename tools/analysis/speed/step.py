"""Training steps per second on one batch, backbone frozen and trained; ours makes the anchor targets too."""

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode

from siamrpnpp_plugin.registry import MODELS

from .predecessors import pysot_training_step
from .timing import compare, matmul_gflops, peak_memory, threads

ROOT = Path(__file__).resolve().parents[3]
BASELINE, FLOOR = 'PySOT itself', 'matrix products alone'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--pysot', type=Path, help='a checkout of PySOT; needs yacs')
    parser.add_argument('--batch', type=int, default=4, help='step: pairs')
    parser.add_argument('--threads', type=int, default=os.cpu_count(), help='step: of the CPU')


def missing(args: argparse.Namespace) -> str:
    return '' if args.pysot else '--pysot PATH_OF_A_CHECKOUT: it is compared with PySOT itself'


def example(size: int) -> dict:
    """A batch of so many pairs, as the loader gives it."""
    generator = torch.Generator().manual_seed(0)
    images = {key: torch.randint(0, 256, (size, 3, side, side), generator=generator, dtype=torch.uint8)
              for key, side in (('template', 127), ('search', 255))}
    return dict(images, box_xyxy=torch.tensor([[95., 95., 159., 159.]]).repeat(size, 1),
                is_positive=torch.ones(size, dtype=torch.bool), sample_seed=torch.arange(size))


def our_step(batch: dict, frozen: bool, device: str) -> tuple[torch.nn.Module, Callable]:
    """Our model and a function that takes one training step and returns the loss."""
    model = MODELS.build(Config.fromfile(ROOT / 'configs' / 'siamrpnpp_r50_pysot.py').model).to(device).train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4),
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


def few_steps(who: str, args: argparse.Namespace, frozen: bool) -> None:
    """A process that trains, for its memory."""
    init_default_scope('siamrpnpp_plugin')
    batch = example(args.batch)
    with threads(args.threads):
        step = pysot_step(args.pysot, batch, frozen, 'cpu') if who == BASELINE else our_step(batch, frozen, 'cpu')[1]
        for _ in range(2):
            step()


def flops(model: torch.nn.Module, batch: dict) -> float:
    """Additions and multiplications of convolutions and products in one step, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
        sum(losses.values()).backward()
    return counter.get_total_flops()


def run(args: argparse.Namespace, folder: Path) -> list[dict]:
    del folder
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.set_flush_denormal(True)  # random weights have vanishing gradients, whose arithmetic is slow on a CPU
    batch = example(args.batch)
    rows = []
    with threads(args.threads):
        for frozen in (True, False):
            memory = {who: peak_memory(few_steps, who, args, frozen) for who in (BASELINE, 'ours')} if device == 'cpu' else {}
            model, ours = our_step(batch, frozen, device)
            theirs = pysot_step(args.pysot, batch, frozen, device)
            work = flops(model, batch)
            model.zero_grad()

            def timed(step: Callable, count: int = 2 if device == 'cpu' else 20) -> tuple:
                if device == 'cuda':
                    torch.cuda.synchronize()
                start = time.perf_counter()
                for _ in range(count):
                    step()
                if device == 'cuda':
                    torch.cuda.synchronize()
                return count, time.perf_counter() - start

            def floor(work: float = work) -> tuple:
                return 1, work / (matmul_gflops(0.3, device, 2048) * 1e9)

            print(f'{work / 2e9:.0f} GMAC per step; first losses: PySOT {theirs():.3f}, ours {ours():.3f} (other random weights)',
                  file=sys.stderr)
            ways = {BASELINE: functools.partial(timed, theirs), 'ours': functools.partial(timed, ours), FLOOR: floor}
            state = 'frozen backbone' if frozen else 'layer2-4 trained'
            title = f'step, R50, batch {args.batch}, {args.threads} threads, {state}, steps/s'
            rows += compare(title, ways, BASELINE, args.rounds, FLOOR, memory)
    return rows
