import pytest
import torch
from conftest import ROOT, pair_batch, small_model_config
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from siamrpnpp_plugin.apis import init_model
from siamrpnpp_plugin.registry import MODELS


@pytest.fixture
def config():
    return Config(dict(model=small_model_config(), default_scope='siamrpnpp_plugin'))


def test_model_comes_ready_to_track(config, tmp_path):
    donor = MODELS.build(config.model)
    torch.save(dict(state_dict=donor.state_dict()), tmp_path / 'model.pth')
    model = init_model(config, tmp_path / 'model.pth')
    assert not model.training
    assert model.cfg is config
    assert all(torch.equal(value, donor.state_dict()[key]) for key, value in model.state_dict().items())


def test_a_checkpoint_of_mmengines_runner_loads(config, tmp_path):
    """A real Runner's checkpoint: log histories and NumPy values beside the weights, read without running code."""
    items = [{key: value[0] for key, value in pair_batch(1).items()}] * 2
    runner = Runner(MODELS.build(config.model), str(tmp_path / 'work'), train_dataloader=DataLoader(items, batch_size=2),
                    train_cfg=dict(by_epoch=True, max_epochs=1), default_scope='siamrpnpp_plugin',
                    optim_wrapper=dict(optimizer=dict(type='SGD', lr=.001)), experiment_name='test_apis')
    runner.train()
    model = init_model(config, tmp_path / 'work' / 'epoch_1.pth')
    assert all(torch.equal(value, runner.model.state_dict()[key]) for key, value in model.state_dict().items())


def test_a_hostile_getattr_in_a_checkpoint_is_refused(config, tmp_path):
    class Hostile:

        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save(dict(state_dict={}, hook=Hostile()), tmp_path / 'hostile.pth')
    with pytest.raises(ValueError, match='hostile.pth is no checkpoint that loads safely'):
        init_model(config, tmp_path / 'hostile.pth')


def test_config_by_path_and_foreign_default_scope():
    from mmengine.registry import DefaultScope
    with DefaultScope.overwrite_default_scope('mmengine'):
        model = init_model(str(ROOT / 'configs' / 'siamrpn_alexnet_pysot.py'))
    assert type(model).__name__ == 'SiamRPN'


def test_random_weights_are_warned_of_once(config, warnings_logged, tmp_path):
    model = init_model(config)
    assert [message for message in warnings_logged if 'random weights' in message] == warnings_logged
    assert len(warnings_logged) == 1
    torch.save(model.state_dict(), tmp_path / 'model.pth')
    warnings_logged.clear()
    init_model(config, tmp_path / 'model.pth')
    assert warnings_logged == [], 'a checkpoint needs no warning'


def test_a_wrong_checkpoint_is_refused_by_name(config, tmp_path):
    weights = MODELS.build(config.model).state_dict()
    weights.pop('head.fusion.cls_conv.weight')
    weights['head.rpn_heads.0.cls_head.bias'] = torch.zeros(12)
    weights['extra'] = torch.zeros(1)
    torch.save(weights, tmp_path / 'model.pth')
    with pytest.raises(ValueError, match=r'(?s)model.pth does not fit.*1 missing, 1 unexpected, 1 of another shape.*'
                       r'missing: head.fusion.cls_conv.weight.*unexpected: extra.*file \(12,\), model \(10,\)'):
        init_model(config, tmp_path / 'model.pth')


def test_a_pysot_checkpoint_is_told_apart(config, tmp_path):
    torch.save({'rpn_head.cls_weight': torch.ones(3)}, tmp_path / 'pysot.pth')
    with pytest.raises(ValueError, match='convert it first with tools/convert_checkpoint.py'):
        init_model(config, tmp_path / 'pysot.pth')


def test_missing_files_and_keys_are_named(config):
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        init_model(config, 'nowhere.pth')
    with pytest.raises(FileNotFoundError, match='nowhere.py'):
        init_model('nowhere.py')
    with pytest.raises(KeyError, match="has no 'model'"):
        init_model(Config(dict(a=1)))


def test_a_checkpoint_that_carries_code_is_refused(config, tmp_path):
    torch.save(dict(state_dict={}, hook=Config), tmp_path / 'code.pth')
    with pytest.raises(ValueError, match=r'code.pth is no checkpoint that loads safely \(weights_only=True\)'):
        init_model(config, tmp_path / 'code.pth')
