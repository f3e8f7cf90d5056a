#!/usr/bin/env python3
"""Convert a checkpoint of PySOT, mmtracking or torchvision to this package, or one of ours back to PySOT.

    python tools/convert_checkpoint.py pysot model.pth siamrpnpp_r50.pth
    python tools/convert_checkpoint.py torchvision resnet50.pth resnet50_stride8.pth --config configs/siamrpnpp_r50_vid.py
    python tools/convert_checkpoint.py pysot siamrpnpp_r50.pth model.pth --reverse

Every tensor is accounted for: matched, missing, unexpected, or of another shape. A file that does not fit whole is refused
(exit status 1, nothing written) unless --allow-partial is given; so is one that was converted before.
"""

import argparse
import math
import sys
from pathlib import Path

import torch

from siamrpnpp_plugin import __version__
from siamrpnpp_plugin.apis import build_model
from siamrpnpp_plugin.models import RPNHead, SiamRPN, state_dicts

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
CANDIDATES = {
    'pysot': ('siamrpnpp_r50_pysot.py', 'siamrpnpp_r50_pysot_otb.py', 'siamrpnpp_r50_pysot_lt.py',
              'siamrpnpp_mobilenetv2_pysot.py', 'siamrpn_alexnet_pysot.py', 'siamrpn_alexnet_upchannel.py'),
    'mmtracking': ('siamrpnpp_r50_pysot.py', 'siamrpnpp_r50_pysot_otb.py'),
    'torchvision': ('siamrpnpp_r50_vid.py', ),
}


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', choices=sorted(CANDIDATES), help='where SRC comes from (with --reverse: where DST goes)')
    parser.add_argument('src', metavar='SRC', type=Path, help='checkpoint to read')
    parser.add_argument('dst', metavar='DST', type=Path, help='checkpoint to write')
    parser.add_argument('--config', type=Path, help='config whose model must fit; default: the shipped one that fits')
    parser.add_argument('--reverse', action='store_true', help='from this package to PySOT')
    parser.add_argument('--fold-input-norm', action='store_true',
                        help='torchvision: fold RGB order and ImageNet mean/std into conv1, for a model fed raw BGR 0-255')
    parser.add_argument('--allow-partial', action='store_true',
                        help="write the tensors that fit, though others do not (for load_from of a training, not for init_model)")
    parser.add_argument('--verbose', action='store_true', help='name every tensor, not the first ten of each fault')
    parser.add_argument('--overwrite', action='store_true', help='replace DST if it exists')
    args = parser.parse_args(argv)
    if args.reverse and args.source != 'pysot':
        parser.error(f'--reverse is for pysot only, got {args.source}')
    if args.fold_input_norm and args.source != 'torchvision':
        parser.error(f'--fold-input-norm is for torchvision only, got {args.source}')
    return args


def check_pysot_can_run(model: torch.nn.Module) -> None:
    """Refuse what a state dict does not show: PySOT would load the weights and compute something else."""
    preprocessor = model.data_preprocessor
    if preprocessor.has_norm or preprocessor.bgr_to_rgb:
        raise ValueError('PySOT feeds raw BGR: a model with mean and std or RGB order does not go back')
    for head in model.head.rpn_heads:
        if isinstance(head, RPNHead) and (head.adj_1.conv.padding != (0, 0) or not hasattr(head.adj_1, 'act')):
            raise ValueError('PySOT has adj convolutions without padding and with ReLU: this head does not go back')
    if any(key.endswith('downsample.0.weight') and key.split('.')[1] in ('layer3', 'layer4') and value.shape[2:] != (3, 3)
           for key, value in model.state_dict().items()):
        raise ValueError("PySOT's ResNets have first_block='half': this backbone does not go back")


