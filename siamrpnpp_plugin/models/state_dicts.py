"""State dicts of other projects: read safely, rename, compare. PySOT, mmtracking and torchvision to ours, and ours to PySOT.

Only one direction of each renaming is written: our key -> their key. Conversion looks every key of the built model up under its
foreign name, so whatever does not fit shows as missing, unexpected or of another shape.
"""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

StateDict = dict[str, Tensor]

# ImageNet statistics on the 0-255 scale, RGB order (torchvision)
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

# PySOT's `alexnetlegacy` numbers its layers flat; `alexnet` and ours group them
_LEGACY_ALEXNET = {'layer1.0': 0, 'layer1.1': 1, 'layer2.0': 4, 'layer2.1': 5, 'layer3.0': 8, 'layer3.1': 9, 'layer4.0': 11,
                   'layer4.1': 12, 'layer5.0': 14, 'layer5.1': 15}
_PYSOT_RPN = {'adj_1': ('loc', 'conv_kernel', 0), 'adj_2': ('loc', 'conv_search', 0), 'fusion_module_1': ('loc', 'head', 0),
              'adj_3': ('cls', 'conv_kernel', 0), 'adj_4': ('cls', 'conv_search', 0), 'fusion_module_2': ('cls', 'head', 0),
              'box_head': ('loc', 'head', 3), 'cls_head': ('cls', 'head', 3)}


class Report(NamedTuple):
    """How a converted state dict fits a model's; batch counters of norm layers never count as missing (torch 0.4 had none)."""

    matched: list[str]
    missing: list[str]
    unexpected: list[str]
    mismatched: list[tuple[str, tuple, tuple]]  # key, shape in the file, shape in the model

    @property
    def complete(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)

    def summary(self, limit: float = 5) -> str:
        """One line of counts, then up to `limit` names of each fault; `math.inf` for all."""
        lines = [f'{len(self.matched)} matched, {len(self.missing)} missing, {len(self.unexpected)} unexpected, '
                 f'{len(self.mismatched)} of another shape']
        shapes = [f'{key}: file {theirs}, model {ours}' for key, theirs, ours in self.mismatched]
        for title, names in (('missing', self.missing), ('unexpected', self.unexpected), ('shape', shapes)):
            lines += [f'  {title}: {name}' for name in names[:min(limit, len(names))]]
            if len(names) > limit:
                lines.append(f'  {title}: ... and {len(names) - limit} more')
        return '\n'.join(lines)


