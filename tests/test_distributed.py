"""Two real gloo processes under mmengine's DDP wrapper; `find_unused_parameters` only where a backbone thaws on the way."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT

WORKER = '''
import sys, torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from siamrpnpp_plugin.registry import MODELS
from conftest import pair_batch, small_model_config
dist.init_process_group('gloo')
rank = dist.get_rank()
torch.manual_seed(0)
name = sys.argv[1]
if name in ('small', 'thaw'):
    config = small_model_config()
    config['backbone'].update(frozen_stages=1 if name == 'small' else -1)
else:
    config = Config.fromfile(name).model
    config['_scope_'] = 'siamrpnpp_plugin'
thaw = name == 'thaw'
model = MMDistributedDataParallel(MODELS.build(config).train(), device_ids=None, find_unused_parameters=thaw)
before = {name: p.detach().clone() for name, p in model.module.named_parameters()}
params = [p for p in model.parameters() if p.requires_grad]
wrapper = OptimWrapper(torch.optim.SGD(params, lr=1e-3), clip_grad=dict(max_norm=10))
for step in range(int(sys.argv[2])):
    torch.manual_seed(100 * step + rank)  # each rank its own images
    if thaw and step in (0, 2):
        model.module.backbone.freeze_stages(4 if step == 0 else 1)
    batch = pair_batch(2)
    batch['search'] = torch.randint(0, 256, batch['search'].shape, dtype=torch.uint8)
    losses = model.train_step(batch, wrapper)
    assert torch.isfinite(losses['loss'])
    if thaw:  # frozen for two steps, then all but stem and layer1 train
        moved = {key.split('.')[0] for key, p in model.module.backbone.named_parameters()
                 if not torch.equal(p, before[f'backbone.{key}'])}
        assert moved == (set() if step < 2 else {'layer2', 'layer3', 'layer4'}), (step, moved)
moved = any(not torch.equal(p, before[name]) for name, p in model.module.named_parameters())
assert moved
torch.save({name: p.detach() for name, p in model.module.named_parameters()}, f'{sys.argv[3]}/rank{rank}.pth')
dist.destroy_process_group()
'''


def train_two_ranks(name: str, steps: int, out: Path) -> list:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = dict(os.environ, MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2', OMP_NUM_THREADS='1',
                       PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / 'tests')]))
    processes = [subprocess.Popen([sys.executable, '-c', WORKER, name, str(steps), str(out)], text=True, stderr=subprocess.PIPE,
                                  env=dict(environment, RANK=str(rank), LOCAL_RANK=str(rank))) for rank in range(2)]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
    return [torch.load(out / f'rank{rank}.pth') for rank in range(2)]


@pytest.mark.parametrize(('name', 'steps'), [
    ('thaw', 4),
    pytest.param('small', 3, marks=pytest.mark.slow),
    pytest.param(str(ROOT / 'configs' / 'siamrpnpp_r50_vid.py'), 2, marks=pytest.mark.slow),
    pytest.param(str(ROOT / 'configs' / 'siamrpnpp_r50_pysot.py'), 2, marks=pytest.mark.slow),
    pytest.param(str(ROOT / 'configs' / 'siamrpnpp_mobilenetv2_pysot.py'), 2, marks=pytest.mark.slow),
    pytest.param(str(ROOT / 'configs' / 'siamrpn_alexnet_pysot.py'), 2, marks=pytest.mark.slow),
], ids=lambda value: Path(value).stem if isinstance(value, str) else None)
def test_two_ranks_step_together(name, steps, tmp_path):
    first, second = train_two_ranks(name, steps, tmp_path)
    assert first
    assert all(torch.equal(value, second[key]) for key, value in first.items())
