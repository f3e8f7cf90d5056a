"""Names of other projects' tensors, against the names that PySOT really has (`parity/pysot_shapes.json`)."""

import json
import re

import pytest
import seeded
import torch
from conftest import ROOT
from mmengine.config import Config

from siamrpnpp_plugin.models import AnchorGenerator, FusionHead
from siamrpnpp_plugin.models.state_dicts import compare, from_mmtracking, from_pysot, mmtracking_names, read_checkpoint, to_pysot
from siamrpnpp_plugin.ops.boxes import decode_deltas
from siamrpnpp_plugin.registry import MODELS

SHAPES = json.loads((ROOT / 'tests' / 'parity' / 'pysot_shapes.json').read_text())


def build_on_meta(name: str) -> torch.nn.Module:
    config = Config.fromfile(ROOT / 'configs' / seeded.NETWORKS[name][1]).model
    with torch.device('meta'):
        return MODELS.build(dict(config, _scope_='siamrpnpp_plugin'))


@pytest.mark.parametrize('name', seeded.NETWORKS)
def test_every_pysot_tensor_has_its_place_and_goes_back(name):
    theirs = {key: torch.empty(shape) for key, shape in SHAPES[name].items()}
    own = build_on_meta(name).state_dict()
    ours = from_pysot(theirs, own)
    report = compare(ours, own)
    assert report.complete, report.summary()
    assert len(report.matched) == len(theirs)
    back = to_pysot(ours, own)
    assert {key: list(value.shape) for key, value in back.items()} == SHAPES[name]
    assert all(back[key] is value for key, value in theirs.items())


def test_pysots_trainable_alexnet_is_read_too():
    """The names of PySOT's `alexnet`, with which it trains; `alexnetlegacy` is in the frozen names."""
    own = build_on_meta('alexnet').state_dict()
    legacy = {key: torch.empty(shape) for key, shape in SHAPES['alexnet'].items()}
    names = {'features.0': 'layer1.0', 'features.1': 'layer1.1', 'features.4': 'layer2.0', 'features.5': 'layer2.1',
             'features.8': 'layer3.0', 'features.9': 'layer3.1', 'features.11': 'layer4.0', 'features.12': 'layer4.1',
             'features.14': 'layer5.0', 'features.15': 'layer5.1'}
    trainable = {re.sub(r'features\.\d+', lambda match: names[match[0]], key): value for key, value in legacy.items()}
    assert compare(from_pysot(trainable, own), own).complete


def mmtracking_key(pysot_key: str) -> str:
    """mmtracking's name of a PySOT tensor, from its own modules (ChannelMapper, CorrelationHead)."""
    key = re.sub(r'neck\.downsample(\d)\.downsample\.(\d)',
                 lambda m: f'neck.convs.{int(m[1]) - 2}.{("conv", "bn")[int(m[2])]}', pysot_key)
    key = re.sub(r'rpn_head\.(cls|loc)_weight', lambda m: f'head.{"cls" if m[1] == "cls" else "reg"}_weight', key)
    match = re.fullmatch(r'rpn_head\.rpn(\d)\.(cls|loc)\.(conv_kernel|conv_search|head)\.(\d)\.(\w+)', key)
    if not match:
        return key
    level, branch, part, index, rest = match.groups()
    head = f'head.{"cls" if branch == "cls" else "reg"}_heads.{int(level) - 2}'
    if part == 'head':
        return f'{head}.head_convs.{"1.conv" if index == "3" else "0." + ("conv", "bn")[int(index)]}.{rest}'
    return f'{head}.{"kernel" if part == "conv_kernel" else "search"}_convs.{("conv", "bn")[int(index)]}.{rest}'


def test_every_mmtracking_tensor_has_its_place():
    own = build_on_meta('r50').state_dict()
    names = mmtracking_names(list(own))
    assert set(names.values()) == {mmtracking_key(key) for key in SHAPES['r50']}
    theirs = {mmtracking_key(key): torch.rand(shape) for key, shape in SHAPES['r50'].items()
              if key.startswith(('rpn_head.rpn2.loc.head.3', 'rpn_head.rpn3.cls.head.3'))}
    ours = from_mmtracking(theirs, own, *anchor_arguments())
    assert torch.equal(ours['head.rpn_heads.1.cls_head.weight'], theirs['head.cls_heads.1.head_convs.1.conv.weight'])
    assert set(ours) <= set(own)


def anchor_arguments():
    generator = AnchorGenerator()
    return generator.sizes, generator.ratios, generator.scales, generator.stride