def convert(source: str, weights: dict, model: torch.nn.Module, fold_input_norm: bool) -> tuple:
    """The weights under our names, the state dict that they should fill, and remarks for the user."""
    own = model.state_dict()
    if source == 'torchvision':
        own = model.backbone.state_dict()
        adapted, left_out = state_dicts.adapt_backbone(weights, own, fold_input_norm)
        return adapted, own, [f'left out, as the network does not have it: {key}' for key in left_out]
    if source == 'pysot':
        return state_dicts.from_pysot(weights, own), own, []
    anchors = model.head.anchor_generator
    adapted = state_dicts.from_mmtracking(weights, own, anchors.sizes, anchors.ratios, anchors.scales, anchors.stride)
    return adapted, own, ["mmtracking's anchors of ratio 2 and 3 are taller (40x88, 32x104 against 40x80, 32x96): the difference "
                          'is folded into the box heads, so boxes are the same with the anchors of the config']


def save(content: dict, path: Path) -> None:
    """Write a checkpoint whole or not at all."""
    partial = path.with_name(path.name + '.tmp')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.save(content, partial)
        partial.replace(path)
    except RuntimeError as error:  # torch's word for a disk that is full
        raise OSError(f'could not write {path}: {error}') from error
    finally:
        partial.unlink(missing_ok=True)


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.dst.is_dir():
        raise IsADirectoryError(f'{args.dst} is a folder; name the file to write')
    if args.dst.exists() and not args.overwrite:
        raise FileExistsError(f'{args.dst} exists; give --overwrite to replace it')
    weights, meta = state_dicts.read_checkpoint(args.src)
    if not args.reverse and any(key.startswith('head.rpn_heads.') for key in weights):
        raise ValueError(f'{args.src} has the names of this package already: nothing to convert')
    if 'siamrpnpp_plugin' in meta and not args.reverse:
        raise ValueError(f'{args.src} is converted already (from {meta.get("source")}, config {meta.get("config")})')
    best = None
    for config in [args.config] if args.config else [CONFIGS / name for name in CANDIDATES[args.source]]:
        model = build_model(config)
        if not isinstance(model, SiamRPN):
            raise ValueError(f'the model of {config} is a {type(model).__name__}, not a SiamRPN')
        if args.reverse:
            check_pysot_can_run(model)
            adapted, own, remarks = weights, model.state_dict(), []
        else:
            adapted, own, remarks = convert(args.source, weights, model, args.fold_input_norm)
        report = state_dicts.compare(adapted, own)
        if best is None or report.complete or len(report.matched) > len(best[1].matched):
            best = config, report, adapted, own, remarks
        if report.complete:
            break
    config, report, adapted, own, remarks = best
    print(f'config {config}')
    if args.verbose:
        print('\n'.join(f'  matched: {key}' for key in report.matched))
    print(report.summary(limit=math.inf if args.verbose else 10))
    for remark in remarks:
        print(remark)
    if not report.complete and not args.allow_partial:
        print(f'refused: {args.src} does not fit {config}. Give the right --config, or --allow-partial to keep what fits.',
              file=sys.stderr)
        return 1

    converted = {key: adapted[key] for key in report.matched}
    counters = [key for key in own if key not in converted and key.endswith('num_batches_tracked')]
    if counters and report.complete:
        converted.update({key: torch.zeros_like(own[key]) for key in counters})
        print(f'{len(counters)} batch counters of norm layers start at 0, as the file has none')
    meta = dict(source=args.source, source_file=args.src.name, config=config.name, siamrpnpp_plugin=__version__)
    if args.reverse:
        save(state_dicts.to_pysot(converted, own), args.dst)
    elif args.source == 'torchvision':
        save(dict(state_dict=converted, meta=dict(meta, part='backbone', fold_input_norm=args.fold_input_norm)), args.dst)
    else:
        save(dict(state_dict=converted, meta=meta), args.dst)
    print(f'wrote {args.dst}')
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (OSError, ValueError, KeyError, SyntaxError) as error:
        sys.exit(f'error: {error.args[0] if isinstance(error, KeyError) else error}')
