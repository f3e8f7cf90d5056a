"""Ask a checkout of PySOT for its own numbers and freeze them in the files beside this script.

    git clone https://github.com/STVIR/pysot && pip install yacs pyyaml
    python tests/parity/pysot_numbers.py PATH_OF_PYSOT                # writes pysot_shapes.json and pysot_numbers.npz
    python tests/parity/pysot_numbers.py PATH_OF_PYSOT --check 7      # compares our networks live, with other weights and images
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import seeded  # noqa: E402


def pysot_network(root: Path, name: str) -> torch.nn.ModuleDict:
    """backbone, neck and rpn_head of one of PySOT's experiments, its state dict as PySOT's ModelBuilder names it."""
    from pysot.models.backbone import get_backbone
    from pysot.models.head import get_rpn_head
    from pysot.models.neck import get_neck
    config = yaml.safe_load((root / 'experiments' / seeded.NETWORKS[name][0] / 'config.yaml').read_text())
    parts = dict(backbone=get_backbone(config['BACKBONE']['TYPE'], **config['BACKBONE']['KWARGS']))
    if config['ADJUST']['ADJUST']:
        parts['neck'] = get_neck(config['ADJUST']['TYPE'], **config['ADJUST']['KWARGS'])
    if name == 'alexnet_upchannel':
        parts['rpn_head'] = get_rpn_head('UPChannelRPN', anchor_num=5, feature_in=256)
    else:
        parts['rpn_head'] = get_rpn_head(config['RPN']['TYPE'], **config['RPN']['KWARGS'])
    return torch.nn.ModuleDict(parts).eval()


def as_list(maps) -> list:
    return list(maps) if isinstance(maps, (list, tuple)) else [maps]


@torch.no_grad()
def pysot_stages(network: torch.nn.ModuleDict, template: torch.Tensor, search: torch.Tensor) -> dict:
    """Every stage of a PySOT network by name."""
    from pysot.models.model_builder import ModelBuilder
    stages, adjusted = {}, {}
    for image, name in ((template, 'template'), (search, 'search')):
        maps = as_list(network['backbone'](image))
        stages.update({f'{name}.backbone.{level}': feat for level, feat in enumerate(maps)})
        adjusted[name] = as_list(network['neck'](maps)) if 'neck' in network else maps
        stages.update({f'{name}.neck.{level}': feat for level, feat in enumerate(adjusted[name])})
    head = network['rpn_head']
    blocks = [module for key, module in head.named_children() if key.startswith('rpn')] or [head]
    for level, block in enumerate(blocks):
        stages[f'rpn.{level}.cls'], stages[f'rpn.{level}.loc'] = block(adjusted['template'][level], adjusted['search'][level])
    if len(blocks) > 1:
        stages['cls'], stages['loc'] = head(adjusted['template'], adjusted['search'])
    else:
        stages['cls'], stages['loc'] = stages['rpn.0.cls'], stages['rpn.0.loc']
    stages['log_softmax'] = ModelBuilder.log_softmax(None, stages['cls'])
    return stages


def network_numbers(root: Path) -> tuple:
    shapes, numbers = {}, {}
    for name, (_, _, size) in seeded.NETWORKS.items():
        network = pysot_network(root, name)
        shapes[name] = {key: list(value.shape) for key, value in network.state_dict().items()}
        network.load_state_dict(seeded.weights(shapes[name], seed=0))
        stages = pysot_stages(network, seeded.images(127, seed=0), seeded.images(size, seed=0))
        for stage, value in stages.items():
            numbers[f'{name}/{stage}'] = seeded.sample(value, stage)
            numbers[f'{name}/{stage}/max'] = np.float32(value.abs().max())
            numbers[f'{name}/{stage}/shape'] = np.array(value.shape)
            print(f'{name:20} {stage:22} {tuple(value.shape)!s:22} max {value.abs().max():.4g}')
    for name in seeded.TRAINED:  # batch norms with the statistics of the batch
        network = pysot_network(root, name).train()
        network.load_state_dict(seeded.weights(shapes[name], seed=0))
        stages = pysot_stages(network, seeded.images(127, seed=0), seeded.images(255, seed=0))
        for stage in ('cls', 'loc'):
            numbers[f'train/{name}/{stage}'] = seeded.sample(stages[stage], stage)
            numbers[f'train/{name}/{stage}/max'] = np.float32(stages[stage].abs().max())
    from pysot.models.backbone import get_backbone
    for name, (constructor, _) in seeded.BACKBONES.items():
        backbone = get_backbone(constructor, used_layers=[2, 3, 4]).eval()
        shapes[name] = {key: list(value.shape) for key, value in backbone.state_dict().items()}
        backbone.load_state_dict(seeded.weights(shapes[name], seed=0))
        with torch.no_grad():
            for level, value in enumerate(backbone(seeded.images(255, seed=0))):
                numbers[f'{name}/{level}'] = seeded.sample(value, f'{level}')
                numbers[f'{name}/{level}/max'] = np.float32(value.abs().max())
    return shapes, numbers


def anchor_numbers() -> dict:
    """PySOT's anchors, and what its AnchorTarget says of the boxes with nothing left to chance."""
    from pysot.core.config import cfg
    from pysot.datasets.anchor_target import AnchorTarget
    from pysot.utils.anchor import Anchors
    from pysot.utils.bbox import Corner
    anchors = Anchors(cfg.ANCHOR.STRIDE, cfg.ANCHOR.RATIOS, cfg.ANCHOR.SCALES)
    numbers = {'anchors/shapes': anchors.anchors.copy()}
    for size, center in ((25, 127), (17, 127), (21, 143), (97, 415)):
        anchors.generate_all_anchors(im_c=center, size=size)
        boxes = anchors.all_anchors[1]
        numbers[f'anchors/{size}'] = np.stack([boxes[:, :, 0, 0], boxes[:, :, -1, -1]])  # first and last cell
        numbers[f'anchors/{size}/sum'] = boxes.astype(np.float64).sum(axis=(1, 2, 3))
    cfg.TRAIN.POS_NUM, cfg.TRAIN.NEG_NUM, cfg.TRAIN.TOTAL_NUM = 10**6, 10**6, 2 * 10**6  # keep every candidate
    target = AnchorTarget()
    for index, box in enumerate(seeded.BOXES):
        label, delta, _, overlap = target(Corner(*box), 25)
        numbers[f'assign/{index}/label'] = label.astype(np.int8)
        numbers[f'assign/{index}/overlap'] = seeded.sample(torch.from_numpy(overlap), 'overlap')
        numbers[f'assign/{index}/max_overlap'] = np.float32(overlap.max())
        numbers[f'assign/{index}/delta'] = seeded.sample(torch.from_numpy(delta), 'delta')
        numbers[f'assign/{index}/hard'] = target(Corner(*box), 25, neg=True)[0].astype(np.int8)
    return numbers


