"""Our modules in another mm project, and its modules in ours, by config alone; each in a fresh process."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

PREAMBLE = '''
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
config = Config.fromfile({path!r})
init_default_scope(config.default_scope)
model = MODELS.build(config.model)
'''

PREFIXED_MODEL = '''
model = dict(
    type='siamrpnpp_plugin.SiamRPN', backbone=dict(type='siamrpnpp_plugin.ResNet', depth=18),
    neck=dict(type='siamrpnpp_plugin.AdjustNeck', in_channels=(128, 256, 512), out_channels=8),
    head=dict(type='siamrpnpp_plugin.FusionHead',
              rpn_head=dict(type='siamrpnpp_plugin.RPNHead', in_channels=8, hidden_channels=8)))
'''


def run(tmp_path, config: str, code: str) -> str:
    path = tmp_path / 'config.py'
    path.write_text(config)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / 'tests')]))
    done = subprocess.run([sys.executable, '-W', 'error::UserWarning', '-c', PREAMBLE.format(path=str(path)) + code], text=True,
                          capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert 'Failed to search registry' not in done.stdout + done.stderr
    return done.stdout


def test_a_foreign_config_builds_our_backbone(tmp_path):
    config = """
default_scope = 'foreignproj'
model = dict(type='ResNet', backbone=dict(type='siamrpnpp_plugin.ResNet', depth=18))
"""
    code = 'print(type(model).__module__, type(model.inner).__module__, [m.shape[1] for m in model(torch.rand(1, 3, 127, 127))])'
    assert run(tmp_path, config, code).split(maxsplit=2) == ['foreignproj.models', 'siamrpnpp_plugin.models.resnet',
                                                            '[128, 256, 512]\n']


@pytest.mark.parametrize('scope', ['foreignproj', 'mmengine'])
def test_scope_on_the_outer_dict_reaches_nested_types(tmp_path, scope):
    config = f'''
default_scope = {scope!r}
model = dict(
    type='SiamRPN', _scope_='siamrpnpp_plugin', backbone=dict(type='ResNet', depth=18),
    neck=dict(type='AdjustNeck', in_channels=(128, 256, 512), out_channels=8),
    head=dict(type='FusionHead', rpn_head=dict(type='RPNHead', in_channels=8, hidden_channels=8)))
'''
    assert run(tmp_path, config, 'print(type(model.backbone).__module__)') == 'siamrpnpp_plugin.models.resnet\n'


@pytest.mark.parametrize('scope', ['foreignproj', 'mmengine'])
def test_prefixed_types_and_our_defaults_build_under_any_scope(tmp_path, scope):
    """The head's default fusion, assigner, coder and losses are ours whatever the scope is."""
    config = f'default_scope = {scope!r}\n{PREFIXED_MODEL}'
    code = 'print(model(torch.rand(1, 3, 127, 127), torch.rand(1, 3, 255, 255))[0].shape)'
    assert run(tmp_path, config, code) == 'torch.Size([1, 10, 25, 25])\n'


def test_our_model_takes_a_foreign_backbone_and_takes_a_step(tmp_path):
    config = f'''
_base_ = '{ROOT}/configs/siamrpnpp_r50_vid.py'
model = dict(backbone=dict(_delete_=True, type='foreignproj.TinyBackbone'), neck=dict(in_channels=(8, 8, 8)))
'''
    code = '''
batch = dict(template=torch.zeros(2, 3, 127, 127, dtype=torch.uint8), search=torch.zeros(2, 3, 255, 255, dtype=torch.uint8),
             box_xyxy=torch.tensor([[95., 95, 159, 159]] * 2), is_positive=torch.tensor([True, False]))
losses = model(**model.data_preprocessor(batch, True), mode='loss')
sum(losses.values()).backward()
print(type(model.backbone).__module__, all(p.grad is not None for p in model.parameters()))
'''
    assert run(tmp_path, config, code) == 'foreignproj.models True\n'


def test_our_backbone_runs_in_mmengines_runner_of_a_foreign_scope(tmp_path):
    """A Runner with another default scope trains our whole model for an epoch; no warning about missing registries."""
    config = f"default_scope = 'mmengine'\nwork_dir = '{tmp_path}/work'\n{PREFIXED_MODEL}"
    code = '''
from mmengine.runner import Runner
from torch.utils.data import DataLoader
items = [dict(template=torch.randint(0, 255, (3, 127, 127), dtype=torch.uint8), is_positive=torch.tensor(True),
              search=torch.randint(0, 255, (3, 255, 255), dtype=torch.uint8), box_xyxy=torch.tensor([95., 95, 159, 159]))] * 2
before = model.head.rpn_heads[0].cls_head.weight.clone()
runner = Runner(model, config.work_dir, train_dataloader=DataLoader(items, batch_size=2), default_scope='mmengine',
                train_cfg=dict(by_epoch=True, max_epochs=1), optim_wrapper=dict(optimizer=dict(type='SGD', lr=.01)))
runner.train()
print('moved', not torch.equal(before, model.head.rpn_heads[0].cls_head.weight))
'''
    assert run(tmp_path, config, code).endswith('moved True\n')
