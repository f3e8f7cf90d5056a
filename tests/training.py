"""Small real trainings for the tests: the main config with a small network, in this process or through tools/train.py."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch
from conftest import ROOT
from mmengine.config import Config

DUMP_IMPORT = "custom_imports = dict(imports='training_dump', allow_failed_imports=False)\n"
MAIN = ROOT / 'configs' / 'siamrpnpp_r50_vid.py'


def write_config(folder: Path, store: str, text: str = '', **dataset) -> Path:
    """A child of the main config: ResNet-18 of an eighth of the width, 8 channels in the head, 8 steps of 4 pairs in 2 epochs.

    Args:
        folder: Where to write it.
        store: Training store.
        text: Python lines that follow; they may change anything.
        dataset: Arguments of the data set.
    """
    settings = dict(dict(store=store, pairs_per_epoch=16), **dataset)
    path = folder / 'small.py'
    path.write_text(f'''_base_ = {str(MAIN)!r}
model = dict(backbone=dict(depth=18, width=0.125, frozen_stages=1), neck=dict(in_channels=(16, 32, 64), out_channels=8),
             head=dict(rpn_head=dict(in_channels=8, hidden_channels=8)))
train_dataloader = dict(batch_size=4, num_workers=0, dataset=dict({', '.join(f'{k}={v!r}' for k, v in settings.items())}))
train_cfg = dict(global_batch_size=4, max_epochs=2)
val_dataloader = None
val_evaluator = None
val_cfg = None
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, iter_interval=None, save_best=None))
custom_hooks = [dict(type='SafetyHook'), dict(type='BackboneScheduleHook', unfreeze_epoch=1)]
{text}''')
    return path


def environment() -> dict:
    paths = [str(ROOT), str(ROOT / 'tests'), os.environ.get('PYTHONPATH', '')]
    return dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=os.pathsep.join(filter(None, paths)))


def train(config: Path, *arguments: str, ranks: int = 1, code: int = 0, timeout: int = 240) -> str:
    """Run tools/train.py, or tools/dist_train.sh for several ranks; its whole output. Fails on another exit code than `code`
    (None: any but 0)."""
    process = start(config, *arguments, ranks=ranks)
    try:
        output, _ = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == code if code is not None else process.returncode != 0, output
    return output


def start(config: Path, *arguments: str, ranks: int = 1) -> subprocess.Popen:
    """As `train`, without waiting; a process group of its own."""
    arguments = [str(argument) for argument in arguments]
    if ranks == 1:
        command = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(config), *arguments]
        variables = environment()
    else:
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        command = ['bash', str(ROOT / 'tools' / 'dist_train.sh'), str(config), str(ranks), *arguments]
        variables = dict(environment(), PORT=str(port), PYTHON=sys.executable)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables,
                            start_new_session=True, cwd=config.parent)


def wait_for(path: Path, process: subprocess.Popen, seconds: float = 120) -> None:
    """Until a file is there."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, f'{path} did not appear'
        time.sleep(0.02)


def weights(path: Path) -> dict:
    """Everything in a checkpoint that must be equal for two runs to be the same, flat, by name."""
    checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    found = dict(checkpoint['state_dict'])
    for number, state in checkpoint.get('optimizer', {}).get('state', {}).items():
        found.update({f'optimizer.{number}.{name}': value for name, value in state.items() if torch.is_tensor(value)})
    found.update({f'ema.{name}': value for name, value in checkpoint.get('ema_state_dict', {}).items()})
    return found


def assert_same(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different, f'{len(different)} of {len(first)} tensors differ, such as {different[0]}'


def load(config: Path) -> Config:
    return Config.fromfile(config)
