"""The command line: what it writes loads, what does not fit is refused whole."""

import json
import subprocess
import sys

import pytest
import seeded
import torch
from conftest import ROOT, load_tool

from siamrpnpp_plugin.apis import build_model, init_model
from siamrpnpp_plugin.models import ResNet

SCRIPT = ROOT / 'tools' / 'convert_checkpoint.py'
SHAPES = json.loads((ROOT / 'tests' / 'parity' / 'pysot_shapes.json').read_text())
tool = load_tool('convert_checkpoint.py')


def convert(*arguments) -> int:
    return tool.main([str(argument) for argument in arguments])


def save_pysot(path, name: str, drop=()) -> dict:
    """A PySOT training checkpoint of seeded weights."""
    weights = {key: value for key, value in seeded.weights(SHAPES[name], seed=3).items() if not key.endswith(tuple(drop))}
    torch.save(dict(epoch=1, optimizer={}, state_dict={f'module.{key}': value for key, value in weights.items()}), path)
    return weights


@pytest.mark.parametrize('name', [
    'alexnet', 'alexnet_upchannel', 'mobilenetv2',
    *(pytest.param(name, marks=pytest.mark.slow) for name in ('r50', 'r50_otb', 'r50_lt'))
])
def test_a_pysot_checkpoint_finds_its_config_and_comes_back(tmp_path, capsys, name):
    weights = save_pysot(tmp_path / 'pysot.pth', name)
    assert convert('pysot', tmp_path / 'pysot.pth', tmp_path / 'ours.pth') == 0
    config = seeded.NETWORKS[name][1]
    printed = capsys.readouterr().out
    assert config in printed
    assert f'{len(weights)} matched, 0 missing, 0 unexpected, 0 of another shape' in printed
    init_model(ROOT / 'configs' / config, tmp_path / 'ours.pth')
    assert torch.load(tmp_path / 'ours.pth')['meta']['config'] == config

    assert convert('pysot', tmp_path / 'ours.pth', tmp_path / 'back.pth', '--reverse') == 0
    back = torch.load(tmp_path / 'back.pth')
    assert set(back) == set(weights)
    assert all(torch.equal(back[key], value) for key, value in weights.items())


def test_old_files_lack_batch_counters(tmp_path, capsys):
    save_pysot(tmp_path / 'pysot.pth', 'alexnet', drop=['num_batches_tracked'])
    assert convert('pysot', tmp_path / 'pysot.pth', tmp_path / 'ours.pth') == 0
    assert 'batch counters of norm layers start at 0' in capsys.readouterr().out
    init_model(ROOT / 'configs' / 'siamrpn_alexnet_pysot.py', tmp_path / 'ours.pth')


def test_a_partial_fit_is_refused_unless_told(tmp_path, capsys):
    save_pysot(tmp_path / 'pysot.pth', 'alexnet', drop=['cls.head.3.bias'])
    config = ROOT / 'configs' / 'siamrpn_alexnet_pysot.py'
    assert convert('pysot', tmp_path / 'pysot.pth', tmp_path / 'ours.pth', '--config', config) == 1
    captured = capsys.readouterr()
    assert 'missing: head.rpn_heads.0.cls_head.bias' in captured.out
    assert 'refused' in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ['pysot.pth'], 'nothing is written'
    assert convert('pysot', tmp_path / 'pysot.pth', tmp_path / 'ours.pth', '--config', config, '--allow-partial') == 0
    assert 'head.rpn_heads.0.cls_head.bias' not in torch.load(tmp_path / 'ours.pth')['state_dict']


def test_another_architecture_is_refused(tmp_path, capsys):
    save_pysot(tmp_path / 'pysot.pth', 'alexnet')
    assert convert('pysot', tmp_path / 'pysot.pth', tmp_path / 'ours.pth', '--config',
                   ROOT / 'configs' / 'siamrpnpp_mobilenetv2_pysot.py') == 1
    assert 'unexpected: backbone.features.0.weight' in capsys.readouterr().out