def loss_numbers() -> dict:
    from pysot.models.loss import select_cross_entropy_loss, weight_l1_loss
    from pysot.models.model_builder import ModelBuilder
    torch.Tensor.cuda = lambda self, *args, **kwargs: self  # PySOT's loss asks for a GPU by name
    numbers = {}
    for case in seeded.LOSS_CASES:
        inputs = seeded.loss_inputs(case, seed=0)
        cls, loc = inputs['cls'].requires_grad_(), inputs['loc'].requires_grad_()
        loss_cls = select_cross_entropy_loss(ModelBuilder.log_softmax(None, cls), inputs['labels'])
        loss_loc = weight_l1_loss(loc, inputs['deltas'], inputs['weights'])
        numbers[f'loss/{case}/cls'] = np.float32(float(loss_cls))
        numbers[f'loss/{case}/loc'] = np.float32(float(loss_loc))
        for name, loss, leaf in (('cls', loss_cls, cls), ('loc', loss_loc, loc)):
            grad = torch.zeros_like(leaf)
            if torch.is_tensor(loss):
                grad, = torch.autograd.grad(loss, leaf)
            grad = grad.reshape(-1).numpy()
            places = np.argsort(-np.abs(grad), kind='stable')[:300]
            numbers[f'loss/{case}/{name}_grad_places'] = places.astype(np.int32)
            numbers[f'loss/{case}/{name}_grad'] = grad[places]
            numbers[f'loss/{case}/{name}_grad_norm'] = np.float32(np.linalg.norm(grad.astype(np.float64)))
    return numbers


def check(root: Path, seed: int) -> None:
    from ours import our_stages  # the same code that the test runs
    equal = True
    for name, (_, config, size) in seeded.NETWORKS.items():
        network = pysot_network(root, name)
        state = seeded.weights({key: list(value.shape) for key, value in network.state_dict().items()}, seed)
        network.load_state_dict(state)
        images = seeded.images(127, seed), seeded.images(size, seed)
        theirs, ours = pysot_stages(network, *images), our_stages(config, state, *images)
        if set(theirs) != set(ours):
            raise SystemExit(f'{name}: stages differ: {sorted(set(theirs) ^ set(ours))}')
        errors = {key: float((ours[key] - value).abs().max() / value.abs().max()) for key, value in theirs.items()}
        key = max(errors, key=errors.get)
        print(f'{name:20} {len(theirs)} stages, worst max|a-b| / max|b| = {errors[key]:.2e} ({key})')
        equal &= all(error <= 1e-4 for error in errors.values())  # NaN is not
    if not equal:
        raise SystemExit('not equal')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pysot', type=Path, help='checkout of PySOT')
    parser.add_argument('--check', type=int, metavar='SEED', help='compare live with weights of this seed, write nothing')
    args = parser.parse_args()
    sys.path.insert(0, str(args.pysot))
    if args.check is not None:
        check(args.pysot, args.check)
        return
    shapes, numbers = network_numbers(args.pysot)
    numbers.update(loss_numbers())
    numbers.update(anchor_numbers())
    (HERE / 'pysot_shapes.json').write_text(json.dumps(shapes, separators=(',', ':')).replace('},', '},\n') + '\n')
    np.savez_compressed(HERE / 'pysot_numbers.npz', **numbers)


if __name__ == '__main__':
    main()
