#!/usr/bin/env python3
"""How well a checkpoint finds the targets of held-out pairs, in one look each, beside a box that stays where it was.

    python tools/analysis/evaluate_pairs.py configs/siamrpnpp_r50_vid.py work_dirs/siamrpnpp_r50_vid/epoch_20.pth

The pairs are those of the config's pairs_dataloader. Writes success.png, pairs.png and pairs.json into --out.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn
from tqdm import tqdm

from siamrpnpp_plugin.apis import build_model, init_model
from siamrpnpp_plugin.datasets import StoreError
from siamrpnpp_plugin.engine.training_hooks import look_at_pairs
from siamrpnpp_plugin.ops.boxes import box_iou
from siamrpnpp_plugin.visualization import pairs_picture, plot_curves, save_image


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--out', type=Path, help='folder; default: that of the checkpoint')
    parser.add_argument('--threshold', type=float, default=0.6, help='IoU above which a target counts as found')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='changes to the config')
    return parser.parse_args(argv)


@torch.no_grad()
def overlaps(models: dict, loader: torch.utils.data.DataLoader) -> dict:
    """IoU of each positive pair with the best box of each model, and with a box at the middle of the search image."""
    found = {name: [] for name in [*models, 'static box']}
    for batch in tqdm(loader, unit='batch', mininterval=0.5 if sys.stderr.isatty() else 10):
        box, positive = batch['box_xyxy'], batch['is_positive'].bool()
        for name, model in models.items():
            predicted = torch.stack([pair['box_xyxy'] for pair in model.val_step(batch)]).cpu()
            found[name].append(box_iou(predicted, box)[positive])
        found['static box'].append(box_iou(static_boxes(box, batch['search'].shape[-1]), box)[positive])
    if not sum(map(len, found['static box'])):
        raise ValueError('pairs_dataloader has no positive pair')
    return {name: torch.cat(values).numpy() for name, values in found.items()}


def static_boxes(box_xyxy: Tensor, search_size: int) -> Tensor:
    """(B, 4) boxes of the targets' own size at the middle of the search image: a target that has not moved."""
    half = (box_xyxy[:, 2:] - box_xyxy[:, :2]) / 2
    return torch.cat((search_size // 2 - half, search_size // 2 + half), dim=1)


def evaluate(config: Config, models: dict[str, nn.Module], threshold: float, out: Path) -> dict:
    """Print a table, write plot and picture; the numbers of all models."""
    settings = dict(config.pairs_dataloader, pin_memory=False)
    loader = Runner.build_dataloader(settings, seed=0)
    found = overlaps(models, loader)
    numbers = {name: dict(success=float((values > threshold).mean()), mean_iou=float(values.mean()))
               for name, values in found.items()}
    pairs = len(found['static box'])
    print(f'{pairs} held-out pairs        IoU > {threshold}   mean IoU')
    for name, row in numbers.items():
        print(f'  {name:24}{row["success"]:10.3f}{row["mean_iou"]:11.3f}')
    places = np.linspace(0, 1, 101)
    plot_curves(out / 'success.png', places, {name: (values[:, None] > places).mean(axis=0) for name, values in found.items()},
                ('IoU threshold', 'share of pairs above it'), f'{pairs} held-out pairs')
    best = next(iter(models.values()))
    save_image(out / 'pairs.png', pairs_picture(**look_at_pairs(best, next(iter(loader)), 8)))
    print(f'  plot: {out / "success.png"}\n  pairs, targets green, found boxes yellow, scores: {out / "pairs.png"}')
    return dict(pairs=pairs, threshold=threshold, **numbers)


def main(argv=None) -> None:
    args = parse_args(argv)
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options or {})
    init_default_scope(config.get('default_scope', 'siamrpnpp_plugin'))
    out = args.out or args.checkpoint.parent
    try:
        if not config.get('pairs_dataloader'):
            raise ValueError(f'{args.config} has no pairs_dataloader')
        torch.manual_seed(0)
        untrained = build_model(config).to(args.device).eval()
        trained = init_model(config, args.checkpoint, device=args.device)
        numbers = evaluate(config, {args.checkpoint.stem: trained, 'untrained': untrained}, args.threshold, out)
    except (StoreError, FileNotFoundError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    (out / 'pairs.json').write_text(json.dumps(numbers, indent=2) + '\n')


if __name__ == '__main__':
    main()
