#!/usr/bin/env python3
"""Print what the model of a config consists of and costs, then run one template/search pair through it.

    python tools/analysis/model_summary.py configs/siamrpnpp_r50_vid.py

GMAC are multiply-accumulates of convolutions, counted on the pair by torch's FlopCounterMode, halved.
"""

import argparse
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from siamrpnpp_plugin.apis import init_model


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path)
    parser.add_argument('--checkpoint', type=Path, help='weights of the pair; default: those of the config')
    parser.add_argument('--template-size', type=int, default=127, help='side of the template image in pixels')
    parser.add_argument('--search-size', type=int, default=255, help='side of the search image in pixels')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args(argv)


def sizes(feats) -> str:
    """Channels and side of the maps: 512+1024+2048 x 15."""
    return f'{"+".join(str(feat.shape[1]) for feat in feats)} x {feats[0].shape[2]}'


def gmac(run) -> tuple:
    """Result of `run()` and its multiply-accumulates in 10^9."""
    with FlopCounterMode(display=False) as counter:
        result = run()
    return result, counter.get_total_flops() / 2e9


@torch.no_grad()
def summarize(model: torch.nn.Module, template: torch.Tensor, search: torch.Tensor) -> list:
    """Rows (part, million parameters, template map, GMAC, search map, GMAC) of a model, for one pair of uint8 images."""
    template, search = (model.data_preprocessor.normalize(image) for image in (template, search))
    rows = []
    template_maps, template_cost = gmac(lambda: model.backbone(template))
    search_maps, search_cost = gmac(lambda: model.backbone(search))
    rows.append(('backbone', model.backbone, sizes(template_maps), template_cost, sizes(search_maps), search_cost))
    if model.neck is not None:
        template_maps, template_cost = gmac(lambda: model.neck(template_maps, is_template=True))
        search_maps, search_cost = gmac(lambda: model.neck(search_maps))
        rows.append(('neck', model.neck, sizes(template_maps), template_cost, sizes(search_maps), search_cost))
    outputs, cost = gmac(lambda: model.head(template_maps, search_maps))
    rows.append(('head', model.head, '', 0, sizes(outputs), cost))
    return [(name, sum(p.numel() for p in part.parameters()) / 1e6, *rest) for name, part, *rest in rows]


def main(argv=None) -> None:
    args = parse_args(argv)
    torch.manual_seed(0)
    model = init_model(args.config, args.checkpoint, args.device)
    generator = torch.Generator().manual_seed(0)
    template, search = (torch.randint(0, 256, (1, 3, size, size), dtype=torch.uint8, generator=generator).to(args.device)
                        for size in (args.template_size, args.search_size))
    rows = summarize(model, template, search)
    rows.append(('all', *(sum(row[i] for row in rows) if i in (1, 3, 5) else '' for i in range(1, 6))))
    print(f'\n{type(model).__name__} of {args.config}: {type(model.backbone).__name__}, {len(model.head.rpn_heads)} level(s)')
    titles = f'template {args.template_size}', f'search {args.search_size}'
    print(f'{"":10}{"M params":>9}  {titles[0]:24}{"GMAC":>7}  {titles[1]:24}{"GMAC":>7}')
    for name, params, template_map, template_cost, search_map, search_cost in rows:
        print(f'{name:10}{params:9.2f}  {template_map:24}{template_cost:7.2f}  {search_map:24}{search_cost:7.2f}')

    with torch.no_grad():
        start = time.perf_counter()
        batch = model.data_preprocessor(dict(template=template, search=search))
        prediction, = model(**batch, mode='predict')
        seconds = time.perf_counter() - start
    box = ', '.join(f'{value:.1f}' for value in prediction['box_xyxy'].tolist())
    print(f'\none pair in {seconds:.2f} s: best box ({box}), score {prediction["score"].item():.3f}')
    if args.checkpoint is None:
        print('random images, weights of the config: the box means nothing yet, the sizes do')


if __name__ == '__main__':
    main()