def test_mmtrackings_boxes_survive_the_other_anchors():
    """The same features decoded with mmtracking's anchors and weights, and with ours and the converted weights."""
    torch.manual_seed(0)
    block = dict(type='siamrpnpp_plugin.RPNHead', in_channels=8, hidden_channels=8, adjust_padding=0)
    head = FusionHead(block, fusion=dict(type='siamrpnpp_plugin.SoftmaxFusion')).eval()
    torch.nn.init.normal_(head.fusion.box_weight)
    maps = [torch.rand(2, 8, 7, 7) for _ in range(3)], [torch.rand(2, 8, 31, 31) for _ in range(3)]
    theirs = AnchorGenerator()
    theirs.sizes = torch.tensor([[104., 32], [88, 40], [64, 64], [40, 88], [32, 104]])  # measured of mmtracking

    def boxes(generator):
        deltas = head(*maps)[1].view(2, 4, 5, 25, 25).movedim(1, -1)
        return decode_deltas(deltas, generator.grid((25, 25), 127), 10)

    with torch.no_grad():
        expected = boxes(theirs)
        own = {f'head.{key}': value for key, value in head.state_dict().items()}
        foreign = {mmtracking_names(list(own))[key]: value.clone() for key, value in own.items()}
        converted = from_mmtracking(foreign, own, *anchor_arguments())
        head.load_state_dict({key[len('head.'):]: value for key, value in converted.items()})
        given = boxes(head.anchor_generator)
    assert torch.allclose(given, expected, rtol=1e-5, atol=1e-3)
    assert (theirs.sizes != head.anchor_generator.sizes).any()
    again = from_mmtracking(converted, own, *anchor_arguments())
    assert all(torch.equal(again[key], value) for key, value in converted.items()), 'a converted file is not changed again'


@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'legacy'])
def test_training_checkpoints_and_old_formats_are_read(tmp_path, zipped):
    """PySOT trains into {'epoch', 'state_dict', 'optimizer'} with `module.`; its zoo is in torch 0.4's format."""
    weight = torch.rand(3)
    optimizer = torch.optim.SGD([torch.nn.Parameter(weight.clone())], lr=0.1, momentum=0.9).state_dict()
    torch.save(dict(epoch=7, state_dict={'module.a.weight': weight}, optimizer=optimizer), tmp_path / 'model.pth',
               _use_new_zipfile_serialization=zipped)
    assert torch.equal(read_checkpoint(tmp_path / 'model.pth')[0]['a.weight'], weight)


def test_files_without_tensors_are_refused(tmp_path):
    for index, content in enumerate([{}, dict(state_dict={}), dict(state_dict=dict(a=1)), [torch.zeros(1)], torch.zeros(1)]):
        torch.save(content, tmp_path / f'{index}.pth')
        with pytest.raises(ValueError, match=rf"{index}.pth holds no state dict: expected tensors by name"):
            read_checkpoint(tmp_path / f'{index}.pth')
    torch.save(dict(a=torch.rand(1000)), tmp_path / 'cut.pth')
    whole = (tmp_path / 'cut.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(whole[:len(whole) // 2])
    with pytest.raises(ValueError, match='cut.pth is no checkpoint that loads safely'):
        read_checkpoint(tmp_path / 'cut.pth')


@pytest.mark.parametrize(('config', 'message'), [
    ('siamrpnpp_r50_vid.py', 'PySOT has no place for head.rpn_heads.0.adj_1.conv.bias'),
    (dict(neck=dict(_delete_=True, type='AdjustNeck', norm_cfg=None)), 'PySOT has no neck without batch norm'),
])
def test_a_network_that_pysot_lacks_does_not_go_back(config, message):
    if isinstance(config, str):
        model = Config.fromfile(ROOT / 'configs' / config).model
    else:
        base = Config.fromfile(ROOT / 'configs' / 'siamrpnpp_r50_pysot.py')
        base.merge_from_dict(dict(model=config))
        model = base.model
    with torch.device('meta'):
        own = MODELS.build(dict(model, _scope_='siamrpnpp_plugin')).state_dict()
    with pytest.raises(ValueError, match=message):
        to_pysot(own, own)


def test_some_tensors_go_back_under_the_names_of_the_whole():
    own = build_on_meta('r50').state_dict()
    assert set(to_pysot({'neck.convs.0.conv.weight': torch.zeros(1)}, own)) == {'neck.downsample2.downsample.0.weight'}
