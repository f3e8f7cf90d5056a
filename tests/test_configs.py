"""Every config builds, and takes one real training step that moves every trainable tensor's gradient."""

import pytest
import torch
from conftest import ROOT, pair_batch, small_model_config
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from siamrpnpp_plugin.registry import MODELS

CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*.py'))
PARAMETERS = {  # millions, PySOT's own count (numbers of its published networks)
    'siamrpnpp_r50_pysot.py': 53.95,
    'siamrpnpp_mobilenetv2_pysot.py': 11.15,
    'siamrpn_alexnet_pysot.py': 6.25,
}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_takes_a_loss_step(path):
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-6)
    frozen = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

    tracker = config.get('tracker', {})
    batch = pair_batch(2, tracker.get('template_size', 127), tracker.get('search_size', 255))
    losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()

    assert torch.isfinite(loss)
    assert losses['loss_cls'] > 0
    assert losses['loss_box'] > 0
    params = dict(model.named_parameters())
    unused = [name for name in before if params[name].grad is None]
    assert unused == [], 'parameters without a gradient break DDP'
    optimizer.step()
    assert any(not torch.equal(before[name], params[name]) for name in before)
    assert all(torch.equal(frozen[name], params[name]) for name in frozen)
    if path.name in PARAMETERS:
        assert round(sum(p.numel() for p in params.values()) / 1e6, 2) == PARAMETERS[path.name]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_survives_dump_and_reload(path, tmp_path):
    config = Config.fromfile(path)
    config.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').model.to_dict() == config.model.to_dict()


def test_a_child_config_swaps_the_backbone_in_two_lines(tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = '{ROOT}/configs/siamrpnpp_r50_vid.py'\n"
                     "model = dict(backbone=dict(_delete_=True, type='MobileNetV2'), neck=dict(in_channels=(44, 134, 448)))\n")
    config = Config.fromfile(child)
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    assert type(model.backbone).__name__ == 'MobileNetV2'
    cls_score, _ = model(torch.rand(1, 3, 127, 127), torch.rand(1, 3, 255, 255))
    assert cls_score.shape == (1, 10, 25, 25)


def test_the_main_configs_loader_feeds_a_model(store):
    config = Config.fromfile(ROOT / 'configs' / 'siamrpnpp_r50_vid.py')
    init_default_scope(config.default_scope)
    config.train_dataloader.update(batch_size=4, num_workers=1)
    config.train_dataloader.dataset.update(store=store, pairs_per_epoch=8)
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    model = MODELS.build(small_model_config())
    losses = [model(**model.data_preprocessor(batch), mode='loss') for batch in loader]
    assert len(losses) == 2
    assert all(torch.isfinite(value) for batch in losses for value in batch.values())
