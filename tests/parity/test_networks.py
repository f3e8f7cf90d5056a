"""Our networks with PySOT's weights give PySOT's numbers, stage by stage; `pysot_numbers.py` made them with PySOT itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import seeded
import torch
from ours import our_stages

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


@pytest.mark.parametrize('name', seeded.BACKBONES)
def test_smaller_resnets_equal_pysots(name):
    backbone = MODELS.build(dict(seeded.BACKBONES[name][1], _scope_='siamrpnpp_plugin')).eval()
    backbone.load_state_dict(seeded.weights(SHAPES[name], seed=0))
    with torch.no_grad():
        maps = backbone(seeded.images(255, seed=0))
    for level, value in enumerate(maps):
        error = np.abs(seeded.sample(value, f'{level}') - NUMBERS[f'{name}/{level}']).max()
        assert error <= 1e-4 * NUMBERS[f'{name}/{level}/max']


def test_sizes_of_the_paper():
    """Template 127 -> 15x15 -> 7x7, search 255 -> 31x31, output 25x25x5."""
    keys = [key for key in NUMBERS.files if key.startswith('r50/') and key.endswith('/shape')]
    shapes = {key.split('/')[1]: NUMBERS[key].tolist() for key in keys}
    assert all(shapes[f'template.backbone.{level}'][2:] == [15, 15] for level in range(3))
    assert all(shapes[f'template.neck.{level}'][1:] == [256, 7, 7] for level in range(3))
    assert all(shapes[f'search.neck.{level}'][1:] == [256, 31, 31] for level in range(3))
    assert shapes['cls'][1:] == [10, 25, 25]
    assert shapes['loc'][1:] == [20, 25, 25]