def read_checkpoint(path: Union[str, 'os.PathLike[str]']) -> tuple[StateDict, dict]:
    """Tensors of a local checkpoint by name, without the prefix `module.`, and its `meta` if it has one.

    Reads a bare state dict or one under the key `state_dict`, as PySOT, mmtracking and mmengine's Runner write it, and runs no
    code that the file carries (`weights_only=True`). A Runner's checkpoint needs torch 2.6 or newer.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, needs code to load, or holds no tensors.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'no checkpoint at {path}')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged zip, a pickle with code, a text file: torch has a type for each
        reason = str(error).splitlines()[0]
        raise ValueError(f'{path} is no checkpoint that loads safely (weights_only=True): {reason}') from error
    content = content if isinstance(content, dict) else {}
    weights = content.get('state_dict', content)
    if not isinstance(weights, dict) or not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"{path} holds no state dict: expected tensors by name, or such a dict under the key 'state_dict'")
    meta = content.get('meta') if weights is not content else None
    return ({key[len('module.'):] if key.startswith('module.') else key: value for key, value in weights.items()},
            meta if isinstance(meta, dict) else {})


def compare(weights: StateDict, own: StateDict) -> Report:
    """How `weights`, named as ours, fit the state dict `own` of a model."""
    common = [key for key in own if key in weights]
    return Report(
        matched=[key for key in common if weights[key].shape == own[key].shape],
        missing=[key for key in own if key not in weights and not key.endswith('num_batches_tracked')],
        unexpected=[key for key in weights if key not in own],
        mismatched=[(key, tuple(weights[key].shape), tuple(own[key].shape)) for key in common
                    if weights[key].shape != own[key].shape])


def pysot_names(own: Sequence[str], legacy_alexnet: bool = False) -> dict[str, str]:
    """Our state dict key -> PySOT's.

    Args:
        own: Keys of a whole SiamRPN of ours.
        legacy_alexnet: True names an AlexNet as PySOT's `alexnetlegacy` (its published files), False as its `alexnet`; other
            backbones have the same names in both projects.
    """
    num_necks = len({key.split('.')[2] for key in own if key.startswith('neck.')})
    num_heads = len({key.split('.')[2] for key in own if key.startswith('head.rpn_heads.')})
    legacy_alexnet = legacy_alexnet and 'backbone.layer5.0.weight' in own
    return {key: _pysot_name(key, num_necks, num_heads, legacy_alexnet) for key in own}


def _pysot_name(key: str, num_necks: int, num_heads: int, legacy_alexnet: bool) -> str:
    if legacy_alexnet and key.startswith('backbone.'):
        _, layer, index, rest = key.split('.', 3)
        return f'backbone.features.{_LEGACY_ALEXNET[f"{layer}.{index}"]}.{rest}'
    match = re.fullmatch(r'neck\.convs\.(\d+)\.(conv|bn)\.(\w+)', key)
    if match:
        level, layer, rest = match.groups()
        number = str(int(level) + 2) if num_necks > 1 else ''
        return f'neck.downsample{number}.downsample.{("conv", "bn").index(layer)}.{rest}'
    match = re.fullmatch(r'head\.fusion\.(cls|box)_weight', key)
    if match:
        return 'rpn_head.loc_weight' if match[1] == 'box' else 'rpn_head.cls_weight'
    match = re.fullmatch(r'head\.rpn_heads\.(\d+)\.(\w+)\.(.+)', key)
    if match:
        level, part, rest = match.groups()
        parent = f'rpn_head.rpn{int(level) + 2}' if num_heads > 1 else 'rpn_head'
        if part not in _PYSOT_RPN:  # the up-channel head: the words differ, the structure does not
            return f'{parent}.{part.replace("box", "loc")}.{rest}'
        branch, module, index = _PYSOT_RPN[part]
        layer, _, parameter = rest.rpartition('.')
        return f'{parent}.{branch}.{module}.{index + (layer == "bn")}.{parameter}'
    return key


def from_pysot(weights: StateDict, own: StateDict) -> StateDict:
    """A PySOT state dict under our names; a key that has none keeps its own, for `compare` to report.

    Args:
        weights: PySOT's tensors, keys without `module.`.
        own: State dict of the SiamRPN that will load them.
    """
    legacy_alexnet = any(key.startswith('backbone.features.') for key in weights)
    ours = {theirs: our for our, theirs in pysot_names(list(own), legacy_alexnet).items()}
    return {ours.get(key, key): value for key, value in weights.items()}


def to_pysot(weights: StateDict, own: StateDict) -> StateDict:
    """Our state dict under PySOT's names; an AlexNet becomes `alexnetlegacy`, as in PySOT's published files.

    Args:
        weights: Tensors of ours, all or some of a model's.
        own: State dict of the whole model.

    Raises:
        ValueError: If PySOT has no place for a part of the model: grouped fusion, a bias before a batch norm, a neck without one.
    """
    names = pysot_names(list(own), legacy_alexnet=True)
    foreign = [key for key, name in names.items()
               if name.startswith('head.') or re.search(r'(adj_\d|fusion_module_\d)\.conv\.bias', key)]
    if foreign:
        raise ValueError(f'PySOT has no place for {foreign[0]} and {len(foreign) - 1} more: only the networks of our *_pysot '
                         'configs go back')
    if any(key.startswith('neck.') for key in own) and 'neck.convs.0.bn.weight' not in own:
        raise ValueError('PySOT has no neck without batch norm')
    return {names[key]: value for key, value in weights.items()}


def mmtracking_names(own: Sequence[str]) -> dict[str, str]:
    """Our state dict key -> mmtracking's (0.x and 1.x)."""
    parts = {'conv_kernel': 'kernel_convs', 'conv_search': 'search_convs'}
    names = {}
    for key, name in pysot_names(own).items():
        match = re.fullmatch(r'rpn_head\.rpn(\d)\.(cls|loc)\.(\w+)\.(\d)\.(\w+)', name)
        if key.startswith('head.fusion.'):
            name = f'head.{"reg" if "box" in key else "cls"}_weight'
        elif match:
            level, branch, part, index, rest = match.groups()
            layer = {'0': 'conv', '1': 'bn', '3': 'conv'}[index]
            module = parts.get(part) or f'head_convs.{1 if index == "3" else 0}'
            name = f'head.{"cls" if branch == "cls" else "reg"}_heads.{int(level) - 2}.{module}.{layer}.{rest}'
        elif key.startswith('neck.'):
            name = key
        names[key] = name
    return names


