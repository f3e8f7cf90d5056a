#!/usr/bin/env python3
"""Show what a config's loader really yields: a sheet of pairs with their boxes, and the positives of each anchor.

    python tools/analysis/browse_pairs.py configs/siamrpnpp_r50_vid.py --cfg-options train_dataloader.dataset.store=mine.lmdb
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from siamrpnpp_plugin.apis import build_model
from siamrpnpp_plugin.datasets import StoreError
from siamrpnpp_plugin.visualization import GREEN, RED, draw_box, draw_text, image_grid, save_image


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('--pairs', type=int, default=24, help='how many')
    parser.add_argument('--epoch', type=int, default=0, help='whose first pairs, from 0')
    parser.add_argument('--seed', type=int, default=0, help='of the run')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/pairs.png'), help='the sheet')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='key=value pairs that change the config')
    args = parser.parse_args(argv)
    if args.pairs < 1:
        parser.error(f'--pairs must be positive, got {args.pairs}')
    return args


def load_pairs(config: Config, count: int, epoch: int, seed: int) -> tuple:
    """The first pairs of an epoch in one batch, as the training loop gets them, and the dataset."""
    settings = dict(config.train_dataloader, batch_size=min(count, config.train_dataloader.batch_size), drop_last=False,
                    persistent_workers=False, pin_memory=False)
    settings['num_workers'] = min(settings.get('num_workers', 0), 2)
    if not settings['num_workers']:
        settings.pop('prefetch_factor', None)
    loader = Runner.build_dataloader(settings, seed=seed)
    loader.sampler.set_epoch(epoch)
    batches, found = [], 0
    for batch in loader:
        batches.append({key: value.clone() for key, value in batch.items()})
        found += len(batch['search'])
        if found >= count:
            break
    return {key: torch.cat([batch[key] for batch in batches])[:count] for key in batches[0]}, loader.dataset


@torch.no_grad()
def positives_per_anchor(model: nn.Module, pairs: dict) -> tuple:
    """(B, A) anchors that a sample could learn a box from, and those that it does after the random choice."""
    head, size = model.head, pairs['search'].shape[-1]
    sample = model.data_preprocessor({key: value[:1] for key, value in pairs.items()})
    cls_score, _ = model.eval()(sample['template'], sample['search'], mode='tensor')
    anchors, stride = head.anchors(cls_score, size), head.anchor_generator.stride
    boxes, is_positive = pairs['box_xyxy'], pairs['is_positive']
    candidates, _, _ = head.anchor_assigner.candidates(anchors, stride, boxes, is_positive)
    labels = head.anchor_assigner(anchors, stride, boxes, is_positive, pairs.get('sample_seed')).labels
    return candidates.sum(dim=(2, 3)), (labels == 1).sum(dim=(2, 3))


def draw_pair(template: np.ndarray, search: np.ndarray, box_xyxy: np.ndarray, is_positive: bool, title: str) -> np.ndarray:
    """The template beside the search image; the box of a negative pair is red."""
    canvas = np.zeros((search.shape[0], template.shape[1] + search.shape[1], 3), np.uint8)
    canvas[:template.shape[0], :template.shape[1]] = template
    color = GREEN if is_positive else RED
    canvas[:, template.shape[1]:] = draw_box(search, box_xyxy + 0.5, color)  # batches count from the middle of the first pixel
    canvas[template.shape[0]:, :template.shape[1]] = draw_text(canvas[template.shape[0]:, :template.shape[1]], title, color)
    return canvas


def main(argv=None) -> None:
    args = parse_args(argv)
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options or {})
    init_default_scope(config.get('default_scope', 'siamrpnpp_plugin'))
    try:
        pairs, dataset = load_pairs(config, args.pairs, args.epoch, args.seed)
    except (StoreError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    model = build_model(config)
    candidates, kept = positives_per_anchor(model, pairs)

    names = [f'{width:.0f}x{height:.0f}' for width, height in model.head.anchor_generator.sizes.tolist()]
    print(f'{"positives that could be / are kept, by anchor":60}' + ''.join(f'{name:>10}' for name in names))
    images = []
    for index in range(len(pairs['search'])):
        numbers = ''.join(f'{f"{could} / {are}":>10}' for could, are in zip(candidates[index].tolist(), kept[index].tolist()))
        print(f'{dataset.describe(int(pairs["sample"][index]))}\n{"":60}{numbers}')
        template, search = (pairs[key][index].permute(1, 2, 0).numpy() for key in ('template', 'search'))
        images.append(draw_pair(template, search, pairs['box_xyxy'][index].numpy(), bool(pairs['is_positive'][index]),
                                str(int(pairs['sample'][index]))))
    positive = pairs['is_positive']
    print(f'{"mean of the positive pairs":60}' + ''.join(
        f'{f"{could:.1f} / {are:.1f}":>10}' for could, are in zip(candidates[positive].float().mean(dim=0).tolist(),
                                                                  kept[positive].float().mean(dim=0).tolist())))
    without = int((candidates[positive].sum(dim=1) == 0).sum())
    print(f'{int(positive.sum())} positive pairs, {without} of them without a positive anchor; {int((~positive).sum())} negative')
    try:
        save_image(args.out, image_grid(images, columns=max(1, round(len(images) ** 0.5 * 0.8))))
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'{args.out}: {len(images)} pairs, template and search; green: the target, red: another object')


if __name__ == '__main__':
    main()
