"""Real trainings: real Runner, real LMDB, real processes, two gloo ranks."""

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from training import DUMP_IMPORT, MAIN, assert_same, start, train, wait_for, weights, write_config

EMA = "custom_hooks += [dict(type='StepEMAHook', momentum=0.1), dict(type='Dump')]\n" + DUMP_IMPORT


def scalars(work_dir: Path) -> list:
    """What the log says of each iteration, over all starts of a run."""
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    return [row for row in rows if 'loss' in row]


@pytest.fixture(scope='module')
def reference(store, tmp_path_factory):
    """A run of two epochs of four steps without a break: its folder, config and output."""
    folder = tmp_path_factory.mktemp('reference')
    config = write_config(folder, store, EMA)
    return folder / 'work_dirs' / 'small', config, train(config)


def test_the_first_lines_say_what_the_recipe_comes_to(reference):
    _, _, output = reference
    assert 'global batch 4 = 1 rank(s) x 4 pairs x 1 accumulated' in output
    assert '2 epochs x 4 steps = 8 steps; 4 iterations and 16 of 16 pairs per epoch' in output
    assert "gradient clip {'max_norm': 1.25}" in output
    assert 'first lr 0.008, weight decay 1.25e-05' in output
    assert 'first lr 0.0008, weight decay 1.25e-05' in output


def test_the_backbone_is_frozen_for_an_epoch_and_then_trains_but_for_stem_and_layer1(reference):
    work_dir, _, _ = reference
    first, second = (torch.load(work_dir / f'epoch_{epoch}.pth', weights_only=True) for epoch in (1, 2))
    # 'state_dict' holds the averaged weights, 'ema_state_dict' those that were trained
    first, second = ({key.removeprefix('module.'): value for key, value in checkpoint['ema_state_dict'].items()}
                     for checkpoint in (first, second))
    changed = {key.rsplit('.', 1)[0] for key in first if not torch.equal(first[key], second[key])}
    stages = {name.split('.')[1] for name in changed if name.startswith('backbone')}
    assert stages == {'layer2', 'layer3', 'layer4'}
    assert {name.split('.')[0] for name in changed} >= {'backbone', 'neck', 'head'}


def test_a_frozen_backbone_does_not_change_by_a_bit(reference):
    """Weights and statistics of the backbone: at the start, after the frozen epoch, after the next one."""
    work_dir, _, _ = reference
    start, frozen, trained = (torch.load(work_dir / f'dump_0_{epoch}.pth') for epoch in ('start', 0, 1))
    backbone = {name for name in start if name.startswith('backbone')}
    assert len(backbone) > 100
    assert all(torch.equal(start[name], frozen[name]) for name in backbone)
    moved = {name.split('.')[1] for name in backbone if not torch.equal(frozen[name], trained[name])}
    assert moved == {'layer2', 'layer3', 'layer4'}
    assert any('running_mean' in name and not torch.equal(frozen[name], trained[name]) for name in backbone)  # norms train too
    momenta = torch.load(work_dir / 'epoch_1.pth', weights_only=True)['optimizer']['state']
    heads = torch.load(work_dir / 'epoch_2.pth', weights_only=True)['optimizer']['state']
    assert 0 < len(momenta) < len(heads)  # after the frozen epoch only neck and head have a momentum


