"""Our networks with PySOT's weights give PySOT's numbers, stage by stage; `pysot_numbers.py` made them with PySOT itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import seeded
import torch
from ours import load_pysot, our_stages

from siamrpnpp_plugin.registry import MODELS

HERE = Path(__file__).resolve().parent
SHAPES = json.loads((HERE / 'pysot_shapes.json').read_text())
NUMBERS = np.load(HERE / 'pysot_numbers.npz')

pytestmark = pytest.mark.parity


@pytest.mark.parametrize('name', seeded.NETWORKS)
def test_every_stage_equals_pysots(name):
    _, config, size = seeded.NETWORKS[name]
    stages = our_stages(config, seeded.weights(SHAPES[name], seed=0), seeded.images(127, seed=0), seeded.images(size, seed=0))
    expected = {key.split('/')[1] for key in NUMBERS.files if key.startswith(f'{name}/')}
    assert set(stages) == expected
    for stage, value in stages.items():
        frozen, largest = NUMBERS[f'{name}/{stage}'], NUMBERS[f'{name}/{stage}/max']
        assert list(value.shape) == NUMBERS[f'{name}/{stage}/shape'].tolist(), stage
        assert np.abs(seeded.sample(value, stage) - frozen).max() <= 1e-4 * largest, stage
        assert float(value.abs().max()) == pytest.approx(float(largest), rel=1e-4), stage


@pytest.mark.parametrize('name', seeded.TRAINED)
def test_training_mode_equals_pysots(name):
    """Batch norms see the same batches: the template's statistics are those of its whole map, before the crop."""
    model = load_pysot(seeded.NETWORKS[name][1], seeded.weights(SHAPES[name], seed=0))
    model.backbone.freeze_stages(-1)
    with torch.no_grad():
        outputs = model.train()(seeded.images(127, seed=0), seeded.images(255, seed=0))
    for stage, value in zip(('cls', 'loc'), outputs):
        error = np.abs(seeded.sample(value, stage) - NUMBERS[f'train/{name}/{stage}']).max()
        assert error <= 1e-4 * NUMBERS[f'train/{name}/{stage}/max']


@pytest.mark.parametrize('name', seeded.BACKBONES)
def test_smaller_resnets_equal_pysots(name):
    backbone = MODELS.build(dict(seeded.BACKBONES[name][1], _scope_='siamrpnpp_plugin')).eval()
    backbone.load_state_dict(seeded.weights(SHAPES[name], seed=0))
    with torch.no_grad():
        maps = backbone(seeded.images(255, seed=0))
    for level, value in enumerate(maps):
        error = np.abs(seeded.sample(value, f'{level}') - NUMBERS[f'{name}/{level}']).max()
        assert error <= 1e-4 * NUMBERS[f'{name}/{level}/max']
