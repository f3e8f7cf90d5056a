"""Every epoch's learning rate, out of the configs themselves."""

import pytest
from conftest import ROOT
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from torch import nn

from siamrpnpp_plugin.engine.train_loop import share_batch

PYSOT = [.001, .00138, .001904, .002627, .003624] + [.005 * 10 ** (-index / 14) for index in range(15)]
SEED = [.001] * 5 + [.005 * .85 ** index for index in range(15)]


def rates(config: str) -> tuple[list, list]:
    """Learning rates of backbone and head in each epoch, as mmengine steps them."""
    cfg = Config.fromfile(ROOT / 'configs' / config)
    init_default_scope('siamrpnpp_plugin')
    model = nn.ModuleDict(dict(backbone=nn.Linear(1, 1), head=nn.Linear(1, 1)))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    schedulers = [PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=wrapper)) for scheduler in cfg.param_scheduler]
    found = {name: [] for name in model}
    for _ in range(cfg.train_cfg.max_epochs):
        for name in model:
            group, = [group for group in wrapper.optimizer.param_groups
                      if any(parameter is model[name].weight for parameter in group['params'])]
            found[name].append(group['lr'])
        wrapper.optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found['backbone'], found['head']


def test_the_main_recipe_is_pysots_for_a_mean_over_eight_gpus():
    backbone, head = rates('siamrpnpp_r50_vid.py')
    assert head == pytest.approx([8 * rate for rate in PYSOT], rel=3e-4)  # the table is rounded
    assert head[5:] == pytest.approx([8 * rate for rate in PYSOT[5:]], rel=1e-12)
    assert backbone == pytest.approx([rate / 10 for rate in head], rel=1e-12)


def test_the_seeds_recipe_has_its_rates():
    backbone, head = rates('siamrpnpp_r50_vid_seed.py')
    assert head == backbone == pytest.approx(SEED, rel=1e-12)


def test_equal_settings_share_a_group_and_nothing_is_lost():
    cfg = Config.fromfile(ROOT / 'configs' / 'siamrpnpp_r50_vid.py')
    init_default_scope('siamrpnpp_plugin')
    model = nn.ModuleDict(dict(backbone=nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), head=nn.Linear(2, 2)))
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    assert sorted(len(group['params']) for group in groups) == [2, 4]
    assert {id(parameter) for group in groups for parameter in group['params']} == {id(p) for p in model.parameters()}
    assert all(group['weight_decay'] == 1.25e-5 and group['momentum'] == 0.9 for group in groups)


@pytest.mark.parametrize(('global_batch', 'ranks', 'largest', 'expected'), [
    (224, 8, 28, (28, 1)), (224, 1, 28, (28, 8)), (224, 2, 28, (28, 4)), (224, 16, 28, (14, 1)), (96, 4, 24, (24, 1)),
    (6, 1, 4, (3, 2)), (7, 1, 4, (1, 7))])
def test_ranks_share_a_global_batch(global_batch, ranks, largest, expected):
    assert share_batch(global_batch, ranks, largest) == expected
    assert expected[0] * expected[1] * ranks == global_batch


def test_ranks_that_cannot_share_are_told_what_they_can():
    with pytest.raises(ValueError, match='multiple of 3, such as 225'):
        share_batch(224, 3, 28)