@pytest.mark.parametrize('iteration', [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_run_that_was_killed_resumes_to_the_same_weights(reference, store, tmp_path, iteration):
    """kill -9 right after the checkpoint of an iteration, within and at the end of an epoch."""
    work_dir, _, _ = reference
    config = write_config(tmp_path, store, EMA + "default_hooks['checkpoint']['iter_interval'] = 1\n")
    name = 'epoch_1.pth' if iteration == 4 else f'epoch_0_iter_{iteration}.pth'
    own = tmp_path / 'work_dirs' / 'small'
    process = start(config)
    wait_for(own / name, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for path in own.glob('epoch_*.pth'):
        if path.name != name:
            path.unlink()  # what it wrote before it died
    output = train(config, '--resume')
    assert f'small/{name}' in output
    assert_same(weights(own / 'epoch_2.pth'), weights(work_dir / 'epoch_2.pth'))
    reference_losses = [row['loss'] for row in scalars(work_dir)]
    resumed = [row['loss'] for row in scalars(own)][-(8 - iteration):]
    assert resumed == reference_losses[iteration:]


@pytest.mark.slow
def test_a_schedule_with_functions_in_its_state_resumes(store, tmp_path):
    """OneCycleLR keeps a function; the safe loader takes none."""
    config = write_config(tmp_path, store, """
param_scheduler = [dict(type='OneCycleLR', eta_max=0.01, by_epoch=True, total_steps=2, convert_to_iter_based=True)]
""")
    own = tmp_path / 'work_dirs' / 'small'
    train(config)
    unbroken = weights(own / 'epoch_2.pth')
    (own / 'epoch_2.pth').unlink()
    train(config, '--resume')
    assert_same(weights(own / 'epoch_2.pth'), unbroken)


def test_sigterm_saves_and_the_run_resumes_to_the_same_weights(reference, store, tmp_path):
    work_dir, _, _ = reference
    config = write_config(tmp_path, store, EMA + "default_hooks['checkpoint']['iter_interval'] = 1\n")
    own = tmp_path / 'work_dirs' / 'small'
    process = start(config)
    wait_for(own / 'epoch_0_iter_1.pth', process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 143, output
    assert 'stopped by a signal' in output
    train(config, '--resume')
    assert_same(weights(own / 'epoch_2.pth'), weights(work_dir / 'epoch_2.pth'))


def test_a_truncated_newest_checkpoint_falls_back_to_the_one_before(reference, tmp_path):
    work_dir, config, _ = reference
    own = tmp_path / 'work'
    own.mkdir()
    shutil.copy(work_dir / 'epoch_1.pth', own)
    whole = (work_dir / 'epoch_2.pth').read_bytes()
    (own / 'epoch_2.pth').write_bytes(whole[:len(whole) // 2])
    output = train(config, '--work-dir', own, '--resume')
    assert f'{own / "epoch_2.pth"} is damaged' in output
    assert f'Load checkpoint from {own / "epoch_1.pth"}' in output
    assert_same(weights(own / 'epoch_2.pth'), weights(work_dir / 'epoch_2.pth'))


def test_the_best_checkpoint_and_validation(store, tmp_path):
    config = write_config(tmp_path, store, f'''
val_dataloader = dict(_delete_=True, batch_size=4, num_workers=0, sampler=dict(type='PairSampler'),
                      collate_fn=dict(type='siamrpnpp_plugin.collate_pairs'),
                      dataset=dict(type='LMDBPairDataset', store={store!r}, pairs_per_epoch=8, negative_share=0, seed=0,
                                   pipeline=_base_.pairs_dataloader.dataset.pipeline))
val_evaluator = dict(type='PairMetric')
val_cfg = dict(_delete_=True, type='ValLoop')
default_hooks['checkpoint']['save_best'] = 'pair/mean_iou'
''')
    output = train(config)
    best = torch.load(tmp_path / 'work_dirs' / 'small' / 'best_pair_mean_iou.pth', weights_only=True)
    values = [float(line.split('pair/mean_iou: ')[1].split()[0]) for line in output.splitlines() if 'pair/mean_iou: ' in line]
    assert len(values) == 2
    assert best['meta']['best'] == pytest.approx(max(values), abs=1e-4)


def test_validation_tracks_videos_during_training(vid_root, store, tmp_path):
    config = write_config(tmp_path, store, f'''
val_dataloader = dict(dataset=dict(root={str(vid_root)!r}, options=dict(split='train'), num_sequences=2, max_frames=4))
val_evaluator = dict(type='OPEMetric')
val_cfg = dict(type='TrackLoop', batch_videos=2)
default_hooks['checkpoint']['save_best'] = 'ope/auc'
''')
    output = train(config)
    values = [float(line.split('ope/auc: ')[1].split()[0]) for line in output.splitlines() if 'ope/auc: ' in line]
    assert len(values) == 2
    best = torch.load(tmp_path / 'work_dirs' / 'small' / 'best_ope_auc.pth', weights_only=True)
    assert best['meta']['best'] == pytest.approx(max(values), abs=1e-4)


def test_two_ranks_are_equal_and_accumulate_to_the_same_global_batch(store, tmp_path):
    """Two ranks of batch 1, accumulated twice, over the unfreezing; what they trained is the same on both."""
    change = "train_dataloader['batch_size'] = 1\ncustom_hooks += [dict(type='Dump')]\n"
    output = train(write_config(tmp_path, store, change + DUMP_IMPORT), ranks=2)
    folder = tmp_path / 'work_dirs' / 'small'
    assert 'global batch 4 = 2 rank(s) x 1 pairs x 2 accumulated' in output
    dumps = {when: [torch.load(folder / f'dump_{rank}_{when}.pth') for rank in range(2)] for when in ('start', 0, 1)}
    for ranks in dumps.values():
        assert_same(*ranks)
    start, frozen, trained = (dumps[when][0] for when in ('start', 0, 1))
    backbone = [name for name in start if name.startswith('backbone')]
    assert all(torch.equal(start[name], frozen[name]) for name in backbone)
    changed = {name.split('.')[1] for name in backbone if not torch.equal(frozen[name], trained[name])}
    assert changed == {'layer2', 'layer3', 'layer4'}


def losses_of(store: str, folder: Path, ranks: int) -> list:
    """The loss of each of 20 steps of four pairs, batch norms in evaluation."""
    folder.mkdir()
    config = write_config(folder, store, f'''
train_dataloader['batch_size'] = {4 // ranks}
train_cfg['max_epochs'] = 1
custom_hooks = [dict(type='SafetyHook'), dict(type='StillNorms')]
custom_imports = dict(imports='still_norms', allow_failed_imports=False)
optim_wrapper = dict(optimizer=dict(lr=0.001))
''', pairs_per_epoch=80)
    (folder / 'still_norms.py').write_text('''
import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from siamrpnpp_plugin.registry import HOOKS

@HOOKS.register_module()
class StillNorms(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for module in runner.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = outputs['loss'].detach().clone()
        all_reduce(loss, 'mean')
        if runner.rank == 0:
            print(f'LOSS {loss.item():.9f}', flush=True)
''')
    os.environ['PYTHONPATH'] = f'{folder}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    try:
        output = train(config, ranks=ranks)
    finally:
        os.environ['PYTHONPATH'] = os.environ['PYTHONPATH'].split(os.pathsep, 1)[1]
    return [float(line.split()[1]) for line in output.splitlines() if line.startswith('LOSS')]


def test_one_rank_and_two_ranks_have_the_same_losses(store, tmp_path):
    """The samples of a global batch, their random anchors and the normalisation of the loss do not depend on the ranks."""
    one, two = (losses_of(store, tmp_path / str(ranks), ranks) for ranks in (1, 2))
    assert len(one) == len(two) == 20
    assert one == pytest.approx(two, rel=1e-4)
    assert one[0] == pytest.approx(two[0], rel=1e-6)


def test_a_nan_names_its_samples_and_stops_all_ranks(store, tmp_path):
    config = write_config(tmp_path, store, '''
optim_wrapper = dict(optimizer=dict(lr=1e30), clip_grad=None)
''')
    output = train(config, ranks=2, code=None, timeout=120)
    assert 'FloatingPointError' in output
    assert 'loss or gradient is not finite' in output
    assert 'frame' in output
    saved = sorted((tmp_path / 'work_dirs' / 'small').glob('not_finite_iter_*_rank_*.pth'))
    assert saved
    batch = torch.load(saved[0], weights_only=True)
    assert batch['batch']['search'].shape == (2, 3, 255, 255)
    assert len(batch['samples']) == 2


def test_weights_that_are_not_finite_are_never_saved(store, tmp_path):
    """A finite loss with a NaN in one gradient, at the last iteration of an epoch."""
    config = write_config(tmp_path, store, "custom_hooks += [dict(type='PoisonGradient', iteration=3)]\n" + DUMP_IMPORT)
    output = train(config, code=1)
    assert 'loss or gradient is not finite' in output
    assert not list((tmp_path / 'work_dirs' / 'small').glob('epoch_*.pth'))


def test_a_run_in_a_used_folder_loses_neither_its_own_checkpoints_nor_the_others(store, tmp_path):
    config, work_dir = write_config(tmp_path, store), tmp_path / 'work_dirs' / 'small'
    work_dir.mkdir(parents=True)
    for name in ('epoch_8.pth', 'epoch_9_iter_2000.pth', 'best_pair_success.pth'):
        (work_dir / name).write_bytes(b'precious')
    output = train(config)
    assert '3 checkpoints of another run were moved to' in output
    assert {path.name for path in work_dir.glob('*.pth')} == {'epoch_1.pth', 'epoch_2.pth'}
    assert {path.read_bytes() for path in work_dir.glob('before_*/*.pth')} == {b'precious'}
    best = work_dir / 'best_mine.pth'
    checkpoint = torch.load(work_dir / 'epoch_2.pth', weights_only=True)
    torch.save({key: checkpoint[key] for key in ('meta', 'state_dict')}, best)
    assert 'weights only' in train(config, '--resume', best, code=1)


def test_a_signal_to_the_whole_group_saves_on_two_ranks_with_loader_workers(store, tmp_path):
    """torchrun hands SIGTERM to the process group of each rank: workers of the loader must not die of it."""
    config = write_config(tmp_path, store, """
train_dataloader['num_workers'] = 1
train_cfg['max_epochs'] = 1000
""")
    process = start(config, ranks=2)
    work_dir = tmp_path / 'work_dirs' / 'small'
    wait_for(work_dir / 'epoch_1.pth', process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert 'stopped by a signal' in output
    assert list(work_dir.glob('epoch_*_iter_*.pth')) or 'epoch_' in output.split('everything is in')[1]


@pytest.mark.slow
def test_a_compiled_run_trains(store, tmp_path):
    output = train(write_config(tmp_path, store, "compile = dict(backend='eager')\n"))
    assert 'Model has been "compiled"' in output


def test_a_killed_rank_ends_the_run(store, tmp_path):
    config = write_config(tmp_path, store, "train_cfg['max_epochs'] = 1000\n")
    process = start(config, ranks=2)
    wait_for(tmp_path / 'work_dirs' / 'small' / 'epoch_1.pth', process)
    ranks = [int(pid) for pid in subprocess.check_output(['pgrep', '-P', str(process.pid)], text=True).split()]
    assert len(ranks) == 2
    try:
        os.kill(ranks[1], signal.SIGKILL)
        process.communicate(timeout=90)
        assert process.returncode != 0
        assert not Path(f'/proc/{ranks[0]}').exists()
    finally:
        for pid in ranks:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert (tmp_path / 'work_dirs' / 'small' / 'epoch_1.pth').exists()


@pytest.mark.parametrize(('change', 'message'), [
    ("train_dataloader['dataset']['store'] = 'nowhere.lmdb'", 'nowhere.lmdb'),
    ("model['head']['rpn_head']['type'] = 'RpnHaed'", 'RpnHaed'),
    ("model['backbone']['depht'] = 18", 'depht'),
    ("train_cfg['global_batch_size'] = 3; train_dataloader['batch_size'] = 0", 'batch'),
])
def test_a_wrong_config_is_one_clear_line(store, tmp_path, change, message):
    output = train(write_config(tmp_path, store, change), code=1)
    assert 'Traceback' not in output
    assert message in output.strip().splitlines()[-2] + output.strip().splitlines()[-1]


def test_a_checkpoint_of_another_architecture_is_refused(reference, store, tmp_path):
    work_dir, _, _ = reference
    config = write_config(tmp_path, store, "model['head']['rpn_head']['hidden_channels'] = 4\n")
    output = train(config, '--resume', work_dir / 'epoch_1.pth', code=1)
    assert 'does not fit the model of this config' in output
    assert 'of another shape, such as head.' in output


def test_nothing_to_resume_and_amp_without_gpu_are_named(store, tmp_path):
    config = write_config(tmp_path, store)
    assert 'has no whole checkpoint' in train(config, '--resume', code=1)
    if not torch.cuda.is_available():
        assert 'needs a GPU' in train(config, '--amp', code=1)
    network = ROOT / 'configs' / 'siamrpnpp_r50_pysot.py'
    assert 'describes a network' in train(network, '--work-dir', tmp_path, code=1)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB: room for one checkpoint."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', str(disk)], capture_output=True, check=False).returncode:
        pytest.skip('mounting a small file system needs root')
    yield disk
    subprocess.run(['umount', '-l', str(disk)], check=True)


def test_a_full_disk_keeps_what_was_saved(store, tmp_path, small_disk):
    config = write_config(tmp_path, store, "train_cfg['max_epochs'] = 4\ndefault_hooks['checkpoint']['max_keep'] = -1\n")
    output = train(config, '--work-dir', small_disk, code=1)
    assert 'cannot be written' in output
    assert 'go on with --resume' in output
    saved = sorted(small_disk.glob('*.pth'))
    assert saved
    assert all(torch.load(path, weights_only=True)['state_dict'] for path in saved)
    assert not list(small_disk.glob('.*.pth.*'))


@pytest.mark.parametrize('ranks', [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_main_config_takes_real_steps(store, tmp_path, ranks):
    """The whole ResNet-50 network, two steps of a small batch, from the command line."""
    output = train(MAIN, '--work-dir', tmp_path, '--cfg-options', f'train_dataloader.dataset.store={store}',
                   'train_dataloader.dataset.pairs_per_epoch=4', 'train_dataloader.batch_size=1',
                   'train_dataloader.num_workers=1', 'train_cfg.global_batch_size=2', 'train_cfg.max_epochs=1', ranks=ranks,
                   timeout=400)
    assert 'no validation' in output
    assert (tmp_path / 'epoch_1.pth').exists()