def test_mmtracking_says_what_it_did_to_the_anchors(tmp_path, capsys):
    config = tmp_path / 'small.py'  # the R50 variant with a small backbone
    config.write_text(f"_base_ = '{ROOT}/configs/siamrpnpp_r50_pysot.py'\n"
                      "model = dict(backbone=dict(depth=18), neck=dict(in_channels=(128, 256, 512)))\n")
    from siamrpnpp_plugin.models.state_dicts import mmtracking_names
    own = build_model(config).state_dict()
    names = mmtracking_names(list(own))
    torch.save(dict(meta=dict(epoch=20), state_dict={names[key]: value for key, value in own.items()}), tmp_path / 'mm.pth')
    assert convert('mmtracking', tmp_path / 'mm.pth', tmp_path / 'ours.pth', '--config', config) == 0
    assert 'folded into the box heads' in capsys.readouterr().out
    converted = torch.load(tmp_path / 'ours.pth')['state_dict']
    differing = {key for key, value in own.items() if not torch.equal(converted[key], value)}
    assert differing == {f'head.rpn_heads.{level}.box_head.{name}' for level in range(3) for name in ('weight', 'bias')}
    with pytest.raises(ValueError, match='ours.pth has the names of this package already'):
        convert('mmtracking', tmp_path / 'ours.pth', tmp_path / 'again.pth', '--config', config)


def test_torchvision_gives_a_backbone_for_init_cfg(tmp_path, capsys):
    config = tmp_path / 'small.py'
    config.write_text(f"_base_ = '{ROOT}/configs/siamrpnpp_r50_vid.py'\n"
                      "model = dict(backbone=dict(depth=18), neck=dict(in_channels=(128, 256, 512)))\n")
    weights = ResNet(depth=18).state_dict()
    weights['layer2.0.downsample.0.weight'] = torch.rand(128, 64, 1, 1)  # torchvision's shape
    torch.save({**weights, 'fc.weight': torch.zeros(1000, 512), 'fc.bias': torch.zeros(1000)}, tmp_path / 'resnet18.pth')
    assert convert('torchvision', tmp_path / 'resnet18.pth', tmp_path / 'ours.pth', '--config', config) == 0
    assert 'left out, as the network does not have it: fc.weight' in capsys.readouterr().out
    backbone = ResNet(depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'ours.pth')))
    backbone.init_weights()
    assert torch.equal(backbone.layer2[0].downsample[0].weight[:, :, 1, 1], weights['layer2.0.downsample.0.weight'][:, :, 0, 0])


def test_a_network_that_pysot_would_run_differently_does_not_go_back(tmp_path):
    config = tmp_path / 'rgb.py'
    config.write_text(f"_base_ = '{ROOT}/configs/siamrpn_alexnet_pysot.py'\n"
                      "model = dict(data_preprocessor=dict(bgr_to_rgb=True))\n")
    torch.save(build_model(config).state_dict(), tmp_path / 'ours.pth')
    with pytest.raises(ValueError, match='PySOT feeds raw BGR'):
        convert('pysot', tmp_path / 'ours.pth', tmp_path / 'back.pth', '--reverse', '--config', config)


def test_an_existing_file_is_kept(tmp_path):
    save_pysot(tmp_path / 'pysot.pth', 'alexnet')
    (tmp_path / 'ours.pth').write_text('precious')
    with pytest.raises(FileExistsError, match='--overwrite'):
        convert('pysot', tmp_path / 'pysot.pth', tmp_path / 'ours.pth')
    assert (tmp_path / 'ours.pth').read_text() == 'precious'


@pytest.mark.parametrize(('arguments', 'message'), [
    (['pysot', 'nowhere.pth', 'ours.pth'], 'error: no checkpoint at nowhere.pth'),
    (['mmtracking', 'a.pth', 'b.pth', '--reverse'], '--reverse is for pysot only, got mmtracking'),
    (['pysot', 'a.pth', 'b.pth', '--fold-input-norm'], '--fold-input-norm is for torchvision only, got pysot'),
])
def test_mistakes_at_the_command_line_exit_with_a_sentence(arguments, message, tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode != 0
    assert message in done.stderr
    assert 'Traceback' not in done.stderr