def from_mmtracking(weights: StateDict, own: StateDict, anchor_sizes: Tensor, ratios: Sequence[float],
                    scales: Sequence[float], stride: int) -> StateDict:
    """An mmtracking SiamRPN++ state dict under our names, with its different anchors folded into the box heads.

    mmtracking rounds an anchor's height on its own, so two of the five are 10 % and 8 % taller than PySOT's. A box is linear in
    the offsets up to the logarithm of the size, so scaling the x and y rows of the last convolution by the ratio of the sizes and
    adding its logarithm to the w and h biases gives the same boxes with our anchors. The level weights sum to 1 (softmax or
    mean), so the shift of every level is the shift of the fusion.

    Args:
        weights: mmtracking's tensors.
        own: State dict of the SiamRPN that will load them.
        anchor_sizes: (A, 2) width and height in pixels of our anchors, ratio-major.
        ratios: Height over width of the anchors.
        scales: Anchor scales.
        stride: Stride, and base size, of the anchors.
    """
    ours = {theirs: our for our, theirs in mmtracking_names(list(own)).items()}
    theirs = torch.tensor([(int(stride / math.sqrt(ratio)) * scale, int(stride * math.sqrt(ratio)) * scale)
                           for ratio in ratios for scale in scales], dtype=torch.float32)
    factor = (theirs / anchor_sizes.cpu()).T.reshape(-1)  # (2A,): widths, then heights; rows are (x, y, w, h) times A
    half = len(factor)
    converted = {}
    for key, value in weights.items():
        name = ours.get(key, key)
        # only what comes under mmtracking's name, so that a converted file is not changed again; `compare` reports odd shapes
        if name != key and re.fullmatch(r'head\.rpn_heads\.\d+\.box_head\.(weight|bias)', name) and len(value) == 2 * half:
            value = value.clone()
            value[:half] *= factor.to(value).reshape(-1, *[1] * (value.dim() - 1))
            if name.endswith('bias'):
                value[half:] += factor.to(value).log()
        converted[name] = value
    return converted


def adapt_backbone(weights: StateDict, own: StateDict, fold_input_norm: bool = False) -> tuple[StateDict, list[str]]:
    """Make a backbone's state dict fit one of ours where a faithful way exists; what does not fit is left for `compare`.

    The 1x1 kernel of a downsample goes to the centre of our 3x3 one: with zeros around it the two are the same function, but for
    the half-pixel that a stride without padding moves.

    Args:
        weights: torchvision's ResNet, PySOT's backbone, or a whole checkpoint with keys under `backbone.`.
        own: State dict of the backbone that will load them.
        fold_input_norm: Fold RGB order and the ImageNet mean and std into conv1 / bn1 of a ResNet, exactly, as conv1 has no
            padding: the network then takes raw BGR 0-255.

    Returns:
        The adapted tensors, and the keys left out: a classifier, and stages that our backbone does not build.

    Raises:
        ValueError: If `fold_input_norm` is asked of a backbone without conv1 and bn1.
    """
    if any(key.startswith('backbone.') for key in weights):
        weights = {key[len('backbone.'):]: value for key, value in weights.items() if key.startswith('backbone.')}
    flat = {f'features.{index}': name for name, index in _LEGACY_ALEXNET.items()}
    built = {key.split('.')[0] for key in own}
    adapted, left_out = {}, []
    for key, value in weights.items():
        parent, _, parameter = key.rpartition('.')
        if parent in flat and f'{flat[parent]}.{parameter}' in own:
            key = f'{flat[parent]}.{parameter}'
        top = key.split('.')[0]
        if top not in built and (top in ('fc', 'classifier') or top.startswith('layer')):
            left_out.append(key)
            continue
        if key.endswith('downsample.0.weight') and key in own and value.shape[2:] == (1, 1) and own[key].shape[2:] == (3, 3):
            value = F.pad(value, (1, 1, 1, 1))
        adapted[key] = value
    if fold_input_norm:
        if not {'conv1.weight', 'bn1.running_mean'} <= set(adapted):
            raise ValueError('fold_input_norm needs a ResNet with conv1 and bn1')
        mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
        std = torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
        weight = adapted['conv1.weight'] / std
        adapted['conv1.weight'] = weight.flip(1)
        adapted['bn1.running_mean'] = adapted['bn1.running_mean'] + (weight * mean).sum(dim=(1, 2, 3))
    return adapted, left_out
